"""Archive: every durable reading as hourly Parquet files that any tool reads, with the facts a replay needs.

A file is a pure function of the journal's ticks from one id on, and so is its name: after a crash the
same hour is written again over itself, and nothing is lost or doubled. `facts.jsonl` beside the files
holds commands and epochs, one JSON object a line.
"""

import logging
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.errors import DeliveryFailed
from ingest.courier import Place, Trip
from ingest.inbox import timely
from ingest.journal import Listed, StoredTick, commands_of, listed, stored_arrivals, stored_ticks
from ingest.parquet import CHANNELS_A_GROUP, ROWS_A_GROUP, Recording, sync
from ingest.readings import CONFLICT, ReadingBatch
from ingest.ticks import SECOND_NS

log = logging.getLogger(__name__)

HOUR_NS = 3600 * SECOND_NS
GRACE_NS = 5 * SECOND_NS  # an hour is over when stream time is this far behind its end
READINGS_AT_ONCE = 1_000_000  # held in memory while an hour is sorted: some 100 MB
FACTS = "facts.jsonl"


@dataclass
class Archive:
    """`now_ns` tells stream time; an hour is written once it is over, and what there is of it at a stop."""

    folder: Path
    now_ns: Callable[[], int]
    name: str = "archive"
    _clean: bool = field(default=False, repr=False)

    def carry(self, connection: sqlite3.Connection, after: Place, stopping: bool) -> Trip | None:
        """The ticks of one hour; None while it is not over."""
        ticks = self._hour(connection, after, stopping)
        if not ticks:
            return None
        trip = Trip(Place(ticks[-1].id, ticks[-1].upto_arrival))
        try:
            self._prepare()
            stored = self._write_hour(connection, ticks, trip.dead)
            self._write_facts(connection, ticks)
        except OSError as error:
            reason = f"{self.folder}: cannot be written: {error.strerror or error}"
            raise DeliveryFailed(f"{reason}; make room or correct its rights") from error
        return replace(trip, stored=stored)

    def _hour(self, connection: sqlite3.Connection, after: Place, stopping: bool) -> list[StoredTick]:
        """Ticks of one run of time within an hour: it ends at the hour, or where stream time was set back."""
        ticks: list[StoredTick] = []
        for tick in stored_ticks(connection, after.tick):
            if ticks and (tick.now_ns <= ticks[-1].now_ns or _hour_of(tick) != _hour_of(ticks[0])):
                return ticks
            ticks.append(tick)
        if ticks and (stopping or self.now_ns() >= (_hour_of(ticks[0]) + 1) * HOUR_NS + GRACE_NS):
            return ticks
        return []

    def _prepare(self) -> None:
        """The folder, without what an earlier life left half written."""
        if not self._clean:
            self.folder.mkdir(parents=True, exist_ok=True)
            for part in self.folder.glob("readings-*.parquet.part"):
                part.unlink()
            self._clean = True

    def _write_hour(self, connection: sqlite3.Connection, ticks: list[StoredTick], dead: Counter[str]) -> int:
        """Sorted by channel text and time; a large hour is read several times, some channels each."""
        known = listed(connection)
        rank = np.argsort(np.argsort(np.array(known.id)))  # a channel's place in the order of their texts
        sizes, damaged = _sizes(connection, ticks, len(known.id))
        if damaged:
            dead["damaged in the journal"] += damaged
        if not sizes.sum():
            return 0
        about = msgspec.json.encode({"first_tick": ticks[0].id, "last_tick": ticks[-1].id})
        with Recording(self.folder / file_name(ticks[0]), about) as recording:
            for chosen in _portions(sizes, rank):
                readings = _gathered(connection, ticks, known, chosen)
                order = np.lexsort((readings.flags & CONFLICT, readings.time_ns, rank[readings.channel]))
                for group in _groups(readings.where(order)):
                    recording.write(group, known.id)
            return recording.rows

    def _write_facts(self, connection: sqlite3.Connection, ticks: list[StoredTick]) -> None:
        """Append them; whatever an earlier attempt wrote from the first tick on is cut off before."""
        path = self.folder / FACTS
        _cut(path, ticks[0].id)
        lines = b"".join(
            msgspec.json.encode(
                {"tick": tick.id, "at": _rfc3339(tick.now_ns), "tick_ns": tick.now_ns, **fact}
            )
            + b"\n"
            for tick in ticks
            for fact in _facts_of(connection, tick)
        )
        if lines:
            new = not path.exists()
            with path.open("ab") as out:
                out.write(lines)
                out.flush()
                os.fsync(out.fileno())
            if new:
                sync(self.folder)


