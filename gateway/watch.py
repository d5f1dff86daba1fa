"""Watch: the whole judgement, from a tick to its alert changes. Knows no clock, thread, socket or disk."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from alerts.alert import AlertChange
from alerts.lifecycle import Lifecycle
from config.channels import ChannelTable
from config.snapshot import State, below, prefixed
from detectors.bank import Bank
from gateway.hearing import NEVER_NS, Hearing
from ingest.readings import ReadingBatch
from ingest.ticks import SECOND_NS, Tick
from ingest.window import Window

NOTHING = ReadingBatch.empty()


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
        self.hearing = Hearing(channels, bank, window, lifecycle.boards, warmup_s, lifecycle.timezone)
        self.surroundings = self.hearing.surroundings

    @property
    def now_ns(self) -> int:
        """The last moment judged."""
        return self.hearing.now_ns

    def step(self, tick: Tick) -> list[AlertChange]:
        """What this moment changes."""
        turned = self.hearing.step(tick)
        return self.lifecycle.conclude(turned, tick.commands, tick.now_ns, self.surroundings)

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
        now_ns: Any = below("watch", state).get("now_ns", 0)
        self.hearing.now_ns = int(now_ns)


class Settles(Protocol):
    """Makes rows, or stands for what does."""

    def last_settling_ns(self) -> int: ...


class Waits(Protocol):
    """Whatever steps through ticks and has deadlines: a watch, or a part of one."""

    @property
    def now_ns(self) -> int: ...

    @property
    def window(self) -> Settles: ...

    def next_deadline_ns(self) -> int: ...


def keep_watch(
    ticks: Iterable[Tick], watch: Watch, record: Callable[[Tick, list[AlertChange]], None]
) -> None:
    """The whole daemon: judge each moment, then record what came of it."""
    for tick in ticks:
        record(tick, watch.step(tick))


def with_deadlines(ticks: Iterable[Tick], watch: Waits, *, to_the_end: bool = False) -> Iterator[Tick]:
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


def _due(watch: Waits, before_ns: int) -> Iterator[Tick]:
    """Ticks behind the watch's last one at which a deadline falls due; nothing before its first tick."""
    while 0 < watch.now_ns < before_ns - SECOND_NS:
        due_ns = max(_whole_second(watch.next_deadline_ns()), watch.now_ns + SECOND_NS)
        if due_ns >= before_ns:
            return
        yield Tick(due_ns, NOTHING)


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


@dataclass(frozen=True)
class Site:
    """What `build_watch` needs, in one hand: to be replayed again, or by several."""

    channels: ChannelTable
    links: Sequence[Any] = ()
    planned: Sequence[Any] = ()
    watchings: Sequence[Any] = ()
    timezone: str = "Asia/Shanghai"
    warmup_s: float = 3 * 86400.0

    def watch(self) -> Watch:
        return build_watch(
            self.channels,
            links=self.links,
            planned=self.planned,
            watchings=self.watchings,
            timezone=self.timezone,
            warmup_s=self.warmup_s,
        )
