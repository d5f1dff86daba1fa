"""Shelf: an archive's folder: which of its files count, and in which order.

An hour is a file, and so is a day into which its hours were merged. A name tells the journal's id of the
first tick and the hour or day in UTC; names sort in the order of ticks, also where the clock was set back.
A day tells in its metadata which hours it holds, so that a crash between its appearance and their removal
doubles nothing.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ingest.parquet import ABOUT
from ingest.ticks import SECOND_NS

HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
FACTS = "facts.jsonl"
NAME = re.compile(r"readings-(\d{12,})-(\d{8})(?:T(\d\d))?Z\.parquet")


class About(msgspec.Struct, frozen=True):
    """Our own words in a file's metadata: its ticks by the journal's ids, and the hours that a day holds."""

    first_tick: int
    last_tick: int
    first_ns: int = 0  # the moment of the first tick; 0 in files of an earlier version
    hours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Volume:
    """A file of the archive; its readings arrived in [start_ns, end_ns)."""

    path: Path
    first_tick: int
    start_ns: int
    end_ns: int

    @property
    def is_day(self) -> bool:
        return self.end_ns - self.start_ns == DAY_NS


def hour_name(first_tick: int, now_ns: int) -> str:
    """The file of the hour in which a moment lies."""
    return f"readings-{first_tick:012d}-{_utc(now_ns):%Y%m%dT%H}Z.parquet"


def day_name(first_tick: int, now_ns: int) -> str:
    """The file of the day in which a moment lies."""
    return f"readings-{first_tick:012d}-{_utc(now_ns):%Y%m%d}Z.parquet"


def volumes(folder: Path) -> list[Volume]:
    """The files that count, in the order of ticks."""
    known = _all(folder)
    gone = {volume.path for volume in _merged(known)}
    return [volume for volume in known if volume.path not in gone]


def leftovers(folder: Path) -> list[Path]:
    """Hours that a day holds already: a crash left them."""
    return [volume.path for volume in _merged(_all(folder))]


def about(path: Path) -> About | None:
    """What a file says of itself; None where our archive did not write it, or it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return about_of(pq.read_metadata(path).metadata)
    except (pa.ArrowException, OSError, ValueError):
        return None


def about_of(metadata: dict[bytes, bytes] | None) -> About | None:
    """The same, from a file's or schema's metadata."""
    text = (metadata or {}).get(ABOUT)
    return None if text is None else msgspec.json.decode(text, type=About)


def _all(folder: Path) -> list[Volume]:
    found = []
    for path in folder.glob("readings-*.parquet"):
        parts = NAME.fullmatch(path.name)
        if parts is None:
            continue
        day = datetime.strptime(parts[2], "%Y%m%d").replace(tzinfo=UTC)
        start_ns = int(day.timestamp()) * SECOND_NS + int(parts[3] or 0) * HOUR_NS
        span_ns = DAY_NS if parts[3] is None else HOUR_NS
        found.append(Volume(path, int(parts[1]), start_ns, start_ns + span_ns))
    return sorted(found, key=lambda volume: (volume.first_tick, volume.path.name))


def _merged(known: Iterable[Volume]) -> list[Volume]:
    """Hours whose names the day before them lists."""
    hours = [volume for volume in known if not volume.is_day]
    days = [volume for volume in known if volume.is_day]
    starts = [day.first_tick for day in days]
    listed: dict[int, frozenset[str]] = {}
    gone = []
    for hour in hours:
        place = bisect_right(starts, hour.first_tick) - 1
        if place < 0:
            continue
        if place not in listed:
            told = about(days[place].path)
            listed[place] = frozenset(told.hours if told else ())
        if hour.path.name in listed[place]:
            gone.append(hour)
    return gone


def _utc(now_ns: int) -> datetime:
    return datetime.fromtimestamp(now_ns // SECOND_NS, UTC)
