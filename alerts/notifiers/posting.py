"""Posting: one signed HTTP POST over a kept connection, and what its answer means for the sender."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from alerts.notifiers.outside import WrongAddress, guarded_pool
from config.errors import DeliveryFailed

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

ANSWER_MOST = 4 * 2**20  # bytes; a longer answer is refused
TAKES_LATER = frozenset({408, 425, 429})
NOT_THE_MESSAGE = frozenset({401, 403, 404, 405, 407, 410})
"""Refusals of the sender or the address: every message would meet the same, so none is given up for it."""

SETTING_WAIT_S = 30.0  # then: someone has to change a setting, or the other side a clock


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer, header names in lower case."""

    headers: Mapping[str, str]
    body: bytes


class Post:
    """One address. Redirects are not followed: a webhook's target is what the settings say."""

    def __init__(self, url: str, timeout_s: float, name: str, private: bool = True) -> None:
        """`private`: whether a name may lead to an address inside (see `guarded_pool`)."""
        self.url = url
        self._private = private
        self.timeout_s = timeout_s
        self.name = f"{name} ({urlsplit(url).hostname})"  # the path may hold a token
        self._pool: PoolManager | None = None

    def send(self, body: bytes, headers: Mapping[str, str], method: str = "POST") -> Answer:
        """The answer, if it is a 2xx; DeliveryFailed otherwise, saying what to do."""
        import urllib3

        if self._pool is None:
            self._pool = guarded_pool(self._private)
        deadline_s = time.monotonic() + 3 * self.timeout_s
        try:
            response = self._pool.request(
                method,
                self.url,
                body=body,
                headers=dict(headers),
                timeout=urllib3.Timeout(connect=self.timeout_s, read=self.timeout_s),
                redirect=False,
                preload_content=False,
            )
            try:
                content = self._read(response, deadline_s)
            finally:
                response.release_conn()
        except WrongAddress as error:
            raise DeliveryFailed(
                f"{self.name}: {error}", retry_after_s=SETTING_WAIT_S, unsent=True
            ) from error
        except urllib3.exceptions.HTTPError as error:
            unsent = isinstance(
                error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
            )
            raise DeliveryFailed(f"{self.name} does not answer: {_plain(error)}", unsent=unsent) from error
        given = {name.lower(): value for name, value in response.headers.items()}
        self._judge(response.status, given, content)
        return Answer(given, content)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.clear()
            self._pool = None

    def _read(self, response: "BaseHTTPResponse", deadline_s: float) -> bytes:
        parts, size = [], 0
        for part in response.stream(65_536):
            size += len(part)
            if size > ANSWER_MOST or time.monotonic() > deadline_s:
                response.close()
                what = f"longer than {ANSWER_MOST} bytes" if size > ANSWER_MOST else "too slow"
                raise DeliveryFailed(f"{self.name}: the answer is {what}")
            parts.append(part)
        return b"".join(parts)

    def _judge(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        if 200 <= status < 300:
            return
        said = " ".join(content[:300].decode("utf-8", "replace").split())
        text = f"{self.name} answered {status}" + (f": {said}" if said else "")
        wish_s = retry_after_s(headers.get("retry-after", ""))
        if status in NOT_THE_MESSAGE or 300 <= status < 400:
            hint = "; check url, secret and clock"
            raise DeliveryFailed(text + hint, retry_after_s=max(wish_s or 0.0, SETTING_WAIT_S), unsent=True)
        permanent = 400 <= status < 500 and status not in TAKES_LATER
        raise DeliveryFailed(text, retry_after_s=wish_s, permanent=permanent, unsent=True)


def retry_after_s(text: str) -> float | None:
    """Seconds from a Retry-After header (RFC 9110: seconds or a date); None where it says nothing usable."""
    if text.strip().isdecimal() and len(text) < 10:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _plain(error: Exception) -> str:
    """Without the object addresses that urllib3 puts into its texts."""
    return str(error).rpartition(">: ")[2] or type(error).__name__
