"""Archive: every durable reading as hourly Parquet files that any tool reads, with the facts a replay needs.

A file is a pure function of the journal's ticks from one id on, and so is its name: after a crash the
same hour is written again over itself, and nothing is lost or doubled. `facts.jsonl` beside the files
holds commands and epochs, one JSON object a line. Once a day is over its hours are merged into one file.
"""

import logging
import os
import sqlite3
import threading
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
from ingest.compaction import Stopped, merge, mergeable
from ingest.courier import Gap, Place, Trip
from ingest.fetch import DAMAGED, fetched
from ingest.folders import make_folder
from ingest.journal import Listed, StoredTick, commands_of, listed, stored_arrivals, stored_ticks
from ingest.parquet import CHANNELS_A_GROUP, ROWS_A_GROUP, Recording, sync
from ingest.progress import read_progress
from ingest.readings import CONFLICT, ReadingBatch
from ingest.shelf import FACTS, HOUR_NS, About, Volume, about, hour_name, leftovers, volumes
from ingest.ticks import SECOND_NS

log = logging.getLogger(__name__)

GRACE_NS = 5 * SECOND_NS  # an hour is over when stream time is this far behind its end
READINGS_AT_ONCE = 1_000_000  # held in memory while an hour is sorted: some 100 MB
STOP_READINGS = 2_000_000  # an hour that is larger waits in the journal at a stop, which is to take seconds


