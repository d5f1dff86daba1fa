"""Window: readings put on the even grid of their period, row by row, each row once it has settled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from config.snapshot import Keyed, State
from ingest.readings import BAD, UNUSUAL, ReadingBatch, Recurring
from ingest.row import Row

SECOND_NS = 1_000_000_000
SHORTEST_S, LONGEST_S = 1.0, 3600.0  # a grid's period; faster and slower channels share the nearest grid
SETTLING_S = 60.0  # a row waits min(period, this) for readings that are slightly late
AHEAD_S = 300.0  # how far into the future a device's clock may point (beyond it ingest flags EARLY)
EMPTY_S, EMPTY_ROWS = 6 * 3600.0, 12  # a grid without any reading for this long stops making rows
NEVER = 2**63 - 1
Columns = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Grid:
    """The channels that report at one period. A row's values are in the order of `channels`."""

    period_s: float
    channels: NDArray[np.int32]  # numbers in the ChannelTable, ascending


class Window:
    """Collects readings into cells (end - period, end] and hands out rows, oldest first.

    A cell that was read several times holds the mean: it asks for no order and hides no reading.
    Readings that are bad, late, early, in conflict or not finite stay out, and so do those whose
    row has been judged already (`missed` counts these). Cells and rows are aligned to UTC.
    """

    def __init__(self, channels: ChannelTable) -> None:
        periods = np.clip(channels.period_s, SHORTEST_S, LONGEST_S)
        distinct = np.unique(periods)
        self.grids = tuple(
            Grid(float(period), np.flatnonzero(periods == period).astype(np.int32)) for period in distinct
        )
        self._grid_of = np.searchsorted(distinct, periods)
        self._column_of = np.zeros(len(channels), dtype=np.int64)
        for grid in self.grids:
            self._column_of[grid.channels] = np.arange(len(grid.channels))
        self._rings = [
            _Ring(grid.period_s, tuple(channels.ids[number] for number in grid.channels))
            for grid in self.grids
        ]
        self._parts = Recurring(self._parted)

    @property
    def missed(self) -> int:
        """Readings that came too late for their row, or too far ahead, since the start."""
        return sum(ring.missed for ring in self._rings)

    def take(self, readings: ReadingBatch) -> None:
        """Put usable readings into their cells; any order, sorted by channel and time is fastest."""
        everyday = readings.everyday
        parts = None if everyday is None else self._parts.of(everyday)
        if everyday is None or parts is None:
            self._take_any(readings)
            return
        for number, rows, column in parts:
            time_ns, value, arrival_ns = everyday.time_ns, everyday.value, everyday.arrival_ns
            if rows is not None:
                time_ns, value, arrival_ns = time_ns[rows], value[rows], arrival_ns[rows]
            ring = self._rings[number]
            if not ring.put_one_row(column, time_ns, value):
                ring.put(column, time_ns, value, arrival_ns)

    def _take_any(self, readings: ReadingBatch) -> None:
        usable = (readings.flags & UNUSUAL == 0) & (readings.quality != BAD) & np.isfinite(readings.value)
        if not usable.all():
            readings = readings.where(usable)
        if len(readings) == 0:
            return
        column = self._column_of[readings.channel]
        grid_of = self._grid_of[readings.channel]
        for number in np.unique(grid_of):
            mine = grid_of == number
            self._rings[number].put(
                column[mine], readings.time_ns[mine], readings.value[mine], readings.arrival_ns[mine]
            )

    def _parted(self, channel: Columns) -> list[tuple[int, Columns | None, Columns]]:
        """(grid number, which of the channels are its own: None = all, their columns) of each grid."""
        grid_of, column = self._grid_of[channel], self._column_of[channel]
        numbers = np.unique(grid_of).tolist()
        if len(numbers) == 1:
            return [(numbers[0], None, column)]
        rows = [np.flatnonzero(grid_of == number) for number in numbers]
        return [(number, mine, column[mine]) for number, mine in zip(numbers, rows)]

    def settled(self, now_ns: int) -> Iterator[tuple[int, Row]]:
        """(grid number, row) of every row that has settled by now, in the order in which they settled."""
        while True:
            for ring in self._rings:
                ring.skip_emptiness(now_ns)
            dues = [ring.due_ns for ring in self._rings]
            due = min(dues)
            if due > now_ns:
                return
            number = dues.index(due)
            yield number, self._rings[number].next_row()

    def next_settling_ns(self) -> int:
        """When the next row settles, in stream time; NEVER (2**63 - 1) where none is under way."""
        return min((ring.due_ns for ring in self._rings), default=NEVER)

    def begun(self) -> list[bool]:
        """Of each grid, whether its rows have begun in this epoch."""
        return [ring.begun for ring in self._rings]

    def dozing(self) -> list[bool]:
        """Of each grid, whether it has gone without any reading for so long that it may make no rows."""
        return [ring.dozing for ring in self._rings]

    def patience(self, grid: int) -> int:
        """How many rows without any reading a grid makes before it sleeps."""
        return self._rings[grid].patience

    def last_settling_ns(self) -> int:
        """When the last row that holds a reading settles; 0 where none is under way."""
        return max((ring.last_due_ns for ring in self._rings), default=0)

    def restart(self) -> None:
        """A new epoch: what has not settled is dropped, and the grids start with the next reading."""
        for ring in self._rings:
            ring.clear()

    def state(self) -> State:
        """The unsettled cells, by channel."""
        state: State = {}
        for grid, ring in zip(self.grids, self._rings):
            state |= {f"{grid.period_s:g}s/{name}": value for name, value in ring.state().items()}
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """What `state` gave; grids that it does not know stay fresh."""
        for grid, ring in zip(self.grids, self._rings):
            ring.restore({name: state.get(f"{grid.period_s:g}s/{name}") for name in _Ring.PARTS})


