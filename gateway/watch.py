"""Watch: the whole judgement, from a tick to its alert changes. Knows no clock, thread, socket or disk."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from alerts.alert import AlertChange, rfc3339
from alerts.lifecycle import Lifecycle
from config.channels import ChannelTable
from config.snapshot import Keyed, State, below, prefixed, restored
from detectors.bank import Bank
from ingest.readings import ReadingBatch
from ingest.ticks import SECOND_NS, Tick
from ingest.window import Window

NEVER_NS = np.iinfo(np.int64).max
RECENT_ROWS = 60  # what a small plot shows before an alarm


class Watch:
    """A tick comes in, alert changes go out.

    Everything that waits is a deadline in stream time (`next_deadline_ns`): a tick with no reading, no
    command and no deadline due changes nothing, so that a replay may skip it.
    """

    def __init__(
        self, channels: ChannelTable, bank: Bank, window: Window, lifecycle: Lifecycle, warmup_s: float
    ) -> None:
        self.channels = channels
        self.bank = bank
        self.window = window
        self.lifecycle = lifecycle
        self.surroundings = Surroundings(channels, window, warmup_s)
        self.now_ns = 0  # the last moment judged

    def step(self, tick: Tick) -> list[AlertChange]:
        """What this moment changes."""
        self.now_ns = tick.now_ns
        if tick.epoch is not None:
            self.window.restart()
            self.bank.restart(tick.epoch.clock_good)
        around = self.surroundings
        around.now_ns = tick.now_ns
        findings = []
        if len(tick.readings):
            around.hear(tick)
            self.window.take(tick.readings)
            findings += self.bank.judge_readings(tick.readings, tick.now_ns)
        changes: list[AlertChange] = []
        commands = tick.commands
        settled = False
        for grid, row in self.window.settled(tick.now_ns):
            around.show(grid, row.values, row.end_ns)
            verdicts = self.bank.judge_row(grid, row)
            changes += self.lifecycle.update([*findings, *verdicts], commands, tick.now_ns, around)
            findings, commands, settled = [], (), True
        if not settled or changes:  # else there is nothing that the last update has not seen
            changes += self.lifecycle.update(findings, commands, tick.now_ns, around)
        return changes

    def next_deadline_ns(self) -> int:
        """The first moment at which a tick would matter although nothing arrives in it."""
        waiting = self.lifecycle.next_deadline_ns()
        return min(self.window.next_settling_ns(), NEVER_NS if waiting is None else waiting)

    def state(self) -> State:
        """All that it remembers, for a snapshot."""
        parts: dict[str, State] = {
            "window": self.window.state(),
            "bank": self.bank.state(),
            "lifecycle": self.lifecycle.state(),
            "surroundings": self.surroundings.state(),
            "watch": {"now_ns": self.now_ns},
        }
        return {name: value for part, state in parts.items() for name, value in prefixed(part, state).items()}

    def restore(self, state: State) -> None:
        """Go on from a snapshot; what it does not know starts fresh."""
        self.window.restore(below("window", state))
        self.bank.restore(below("bank", state))
        self.lifecycle.restore(below("lifecycle", state))
        self.surroundings.restore(below("surroundings", state))
        self.now_ns = int(_plain(below("watch", state), "now_ns"))


class Surroundings:
    """What alerts need to know of a channel beside the verdict: is it new, and how did it look lately."""

    def __init__(self, channels: ChannelTable, window: Window, warmup_s: float) -> None:
        self.channels = channels
        self.warmup_ns = int(warmup_s * SECOND_NS)
        self.now_ns = 0
        self.first_ns = np.full(len(channels), NEVER_NS, dtype=np.int64)  # each channel's first reading
        self.unheard = len(channels)  # how many have none
        self.grids = [grid.channels for grid in window.grids]
        self.periods = [grid.period_s for grid in window.grids]
        self.values = [np.full((len(grid), RECENT_ROWS), np.nan) for grid in self.grids]
        self.ends_ns = [0 for _ in self.grids]
        self.next = [0 for _ in self.grids]  # the column that the next row overwrites
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

    def show(self, grid: int, values: np.ndarray[Any, np.dtype[np.float64]], end_ns: int) -> None:
        """Keep a settled row for plots."""
        column = self.next[grid]
        self.values[grid][:, column] = values
        self.ends_ns[grid] = end_ns
        self.next[grid] = (column + 1) % RECENT_ROWS

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
        """A channel's last settled levels, oldest first; None for wristbands: no vitals leave the gateway."""
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
        }

    def state(self) -> State:
        ids = self.channels.ids
        state: State = {"first_ns": Keyed(ids, self.first_ns)}
        for grid, (numbers, values) in enumerate(zip(self.grids, self.values)):
            keys = tuple(ids[number] for number in numbers)
            state[f"recent/{self.periods[grid]:g}"] = Keyed(keys, np.roll(values, -self.next[grid], axis=1))
            state[f"end/{self.periods[grid]:g}"] = self.ends_ns[grid]
        return state

    def restore(self, state: State) -> None:
        ids = self.channels.ids
        self.first_ns = restored(state, "first_ns", ids, self.first_ns)
        self.unheard = int(np.count_nonzero(self.first_ns == NEVER_NS))
        for grid, numbers in enumerate(self.grids):
            keys = [ids[number] for number in numbers]
            self.values[grid] = restored(state, f"recent/{self.periods[grid]:g}", keys, self.values[grid])
            self.ends_ns[grid] = int(_plain(state, f"end/{self.periods[grid]:g}"))
            self.next[grid] = 0


