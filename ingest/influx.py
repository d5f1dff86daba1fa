"""InfluxDB: stored readings as points, encoded from columns; a bad point costs one point, never its batch.

A repeat overwrites the same series and time, so carrying twice is harmless. Writes go through
influxdb-client's synchronous API: its batching mode keeps a queue in memory and drops it after 180 s.
"""

import gzip
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from config.errors import DeliveryFailed
from ingest.courier import Gap, Place, Trip
from ingest.fetch import fetched, some_ticks
from ingest.influx_answers import REFUSED, SPLIT, Refusal, refusal_of, retry_after_s
from ingest.journal import Listed, listed
from ingest.lines import Lines
from ingest.readings import CONFLICT, ReadingBatch

LETTERS_A_TRIP = 1_000  # bad points kept in full; all are counted
BODIES_A_TRIP = 4  # while a backlog drains; one is made while the server is busy with another
TRIAL = 500  # readings in the first write after a failure; then twice as many each time
STORED = 204  # the only status by which any InfluxDB says that all of a write is kept
ENOUGH = 3  # points that are tried alone before a complaint is held to be about the whole

NO_BUCKET = "no bucket named for wristbands"
OWN_BUCKET = "carried to the bucket for wristbands"
OTHERS = "not of wristbands"


@dataclass(frozen=True, slots=True)
class Writing:
    """Points on their way."""

    readings: ReadingBatch
    lines: Any
    answer: "Future[Refusal | None]"


