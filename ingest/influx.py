"""InfluxDB: stored readings as points, encoded from columns; a bad point costs one point, never its batch.

A repeat overwrites the same series and time, so carrying twice is harmless. Writes go through
influxdb-client's synchronous API: its batching mode keeps a queue in memory and drops it after 180 s.
"""

import gzip
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from config.errors import DeliveryFailed
from ingest.courier import Place, Trip
from ingest.inbox import timely
from ingest.journal import Listed, StoredTick, listed, stored_arrivals, stored_ticks
from ingest.readings import CONFLICT, QUALITY_NAMES, ReadingBatch

SPLIT = {400, 413, 422}  # never retried as they are: split, until the point is found
REFUSED = {401, 403, 404}  # someone must change a setting
LETTERS_A_TRIP = 1_000  # bad points kept in full; all are counted


@dataclass
class Influx:
    """Points: measurement = medium; tags channel, place, quantity, zone; fields value (float) and quality.

    Readings of wristbands go to `wristband_bucket` with its own token, and are withheld where none is named.
    """

    url: str
    bucket: str
    token: str = ""
    org: str = ""
    wristband_bucket: str = ""
    wristband_token: str = ""
    timeout_s: float = 10.0
    batch: int = 5_000
    name: str = "influxdb"
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)

    def carry(self, connection: sqlite3.Connection, after: Place, stopping: bool) -> Trip | None:
        """About `batch` readings of whole ticks."""
        ticks: list[StoredTick] = []
        for tick in stored_ticks(connection, after.tick, 1_000):
            if ticks and sum(known.readings for known in ticks) + tick.readings > self.batch:
                break
            ticks.append(tick)
        if not ticks:
            return None
        trip = Trip(Place(ticks[-1].id, ticks[-1].upto_arrival))
        known = listed(connection)
        lines = Lines(known)
        stored = 0
        for readings in self._groups(connection, ticks, known, trip):
            stored += self._store(readings, lines, trip)
        return replace(trip, stored=stored)

    def _groups(
        self, connection: sqlite3.Connection, ticks: list[StoredTick], known: Listed, trip: Trip
    ) -> Iterator[ReadingBatch]:
        """The readings of the ticks, about `batch` at a time, however large a tick is."""
        group: list[ReadingBatch] = []
        for tick in ticks:
            for _, _, count, readings in stored_arrivals(connection, tick.after_arrival, tick.upto_arrival):
                if readings is None:
                    trip.dead["damaged in the journal"] += count
                    continue
                group.append(timely(readings, tick.now_ns, known.period_s, tick.clock_good))
                if sum(map(len, group)) >= self.batch:
                    yield ReadingBatch.joined(group)
                    group = []
        if group:
            yield ReadingBatch.joined(group)

    def _store(self, readings: ReadingBatch, lines: "Lines", trip: Trip) -> int:
        """Write one group; how many points are stored."""
        conflict = (readings.flags & CONFLICT) != 0
        for number in np.flatnonzero(conflict).tolist():
            self._lay_aside(lines, readings, number, "conflict", trip)
        wristband = lines.is_wristband[readings.channel]
        stored = 0
        for rows, bucket, token in (
            (~conflict & ~wristband, self.bucket, self.token),
            (~conflict & wristband, self.wristband_bucket, self.wristband_token),
        ):
            here = readings.where(rows)
            if not len(here):
                continue
            if not bucket:
                trip.withheld["no bucket named for wristbands"] += len(here)
                continue
            bad = list(self._write(lines.encode(here), 0, len(here), bucket, token))
            for number, reason in bad:
                self._lay_aside(lines, here, number, reason, trip)
            stored += len(here) - len(bad)
        return stored

    def _lay_aside(
        self, lines: "Lines", readings: ReadingBatch, number: int, reason: str, trip: Trip
    ) -> None:
        trip.dead[reason] += 1
        if len(trip.letters) < LETTERS_A_TRIP:
            one = readings.where(np.array([number]))
            payload = lines.encode(one)[0].as_py()
            trip.letters.append((lines.id[one.channel[0]], payload.encode(), reason))

    def _write(self, lines: Any, start: int, end: int, bucket: str, token: str) -> Iterator[tuple[int, str]]:
        """Write lines [start, end); yields the number and reason of each that the server will not have.

        A refused batch is halved until the bad points are alone; where the server says that it dropped all of
        them, there is nothing to look for.
        """
        refusal = self._post(lines[start:end], bucket, token)
        if refusal is None:
            return
        status, reason, dropped = refusal
        if end - start == 1 or (dropped == end - start and status != 413):
            yield from ((number, reason) for number in range(start, end))
            return
        middle = (start + end) // 2
        yield from self._write(lines, start, middle, bucket, token)
        yield from self._write(lines, middle, end, bucket, token)

    def _post(self, lines: Any, bucket: str, token: str) -> tuple[int, str, int] | None:
        """None when stored, (status, reason, dropped) when refused; DeliveryFailed when to be tried again."""
        import pyarrow as pa
        import pyarrow.compute as pc
        from influxdb_client.rest import ApiException
        from urllib3.exceptions import HTTPError

        whole = pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines)
        body = pc.binary_join(whole, "\n")[0].as_py().encode()
        try:
            self._writer(token).write(bucket=bucket, org=self.org, record=body)
            return None
        except ApiException as error:
            status = int(error.status or 0)
            reason = _reason(error.body, str(error.reason))
            if status in SPLIT:
                return status, *reason
            where = f"{self.url} answered {status} to a write into bucket {bucket}: {reason[0]}"
            if status in REFUSED:
                hint = "check the token" if status in (401, 403) else "create the bucket, or correct its name"
                raise DeliveryFailed(f"{where}; {hint}", permanent=True) from error
            raise DeliveryFailed(where, retry_after_s=_retry_after(error.headers)) from error
        except (HTTPError, OSError) as error:
            raise DeliveryFailed(f"{self.url}: {type(error).__name__}: {error}") from error

    def _writer(self, token: str) -> Any:
        """The write API of a token; made once, as it keeps its connection."""
        if token not in self._clients:
            from influxdb_client.client.influxdb_client import InfluxDBClient
            from influxdb_client.client.write_api import SYNCHRONOUS

            client = InfluxDBClient(
                self.url, token or "none", org=self.org, timeout=int(self.timeout_s * 1000), enable_gzip=True
            )
            # The client compresses at level 9, 8 us a reading for 15 % less; level 1 costs 0.3 us.
            setattr(client.conf, "update_request_body", _compressed)  # noqa: B010
            self._clients[token] = client.write_api(write_options=SYNCHRONOUS)
        return self._clients[token]


