"""Vitals: how the gateway itself is doing, for systemd's watchdog, for heartbeats and for whoever asks."""

import logging
import os
import resource
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

TICKS_KEPT = 3600  # an hour of ticks at one a second
LATE_S = 5.0
STALLED_S = 10.0  # without a tick for so long, a gateway is not well


@dataclass
class Vitals:
    """Kept by the main thread, read by others; each figure is a plain number."""

    tick_lateness_s: deque[float] = field(default_factory=lambda: deque(maxlen=TICKS_KEPT))
    ticks: int = 0
    readings: int = 0
    last_tick_s: float = 0.0  # monotonic; 0 before the first
    epochs: Counter[str] = field(default_factory=Counter)  # how often stream time began anew, by reason
    alarms: Counter[str] = field(default_factory=Counter)  # open ones, by grade
    started_s: float = field(default_factory=time.monotonic)

    def ticked(self, lateness_s: float, readings: int) -> None:
        """One tick is committed; lateness is how long after its moment that was, in seconds.

        It is said once when ticks fall behind, and once when they have caught up.
        """
        before = self.tick_lateness_s[-1] if self.tick_lateness_s else 0.0
        if (lateness_s > LATE_S) != (before > LATE_S):
            log.warning(
                "ticks are %.1f s late" if lateness_s > LATE_S else "ticks are on time again (%.1f s)",
                lateness_s,
            )
        self.tick_lateness_s.append(lateness_s)
        self.last_tick_s = time.monotonic()
        self.ticks += 1
        self.readings += readings

    def hold(self, grades: Iterable[str]) -> None:
        """The grades of the alarms that are open now."""
        self.alarms = Counter(grades)

    @property
    def trouble(self) -> str:
        """Why the gateway is not watching at present; "" where ticks progress."""
        if not self.ticks:
            return "starting: no tick yet"
        idle_s = time.monotonic() - self.last_tick_s
        return f"no tick for {idle_s:.0f} s" if idle_s > STALLED_S else ""

    def lateness_s(self, share: float) -> float:
        """The lateness that this share of the last hour's ticks does not exceed."""
        late = sorted(self.tick_lateness_s.copy())  # a copy is one step, whatever another thread does
        return round(late[int(share * (len(late) - 1))], 4) if late else 0.0

    def summary(self) -> dict[str, float]:
        """For the heartbeat and the log."""
        return {
            "ticks": self.ticks,
            "readings": self.readings,
            "tick_lateness_p99_s": self.lateness_s(0.99),
            "peak_memory_mib": round(peak_memory_bytes() / 2**20, 1),
        }


def peak_memory_bytes() -> int:
    """The largest resident set of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def memory_bytes() -> int:
    """The resident set of this process now; its peak where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()
    except OSError:
        return peak_memory_bytes()


class Systemd:
    """The notify protocol (sd_notify(3)): READY, STOPPING, and a watchdog fed by the progress of ticks.

    Does nothing where NOTIFY_SOCKET is not set.
    """

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self.address = "\0" + address[1:] if address.startswith("@") else address

    def say(self, state: str) -> None:
        if not self.address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as messenger:
            try:
                messenger.sendto(state.encode(), self.address)
            except OSError as error:
                print(f"cannot reach systemd at NOTIFY_SOCKET: {error}", file=sys.stderr)