@dataclass
class Influx:
    """One bucket. Points: measurement = medium; tags channel, place, quantity, zone; fields value (float) and
    quality.

    Either the readings of wristbands go there or all others; `withheld` says why not the rest.
    """

    url: str
    bucket: str
    token: str = ""
    org: str = ""
    timeout_s: float = 10.0
    batch: int = 5_000
    wristbands: bool = False
    withheld: str = NO_BUCKET
    name: str = "influxdb"
    fresh_first: bool = True
    stop_s: float = 2.0
    _client: Any = field(default=None, repr=False)
    _api: Any = field(default=None, repr=False)
    _known: tuple[sqlite3.Connection, Listed, Lines] | None = field(default=None, repr=False)
    _most: int = field(default=0, repr=False)  # readings in the next write
    _suspects: set[int] = field(default_factory=set, repr=False)  # channels whose last point was refused
    _welcome: bool = field(default=False, repr=False)  # something was stored in this life

    def carry(self, connection: sqlite3.Connection, gap: Gap, stop: threading.Event) -> Trip | None:
        """Whole ticks of some `batch` readings; few after a failure, more and more while it works."""
        most = min(self._most or self._largest, self._largest)
        ticks = some_ticks(connection, gap, most)
        if not ticks:
            return None
        trip = Trip(Place(ticks[-1].id, ticks[-1].upto_arrival))
        known, lines = self._channels(connection)
        stored = 0
        under_way: Writing | None = None
        try:
            for readings in fetched(connection, ticks, known, min(most, self.batch), trip.dead):
                for part in self._parts(readings, lines, trip):
                    encoded = lines.encode(part)
                    body = _body(encoded)  # made while the server is busy with the one before
                    if under_way is not None:
                        stored += self._settle(under_way, lines, trip)
                    under_way = Writing(part, encoded, self._begin(body))
            if under_way is not None:
                stored += self._settle(under_way, lines, trip)
        except DeliveryFailed:
            self._most = min(TRIAL, self.batch)
            raise
        self._most = 2 * most
        return replace(trip, stored=stored)

    @property
    def _largest(self) -> int:
        """Readings in one trip."""
        return self.batch * BODIES_A_TRIP

    def _channels(self, connection: sqlite3.Connection) -> tuple[Listed, Lines]:
        """The journal's channels; they are listed before a courier starts, and stay."""
        if self._known is None or self._known[0] is not connection:
            known = listed(connection)
            self._known = (connection, known, Lines(known))
        return self._known[1:]

    def _parts(self, readings: ReadingBatch, lines: Lines, trip: Trip) -> Iterator[ReadingBatch]:
        """What is to be written of a group; channels that were refused come apart, and are found at once."""
        mine = lines.is_wristband[readings.channel] == self.wristbands
        if not mine.all():
            trip.withheld[self.withheld] += len(mine) - int(np.count_nonzero(mine))
            readings = readings.where(mine)
        conflict = (readings.flags & CONFLICT) != 0
        for number in np.flatnonzero(conflict).tolist():
            self._lay_aside(lines, readings, number, "conflict", trip)
        suspect = np.isin(readings.channel, list(self._suspects))
        for rows in (~conflict & ~suspect, ~conflict & suspect):
            if rows.any():
                yield readings if rows.all() else readings.where(rows)

    def _settle(self, writing: "Writing", lines: Lines, trip: Trip) -> int:
        """Wait for an answer, and find what was refused; how many points are stored."""
        readings = writing.readings
        bad = list(self._sorted_out(writing.answer.result(), writing.lines, 0, len(readings)))
        for number, reason in bad:
            self._lay_aside(lines, readings, number, reason, trip)
        refused = {int(readings.channel[number]) for number, _ in bad}
        self._suspects = (self._suspects - set(np.unique(readings.channel).tolist())) | refused
        return len(readings) - len(bad)

    def _lay_aside(self, lines: Lines, readings: ReadingBatch, number: int, reason: str, trip: Trip) -> None:
        trip.dead[reason] += 1
        if len(trip.letters) < LETTERS_A_TRIP:
            one = readings.where(np.array([number]))
            payload = lines.encode(one)[0].as_py()
            trip.letters.append((lines.id[one.channel[0]], payload.encode(), reason))

    def _sorted_out(
        self, refusal: Refusal | None, lines: Any, start: int, end: int
    ) -> Iterator[tuple[int, str]]:
        """Of lines [start, end) that were refused, the number and reason of each that the server won't have.

        They are halved until the bad points are alone; where the server says that it dropped all of them,
        there is nothing to look for.
        """
        if refusal is None:
            return
        if not refusal.of_points:
            self._check_whole(lines[start:end], refusal)
        if end - start == 1 or (refusal.dropped == end - start and refusal.status != 413):
            yield from ((number, refusal.reason) for number in range(start, end))
            return
        middle = (start + end) // 2
        for first, last in ((start, middle), (middle, end)):
            yield from self._sorted_out(self._post(_body(lines[first:last])), lines, first, last)

    def _check_whole(self, lines: Any, refusal: Refusal) -> None:
        """A complaint that names no point may be about the whole, such as an organisation that is missing.

        Then nothing is laid aside: DeliveryFailed, unless a point alone is taken, or was taken before.
        """
        if len(lines) < ENOUGH and self._welcome:
            return
        tried = {0, len(lines) // 2, len(lines) - 1}
        if all(self._post(_body(lines[number : number + 1])) is not None for number in sorted(tried)):
            where = f"{self.url} answered {refusal.status} to every write into bucket {self.bucket}"
            raise DeliveryFailed(f"{where}: {refusal.reason}; check org and bucket", permanent=True)

    def _begin(self, body: bytes) -> "Future[Refusal | None]":
        """A write in a thread of its own, which may be left behind when we are to end."""
        answer: Future[Refusal | None] = Future()

        def post() -> None:
            try:
                answer.set_result(self._post(body))
            except BaseException as error:
                answer.set_exception(error)

        threading.Thread(target=post, name=f"write {self.name}", daemon=True).start()
        return answer

    def _post(self, body: bytes) -> Refusal | None:
        """None when stored, a refusal of the points; DeliveryFailed when to be tried again."""
        from influxdb_client.rest import ApiException
        from urllib3.exceptions import HTTPError

        try:
            self._writer().write(bucket=self.bucket, org=self.org, record=body)
        except ApiException as error:
            refusal = refusal_of(int(error.status or 0), error.body, str(error.reason))
            if refusal.status in SPLIT:
                return refusal
            where = (
                f"{self.url} answered {refusal.status} to a write into bucket {self.bucket}: {refusal.reason}"
            )
            if hint := REFUSED.get(refusal.status):
                raise DeliveryFailed(f"{where}; {hint}", permanent=True) from error
            raise DeliveryFailed(where, retry_after_s=retry_after_s(error.headers)) from error
        except (HTTPError, OSError) as error:
            raise DeliveryFailed(f"{self.url}: {type(error).__name__}: {error}") from error
        if (status := self._client.api_client.last_response.status) != STORED:
            raise DeliveryFailed(
                f"{self.url} answered {status} to a write, where InfluxDB answers {STORED}: something else is"
                " there, such as a login page; check url",
                permanent=True,
            )
        self._welcome = True
        return None

    def _writer(self) -> Any:
        """The write API; made once, as it keeps its connection."""
        if self._client is None:
            from influxdb_client.client.influxdb_client import InfluxDBClient
            from influxdb_client.client.write_api import SYNCHRONOUS

            client = InfluxDBClient(
                self.url,
                self.token or "none",
                org=self.org,
                timeout=int(self.timeout_s * 1000),
                enable_gzip=True,
            )
            # What we hand in is compressed already; the client would do it at level 9, for 8 us a reading.
            setattr(client.conf, "update_request_body", lambda path, body: body)  # noqa: B010
            pool = client.api_client.rest_client.pool_manager
            setattr(pool, "request", partial(_answered, pool.request))  # noqa: B010
            self._client = client
            self._api = client.write_api(write_options=SYNCHRONOUS)
        return self._api


def buckets(
    url: str,
    bucket: str,
    token: str = "",
    org: str = "",
    wristband_bucket: str = "",
    wristband_token: str = "",
    timeout_s: float = 10.0,
    batch: int = 5_000,
) -> list[Influx]:
    """A carrier for each bucket that is named: trouble with one of them leaves the other alone."""
    withheld = OWN_BUCKET if wristband_bucket else NO_BUCKET
    found = [Influx(url, bucket, token, org, timeout_s, batch, withheld=withheld)]
    if wristband_bucket:
        name = "influxdb wristbands"
        found.append(
            Influx(url, wristband_bucket, wristband_token, org, timeout_s, batch, True, OTHERS, name)
        )
    return found


def _answered(request: Callable[..., Any], *told: Any, **how: Any) -> Any:
    """An answer in whatever encoding, such as a proxy's own page: the client takes nothing but UTF-8."""
    answer = request(*told, **how)
    text = answer.data.decode(errors="replace").encode()
    return SimpleNamespace(status=answer.status, reason=answer.reason, headers=answer.headers, data=text)


def _body(lines: Any) -> bytes:
    """Lines as the body of a write. Level 1 costs 0.3 us a reading, level 9 eight for 15 % less."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines)
    return gzip.compress(pc.binary_join(whole, "\n")[0].as_buffer(), 1)
