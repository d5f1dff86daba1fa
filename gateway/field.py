"""Field: the thread in which sources wait for their devices; a task each, so that none waits for another."""

import asyncio
import logging
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pymodbus.exceptions import ModbusException

from config.channels import ChannelTable
from config.errors import SettingsError, SourceLost
from gateway.sources.base import Backoff, Source, Store
from ingest.readings import ReadingBatch

log = logging.getLogger(__name__)

GATHER_S = (
    0.02  # batches of this long are handed over as one: a hand-over to another thread costs more than a poll
)
CANCEL_AGAIN_S = 0.2
TOLD_AT_ONCE = 3  # devices that a summary names


@dataclass
class Standing:
    """How one source is doing. Written by the field thread, read by whoever asks."""

    name: str
    up: bool = False
    losses: int = 0  # times that it was lost, or not found at the start
    readings: int = 0
    trouble: str = "not read yet"  # empty while up


class Field:
    """Runs sources until stopped. A lost one is tried again after a jittered, growing pause.

    Raises SettingsError at once, with every mistake, where sources do not fit the site's channels.
    """

    def __init__(
        self, sources: Sequence[Source], channels: ChannelTable, store: Store, now_ns: Callable[[], int]
    ) -> None:
        self.name = "field"
        self.sources = tuple(sources)
        self.channels = channels
        self.store = store
        self.now_ns = now_ns
        self.standings = tuple(Standing(str(source)) for source in sources)
        self._waiting: dict[str, list[ReadingBatch]] = {}  # by lane, until they are handed over
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._started = threading.Event()
        _check(self.sources, channels)

    @property
    def trouble(self) -> str:
        """The devices that are not read now, and why; empty while all are."""
        lost = [standing for standing in self.standings if not standing.up]
        told = "; ".join(f"{standing.name}: {standing.trouble}" for standing in lost[:TOLD_AT_ONCE])
        return told + (f"; and {len(lost) - TOLD_AT_ONCE} more" if len(lost) > TOLD_AT_ONCE else "")

    def start(self) -> None:
        """Start the thread; returns when its loop runs."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="field", daemon=True)
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Close every connection and hand over what is left; returns when that is done."""
        if self._thread is None or self._loop is None or self._main is None:
            return
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join()
        self._thread = None

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_explain)
        self._main = asyncio.current_task()
        self._started.set()
        tasks = [
            asyncio.create_task(self._keep(source, standing))
            for source, standing in zip(self.sources, self.standings)
        ]
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await _end(tasks)
            self._hand_over()

    async def _keep(self, source: Source, standing: Standing) -> None:
        """Run one source again and again. A bug in it is logged in full, and is its own loss only."""
        backoff = Backoff()
        deliver = _Delivery(self, source, standing, backoff)
        while True:
            trouble, bug = "it ended by itself", None
            try:
                await source.run(self.channels, deliver)
            except SourceLost as error:
                trouble = str(error)
            except Exception as error:
                trouble, bug = f"{type(error).__name__}: {error}", error
            pause_s = backoff.pause_s()
            if standing.up or not standing.losses or bug:
                log.warning("%s is lost: %s; tried again until it answers", source, trouble, exc_info=bug)
                standing.losses += 1
            standing.up, standing.trouble = False, trouble
            await asyncio.sleep(pause_s)

    def _take(self, lane: str, batch: ReadingBatch) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_later(GATHER_S, self._hand_over)
        self._waiting.setdefault(lane, []).append(batch)

    def _hand_over(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for lane, batches in waiting.items():
            self.store.deliver(ReadingBatch.joined(batches), lane=lane)


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel them until all have ended.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, by which pymodbus waits for an answer, forgets
    a cancellation that comes together with the answer.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_S)


class _Delivery:
    """What a source is given as `deliver`: it notes that the source is there, and gathers what it brings."""

    def __init__(self, field: Field, source: Source, standing: Standing, backoff: Backoff) -> None:
        self.field = field
        self.source = source
        self.standing = standing
        self.backoff = backoff
        self.lane = str(getattr(source, "lane", type(source).__name__.lower()))
        self.now_ns = field.now_ns

    def __call__(self, batch: ReadingBatch) -> None:
        standing = self.standing
        if not standing.up:
            standing.up, standing.trouble = True, ""
            self.backoff.reset()
            log.info("%s is %s", self.source, "back" if standing.losses else "read")
        standing.readings += len(batch)
        self.field._take(self.lane, batch)


def _check(sources: Sequence[Source], channels: ChannelTable) -> None:
    mistakes: list[str] = []
    for source in sources:
        check = getattr(source, "check", None)
        try:
            if check is not None:
                check(channels)
        except SettingsError as error:
            mistakes += [f"{source}: {mistake}" for mistake in error.mistakes]
    if mistakes:
        raise SettingsError(mistakes)


def _explain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An answer that pymodbus cannot parse ends the connection, which its source notices: no traceback."""
    error = context.get("exception")
    if "protocol" in context and isinstance(error, (ModbusException, struct.error, IndexError, ValueError)):
        log.debug("an answer that is no Modbus: %s", error)
    else:
        loop.default_exception_handler(context)
