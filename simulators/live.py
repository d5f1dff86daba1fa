"""Live: the world of this moment, as a script file says, for the processes that play it over a wire."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from config.errors import InputError
from simulators.noise import FloatArray
from simulators.scenarios import SECOND_NS, Event, read_script
from simulators.site import Site
from simulators.travel import Arrivals, Travel
from simulators.world import World


class LiveWorld:
    """A world whose events may be added while it runs: the script is read again whenever its file changes.

    A script that cannot be used leaves everything as it was, and is named on stderr.
    world: one made elsewhere, played as it is. late_ns: what it shows at a moment t of its own is played
    at t + late_ns.
    """

    def __init__(
        self, site: Site, seed: int, script: Path | None, *, world: World | None = None, late_ns: int = 0
    ) -> None:
        self.site = site
        self.seed = seed
        self.script = script
        self.late_ns = late_ns
        self._stamp: tuple[int, int] | None = None
        self._second = -1
        self._row: FloatArray = np.empty(0)
        self._one_at_a_time = threading.Lock()  # devices and senders may be played by two threads
        self._play(world or World(site.channels, site.links, seed))
        self.refresh()

    def refresh(self) -> None:
        """Read the script if its file has changed."""
        if self.script is None:
            return
        try:
            status = self.script.stat()
            stamp = (status.st_mtime_ns, status.st_size)
        except OSError:
            stamp = (0, 0)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            events = read_script(self.script, self.site.channels, self.seed)
            self._play(World(self.site.channels, self.site.links, self.seed, events))
        except InputError as error:
            print("\n".join(error.mistakes), file=sys.stderr, flush=True)

    def row(self, time_ns: int) -> FloatArray:
        """What every sensor shows at that moment (channels,), worked out once a second."""
        second = (time_ns - self.late_ns) // SECOND_NS
        with self._one_at_a_time:
            if second != self._second:
                self.refresh()
                self._row = self.world.values(np.array([second * SECOND_NS], dtype=np.int64))[0]
                self._second = second
            return self._row

    def arrivals(self, place: str, time_ns: int) -> Arrivals:
        """What becomes of the reading that a place takes at that moment."""
        came = self.travel.arrivals(place, np.array([time_ns - self.late_ns], dtype=np.int64))
        return replace(came, arrival_ns=came.arrival_ns + self.late_ns, stamp_ns=came.stamp_ns + self.late_ns)

    def running(self, kind: str, place: str, time_ns: int) -> Event | None:
        """The event of that kind which goes on at a place."""
        here_ns = time_ns - self.late_ns
        for event in self.world.events:
            if event.kind == kind and event.place == place and event.start_ns <= here_ns < event.end_ns:
                return event
        return None

    def _play(self, world: World) -> None:
        self.world = world
        self.travel = Travel(world.channels, self.seed, world.events)
        self._second = -1


def call_when_told_to_stop(stop: Callable[[], object], *, with_stdin: bool) -> None:
    """Call `stop` on SIGTERM or SIGINT and, where asked, once stdin closes (the parent died)."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
    if with_stdin:

        def wait_for_the_end() -> None:
            while os.read(0, 4096):  # not sys.stdin: its lock would be held at exit
                pass
            stop()

        threading.Thread(target=wait_for_the_end, daemon=True).start()