@dataclass(frozen=True, slots=True)
class _Cells:
    """Readings of one grid with their places in it. Every column has shape (readings,)."""

    row: Columns
    column: Columns
    value: NDArray[np.float64]

    def where(self, chosen: NDArray[np.bool_]) -> _Cells:
        return _Cells(self.row[chosen], self.column[chosen], self.value[chosen])

    def all_differ(self) -> bool:
        """No cell occurs twice; readings sorted by channel and time show it at a glance."""
        column, row = self.column, self.row
        later = (column[1:] > column[:-1]) | ((column[1:] == column[:-1]) & (row[1:] > row[:-1]))
        return bool(later.all())


class _Ring:
    """The unsettled rows of one grid; row k ends at k * period."""

    PARTS = ("levels", "counts", "next", "empty")

    def __init__(self, period_s: float, keys: tuple[str, ...]) -> None:
        self._keys = keys
        self._period_s = period_s
        self._period_ns = round(period_s * SECOND_NS)
        self._settling_ns = round(min(period_s, SETTLING_S) * SECOND_NS)
        ahead_ns = round(AHEAD_S * SECOND_NS) + self._settling_ns
        self._size = -(-ahead_ns // self._period_ns) + 2
        self.patience = max(EMPTY_ROWS, round(EMPTY_S / period_s))
        self._levels = np.full((self._size, len(keys)), np.nan)  # mean of a cell's readings
        self._counts = np.zeros((self._size, len(keys)), dtype=np.uint16)  # readings in a cell
        self._filled = np.zeros(self._size, dtype=bool)  # a row that holds any reading
        self._next: int | None = None  # the row that settles next
        self._empty = 0  # rows without any reading, up to the next
        self._waiting: list[_Cells] = []  # after a gap: readings for rows that the ring does not reach yet
        self._waiting_from = NEVER
        self.missed = 0

    @property
    def due_ns(self) -> int:
        """When the next row settles; NEVER before the first reading, and while the grid is asleep."""
        return (
            NEVER
            if self._next is None or self._asleep()
            else self._next * self._period_ns + self._settling_ns
        )

    @property
    def begun(self) -> bool:
        return self._next is not None

    @property
    def dozing(self) -> bool:
        return self._empty >= self.patience

    @property
    def last_due_ns(self) -> int:
        """When the last row that holds a reading settles; 0 where none does."""
        held = np.flatnonzero(self._filled)
        if self._next is None or not len(held):
            return 0
        last = self._next + int(((held - self._next) % self._size).max())
        return last * self._period_ns + self._settling_ns

    def _asleep(self) -> bool:
        return self._empty >= self.patience and not self._waiting and not self._filled.any()

    def put(self, column: Columns, time_ns: Columns, value: NDArray[np.float64], arrival_ns: Columns) -> None:
        """Readings of this grid into their cells."""
        row = -(-time_ns // self._period_ns)
        if self._next is None or self._asleep():
            earliest = (int(arrival_ns.min()) - self._settling_ns) // self._period_ns + 1
            self._next = earliest if self._next is None else max(self._next, earliest)
        cells = _Cells(row, column, value)
        if row.min() >= self._next and row.max() < self._next + self._size:
            self._fill(cells)
            return
        credible = (row >= self._next) & (time_ns <= arrival_ns + round(AHEAD_S * SECOND_NS))
        self.missed += int(len(credible) - credible.sum())
        reached = row < self._next + self._size
        self._fill(cells.where(credible & reached))
        beyond = cells.where(credible & ~reached)
        if len(beyond.row):
            self._waiting.append(beyond)
            self._waiting_from = min(self._waiting_from, int(beyond.row.min()))

    def put_one_row(self, column: Columns, time_ns: Columns, value: NDArray[np.float64]) -> bool:
        """The everyday case, columns rising: all readings fall into one row within reach, into empty cells.

        False where they do not, and nothing was done.
        """
        if self._next is None or not len(time_ns) or self._asleep():
            return False
        row = -(-int(time_ns.max()) // self._period_ns)
        if time_ns.min() <= (row - 1) * self._period_ns or not self._next <= row < self._next + self._size:
            return False
        slot = row % self._size
        counts = self._counts[slot]
        if np.count_nonzero(counts[column]):
            return False
        self._filled[slot] = True
        self._levels[slot][column] = value
        counts[column] = 1
        return True

    def _fill(self, cells: _Cells) -> None:
        if len(cells.row) == 0:
            return
        slot = cells.row % self._size
        self._filled[slot] = True
        cell = slot * len(self._keys) + cells.column
        levels, counts = self._levels.reshape(-1), self._counts.reshape(-1)
        if cells.all_differ() and not counts[cell].any():
            levels[cell] = cells.value
            counts[cell] = 1
            return
        cell, group = np.unique(cell, return_inverse=True)
        added = np.bincount(group, minlength=len(cell))
        total = np.bincount(group, cells.value, minlength=len(cell))
        before = counts[cell]
        after = before + added
        held = np.where(before > 0, levels[cell], 0.0)
        levels[cell] = held * (before / after) + total / after
        counts[cell] = np.minimum(after, 60_000)

    def skip_emptiness(self, now_ns: int) -> None:
        """Pass over rows that settled without any reading, once the grid has been empty for long."""
        if self._next is None or self._empty < self.patience:
            return
        held = (np.flatnonzero(self._filled) - self._next) % self._size
        ahead = int(held.min()) if len(held) else self._waiting_from - self._next
        settled = (now_ns - self._settling_ns) // self._period_ns
        self._advance(max(0, min(ahead, settled + 1 - self._next)))

    def _advance(self, rows: int) -> None:
        assert self._next is not None
        self._next += rows
        if self._waiting_from < self._next + self._size:
            waiting, self._waiting, self._waiting_from = self._waiting, [], NEVER
            for cells in waiting:
                reached = cells.row < self._next + self._size
                self._fill(cells.where(reached))
                if not reached.all():
                    self._waiting.append(cells.where(~reached))
                    self._waiting_from = min(self._waiting_from, int(cells.row[~reached].min()))

    def next_row(self) -> Row:
        assert self._next is not None
        slot = self._next % self._size
        end_ns = self._next * self._period_ns
        values = self._levels[slot].copy()
        if self._filled[slot]:
            self._empty = 0
            self._levels[slot] = np.nan
            self._counts[slot] = 0
            self._filled[slot] = False
        else:
            self._empty += 1
        self._advance(1)
        return Row(values, end_ns, self._period_s)

    def clear(self) -> None:
        self._levels[:] = np.nan
        self._counts[:] = 0
        self._filled[:] = False
        self._next = None
        self._empty = 0
        self._waiting, self._waiting_from = [], NEVER

    def state(self) -> State:
        if self._next is None:
            return {"next": None, "empty": 0}
        held = np.flatnonzero(self._filled)
        rows = int(((held - self._next) % self._size).max()) + 1 if len(held) else 0
        slots = (self._next + np.arange(rows)) % self._size
        return {
            "levels": Keyed(self._keys, self._levels[slots].T),
            "counts": Keyed(self._keys, self._counts[slots].T),
            "next": self._next,
            "empty": self._empty,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.clear()
        self._next, self._empty = state["next"], state["empty"] or 0
        levels, counts = state["levels"], state["counts"]
        if self._next is None or not isinstance(levels, Keyed) or not isinstance(counts, Keyed):
            return
        rows = levels.array.shape[1]
        slots = (self._next + np.arange(min(rows, self._size))) % self._size
        kept = slice(0, len(slots))
        self._levels[slots] = levels.onto(self._keys, np.full((len(self._keys), rows), np.nan)).T[kept]
        self._counts[slots] = counts.onto(self._keys, np.zeros((len(self._keys), rows), np.uint16)).T[kept]
        self._filled[slots] = (self._counts[slots] > 0).any(axis=1)
