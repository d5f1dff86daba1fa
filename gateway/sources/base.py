"""Base: what a source is, when it polls, and how long it waits before it tries again."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from config.channels import ChannelTable
from ingest.readings import ReadingBatch


class Deliver(Protocol):
    """Where a source puts what it read, and the clock by which it stamps it."""

    def __call__(self, batch: ReadingBatch) -> None:
        """Hand in readings in the channels' units, from the source's own task; never waits."""
        ...

    def now_ns(self) -> int:
        """The gateway's time: UTC nanoseconds that run evenly and never step back within an epoch."""
        ...


class Source(Protocol):
    """A device, or a bus of them, read for as long as it answers.

    `run` returns never. It raises SourceLost when the device does not answer, and is then run again
    after a pause. Silence is not delivered: whoever looks sees that nothing came. A source may also
    have `check(channels)`, which raises SettingsError before anything is started.
    """

    async def run(self, channels: ChannelTable, deliver: Deliver) -> None: ...


class Store(Protocol):
    """The part of the storage thread that sources see.

    The ledger's lanes are devices; `deliver` finds them by itself, its `lane` names the source.
    """

    def deliver(
        self, batch: ReadingBatch, on_durable: Callable[[], None] | None = None, lane: str = ""
    ) -> None:
        """Take readings in; `on_durable` is called by the storage thread once they are synced."""
        ...

    def drop(self, lane: str, readings: int, reason: str) -> None:
        """Count readings that came and cannot be kept."""
        ...

    def dead_letter(
        self,
        lane: str,
        topic: str,
        payload: bytes,
        reason: str,
        on_durable: Callable[[], None] | None = None,
    ) -> None:
        """Keep a message that cannot be used, and why."""
        ...


@dataclass
class Backoff:
    """Pauses between attempts: they double up to `longest_s`, and are shortened at random by up to a half.

    The jitter keeps a thousand devices behind one switch from coming back in the same instant
    ("equal jitter"; Brooker, "Exponential Backoff and Jitter", 2015).
    """

    shortest_s: float = 0.5
    longest_s: float = 30.0
    attempts: int = 0

    def pause_s(self) -> float:
        """How long to wait now; longer at each call until `reset`."""
        whole = min(self.longest_s, self.shortest_s * 2.0 ** min(self.attempts, 30))
        self.attempts += 1
        return whole * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """It works again."""
        self.attempts = 0


async def every(
    period_s: float, now_ns: Callable[[], int] = time.time_ns, offset_s: float = 0.0
) -> AsyncIterator[int]:
    """The moments at which to poll: at once, then `offset_s` after every whole multiple of the period.

    Yields the moment's own time in ns of `now_ns`, so that readings of a regular poll carry regular
    times and each falls into its own step of the grid. Moments that pass while work is late are left
    out: nothing drifts, and nothing is made up for in a burst.
    """
    period_ns, offset_ns = round(period_s * 1e9), round(offset_s * 1e9)
    last_ns = now_ns()
    yield last_ns
    while True:
        due_ns = (now_ns() - offset_ns) // period_ns * period_ns + period_ns + offset_ns
        if 0 <= due_ns - last_ns < period_ns // 2:  # after one that kept no rhythm, such as the first
            due_ns += period_ns
        while (ahead_ns := due_ns - now_ns()) > 0:  # again where the loop's clock is a hair ahead of ours
            if ahead_ns > 2 * period_ns:  # the clock was set back: start anew
                due_ns = now_ns()
                break
            await asyncio.sleep(ahead_ns / 1e9)
        last_ns = due_ns
        yield due_ns