class Lines:
    """Line protocol from columns, for channels by journal number."""

    def __init__(self, known: Listed) -> None:
        import pyarrow as pa

        self.id = known.id
        self.is_wristband = np.array([medium == "wristband" for medium in known.medium], dtype=bool)
        columns = zip(known.medium, known.id, known.place, known.quantity, known.zone)
        self._heads = pa.array([_head(*column) for column in columns])
        self._qualities = pa.array([f'quality="{name}" ' for name in QUALITY_NAMES])

    def encode(self, readings: ReadingBatch) -> Any:
        """A pyarrow array of lines, one a reading; the value is left out where it is not finite."""
        import pyarrow as pa
        import pyarrow.compute as pc

        finite = np.isfinite(readings.value)
        value = pa.array(readings.value, mask=~finite).cast(pa.string())
        value = pc.binary_join_element_wise("value=", value, ",", "").fill_null("")
        head = self._heads.take(pa.array(readings.channel))
        quality = self._qualities.take(pa.array(readings.quality))
        time = pa.array(readings.time_ns).cast(pa.string())
        return pc.binary_join_element_wise(head, value, quality, time, "")


def _head(medium: str, channel: str, place: str, quantity: str, zone: str) -> str:
    tags = {"channel": channel, "place": place, "quantity": quantity, "zone": zone}
    named = "".join(f",{key}={_escaped(text)}" for key, text in tags.items() if text)
    return f"{_escaped(medium)}{named} "


def _escaped(text: str) -> str:
    """A tag value; a newline would end the line, and a last backslash would swallow the comma behind it."""
    text = re.sub(r"\s", " ", text)
    text = re.sub(r"([,= ])", r"\\\1", text)
    return text + "/" if text.endswith("\\") else text


def _compressed(path: str, body: Any) -> Any:
    if not isinstance(body, bytes):
        return body
    return gzip.compress(body, 1)


def _reason(body: Any, status_line: str) -> tuple[str, int]:
    """What the server complains of, without the points themselves, and how many points it says it dropped."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "no reason given")
    dropped = re.search(r"dropped=(\d+)", text)
    for pattern, short in (
        (r"field type conflict", "field type conflict"),
        (r"beyond retention policy", "older than the bucket keeps"),
        (r"unable to parse", "cannot be parsed by the server"),
    ):
        if re.search(pattern, text):
            return short, int(dropped[1]) if dropped else 0
    text = status_line if text.lstrip().startswith("<") else text.strip()[:200]  # a proxy's page says no more
    return text, int(dropped[1]) if dropped else 0


def _retry_after(headers: Any) -> float | None:
    try:
        return float(headers.get("Retry-After"))
    except (AttributeError, TypeError, ValueError):
        return None
