"""Wall clock: where stream time comes from when live; the only place that asks what time it is.

Stream time is a wall-clock anchor plus monotonic time, so a second always lasts a second. A wall
clock that has stepped away by more than 5 s moves the anchor, and a new epoch says so.
The clock is good when it shows 2025 or later: a box without a battery boots in 1970, or at the date
of its firmware. Until then stream time continues from the last tick that the journal knows, and no
reading is called late or early.
"""

import threading
import time
from collections.abc import Callable

from ingest.ticks import SECOND_NS, Epoch

STEP_NS = 5 * SECOND_NS
EARLIEST_GOOD_NS = 1_735_689_600 * SECOND_NS  # 2025-01-01T00:00:00Z; this program did not exist before


class WallClock:
    """Stream time in UTC nanoseconds. `now_ns` may be called from any thread, `epoch_if_stepped` from one."""

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._anchor = self._look()  # one tuple, so that other threads never see half a change
        self._reference = self._offset()

    @property
    def good(self) -> bool:
        """Whether the wall clock can be believed."""
        return self._wall_ns() >= EARLIEST_GOOD_NS

    def now_ns(self) -> int:
        stream, monotonic = self._anchor
        return stream + self._monotonic_ns() - monotonic

    def ahead_ns(self) -> int:
        """How far stream time is ahead of the wall clock now: up to 5 s, or more while that is not good."""
        return self.now_ns() - self._wall_ns()

    def continue_from(self, last_tick_ns: int) -> None:
        """Start behind the last known tick where the wall clock cannot be believed; before the first tick."""
        if not self.good and self.now_ns() <= last_tick_ns:
            self._anchor = (last_tick_ns + 1, self._monotonic_ns())

    def epoch_if_stepped(self) -> Epoch | None:
        """Move the anchor when the wall clock has stepped by more than 5 s since it was last moved."""
        offset = self._offset()
        if abs(offset - self._reference) <= STEP_NS:
            return None
        self._reference = offset
        self._anchor = self._look()
        return Epoch("clock_step", clock_good=self.good)

    def next_tick_ns(self, last_tick_ns: int = 0) -> int:
        """The first whole second after now, and after the last tick."""
        return max(self.now_ns() // SECOND_NS, last_tick_ns // SECOND_NS) * SECOND_NS + SECOND_NS

    def wait_until(self, stream_ns: int, stop: threading.Event) -> bool:
        """Sleep until a moment of stream time; False when `stop` was set instead."""
        while (left := stream_ns - self.now_ns()) > 0:
            if stop.wait(min(left / SECOND_NS, 1.0)):
                return False
        return not stop.is_set()

    def _look(self) -> tuple[int, int]:
        return self._wall_ns(), self._monotonic_ns()

    def _offset(self) -> int:
        wall, monotonic = self._look()
        return wall - monotonic
