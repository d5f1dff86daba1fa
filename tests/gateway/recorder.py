"""Recorder: stands where the storage thread will, keeps what comes, says "durable" when told to."""

import threading
import time
from collections import Counter
from collections.abc import Callable

import numpy as np

from ingest.readings import ReadingBatch


class Recorder:
    """What arrived, in order; thread-safe. `sync` makes everything so far durable, as a commit would."""

    def __init__(self, *, durable_at_once: bool = False) -> None:
        self.batches: list[ReadingBatch] = []
        self.lanes: list[str] = []
        self.dead: list[tuple[str, bytes, str]] = []  # topic, payload, reason
        self.dropped: Counter[str] = Counter()
        self.durable_at_once = durable_at_once
        self._pending: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def deliver(
        self, batch: ReadingBatch, on_durable: Callable[[], None] | None = None, lane: str = ""
    ) -> None:
        with self._lock:
            self.batches.append(batch)
            self.lanes.append(lane)
        self._promise(on_durable)

    def dead_letter(
        self,
        lane: str,
        topic: str,
        payload: bytes,
        reason: str,
        on_durable: Callable[[], None] | None = None,
    ) -> None:
        with self._lock:
            self.dead.append((topic, payload, reason))
        self._promise(on_durable)

    def drop(self, lane: str, readings: int, reason: str) -> None:
        with self._lock:
            self.dropped[reason] += readings

    def _promise(self, on_durable: Callable[[], None] | None) -> None:
        if on_durable is not None:
            self._pending.append(on_durable)
            if self.durable_at_once:
                self.sync()

    def sync(self) -> None:
        pending, self._pending = self._pending, []
        for on_durable in pending:
            on_durable()

    @property
    def readings(self) -> ReadingBatch:
        """All of them, in order of arrival."""
        with self._lock:
            return ReadingBatch.joined(self.batches)

    def of(self, channel: int) -> ReadingBatch:
        """The readings of one channel."""
        readings = self.readings
        return readings.where(readings.channel == channel)


def eventually(what: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until it is so; the time-out is generous, since the machine may be busy."""
    end = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < end, f"still not so after {within_s:g} s"
        time.sleep(0.01)


def steps_s(readings: ReadingBatch) -> list[float]:
    """Seconds between one reading and the next."""
    return (np.diff(readings.time_ns) / 1e9).tolist()  # type: ignore[no-any-return]
