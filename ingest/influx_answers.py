"""Influx answers: what a server means by a status and a text, InfluxDB 1.x and 2.x alike."""

import contextlib
import math
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

SPLIT = {400, 413, 422}  # never retried as they are: split, until the point is found
REFUSED = {  # someone must change a setting
    401: "check the token",
    403: "check the token",
    404: "create the bucket, or correct its name",
}
POINT_FAULTS = (
    (r"field type conflict", "field type conflict"),
    (r"beyond retention policy", "older than the bucket keeps"),
    (r"unable to parse|invalid line protocol", "cannot be parsed by the server"),
)
OF_POINTS = r"partial write|dropped=\d|too large"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A write that the server will not have: why, and how many points it says that it dropped."""

    status: int
    reason: str
    dropped: int
    of_points: bool  # the complaint is about points, not about the request as a whole


def refusal_of(status: int, body: Any, status_line: str) -> Refusal:
    """The points themselves are left out of the reason."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "no reason given")
    found = re.search(r"dropped=(\d+)", text)
    dropped = int(found[1]) if found else 0
    for pattern, short in POINT_FAULTS:
        if re.search(pattern, text):
            return Refusal(status, short, dropped, True)
    of_points = status == 413 or re.search(OF_POINTS, text) is not None
    text = status_line if text.lstrip().startswith("<") else text.strip()[:200]  # a proxy's page says no more
    return Refusal(status, text, dropped, of_points)


def retry_after_s(headers: Any) -> float | None:
    """Seconds, also where a date is given; None where it says nothing that can be understood."""
    try:
        wish = str(headers.get("Retry-After"))
    except AttributeError:
        return None
    with contextlib.suppress(ValueError):
        seconds = float(wish)
        return None if math.isnan(seconds) else max(seconds, 0.0)
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(parsedate_to_datetime(wish).timestamp() - time.time(), 0.0)
    return None