def file_name(first: StoredTick) -> str:
    """Names sort in the order of ticks, also where the clock was set back."""
    hour = datetime.fromtimestamp(_hour_of(first) * 3600, UTC)
    return f"readings-{first.id:012d}-{hour:%Y%m%dT%H}Z.parquet"


def _facts_of(connection: sqlite3.Connection, tick: StoredTick) -> Iterator[dict[str, Any]]:
    if tick.epoch is not None:
        yield {"kind": "epoch", "body": asdict(tick.epoch)}
    for command in commands_of(connection, tick.id):
        yield {"kind": "command", "body": asdict(command)}


def _cut(path: Path, tick: int) -> None:
    """Cut off the lines of this tick and of later ones, and what a crash tore."""
    if not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    kept = len(lines)
    while kept and not (
        lines[kept - 1].endswith(b"\n") and msgspec.json.decode(lines[kept - 1])["tick"] < tick
    ):
        kept -= 1
    if kept < len(lines):
        os.truncate(path, sum(map(len, lines[:kept])))


def _hour_of(tick: StoredTick) -> int:
    return tick.now_ns // HOUR_NS


def _batches(
    connection: sqlite3.Connection, ticks: list[StoredTick]
) -> Iterator[tuple[StoredTick, int, ReadingBatch | None]]:
    for tick in ticks:
        for _, _, count, readings in stored_arrivals(connection, tick.after_arrival, tick.upto_arrival):
            yield tick, count, readings


def _sizes(
    connection: sqlite3.Connection, ticks: list[StoredTick], channels: int
) -> tuple[NDArray[np.int64], int]:
    """Readings per journal number (channels,), and how many lie in damaged blobs."""
    sizes, damaged = np.zeros(channels, dtype=np.int64), 0
    for _, count, readings in _batches(connection, ticks):
        if readings is None:
            damaged += count
        else:
            sizes += np.bincount(readings.channel, minlength=channels)
    return sizes, damaged


def _portions(sizes: NDArray[np.int64], rank: NDArray[np.intp]) -> Iterator[NDArray[np.bool_]]:
    """Masks of channels (channels,) in the order of their texts, each of about a million readings."""
    order = np.argsort(rank)
    before = np.cumsum(sizes[order]) - sizes[order]
    portion = np.empty(len(order), dtype=np.int64)
    portion[order] = before // READINGS_AT_ONCE
    for number in np.unique(portion[sizes > 0]).tolist():
        yield portion == number


def _gathered(
    connection: sqlite3.Connection, ticks: list[StoredTick], known: Listed, chosen: NDArray[np.bool_]
) -> ReadingBatch:
    """The chosen channels' readings of the ticks, each with its tick as arrival."""
    everything = bool(chosen.all())
    parts = []
    for tick, _, readings in _batches(connection, ticks):
        if readings is not None:
            part = readings if everything else readings.where(chosen[readings.channel])
            parts.append(timely(part, tick.now_ns, known.period_s, tick.clock_good))
    return ReadingBatch.joined(parts)


def _groups(readings: ReadingBatch) -> Iterator[ReadingBatch]:
    """Row groups of whole channels: at least ten, and at least 20,000 rows."""
    starts = np.flatnonzero(np.diff(readings.channel, prepend=-1) != 0)
    start, channels = 0, 0
    for end in [*starts[1:].tolist(), len(readings)]:
        channels += 1
        if (channels >= CHANNELS_A_GROUP and end - start >= ROWS_A_GROUP) or end == len(readings):
            yield readings.where(np.arange(start, end))
            start, channels = end, 0


def _rfc3339(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
