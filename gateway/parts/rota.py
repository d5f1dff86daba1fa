"""Rota: when the rows of a whole site begin, so that a part of it makes the same rows as the whole.

A grid begins with the first reading of any of its channels, and sleeps when none has spoken for hours. A
part hears only its own; the rota tells it of the others, as marks: "somebody of that grid spoke". Mostly a
look at the first minutes is enough. Only where a part then finds that it cannot know (`Unsure`), the whole
recording is looked through for it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config.channels import Channel, ChannelTable
from gateway.watch import with_deadlines
from ingest.readings import BAD, UNUSUAL, ReadingBatch
from ingest.recorded import read_ticks
from ingest.survey import Extent, extent_of
from ingest.ticks import SECOND_NS, Tick, tick_of
from ingest.window import AHEAD_S, LONGEST_S, SETTLING_S, SHORTEST_S, Window

Keep = NDArray[np.bool_] | None
"""Which channels are read at all; None: all."""

REACH_NS = 10 * 60 * SECOND_NS  # beside two of the longest periods: how far it looks for a grid's beginning
MOST_EPOCHS = 20  # more are not looked at one by one
ANCIENT_NS = 0  # a mark of this time begins a grid and fills no row
AHEAD_NS = round(AHEAD_S * SECOND_NS)
BLOCKS = 8  # marks that keep a grid awake come this often within its patience


class Unsure(Exception):
    """A part cannot tell from its rota whether the whole site would make a row."""


@dataclass(frozen=True, slots=True)
class Mark:
    """In this tick somebody of this grid spoke; of a moment that fills a row, or of an ancient one.

    `era` counts epochs: stream time may have been set back between two.
    """

    era: int
    tick_ns: int
    period_s: float
    time_ns: int

    @property
    def place(self) -> tuple[int, int]:
        """Where in the stream."""
        return self.era, self.tick_ns


@dataclass(frozen=True)
class Rota:
    """Marks in the order of the stream, and a moment behind everything that can come of it."""

    marks: tuple[Mark, ...]
    until_ns: int
    sure: bool  # from the whole recording: nothing is left open


@dataclass(frozen=True)
class Source:
    """What is replayed: as `read_ticks` takes it."""

    path: Path
    facts: Path | None
    start_ns: int | None
    end_ns: int | None

    def ticks(self, channels: ChannelTable, keep: Keep, *, quiet: bool = True) -> Iterator[Tick]:
        """All of it; quiet: without a warning of readings that belong to nobody."""
        return self.between(channels, keep, self.start_ns, self.end_ns, quiet=quiet)

    def between(
        self,
        channels: ChannelTable,
        keep: Keep,
        start_ns: int | None,
        end_ns: int | None,
        *,
        quiet: bool = True,
    ) -> Iterator[Tick]:
        return read_ticks(
            self.path, channels, facts=self.facts, keep=keep, start_ns=start_ns, end_ns=end_ns, quiet=quiet
        )


def periods_of(channels: ChannelTable) -> list[float]:
    """The periods of the site's grids, ascending."""
    return sorted({float(p) for p in np.clip(channels.period_s, SHORTEST_S, LONGEST_S)})


def standing_for(periods: Iterable[float]) -> list[Channel]:
    """A made-up channel for each grid, that speaks for whoever is not there."""
    return [Channel(f"\0{p:g}", "water", "\0", "flow", "m3/h", p) for p in periods]


def quick_rota(source: Source, channels: ChannelTable, keep: Keep) -> Rota | None:
    """From the first minutes and those after each epoch; None where that will not do."""
    extent = _extent(source, channels)
    epochs = list(extent.epochs)
    if len(epochs) > MOST_EPOCHS or epochs != sorted(set(epochs)) or (epochs and not extent.admitted):
        return None  # there a repeated reading after an epoch is told from a new one by its past alone
    reach = REACH_NS + 2 * round(periods_of(channels)[-1] * SECOND_NS)
    first_ns = extent.first_ns - SECOND_NS
    moments = sorted({first_ns, *(e for e in epochs if first_ns <= e <= extent.last_ns)})
    marks: list[Mark] = []
    for moment, after in zip(moments, [*moments[1:], extent.last_ns + SECOND_NS]):
        scan = _Scan(channels, era=sum(e < moment for e in epochs))
        first = moment if source.start_ns is None else max(moment, source.start_ns)
        for tick in source.between(channels, keep, first, min(moment + reach, after)):
            scan.hear(tick)
            if all(scan.window.begun()):
                break
        marks += scan.begins
    return Rota(tuple(marks), _until(source, extent, channels, keep), sure=False)


def whole_rota(source: Source, channels: ChannelTable, keep: Keep) -> Rota:
    """From the whole recording, read once more."""
    scan = _Scan(channels, thorough=True)
    for tick in with_deadlines(source.ticks(channels, keep), scan):
        scan.hear(tick)
    marks = sorted([*scan.begins, *scan.fills()], key=lambda mark: mark.place)
    return Rota(tuple(marks), scan.last_ns, sure=True)


