"""InfluxQL: readings that an InfluxDB holds, fetched hour by hour for a replay.

`GET /query` is what InfluxDB 1.x serves and InfluxDB 2 offers for compatibility (there the bucket must be
mapped to a database). InfluxDB does not keep when a reading arrived: its own time stands for that.
"""

import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from config.errors import InputError
from ingest.pieces import Intake, Kept, Spool

HOUR_NS = 3600 * 10**9
TIMEOUT_S = 60.0
TOKEN = "WATCHLINE_INFLUX_TOKEN"  # environment variable with a token that may read


def is_address(text: str) -> bool:
    """Whether a recording is named by an address such as influx+http://127.0.0.1:8086/sensors."""
    return re.match(r"influx\+https?:/", text) is not None


class Database:
    """One database, read by InfluxQL; InputError says what is wrong with it, or with the way there."""

    def __init__(self, address: str) -> None:
        # A path made of an address has lost a slash.
        plain = re.sub(r"^influx\+(https?):/+", r"\1://", address)
        parts = urllib.parse.urlsplit(plain)
        self.name = parts.path.strip("/")
        self.address = plain
        self._query = f"{parts.scheme}://{parts.netloc}/query"
        if not parts.netloc or not self.name:
            raise InputError(
                f"{address}: name server and database, such as influx+http://127.0.0.1:8086/sensors"
            )

    def hours(self, start_ns: int | None, end_ns: int | None) -> Iterator[tuple[int, int]]:
        """Spans [from, to) of at most an hour that cover what it holds, within [start, end)."""
        first = self._moment("first") if start_ns is None else start_ns
        last = self._moment("last") + 1 if end_ns is None else end_ns
        while first < last:
            after = min((first // HOUR_NS + 1) * HOUR_NS, last)
            yield first, after
            first = after

    def series(self, from_ns: int, to_ns: int) -> Iterator[tuple[str, list[list[Any]]]]:
        """(channel, rows of time, value, quality) in parts."""
        where = f"time >= {from_ns} AND time < {to_ns}"
        for part in self._ask(f'SELECT "value", "quality" FROM /.*/ WHERE {where} GROUP BY "channel"'):
            yield part["tags"]["channel"], part["values"]

    def _moment(self, which: str) -> int:
        parts = self._ask(f'SELECT {which}("quality") FROM /.*/')
        moments = [int(part["values"][0][0]) for part in parts]
        if not moments:
            raise InputError(f"{self.address}: holds no readings; name another database")
        return min(moments) if which == "first" else max(moments)

    def _ask(self, question: str) -> Iterator[dict[str, Any]]:
        form = {"db": self.name, "q": question, "epoch": "ns", "chunked": "true", "chunk_size": "10000"}
        request = urllib.request.Request(f"{self._query}?{urllib.parse.urlencode(form)}")
        if token := os.environ.get(TOKEN):
            request.add_header("Authorization", f"Token {token}")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                for line in answer:
                    yield from self._parts(json.loads(line))
        except urllib.error.HTTPError as error:
            hint = f"; set {TOKEN} to a token that may read" if error.code in (401, 403) else ""
            raise InputError(f"{self.address}: answered {error.code} {error.reason}{hint}") from error
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.address}: cannot be read: {error}; is it an InfluxDB, and up?"
            ) from error

    def _parts(self, answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for result in answer.get("results", []):
            if "error" in result:
                raise InputError(f"{self.address}: {result['error']}")
            yield from result.get("series", [])


def spool_influx(
    address: str, intake: Intake, spool: Spool, start_ns: int | None, end_ns: int | None
) -> list[Kept]:
    """Fetch a database's readings into the spool."""
    import pyarrow as pa

    database = Database(address)
    kept = []
    for span in database.hours(start_ns, end_ns):
        for channel, rows in database.series(*span):
            time, value, quality = zip(*rows)
            table = pa.table(
                {
                    "time": pa.array(time, pa.int64()),
                    "channel": pa.array([channel] * len(rows)).dictionary_encode(),
                    "value": pa.array(value, pa.float64()),
                    "quality": pa.array(quality, pa.string()),
                }
            )
            readings = intake.readings(table, database.address)
            if len(readings):
                kept.append(spool.keep(readings))
    return kept
