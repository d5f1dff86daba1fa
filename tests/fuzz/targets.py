"""Targets: each takes any bytes, hands them to the house, and raises where a promise is broken.

What is allowed to be raised is caught here; all else is a bug, and is seen.
"""

import atexit
import contextlib
import gc
import logging
import os
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from config.channels import Channel, ChannelTable
from config.errors import SettingsError
from config.load import read_centre, read_channels, read_gateway, read_links
from config.profiles import read_profile
from config.snapshot import unpack
from gateway.payloads import Decoder, Message
from ingest import columns, journal
from ingest.journal import FILE_NAME
from ingest.ledger import ledger_of, read_ledger
from ingest.readings import BAD, ReadingBatch
from ingest.storage import Storage, StorageFailed
from ingest.ticks import SECOND_NS, Epoch
from ingest.wallclock import WallClock

Target = Callable[[bytes], None]

NOW_NS = 1_760_000_123_456_789_000
EARLIEST_NS, LATEST_NS = 946_684_800 * SECOND_NS, 4_102_444_800 * SECOND_NS  # the years 2000 to 2100
TOPIC = "watchline/v1/east/+/readings"
DEVICES = ("band-1", "gas.block3.riser", "nobody", "")
SITE = ChannelTable(
    [
        Channel(f"band-1.{point}", "wristband", "person-1", point, unit, 60.0)
        for point, unit in (("heart_rate", "/min"), ("spo2", "%"), ("sos", "1"), ("skin_temperature", "Cel"))
    ]
    + [Channel("gas.block3.riser.pressure", "gas", "gas.block3.riser", "pressure", "kPa", 1.0, 0.01)]
)
NEXT_MESSAGE = b"\n\n"
SETTLE_EVERY = 200  # payloads that are written together
RENEW_EVERY = 20_000  # payloads after which a fresh journal is begun, so that the disk does not fill
MOST_LINES = 500  # of mistakes that a settings file is told of


def fast_folder(name: str) -> Path:
    """A folder of this process, in memory where that is possible; gone at its end."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix=f"watchline-fuzz-{name}-", dir=parent))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Payloads:
    """The first byte chooses the device and whether the broker had kept the message; the rest is payloads."""

    def __init__(self) -> None:
        logging.disable(logging.CRITICAL)
        self._decoder = Decoder(SITE, TOPIC, band=read_profile("wristband"))
        self._folder = fast_folder("payloads")
        self._cases = 0
        self._storage: Storage | None = None
        self._received = self._dead = 0

    def __call__(self, data: bytes) -> None:
        device = DEVICES[data[0] % len(DEVICES)] if data else DEVICES[0]
        retained = bool(data and data[0] & 0x80)
        topic = TOPIC.replace("+", device)
        messages = [Message(topic, payload, retained) for payload in data[1:].split(NEXT_MESSAGE)]
        decoded = self._decoder.decode(messages, NOW_NS)
        self._sound(decoded.readings)
        dead = [number for number, _ in decoded.dead]
        assert dead == sorted(set(dead))
        assert all(0 <= number < len(messages) for number in dead)
        assert len(dead) == len(messages) or len(decoded.readings), "a message came to nothing unnoticed"
        storage = self._open()
        for _, left in decoded.left:
            storage.drop(device, left.readings, left.reason)
        for number, why in decoded.dead:
            storage.dead_letter(device, topic, messages[number].payload, why.reason)
        if len(decoded.readings):
            storage.deliver(decoded.readings, None, "mqtt")
        self._received += len(decoded.readings) + sum(left.readings for _, left in decoded.left)
        self._dead += len(dead)
        self._cases += 1
        if self._cases % SETTLE_EVERY == 0:
            self.settle()

    def settle(self) -> None:
        """Sync, and see that the books balance; a new journal now and then."""
        storage = self._open()
        storage.submit(lambda connection: None).result()
        with contextlib.closing(storage.reader()) as connection:
            ledger = ledger_of(connection)
        assert ledger.balanced, ledger.table()
        assert ledger.total.received == self._received, (ledger.total, self._received)
        assert sum(ledger.total.undecodable.values()) == self._dead
        if self._cases >= RENEW_EVERY:
            storage.stop()
            shutil.rmtree(self._folder)
            self._storage, self._cases, self._received, self._dead = None, 0, 0, 0

    def _open(self) -> Storage:
        if self._storage is None:
            self._storage = Storage(self._folder, SITE, WallClock())
            self._storage.open()
        return self._storage

    @staticmethod
    def _sound(readings: ReadingBatch) -> None:
        assert len({len(column) for column in (readings.channel, readings.time_ns, readings.value)}) == 1
        assert ((readings.channel >= 0) & (readings.channel < len(SITE))).all()
        assert ((readings.time_ns >= EARLIEST_NS) & (readings.time_ns < LATEST_NS)).all()
        assert (np.isfinite(readings.value) | (readings.quality == BAD)).all()


class Blobs:
    """A journal's blobs: as they are, or (first byte odd) sealed anew so that damage reaches the columns."""

    def __call__(self, data: bytes) -> None:
        if data and data[0] % 2 and len(data) > 7:
            form, unit, count = struct.unpack_from("<BBI", data, 1)
            body = data[7:]
            checksum = columns._checksum(form, unit, count, body)
            data = columns.HEADER.pack(columns.MAGIC, form, unit, count, checksum) + body
        with contextlib.suppress(ValueError):
            unpack(data)
        try:
            batch = columns.decode(data)
        except columns.Damaged:
            return
        widths = {len(getattr(batch, name)) for name in ("channel", "time_ns", "value", "quality", "flags")}
        assert len(widths) == 1
        if not len(batch) or (batch.channel < 0).any() or (batch.channel > 1 << 16).any():
            return
        batch = batch.where(np.argsort(batch.channel, kind="stable"))  # as large groups are kept
        again = columns.decode(columns.encode(batch, np.arange((1 << 16) + 1, dtype=np.int32)))
        for name in ("channel", "time_ns", "quality", "flags"):
            assert np.array_equal(getattr(again, name), getattr(batch, name)), name
        assert np.array_equal(again.value, batch.value, equal_nan=True)