def keep_watch(
    ticks: Iterable[Tick], watch: Watch, record: Callable[[Tick, list[AlertChange]], None]
) -> None:
    """The whole daemon: judge each moment, then record what came of it."""
    for tick in ticks:
        record(tick, watch.step(tick))


def with_deadlines(ticks: Iterable[Tick], watch: Watch, *, to_the_end: bool = False) -> Iterator[Tick]:
    """The ticks, and between them those at which a deadline of the watch falls due while nothing arrives.

    Live as in replay: a process that was held up for some seconds catches up on what fell due meanwhile, and
    a recording leaves out the seconds in which nothing came. Nobody watched between an epoch and the last
    moment that it says was watched. to_the_end: after the last tick, also those at which its rows settle.
    """
    for tick in ticks:
        until_ns = tick.now_ns if tick.epoch is None else tick.epoch.watched_ns + 1
        yield from _due(watch, until_ns)
        yield tick
    if to_the_end and watch.now_ns:
        yield from _due(watch, watch.window.last_settling_ns() + 1)


def _due(watch: Watch, before_ns: int) -> Iterator[Tick]:
    """Ticks behind the watch's last one at which a deadline falls due; nothing before its first tick."""
    nothing = ReadingBatch.empty()
    while 0 < watch.now_ns < before_ns - SECOND_NS:
        due_ns = max(_whole_second(watch.next_deadline_ns()), watch.now_ns + SECOND_NS)
        if due_ns >= before_ns:
            return
        yield Tick(due_ns, nothing)


def _plain(state: State, name: str) -> Any:
    return state.get(name, 0)


def _whole_second(time_ns: int) -> int:
    return -(-time_ns // SECOND_NS) * SECOND_NS


def build_watch(
    channels: ChannelTable,
    *,
    links: Sequence[Any] = (),
    planned: Sequence[Any] = (),
    watchings: Sequence[Any] = (),
    timezone: str = "Asia/Shanghai",
    warmup_s: float = 3 * 86400.0,
) -> Watch:
    """A watch over a site; channels alone give the built-in defaults, everything else overrides."""
    zone = ZoneInfo(timezone)
    window = Window(channels)
    bank = Bank(channels, [(grid.period_s, grid.channels) for grid in window.grids], watchings, zone)
    lifecycle = Lifecycle(channels, links, points=bank.points, planned=planned, timezone=zone)
    return Watch(channels, bank, window, lifecycle, warmup_s)