def _extent(source: Source, channels: ChannelTable) -> Extent:
    """Of what is replayed of it."""
    extent = extent_of(source.path, channels, facts=source.facts) or Extent(0, 0, (), (), 0, True)
    first = extent.first_ns if source.start_ns is None else max(extent.first_ns, source.start_ns)
    last = extent.last_ns if source.end_ns is None else min(extent.last_ns, source.end_ns - 1)

    def within(moments: tuple[int, ...]) -> tuple[int, ...]:
        start, end = source.start_ns, source.end_ns
        return tuple(m for m in moments if (start is None or m >= start) and (end is None or m < end))

    return replace(
        extent,
        first_ns=first,
        last_ns=last,
        epochs=within(extent.epochs),
        commands=within(extent.commands),
    )


def _until(source: Source, extent: Extent, channels: ChannelTable, keep: Keep) -> int:
    """No tick comes later and no row settles, also where a repeated reading is taken for a new one."""
    scan = _Scan(channels)
    reach = AHEAD_NS + round((3 * periods_of(channels)[-1] + SETTLING_S) * SECOND_NS)
    first = extent.last_ns - reach
    first = first if source.start_ns is None else max(first, source.start_ns)
    for tick in source.between(channels, keep, first, source.end_ns):
        scan.hear(tick)
    return max([tick_of(extent.last_ns), scan.last_ns, *extent.epochs, *extent.commands])


@dataclass
class _Filled:
    """Rows of one grid that were filled: the newest, and where a mark was last set."""

    row: int = -1
    newest: Mark | None = None  # of that row, where no mark was set for it
    marked: int = -1


@dataclass
class _Scan:
    """A window with one channel a grid, which makes rows when the whole site's would."""

    channels: ChannelTable
    thorough: bool = False
    era: int = 0
    begins: list[Mark] = field(default_factory=list)
    now_ns: int = 0

    def __post_init__(self) -> None:
        self.periods = periods_of(self.channels)
        self.window = Window(ChannelTable(standing_for(self.periods)))
        clipped = np.clip(self.channels.period_s, SHORTEST_S, LONGEST_S)
        self._grid_of = np.searchsorted(self.periods, clipped).astype(np.int32)
        self._period_ns = np.array([round(period * SECOND_NS) for period in self.periods])
        self._filled = [_Filled() for _ in self.periods]
        self._marks: list[Mark] = []

    @property
    def last_ns(self) -> int:
        """The last tick, or when the last row settles."""
        return max(self.now_ns, self.window.last_settling_ns())

    def next_deadline_ns(self) -> int:
        return self.window.next_settling_ns()

    def hear(self, tick: Tick) -> None:
        self.now_ns = tick.now_ns
        if tick.epoch is not None:
            self.window.restart()
            self.era += 1
        if len(tick.readings):
            self._take(tick.readings, tick.now_ns)
        for _ in self.window.settled(tick.now_ns):
            pass

    def fills(self) -> list[Mark]:
        """Marks that fill rows, the newest of each grid too."""
        return [*self._marks, *(filled.newest for filled in self._filled if filled.newest is not None)]

    def _take(self, readings: ReadingBatch, now_ns: int) -> None:
        usable = (readings.flags & UNUSUAL == 0) & (readings.quality != BAD) & np.isfinite(readings.value)
        if not usable.all():
            readings = readings.where(usable)
        if not len(readings):
            return
        before, dozing = self.window.begun(), self.window.dozing()
        grid, time_ns = self._grid_of[readings.channel], readings.time_ns
        row = -(-time_ns // self._period_ns[grid])
        order = np.lexsort((time_ns, row, grid))  # of each row of a grid its earliest reading stands for it
        first = np.flatnonzero(np.diff(row[order], prepend=-1) | np.diff(grid[order], prepend=-1))
        one = order[first]
        self.window.take(ReadingBatch.of(grid[one], time_ns[one], 0.0, arrival_ns=now_ns))
        for number, begun in enumerate(self.window.begun()):
            if begun and not before[number]:
                self.begins.append(Mark(self.era, now_ns, self.periods[number], ANCIENT_NS))
        if self.thorough:
            for number, k, at_ns in zip(grid[one].tolist(), row[one].tolist(), time_ns[one].tolist()):
                if at_ns <= now_ns + AHEAD_NS:
                    mark = Mark(self.era, now_ns, self.periods[number], at_ns)
                    self._note(number, k, mark, dozing[number])

    def _note(self, grid: int, row: int, mark: Mark, dozing: bool) -> None:
        """Keep marks that keep a grid awake, the last before a gap, and all with which one wakes."""
        filled = self._filled[grid]
        block = max(1, self.window.patience(grid) // BLOCKS)
        gap = dozing or row - filled.row >= block
        if gap and filled.newest is not None:
            self._marks.append(filled.newest)
        if gap or row - filled.marked >= block:
            self._marks.append(mark)
            filled.marked = max(filled.marked, row)
        if row > filled.row:
            filled.row, filled.newest = row, mark if row > filled.marked else None