@dataclass
class Archive:
    """`now_ns` tells stream time; an hour is written once it is over, and what there is of it at a stop.

    keep_ns, keep_bytes: the oldest files go beyond this age and size; None: they stay for good.
    """

    folder: Path
    now_ns: Callable[[], int]
    keep_ns: int | None = None
    keep_bytes: int | None = None
    name: str = "archive"
    fresh_first: bool = False
    stop_s: float = 10.0
    _unmergeable: set[str] = field(
        default_factory=set, repr=False
    )  # first hours of days; tried once in a life
    _tidied: int = field(default=-1, repr=False)  # the hour in which the folder was last looked after

    def carry(self, connection: sqlite3.Connection, gap: Gap, stop: threading.Event) -> Trip | None:
        """The ticks of one hour; None while it is not over."""
        ticks = self._hour(connection, gap.after, stop.is_set())
        try:
            if not ticks:
                self._tidy(connection, stop)
                return None
            self._clear(connection, gap.after)
            trip = Trip(Place(ticks[-1].id, ticks[-1].upto_arrival))
            ending = stop.is_set()  # then it is little, and finished
            stored = self._write_hour(connection, ticks, trip.dead, lambda: stop.is_set() and not ending)
            self._write_facts(connection, ticks)
        except Stopped:
            return None
        except OSError as error:
            reason = f"{self.folder}: cannot be written: {error.strerror or error}"
            raise DeliveryFailed(f"{reason}; make room or correct its rights") from error
        return replace(trip, stored=stored)

    def _hour(self, connection: sqlite3.Connection, after: Place, stopping: bool) -> list[StoredTick]:
        """Ticks of one run of time within an hour: it ends at the hour, or where stream time was set back."""
        if not stopping and self._still_within(connection, after):
            return []
        ticks: list[StoredTick] = []
        for tick in stored_ticks(connection, after.tick):
            if ticks and (tick.now_ns <= ticks[-1].now_ns or _hour_of(tick) != _hour_of(ticks[0])):
                break
            ticks.append(tick)
        else:
            over = ticks and self.now_ns() >= (_hour_of(ticks[0]) + 1) * HOUR_NS + GRACE_NS
            if not over and not stopping:
                return []
        if stopping and sum(tick.readings for tick in ticks) > STOP_READINGS:
            return []
        return ticks

    def _still_within(self, connection: sqlite3.Connection, after: Place) -> bool:
        """Whether the newest tick is in the hour of the first one, which is not over; asked each second."""
        sql = "SELECT now_ns FROM ticks WHERE id > ? ORDER BY id {} LIMIT 1"
        first, newest = (
            connection.execute(sql.format(way), (after.tick,)).fetchone() for way in ("ASC", "DESC")
        )
        if first is None or newest is None:
            return True
        hour = first[0] // HOUR_NS
        return bool(newest[0] // HOUR_NS == hour and self.now_ns() < (hour + 1) * HOUR_NS + GRACE_NS)

    def _clear(self, connection: sqlite3.Connection, after: Place) -> None:
        """The folder, once in a life without what an earlier one left half done."""
        if self._tidied >= 0:
            return
        make_folder(self.folder)
        for part in self.folder.glob("readings-*.parquet.part"):
            part.unlink()
        for hour in leftovers(self.folder):
            hour.unlink()
        if strangers := _strangers(connection, volumes(self.folder), after):
            self._put_aside(strangers)
        self._tidied = 0

    def _put_aside(self, strangers: list[Path]) -> None:
        """Files of another journal, whose ticks have the numbers that ours are going to have."""
        aside = self.folder / f"earlier-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        make_folder(aside)
        facts = self.folder / FACTS
        if facts.exists():
            (aside / FACTS).write_bytes(facts.read_bytes())
            sync(aside / FACTS)
        for path in strangers:
            path.rename(aside / path.name)
        sync(aside)
        sync(self.folder)
        log.warning(
            "%s: %d files were written from a journal that this one does not continue; they are now in %s",
            self.folder,
            len(strangers),
            aside,
        )

    def _tidy(self, connection: sqlite3.Connection, stop: threading.Event) -> None:
        """Once an hour: merge the days that are over, and let the oldest files go."""
        hour = self.now_ns() // HOUR_NS
        if stop.is_set() or hour == self._tidied:
            return
        progress = read_progress(connection, self.name)  # what is durable, not what we think
        after = Place(0, 0) if progress is None else progress.cursor
        self._clear(connection, after)
        self._merge_days(after.tick, stop)
        self._let_go()
        self._tidied = hour

    def _merge_days(self, carried: int, stop: threading.Event) -> None:
        for hours in list(mergeable(volumes(self.folder), carried, self.now_ns())):
            if hours[0].path.name in self._unmergeable:
                continue
            try:
                merge(hours, stop.is_set)
            except OSError as error:
                self._unmergeable.add(hours[0].path.name)
                log.error("%s: its day cannot be merged, the hours stay: %s", hours[0].path, error)

    def _let_go(self) -> None:
        """Delete what is older than it is to be kept, and the oldest while all is larger than it may be."""
        known = volumes(self.folder)
        sizes = [volume.path.stat().st_size for volume in known]
        total = sum(sizes)
        for volume, size in zip(known, sizes):
            old = self.keep_ns is not None and volume.end_ns < self.now_ns() - self.keep_ns
            large = self.keep_bytes is not None and total > self.keep_bytes
            if not (old or large):
                return
            volume.path.unlink()
            total -= size
            log.info("%s: deleted, %s", volume.path, "too old" if old else "the archive is too large")

    def _write_hour(
        self,
        connection: sqlite3.Connection,
        ticks: list[StoredTick],
        dead: Counter[str],
        give_up: Callable[[], bool],
    ) -> int:
        """Sorted by channel text and time; a large hour is read several times, some channels each."""
        known = listed(connection)
        rank = np.argsort(np.argsort(np.array(known.id)))  # a channel's place in the order of their texts
        sizes, damaged = _sizes(connection, ticks, len(known.id))
        if damaged:
            dead[DAMAGED] += damaged
        if not sizes.sum():
            return 0
        told = msgspec.json.encode(About(ticks[0].id, ticks[-1].id, ticks[0].now_ns))
        path = self.folder / hour_name(ticks[0].id, ticks[0].now_ns)
        with Recording(path, told) as recording:
            for chosen in _portions(sizes, rank):
                readings = _gathered(connection, ticks, known, chosen)
                order = np.lexsort((readings.flags & CONFLICT, readings.time_ns, rank[readings.channel]))
                for group in _groups(readings.where(order)):
                    if give_up():
                        raise Stopped
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


def _strangers(connection: sqlite3.Connection, known: list[Volume], after: Place) -> list[Path]:
    """Files behind our place that this journal would not write: it was begun anew, or is a restored copy."""
    found = []
    for volume in known:
        told = about(volume.path)
        if told is None or told.last_tick <= after.tick:
            continue
        row = connection.execute("SELECT now_ns FROM ticks WHERE id = ?", (told.first_tick,)).fetchone()
        ours = row is not None and (
            row[0] == told.first_ns or (not told.first_ns and volume.start_ns <= row[0] < volume.end_ns)
        )
        if not ours:
            found.append(volume.path)
    return found


def _facts_of(connection: sqlite3.Connection, tick: StoredTick) -> Iterator[dict[str, Any]]:
    if tick.epoch is not None:
        yield {"kind": "epoch", "body": asdict(tick.epoch)}
    for command in commands_of(connection, tick.id):
        yield {"kind": "command", "body": asdict(command)}


def _cut(path: Path, tick: int) -> None:
    """Cut off the lines of this tick and of later ones, and what a crash tore; what is damaged stays."""
    if not path.exists():
        return
    *lines, torn = path.read_bytes().split(b"\n")
    kept = len(lines)
    while kept and (_tick_of(lines[kept - 1]) or 0) >= tick:
        kept -= 1
    if torn or kept < len(lines):
        os.truncate(path, sum(len(line) + 1 for line in lines[:kept]))
    if kept and _tick_of(lines[kept - 1]) is None:
        log.error("%s:%d: damaged; a replay needs this line mended or taken out", path, kept)


def _tick_of(line: bytes) -> int | None:
    """The tick of a fact; None where the line cannot be read."""
    try:
        return int(msgspec.json.decode(line)["tick"])
    except (ValueError, LookupError, TypeError):
        return None


def _hour_of(tick: StoredTick) -> int:
    return tick.now_ns // HOUR_NS


def _sizes(
    connection: sqlite3.Connection, ticks: list[StoredTick], channels: int
) -> tuple[NDArray[np.int64], int]:
    """Readings per journal number (channels,), and how many lie in damaged blobs."""
    sizes, damaged = np.zeros(channels, dtype=np.int64), 0
    rows = stored_arrivals(connection, ticks[0].after_arrival, ticks[-1].upto_arrival)
    for _, _, count, readings in rows:
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
    wanted = None if chosen.all() else chosen
    return ReadingBatch.joined(list(fetched(connection, ticks, known, READINGS_AT_ONCE, Counter(), wanted)))


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