def small_journal(folder: Path) -> bytes:
    """A journal of everything: readings in both forms, commands, epochs, alerts, a snapshot, dead letters."""
    storage = Storage(folder, SITE, WallClock())
    storage.open()
    now_ns = WallClock().next_tick_ns()
    for second in range(6):
        numbers = np.arange(3 if second % 2 else 90)
        batch = ReadingBatch.of(numbers % len(SITE), NOW_NS + numbers * 1_000_003, numbers / 7)
        storage.deliver(batch, None, "mqtt")
        storage.dead_letter("mqtt", "topic", b"{", "not JSON")
        now_ns += SECOND_NS
        tick = storage.close_tick(now_ns, Epoch("start") if second == 0 else None)
        storage.commit_tick(tick, [{"id": f"{second}-1", "data": {"grade": "P1"}}], {"a": second})
    storage.stop()
    with contextlib.closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    return (folder / FILE_NAME).read_bytes()


def patched(whole: bytes, data: bytes) -> bytes:
    """`data` in fives: where (4 bytes), and what to write there; a first byte of 255 cuts the file off."""
    content = bytearray(whole)
    if data[:1] == b"\xff" and len(data) >= 5:
        del content[int.from_bytes(data[1:5], "little") % len(content) :]
        data = data[5:]
    for at in range(0, len(data) - 4, 5):
        if content:
            content[int.from_bytes(data[at : at + 4], "little") % len(content)] = data[at + 4]
    return bytes(content)


class Journals:
    """A damaged journal, in memory: whoever reads it finds less, or is told that it is damaged."""

    def __init__(self) -> None:
        logging.disable(logging.CRITICAL)
        self._whole = small_journal(fast_folder("journals"))

    def __call__(self, data: bytes) -> None:
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(patched(self._whole, data) or bytes(1))
            for read in (self._read_channels, self._read_ticks, self._read_recent, self._read_ledger):
                with contextlib.suppress(sqlite3.Error, UnicodeDecodeError, StorageFailed):
                    read(connection)

    @staticmethod
    def _read_channels(connection: sqlite3.Connection) -> None:
        journal.listed(connection).numbers_in(SITE)

    @staticmethod
    def _read_ticks(connection: sqlite3.Connection) -> None:
        for tick in journal.stored_ticks(connection, 0):
            journal.commands_of(connection, tick.id)
            for _ in journal.stored_arrivals(connection, tick.after_arrival, tick.upto_arrival):
                pass

    @staticmethod
    def _read_recent(connection: sqlite3.Connection) -> None:
        for _ in journal.recent_arrivals(connection):
            pass

    @staticmethod
    def _read_ledger(connection: sqlite3.Connection) -> None:
        ledger_of(connection).table()


