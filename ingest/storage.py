"""Storage: one thread writes the journal; what it has synced is durable, and only then acknowledged.

All that waits is written in one transaction: a sync costs some 100 µs whatever is in it. Readings that
arrive are synced when the sources' sockets are dry and three quarters of a broker's window wait, at 1,000
readings, and at the latest with the tick, in one transaction with what the watch concluded from them;
whoever asks for something durable takes them along.
"""

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from config.channels import ChannelTable
from config.snapshot import State, pack, unpack
from ingest import journal
from ingest.arrivals import Arrivals, Stored
from ingest.inbox import timely
from ingest.lanes import settle
from ingest.memo import remember
from ingest.opening import explained, open_writer, put_right
from ingest.pruning import Limits, prune
from ingest.readings import ReadingBatch
from ingest.ticks import Command, Epoch, Tick
from ingest.wallclock import WallClock
from ingest.writer import Pollable, StorageFailed, Work, Writer, is_damage

__all__ = ["Limits", "Pollable", "Recovery", "Storage", "StorageFailed"]

log = logging.getLogger(__name__)
T = TypeVar("T")

PRUNE_EVERY_S = 60.0
WAITING_S = 5.0  # how often `while_waiting` is called


@dataclass(frozen=True)
class Recovery:
    """What an earlier life left: the last snapshot, and the ticks committed after it."""

    snapshot: State | None
    ticks: Iterator[Tick]
    last_tick_ns: int  # 0 when there was none
    waiting: int  # readings synced behind the last tick; they are judged in the next one


@dataclass(frozen=True, slots=True)
class _Closing:
    """A tick that is being judged."""

    now_ns: int
    rows: tuple[Stored, ...]
    commands: tuple[Command, ...]
    clock_good: bool
    epoch: Epoch | None


