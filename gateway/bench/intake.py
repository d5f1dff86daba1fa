"""Intake: from the wire to durable readings: Modbus answers, MQTT payloads, the journal."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from config.channels import Channel, ChannelTable
from config.profiles import Point, Profile
from gateway.bench.figures import Effort, Figure, cpu_us, side_by_side
from gateway.bench.site import district, seconds
from gateway.payloads import Decoder, Entry, Message
from gateway.registers import plan
from ingest.columns import encode
from ingest.readings import ReadingBatch
from ingest.storage import Storage
from ingest.wallclock import WallClock

FLOATS = 62  # of 32 bit: what one read of 125 registers holds
TOPIC = "watchline/v1/bench/{}/readings"
DEVICES = 20
WAIT_S = 60.0


def modbus(effort: Effort) -> Iterator[Figure]:
    """One answer of 124 registers with word-swapped floats, as pymodbus hands it over: a list of integers."""
    points = tuple(
        Point(f"v{number}", "voltage", "V", "holding", 2 * number, "float32", order="CDAB")
        for number in range(FLOATS)
    )
    profile = Profile(name="bench", title="bench", protocol="modbus", points=points)
    table = ChannelTable(
        [Channel(f"meter.{point.name}", "power", "meter", "voltage", "V", 1.0) for point in points]
    )
    (block,) = plan(profile, "meter", table)
    wire = np.linspace(218.0, 224.0, FLOATS).astype(">f4").tobytes()
    registers = np.frombuffer(wire, dtype=">u2").reshape(-1, 2)[:, ::-1].ravel().tolist()
    times = effort.of(5_000, 200)
    ours, floor = side_by_side(
        effort.of(5, 2),
        lambda: [block.decode(registers) for _ in range(times)],
        lambda: [np.frombuffer(wire, ">f4").astype(np.float64) for _ in range(times)],
    )
    each = 1.0 / (times * FLOATS)
    yield Figure(
        "modbus",
        "an answer of 62 floats decoded",
        ours * each,
        "us/reading",
        floor * each,
        "numpy.frombuffer of the same bytes",
    )


def payload(effort: Effort) -> Iterator[Figure]:
    """JSON messages of one value and of twenty, in groups as they come off a busy socket."""
    for values in (1, 20):
        yield _parsed(effort, values)


def _parsed(effort: Effort, values: int) -> Figure:
    table, messages = messages_of(500 // values + 1, values)
    decoder = Decoder(table, TOPIC.format("+"))
    plain = msgspec.json.Decoder(Entry | list[Entry]).decode
    times = effort.of(100, 5)
    ours, floor = side_by_side(
        effort.of(5, 2),
        lambda: [decoder.decode(messages, 1) for _ in range(times)],
        lambda: [plain(message.payload) for _ in range(times) for message in messages],
    )
    each = 1.0 / (times * len(messages) * values)
    name = f"MQTT payloads of {values} decoded"
    return Figure("payload", name, ours * each, "us/reading", floor * each, "msgspec alone")


def journal(effort: Effort) -> Iterator[Figure]:
    """Groups of readings until they are synced, through the storage thread that runs live."""
    for size in (100, 1_000, 5_000):
        yield from _journalled(effort, size, effort.of(300, 20))


def _journalled(effort: Effort, size: int, groups: int) -> Iterator[Figure]:
    table = district(size)
    batches = list(seconds(table, groups))
    blobs = [encode(batch, np.arange(size, dtype=np.int32)) for batch in batches]
    storage = Storage(effort.folder / f"journal-{size}", table, WallClock())
    storage.open()
    storage.start()
    begin = time.perf_counter()
    ours = cpu_us(lambda: _made_durable(storage, batches))
    wall_ms = (time.perf_counter() - begin) * 1e3
    storage.stop()
    floor = cpu_us(lambda: _appended(effort.folder / f"plain-{size}", blobs))
    each = 1.0 / (groups * size)
    yield Figure(
        "journal",
        f"groups of {size:,}: encoded, committed, synced",
        ours * each,
        "us/reading",
        floor * each,
        "the same bytes appended, fdatasync",
        note=f"{wall_ms / groups:.1f} ms wall a group",
    )
    yield Figure(
        "journal", f"groups of {size:,}: size in the journal", sum(map(len, blobs)) * each, "bytes/reading"
    )


def _made_durable(storage: Storage, batches: Sequence[ReadingBatch]) -> None:
    for batch in batches:
        synced = threading.Event()
        storage.deliver(batch, synced.set)
        storage.submit(lambda connection: None).result()
        synced.wait(WAIT_S)


def _appended(path: Path, blobs: list[bytes]) -> None:
    with path.open("ab", buffering=0) as file:
        for blob in blobs:
            file.write(blob)
            os.fdatasync(file.fileno())


def messages_of(count: int, values: int) -> tuple[ChannelTable, list[Message]]:
    """So many messages of so many values each, and the channels that they feed; twenty devices take turns."""
    return senders(values), list(messages(count, values))


def senders(values: int) -> ChannelTable:
    """The channels of `messages`."""
    return ChannelTable(
        [
            Channel(f"d{device}.v{point}", "gas", f"d{device}", "pressure", "kPa", 1.0)
            for device in range(DEVICES)
            for point in range(values)
        ]
    )


def messages(count: int, values: int) -> Iterator[Message]:
    """One after another, each at a time of its own."""
    points = [f"v{number}" for number in range(values)]
    topics = [TOPIC.format(f"d{device}") for device in range(DEVICES)]
    for number in range(count):
        entry = {"t": 1_767_542_400_000 + number, "v": dict.fromkeys(points, 300.0 + number % 100 / 10)}
        yield Message(topics[number % DEVICES], msgspec.json.encode(entry))
