"""Hearing: from a tick to the points that turned in it; what a watch knows before anything is concluded."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, tzinfo
from typing import Any, Protocol

import numpy as np

from alerts.alert import rfc3339
from alerts.board import Board, Turned
from alerts.boards import Boards, Risen
from alerts.orders import adopting
from alerts.overlays import Refused
from config.channels import ChannelTable
from config.snapshot import Keyed, State, below, prefixed, restored
from detectors.base import IntArray
from detectors.findings import Explanation, Findings, Usual
from gateway.pastdays import PastDays
from ingest.readings import ReadingBatch
from ingest.row import Row
from ingest.ticks import SECOND_NS, Command, Tick
from ingest.window import Grid

NEVER_NS = np.iinfo(np.int64).max
RECENT_ROWS = 60  # what a small plot shows before an alarm


class Rows(Protocol):
    """What makes rows of readings: a window, or one that listens to others beside."""

    @property
    def grids(self) -> Sequence[Grid]: ...

    def take(self, readings: ReadingBatch) -> None: ...

    def settled(self, now_ns: int) -> Iterator[tuple[int, Row]]: ...

    def next_settling_ns(self) -> int: ...

    def last_settling_ns(self) -> int: ...

    def restart(self) -> None: ...


class Judges(Protocol):
    """What judges readings and rows: a bank of detectors, or one that is listened to."""

    def judge_readings(self, readings: ReadingBatch, now_ns: int) -> list[Findings]: ...

    def judge_row(self, grid: int, row: Row) -> list[Findings]: ...

    def usual(self, channel: int) -> Usual: ...

    def adopt(self, channels: IntArray) -> None: ...

    def restart(self, clock_good: bool = True) -> None: ...


class Hearing:
    """Window, detectors and boards of some channels that need nobody else to be judged."""

    def __init__(
        self,
        channels: ChannelTable,
        bank: Judges,
        window: Rows,
        boards: Boards,
        warmup_s: float,
        zone: tzinfo | None = None,
    ) -> None:
        self.bank = bank
        self.window = window
        self.boards = boards
        self.surroundings = Surroundings(channels, window, warmup_s, zone or UTC)
        self.now_ns = 0  # the last moment judged

    def step(self, tick: Tick) -> list[Risen]:
        """What turned in this moment, in the order in which it was found."""
        now_ns = self.now_ns = self.surroundings.now_ns = tick.now_ns
        if tick.epoch is not None:
            self.window.restart()
            self.bank.restart(tick.epoch.clock_good)
        turned: list[Risen] = []
        for command in tick.commands:
            self._adopt(command)
        if len(tick.readings):
            self.surroundings.hear(tick)
            self.window.take(tick.readings)
            turned += self.boards.hear(self.bank.judge_readings(tick.readings, now_ns), now_ns)
        for grid, row in self.window.settled(now_ns):
            self.surroundings.show(grid, row)
            turned += self.boards.hear(self.bank.judge_row(grid, row), now_ns)
        turned += self.boards.due(now_ns)
        return [self._with_usual(board, one) for board, one in turned]

    def _adopt(self, command: Command) -> None:
        """A new regime is normal from this tick on; one that names nothing here is answered elsewhere."""
        if command.kind == "adopt_regime":
            with suppress(Refused):
                chosen = adopting(command, self.surroundings.channels)
                self.bank.adopt(np.array(chosen, dtype=np.int32))

    def _with_usual(self, board: Board, one: Turned) -> Risen:
        """Beside why a point turned, what is usual there and what other rules say; nothing of a wristband."""
        channel = int(board.points.channel[one.point])
        if one.explanation is None or self.surroundings.channels.is_wristband[channel]:
            return board, one
        usual = self.bank.usual(channel)
        band = {f"usual_{name}": usual.numbers[name] for name in ("low", "high") if name in usual.numbers}
        expected = {name: usual.numbers[name] for name in ("expected", "spread") if name in usual.numbers}
        numbers = {**expected, **band, **one.explanation.numbers}
        said = one.explanation
        explanation = Explanation(
            said.sentence, said.direction, said.observed, numbers, said.score, usual.scores
        )
        return board, one._replace(explanation=explanation)

    def next_deadline_ns(self) -> int:
        """The first moment at which a tick would matter although nothing arrives in it."""
        return min(self.window.next_settling_ns(), self.boards.next_deadline_ns())


class Surroundings:
    """What alerts need to know of a channel beside the verdict: is it new, and how did it look lately."""

    def __init__(self, channels: ChannelTable, window: Rows, warmup_s: float, zone: tzinfo = UTC) -> None:
        self.channels = channels
        self.zone = zone
        self.warmup_ns = int(warmup_s * SECOND_NS)
        self.now_ns = 0
        self.first_ns = np.full(len(channels), NEVER_NS, dtype=np.int64)  # each channel's first reading
        self.unheard = len(channels)  # how many have none
        self.grids = [grid.channels for grid in window.grids]
        self.periods = [grid.period_s for grid in window.grids]
        self.values = [np.full((len(grid), RECENT_ROWS), np.nan) for grid in self.grids]
        self.ends_ns = [0 for _ in self.grids]
        self.next = [0 for _ in self.grids]  # the column that the next row overwrites
        self.past = [PastDays(len(grid)) for grid in self.grids]
        self.home = {int(c): (g, row) for g, grid in enumerate(self.grids) for row, c in enumerate(grid)}

    def hear(self, tick: Tick) -> None:
        """Note the channels that speak for the first time."""
        if not self.unheard:
            return
        channel = tick.readings.channel
        new = self.first_ns[channel] == NEVER_NS
        if np.count_nonzero(new):
            self.first_ns[channel[new]] = tick.now_ns
            self.unheard = int(np.count_nonzero(self.first_ns == NEVER_NS))

    def show(self, grid: int, row: Row) -> None:
        """Keep a settled row for plots."""
        column = self.next[grid]
        self.values[grid][:, column] = row.values
        self.ends_ns[grid] = row.end_ns
        self.next[grid] = (column + 1) % RECENT_ROWS
        self.past[grid].show(row)

    def in_warmup(self, channel: int) -> bool:
        """Within the warm-up, counted from the channel's first reading."""
        first = int(self.first_ns[channel])
        return first == NEVER_NS or self.now_ns - first < self.warmup_ns

    def learning(self) -> bool:
        """Whether most of the channels that have spoken are still new."""
        heard = self.first_ns != NEVER_NS
        young = heard & (self.now_ns - np.where(heard, self.first_ns, 0) < self.warmup_ns)
        return bool(2 * young.sum() > heard.sum() or not heard.any())

    def recent(self, channel: int) -> Mapping[str, Any] | None:
        """A channel's last settled levels, oldest first, and this hour on the days before, for a plot.

        None for wristbands: no vitals leave the gateway.
        """
        if self.channels.is_wristband[channel] or channel not in self.home:
            return None
        grid, row = self.home[channel]
        levels = np.roll(self.values[grid][row], -self.next[grid])
        known = int(np.isfinite(levels).any() and np.argmax(np.isfinite(levels)))
        return {
            "end": rfc3339(self.ends_ns[grid]),
            "period_s": self.periods[grid],
            "unit": self.channels.unit[channel],
            "values": [float(f"{level:.6g}") if np.isfinite(level) else None for level in levels[known:]],
            "days": self.past[grid].of(row, self.zone),
        }

    def state(self) -> State:
        ids = self.channels.ids
        state: State = {"first_ns": Keyed(ids, self.first_ns)}
        for grid, (numbers, values) in enumerate(zip(self.grids, self.values)):
            keys = tuple(ids[number] for number in numbers)
            state[f"recent/{self.periods[grid]:g}"] = Keyed(keys, np.roll(values, -self.next[grid], axis=1))
            state[f"end/{self.periods[grid]:g}"] = self.ends_ns[grid]
            state |= prefixed(f"past/{self.periods[grid]:g}", self.past[grid].state(keys))
        return state

    def restore(self, state: State) -> None:
        ids = self.channels.ids
        self.first_ns = restored(state, "first_ns", ids, self.first_ns)
        self.unheard = int(np.count_nonzero(self.first_ns == NEVER_NS))
        for grid, numbers in enumerate(self.grids):
            keys = [ids[number] for number in numbers]
            self.values[grid] = restored(state, f"recent/{self.periods[grid]:g}", keys, self.values[grid])
            end_ns: Any = state.get(f"end/{self.periods[grid]:g}", 0)
            self.ends_ns[grid] = int(end_ns)
            self.next[grid] = 0
            self.past[grid].restore(below(f"past/{self.periods[grid]:g}", state), keys)
