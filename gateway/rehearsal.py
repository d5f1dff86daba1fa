"""Rehearsal: teach a gateway from recorded readings before its first start."""

from collections.abc import Callable
from pathlib import Path
from threading import Event

from config.errors import InputError
from config.load import SiteFiles
from gateway.watch import build_watch, with_deadlines
from ingest.recorded import read_ticks
from ingest.storage import Storage
from ingest.ticks import Epoch
from ingest.wallclock import WallClock

ALERTS = "lifecycle/"  # what a rehearsal thought of raising was told to nobody, and is forgotten
TOLD_EVERY = 500  # ticks between two words of progress


def rehearse(files: SiteFiles, readings: Path, progress: Callable[[int, int], None]) -> None:
    """Step a fresh watch through `readings`, and save its memories where the gateway will look for them.

    progress(stream time in ns, readings so far) is called now and then. InputError where the gateway has
    memories of its own already.
    """
    site = files.settings.site
    watch = build_watch(
        files.channels,
        links=files.links,
        watchings=files.settings.watching,
        timezone=site.timezone,
        warmup_s=site.warmup_s,
    )
    heard = 0
    for number, tick in enumerate(with_deadlines(read_ticks(readings, files.channels), watch)):
        watch.step(tick)
        heard += len(tick.readings)
        if number % TOLD_EVERY == 0:
            progress(tick.now_ns, heard)
    state = {name: value for name, value in watch.state().items() if not name.startswith(ALERTS)}
    clock = WallClock()
    storage = Storage(site.data, files.channels, clock)
    recovery = storage.open()
    try:
        if recovery.snapshot is not None or recovery.last_tick_ns:
            raise InputError(f"{site.data}: this gateway has memories already; rehearse in an empty folder")
        storage.start()
        now_ns = clock.next_tick_ns()
        clock.wait_until(now_ns, Event())
        tick = storage.close_tick(now_ns, Epoch("stop", clock.good, files.hash))
        storage.commit_tick(tick, [], state)
    finally:
        storage.stop()