class Openings:
    """A damaged journal on a disk: the start takes over what can be read, counts the rest, and goes on."""

    def __init__(self) -> None:
        logging.disable(logging.CRITICAL)
        self._whole = small_journal(fast_folder("openings"))
        self._folder = fast_folder("openings")

    def __call__(self, data: bytes) -> None:
        shutil.rmtree(self._folder)
        self._folder.mkdir()
        (self._folder / FILE_NAME).write_bytes(patched(self._whole, data))
        for _ in range(3):  # a life that meets damage may end; the next one puts it right
            if self._lived():
                break
            gc.collect()  # a life ends with its process: nothing of it may hold the file
        else:
            raise AssertionError("three lives did not put it right")
        read_ledger(self._folder).table()  # a figure that damage changed may show as an imbalance

    def _lived(self) -> bool:
        try:
            self._live()
        except StorageFailed:
            return False
        return True

    def _live(self) -> None:
        storage = Storage(self._folder, SITE, WallClock())
        try:
            recovery = storage.open()
            for _ in recovery.ticks:
                pass
            storage.deliver(ReadingBatch.of([0], [NOW_NS], [1.0]), None, "mqtt")
            now_ns = max(WallClock().next_tick_ns(), recovery.last_tick_ns + SECOND_NS)
            storage.commit_tick(storage.close_tick(now_ns, Epoch("start")), [], {"a": 1})
        finally:
            storage.stop()


class Settings:
    """The first byte chooses the file that the rest is; whatever it says, every mistake is a sentence."""

    READERS = (
        ("gateway.toml", read_gateway),
        ("centre.toml", read_centre),
        ("channels.csv", read_channels),
        ("links.csv", lambda path: read_links(path, SITE)),
    )

    def __init__(self) -> None:
        self._folder = fast_folder("settings")

    def __call__(self, data: bytes) -> None:
        name, read = self.READERS[data[0] % len(self.READERS) if data else 0]
        path = self._folder / name
        path.write_bytes(data[1:])
        try:
            read(path)
        except SettingsError as error:
            assert error.mistakes
            assert all(mistake and "\n" not in mistake for mistake in error.mistakes), error.mistakes


TARGETS: dict[str, Callable[[], Target]] = {
    "payloads": Payloads,
    "blobs": Blobs,
    "journals": Journals,
    "openings": Openings,
    "settings": Settings,
}


def seeds(name: str) -> Iterator[bytes]:
    """Cases from which a fuzzer starts."""
    examples = Path(__file__).resolve().parents[2] / "docs" / "examples"
    if name == "payloads":
        yield b'\0{"t": 1760000000012, "v": {"heart_rate": 71, "sos": true, "spo2": 0}}'
        yield b'\1[{"t": "2025-10-09T12:00:00Z", "v": {"pressure": 2.01}}, {"v": {"pressure": NaN}}]'
        yield b'\x80{"v": {"heart_rate": 255}}\n\n{"t": null, "v": {"skin_temperature": 36.4e0}}'
    elif name == "blobs":
        for size in (3, 90):
            numbers = np.arange(size)
            batch = ReadingBatch.of(numbers % 5, NOW_NS + numbers * 1_000_000, numbers / 8)
            blob = columns.encode(batch, np.arange(5, dtype=np.int32))
            yield b"\0" + blob
            yield b"\1" + struct.pack("<BBI", blob[2], blob[3], size) + blob[columns.HEADER.size :]
    elif name in ("journals", "openings"):
        yield b"\xff\0\x10\0\0"
        yield b"\0\0\0\0\0" * 3
    else:
        for number, (file, _) in enumerate(Settings.READERS):
            yield bytes([number]) + (examples / file).read_bytes()
