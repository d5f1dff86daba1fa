"""Rota: who is on duty when, from shifts that repeat and the changes to them; pure, in any time zone.

A shift runs from its start (included) to its end (not included) by the clock on the wall of its zone, so that
shifts that meet on the wall meet in time as well, also on the night on which the clocks are changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from config.lists import time_ns

SECOND_NS = 1_000_000_000
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A time of day, on every n-th day from `first` to `last`."""

    start: time
    end: time  # not after start: on the next day
    first: date
    last: date | None
    every_days: int
    zone: ZoneInfo

    def between(self, from_ns: int, to_ns: int) -> Iterator[tuple[int, int]]:
        """(start, end) of each occurrence that touches the time between two moments, in order."""
        day = datetime.fromtimestamp(from_ns // SECOND_NS, self.zone).date() - 2 * DAY
        final = datetime.fromtimestamp(to_ns // SECOND_NS, self.zone).date() + DAY
        if self.last is not None:
            final = min(final, self.last)
        day = self.first if day <= self.first else day + DAY * (-(day - self.first).days % self.every_days)
        while day <= final:
            until = day if self.end > self.start else day + DAY
            begin_ns, end_ns = _moment_ns(day, self.start, self.zone), _moment_ns(until, self.end, self.zone)
            if begin_ns < min(end_ns, to_ns) and end_ns > from_ns:
                yield begin_ns, end_ns
            day += DAY * self.every_days


@dataclass(frozen=True, slots=True)
class Shift:
    """Somebody on duty."""

    id: str
    person: str
    post: str  # primary or backup
    when: Repeat


@dataclass(frozen=True, slots=True)
class Change:
    """A swap or an override: `person` is primary instead of `instead_of`, or of whoever it would be."""

    id: str
    person: str
    start_ns: int
    end_ns: int  # not included
    instead_of: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch of time with one person on a post."""

    start_ns: int
    end_ns: int
    person: str
    post: str
    why: str = ""  # the change that put them there


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without exactly one primary; `people` names them where there are several."""

    start_ns: int
    end_ns: int
    people: tuple[str, ...]


@dataclass(frozen=True)
class Rota:
    """The duty of one organisation."""

    name: str
    shifts: tuple[Shift, ...]
    changes: tuple[Change, ...] = ()

    def turns(self, start_ns: int, end_ns: int) -> list[Turn]:
        """Who is where between two moments, changes applied in the order of their ids; by start."""
        turns = [
            Turn(begin, end, shift.person, shift.post)
            for shift in self.shifts
            for begin, end in shift.when.between(start_ns, end_ns)
        ]
        for change in sorted(self.changes, key=lambda one: one.id):
            if change.start_ns < end_ns and change.end_ns > start_ns:
                turns = list(_changed(turns, change))
        return sorted(turns, key=lambda turn: (turn.start_ns, turn.post, turn.person))

    def on_duty(self, now_ns: int) -> list[Turn]:
        """Who is on duty now: primaries first, then backups."""
        now = [turn for turn in self.turns(now_ns, now_ns + 1) if turn.start_ns <= now_ns < turn.end_ns]
        return sorted(now, key=lambda turn: (turn.post != "primary", turn.person))

    def gaps(self, start_ns: int, end_ns: int) -> list[Gap]:
        """Where there is not exactly one primary, in order and as long as they last."""
        primaries = [turn for turn in self.turns(start_ns, end_ns) if turn.post == "primary"]
        edges = {start_ns, end_ns}
        for turn in primaries:
            edges |= {edge for edge in (turn.start_ns, turn.end_ns) if start_ns < edge < end_ns}
        ordered = sorted(edges)
        begins = sorted(primaries, key=lambda turn: turn.start_ns)
        found: list[Gap] = []
        here: list[Turn] = []
        coming = 0
        for begin, end in pairwise(ordered):
            while coming < len(begins) and begins[coming].start_ns <= begin:
                here.append(begins[coming])
                coming += 1
            here = [turn for turn in here if turn.end_ns > begin]
            people = tuple(sorted(turn.person for turn in here))
            if len(here) == 1:
                continue
            if found and found[-1].end_ns == begin and found[-1].people == people:
                found[-1] = Gap(found[-1].start_ns, end, people)
            else:
                found.append(Gap(begin, end, people))
        return found


def rota_of(name: str, shifts: Sequence[Mapping[str, Any]], changes: Sequence[Mapping[str, Any]]) -> Rota:
    """A rota from rows of the directory."""
    return Rota(
        name,
        tuple(
            Shift(row["shift"], row["person"], row["post"], repeat_of(row, time.fromisoformat(row["end"])))
            for row in shifts
        ),
        tuple(
            Change(
                row["change"], row["person"], time_ns(row["start"]), time_ns(row["end"]), row["instead_of"]
            )
            for row in changes
        ),
    )


def repeat_of(row: Mapping[str, Any], end: time) -> Repeat:
    """When a row of shifts or rounds applies."""
    return Repeat(
        time.fromisoformat(row["start"]),
        end,
        date.fromisoformat(row["first"]),
        date.fromisoformat(row["last"]) if row["last"] else None,
        row["every_days"],
        ZoneInfo(row["timezone"]),
    )


def swap(id: str, one: Turn, other: Turn) -> tuple[Change, Change]:
    """The two changes by which two people take each other's turn."""
    return (
        Change(f"{id}-a", other.person, one.start_ns, one.end_ns, one.person),
        Change(f"{id}-b", one.person, other.start_ns, other.end_ns, other.person),
    )


def _moment_ns(day: date, at: time, zone: ZoneInfo) -> int:
    """UTC of a wall clock: never earlier for a later one, so that what meets on the wall meets in time.

    A time that comes twice is its first; one that the clocks leap over is the moment of the leap.
    """
    early, late = (int(datetime.combine(day, at, zone).replace(fold=fold).timestamp()) for fold in (1, 0))
    if early >= late:  # there once or twice
        return late * SECOND_NS
    before = datetime.fromtimestamp(early, zone).utcoffset()
    while late - early > 1:
        middle = (early + late) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late * SECOND_NS


def _changed(turns: Sequence[Turn], change: Change) -> Iterator[Turn]:
    """The turns with a change laid over those primaries that it is about."""
    covered: list[tuple[int, int]] = []
    for turn in turns:
        begin, end = max(turn.start_ns, change.start_ns), min(turn.end_ns, change.end_ns)
        about = turn.post == "primary" and change.instead_of in ("", turn.person)
        if not about or begin >= end:
            yield turn
            continue
        if turn.start_ns < begin:
            yield Turn(turn.start_ns, begin, turn.person, turn.post, turn.why)
        if turn.end_ns > end:
            yield Turn(end, turn.end_ns, turn.person, turn.post, turn.why)
        covered.append((begin, end))
    yield from _filled(covered, change)


def _filled(covered: Sequence[tuple[int, int]], change: Change) -> Iterator[Turn]:
    """Where the change puts its person: all of its time, or only what it took over from `instead_of`."""
    if not change.instead_of:
        yield Turn(change.start_ns, change.end_ns, change.person, "primary", change.id)
        return
    end_ns = change.start_ns
    for begin, end in sorted(covered):
        if end > end_ns:  # two shifts of the same person that overlap are taken over once
            yield Turn(max(begin, end_ns), end, change.person, "primary", change.id)
            end_ns = end