class Storage:
    """Ticks are closed and committed by one thread; everything else may be called from any.

    `while_waiting` is called every few seconds while a tick waits for a disk that takes nothing.
    """

    name = "journal"

    def __init__(
        self, folder: Path, channels: ChannelTable, clock: WallClock, limits: Limits | None = None
    ) -> None:
        self.folder = Path(folder)
        self.channels = channels
        self.clock = clock
        self._limits = limits or Limits()
        self._arrivals = Arrivals(channels, clock)
        self._closing: _Closing | None = None
        self._tick_id = 0
        self._upto = 0  # the last arrival that a tick holds
        self._closed_ns = 0
        self._clock_good = True
        self._commands: list[Command] = []
        self._subscribers: list[threading.Event] = []
        self._writer: Writer | None = None
        self._lock_file: IO[str] | None = None
        self._pruned_s = 0.0
        self.while_waiting: Callable[[], None] = lambda: None

    def open(self) -> Recovery:
        """Open or create the journal and tell what it holds; SettingsError when it cannot be used.

        A damaged one is put aside, and what can be read of it is taken over.
        """
        connection, self._lock_file = open_writer(self.folder)
        with explained(self.folder / journal.FILE_NAME):
            try:
                return self._recover(connection)
            except (sqlite3.DatabaseError, UnicodeDecodeError, StorageFailed) as error:
                connection.close()
                if not isinstance(error, StorageFailed) and not is_damage(error):
                    raise
                connection = put_right(self.folder, error)
            return self._recover(connection)

    def _recover(self, connection: sqlite3.Connection) -> Recovery:
        self._arrivals = Arrivals(self.channels, self.clock)
        numbers = journal.list_channels(connection, self.channels)
        listed = journal.listed(connection)
        last = connection.execute(
            "SELECT id, now_ns, upto_arrival, clock_good FROM ticks ORDER BY id DESC LIMIT 1"
        ).fetchone()
        self._tick_id, self._closed_ns, self._upto, good = last or (0, 0, 0, 1)
        self._clock_good = bool(good)
        self._arrivals.recover(connection, self._upto, numbers, listed.numbers_in(self.channels))
        self._commands = list(journal.commands_of(connection, None))
        self.clock.continue_from(self._closed_ns)
        snapshot, tick = _last_snapshot(connection)
        journal.read_through(connection, tick)
        remember(self.folder)
        self._writer = Writer(connection, self._arrivals, partial(journal.suspect, connection))
        waiting = sum(row.count for row in self._arrivals.open_rows)
        return Recovery(snapshot, self._ticks_after(tick, self._tick_id), self._closed_ns, waiting)

    def start(self) -> None:
        """Start the thread, after `open`."""
        self._running().start()

    def stop(self) -> None:
        """Sync what has arrived, end the thread, close the file. Safe to call twice."""
        if self._writer is not None:
            self._writer.stop()
            if self._writer.failure is None:
                with contextlib.suppress(OSError):
                    remember(self.folder)
            self._writer = None
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def deliver(
        self, batch: ReadingBatch, on_durable: Callable[[], None] | None = None, lane: str = ""
    ) -> None:
        """Take readings, stamp their arrival; `on_durable` is called in the storage thread after their sync.

        `lane` names the source that hands them in; the ledger tells them apart further, by device.
        Readings that are not STAMPED are given the time of their arrival. When 500,000 wait for a disk that
        does not keep up, more are dropped and counted, and never acknowledged. Raises StorageFailed.
        """
        self._check()
        if self._arrivals.take(batch, on_durable, lane) and not self._running().here():
            self._running().wake()

    def drop(
        self, lane: str, readings: int, reason: str, on_durable: Callable[[], None] | None = None
    ) -> None:
        """Count readings of a device that came and cannot be kept, such as those of an unknown channel."""
        self._check()
        self._arrivals.drop(lane, readings, reason, on_durable)
        self._running().wake()

    def dead_letter(
        self, lane: str, topic: str, payload: bytes, reason: str, on_durable: Callable[[], None] | None = None
    ) -> None:
        """Keep a message that cannot be decoded; counted in messages, apart from readings."""
        self._check()
        letter = (lane, topic, payload[: journal.PAYLOAD_KEPT], reason, self.clock.now_ns())
        self._arrivals.lay_aside(letter, on_durable)
        self._running().wake()

    def command(self, command: Command) -> bool:
        """Journal a command for the next tick; False when its id is known. Returns once it is durable."""

        def write(connection: sqlite3.Connection) -> bool:
            row = (
                command.id,
                command.kind,
                journal.json_text(command.body),
                command.actor,
                command.issued_ns,
            )
            sql = "INSERT OR IGNORE INTO commands (id, kind, body, actor, issued_ns) VALUES (?, ?, ?, ?, ?)"
            return connection.execute(sql, row).rowcount == 1

        def after(new: bool) -> bool:
            if new:
                self._commands.append(command)
            return new

        return bool(self._running().do(Work(write, after)).result())

    def host(self, pollable: Pollable) -> None:
        """Serve a source's socket in the storage thread, after `open`."""
        self._running().host(pollable)

    def close_tick(self, now_ns: int, epoch: Epoch | None = None) -> Tick:
        """Take what arrived at or before `now_ns` (a whole second); `commit_tick` makes it durable.

        An epoch takes all that has arrived, whatever its stamp: it is where stream time may jump. Of what
        waits in great numbers, such as after an outage of judging, a tick takes half a million readings.
        """
        if self._closing is not None:
            raise RuntimeError("the tick before this one was not committed")
        if epoch is None and now_ns <= self._closed_ns:
            raise ValueError("stream time moves forward within an epoch")
        closing: _Closing = self._running().ask(lambda: self._cut(now_ns, epoch)).result()
        readings = ReadingBatch.joined(self._readings_of(closing.rows)).sorted()
        readings = timely(readings, now_ns, self.channels.period_s, closing.clock_good)
        return Tick(now_ns, readings, closing.commands, epoch)

    def commit_tick(
        self, tick: Tick, changes: Sequence[Mapping[str, Any]], snapshot: State | None = None
    ) -> None:
        """One transaction: readings, boundary, commands, CloudEvents, snapshot; returns after its sync.

        A tick with nothing in it writes nothing. A disk that takes nothing is waited for: `while_waiting`.
        """
        closing = self._closing
        if closing is None or closing.now_ns != tick.now_ns:
            raise RuntimeError("only the tick that was closed last can be committed")
        self._closing = None
        if not (closing.rows or closing.commands or closing.epoch or changes or snapshot is not None):
            return
        state = None if snapshot is None else pack(snapshot)
        events = [_outbox_row(event, tick.now_ns) for event in changes]
        work = Work(lambda connection: self._write_tick(connection, closing, events, state))
        self._tick_id, self._upto = self._waited_for(self._running().do(work))
        for subscriber in self._subscribers:
            subscriber.set()

    def submit(self, work: Callable[[sqlite3.Connection], T], lazy: bool = False) -> "Future[T]":
        """Run `work` in the writer's next transaction, in its own savepoint; the future waits for the sync.

        `lazy` work costs no sync of its own: it rides with whatever is written next, within about a second.
        """
        return self._running().do(Work(work, lazy=lazy))

    def reader(self) -> sqlite3.Connection:
        """A new read-only connection, for one thread."""
        return journal.open_reader(self.folder)

    def subscribe(self) -> threading.Event:
        """An event that is set after each committed tick; the caller clears it."""
        event = threading.Event()
        self._subscribers.append(event)
        return event

    @property
    def closing_ns(self) -> int:
        """The moment of the tick that is closed and not yet committed; 0 where there is none."""
        return 0 if self._closing is None else self._closing.now_ns

    @property
    def is_running(self) -> bool:
        """Whether the storage thread writes; before `start` whoever calls writes himself."""
        return self._writer is not None and self._writer.is_running

    @property
    def failure(self) -> BaseException | None:
        """Why the journal can no longer be written, if so."""
        return None if self._writer is None else self._writer.failure

    def hurry(self) -> None:
        """From now on a disk that takes nothing ends the storage, and is not waited for. From any thread."""
        if (writer := self._writer) is not None:
            writer.hurry()

    @property
    def trouble(self) -> str:
        """Why nothing can be written at present; empty while all is well."""
        return "" if self._writer is None else self._writer.trouble

    def _waited_for(self, future: "Future[T]") -> T:
        while True:
            try:
                return future.result(WAITING_S)
            except FutureTimeout:
                if future.done():
                    raise
                self.while_waiting()

    def _readings_of(self, rows: Sequence[Stored]) -> list[ReadingBatch]:
        """Those of rows that are in the file alone are read from there."""
        cold = [row.id for row in rows if row.readings is None]
        found: dict[int, ReadingBatch] = {}
        if cold:
            with contextlib.closing(self.reader()) as connection:
                number = journal.listed(connection).numbers_in(self.channels)
                for id, _, _, readings in journal.stored_arrivals(connection, cold[0] - 1, cold[-1]):
                    found[id] = journal.joined_into([] if readings is None else [readings], number)
        known = [found.get(row.id) if row.readings is None else row.readings for row in rows]
        return [readings for readings in known if readings is not None]

    def _running(self) -> Writer:
        if self._writer is None:
            raise RuntimeError("the storage is not open")
        return self._writer

    def _check(self) -> None:
        if (failure := self._running().failure) is not None:
            raise StorageFailed(f"the journal cannot be written: {failure}") from failure

    def _cut(self, now_ns: int, epoch: Epoch | None) -> _Closing:
        """In the storage thread: what belongs to the tick."""
        if epoch is not None:
            self._clock_good = epoch.clock_good
        rows = self._arrivals.cut(now_ns, whatever=epoch is not None)
        commands, self._commands = tuple(self._commands), []
        self._closed_ns = now_ns
        self._closing = _Closing(now_ns, rows, commands, self._clock_good, epoch)
        return self._closing

    def _write_tick(
        self,
        connection: sqlite3.Connection,
        closing: _Closing,
        events: list[tuple[str, str, str, int]],
        state: bytes | None,
    ) -> tuple[int, int]:
        """In the transaction: the new last tick's id and the last arrival that belongs to it."""
        tick, upto = self._tick_id + 1, closing.rows[-1].id if closing.rows else self._upto
        epoch = None if closing.epoch is None else journal.epoch_text(closing.epoch)
        readings = sum(row.count for row in closing.rows)
        connection.execute(
            "INSERT INTO ticks VALUES (?, ?, ?, ?, ?, ?, ?)",
            (tick, closing.now_ns, self._upto, upto, readings, closing.clock_good, epoch),
        )
        if closing.commands:
            ids = [(tick, command.id) for command in closing.commands]
            connection.executemany("UPDATE commands SET tick = ? WHERE id = ?", ids)
        if events:
            connection.executemany(
                "INSERT OR IGNORE INTO outbox (event_id, grade, event, created_ns) VALUES (?, ?, ?, ?)",
                events,
            )
        if state is not None:
            connection.execute("INSERT INTO snapshots (tick, state) VALUES (?, ?)", (tick, state))
            connection.execute(
                "DELETE FROM snapshots WHERE id NOT IN (SELECT id FROM snapshots ORDER BY id DESC LIMIT 2)"
            )
        if time.monotonic() - self._pruned_s >= PRUNE_EVERY_S:
            self._pruned_s = time.monotonic()
            if (self.folder / journal.SUSPECT).exists():
                raise StorageFailed("the journal is damaged; start again, it is put right then")
            settle(connection)
            prune(connection, self._limits, closing.now_ns)
        return tick, upto

    def _ticks_after(self, after: int, upto: int) -> Iterator[Tick]:
        """The committed ticks in (after, upto], as the watch saw them."""
        with contextlib.closing(self.reader()) as connection:
            number = journal.listed(connection).numbers_in(self.channels)
            for stored in journal.stored_ticks(connection, after):
                if stored.id > upto:
                    return
                arrived = journal.stored_arrivals(connection, stored.after_arrival, stored.upto_arrival)
                batches = [readings for _, _, _, readings in arrived if readings is not None]
                readings = journal.joined_into(batches, number).sorted()
                readings = timely(readings, stored.now_ns, self.channels.period_s, stored.clock_good)
                commands = journal.commands_of(connection, stored.id)
                yield Tick(stored.now_ns, readings, commands, stored.epoch)


def _outbox_row(event: Mapping[str, Any], created_ns: int) -> tuple[str, str, str, int]:
    return (
        event["id"],
        event.get("data", {}).get("grade", ""),
        msgspec.json.encode(event).decode(),
        created_ns,
    )


def _last_snapshot(connection: sqlite3.Connection) -> tuple[State | None, int]:
    """The newest snapshot that can be read, and its tick; a damaged one leaves it to the one before."""
    for tick, state in connection.execute("SELECT tick, state FROM snapshots ORDER BY id DESC"):
        try:
            return unpack(state), tick
        except ValueError as error:
            log.warning("a damaged snapshot was left out, the one before it serves: %s", error)
    return None, 0
