"""World: a small site, a clock that tests wind by hand, and a storage whose books must balance at the end."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from config.channels import Channel, ChannelTable
from ingest.ledger import Ledger, read_ledger
from ingest.readings import ReadingBatch
from ingest.storage import Limits, Storage
from ingest.ticks import SECOND_NS, Epoch, Tick
from ingest.wallclock import WallClock

NOON_NS = 1_760_011_200 * SECOND_NS  # 2025-10-09T12:00:00Z, a whole hour


def site(channels: int = 4, resolution: float = 0.01) -> ChannelTable:
    """Gas pressures `gas.p00.pressure` …, then one wristband's heart rate."""
    gas = [
        Channel(
            f"gas.p{n:02}.pressure", "gas", f"gas.p{n:02}", "pressure", "kPa", 1.0, resolution, zone="north"
        )
        for n in range(channels)
    ]
    return ChannelTable([*gas, Channel("w1.heart_rate", "wristband", "person-1", "heart_rate", "/min", 10.0)])


class Hands:
    """A wall clock and a monotonic clock, wound by hand."""

    def __init__(self, now_ns: int = NOON_NS) -> None:
        self.wall_ns = now_ns
        self.monotonic_ns = 0

    def wind(self, seconds: float) -> None:
        self.wall_ns += int(seconds * SECOND_NS)
        self.monotonic_ns += int(seconds * SECOND_NS)

    def clock(self) -> WallClock:
        return WallClock(lambda: self.wall_ns, lambda: self.monotonic_ns)


class Life:
    """One life of a gateway's storage, from start to a tidy stop."""

    def __init__(
        self, folder: Path, channels: ChannelTable, hands: Hands, limits: Limits | None = None
    ) -> None:
        self.hands = hands
        self.clock = hands.clock()
        self.storage = Storage(folder, channels, self.clock, limits)
        self.recovery = self.storage.open()
        self.storage.start()
        self.now_ns = self.recovery.last_tick_ns

    def hear(
        self, channel: Any, value: Any, ago_s: Any = 0.0, lane: str = "modbus", **columns: Any
    ) -> ReadingBatch:
        """Readings that were measured `ago_s` seconds ago and arrive now."""
        time_ns = self.hands.wall_ns - (np.asarray(ago_s) * SECOND_NS).astype(np.int64)
        batch = ReadingBatch.of(channel, time_ns, value, **columns)
        self.storage.deliver(batch, lane=lane)
        return batch

    def tick(self, epoch: Epoch | None = None, changes: Any = (), snapshot: Any = None) -> Tick:
        """Let a second pass, close it and commit it."""
        self.hands.wind(1.0)
        now_ns = self.clock.now_ns() // SECOND_NS * SECOND_NS
        tick = self.storage.close_tick(now_ns, epoch)
        self.storage.commit_tick(tick, changes, snapshot)
        return tick


@contextlib.contextmanager
def living(
    folder: Path, channels: ChannelTable, hands: Hands | None = None, limits: Limits | None = None
) -> Iterator[Life]:
    """A storage for the time of a `with`; whatever happens in it, the ledger balances afterwards."""
    life = Life(folder, channels, hands or Hands(), limits)
    try:
        yield life
    finally:
        life.storage.stop()
    balanced(folder)


def balanced(folder: Path) -> Ledger:
    ledger = read_ledger(folder)
    assert ledger.balanced, ledger.table()
    return ledger


def same_readings(one: ReadingBatch, other: ReadingBatch) -> bool:
    """Equal in every column; NaN equals NaN."""
    return (
        np.array_equal(one.channel, other.channel)
        and np.array_equal(one.time_ns, other.time_ns)
        and np.array_equal(one.value, other.value, equal_nan=True)
        and np.array_equal(one.quality, other.quality)
        and np.array_equal(one.arrival_ns, other.arrival_ns)
        and np.array_equal(one.flags, other.flags)
    )


def same_ticks(one: list[Tick], other: list[Tick]) -> bool:
    return len(one) == len(other) and all(
        a.now_ns == b.now_ns
        and same_readings(a.readings, b.readings)
        and a.commands == b.commands
        and a.epoch == b.epoch
        for a, b in zip(one, other)
    )
