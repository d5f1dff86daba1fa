"""Modbus against devices in other processes, two kinds of server, and against stubs that misbehave."""

import ast
import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gateway.sources.modbus
from config.channels import Channel, ChannelTable
from config.errors import SettingsError, SourceLost
from config.profiles import Point, Profile
from gateway.sources.base import Backoff, every
from gateway.sources.modbus import Modbus
from ingest.readings import BAD, GOOD, STAMPED, ReadingBatch
from tests.gateway.modbus_devices import device

PLACE = "gas.block3.riser"
POINTS = (
    Point("first", "flow", "m3/h", address=0),
    Point("second", "flow", "m3/h", address=1, scale=0.1),
    Point("far", "flow", "m3/h", address=150),
    *(
        Point(order.lower(), "flow", "m3/h", address=200 + 2 * i, type="float32", order=order)  # type: ignore[arg-type]
        for i, order in enumerate(("ABCD", "CDAB", "BADC", "DCBA"))
    ),
    Point("input", "flow", "m3/h", table="input", address=7),
    Point("coil", "valve_state", "1", table="coil", type="bit", address=3),
    Point("discrete", "valve_state", "1", table="discrete", type="bit", address=4),
)
EXPECTED = [100, 10.1, 250, *[float(np.float32(123.456))] * 4, 107, 1, 0]


def site(points: tuple[Point, ...] = POINTS) -> ChannelTable:
    return ChannelTable([Channel(f"{PLACE}.{p.name}", "gas", PLACE, p.quantity, p.unit, 1.0) for p in points])


def meter(port: int, points: tuple[Point, ...] = POINTS, **options: Any) -> Modbus:
    profile = Profile("meter", "A meter", "modbus", points)
    return Modbus(host="127.0.0.1", place=PLACE, profile=profile, port=port, **options)


class Listening:
    """A `deliver` that ends the source after so many batches."""

    def __init__(self, batches: int) -> None:
        self.batches: list[ReadingBatch] = []
        self.wanted = batches
        self.enough = asyncio.Event()

    def __call__(self, batch: ReadingBatch) -> None:
        self.batches.append(batch)
        if len(self.batches) >= self.wanted:
            self.enough.set()

    def now_ns(self) -> int:
        return int(asyncio.get_running_loop().time() * 1e9) + 1_760_000_000 * 10**9


def polled(source: Modbus, batches: int = 1, points: tuple[Point, ...] = POINTS) -> list[ReadingBatch]:
    """What the source delivers in its first polls; raises what it raises."""

    async def listen() -> list[ReadingBatch]:
        listening = Listening(batches)
        running = asyncio.create_task(source.run(site(points), listening))
        enough = asyncio.create_task(listening.enough.wait())
        await asyncio.wait([running, enough], timeout=20, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return listening.batches

    return asyncio.run(listen())


@contextlib.contextmanager
def stub_device(answer: Callable[[bytes], bytes | None]) -> Iterator[int]:
    """A stub that answers each request with any bytes at all (None: hangs up); its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                link, _ = server.accept()
            except OSError:
                return
            with link, contextlib.suppress(OSError):
                while request := link.recv(300):
                    reply = answer(request)
                    if reply is None:
                        break
                    link.sendall(reply)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


@pytest.mark.parametrize("library", ["pymodbus", "pymodbustcp"])
def test_every_table_type_and_byte_order_is_read_from_a_device_in_another_process(
    library: str, tmp_path: Path
) -> None:
    with device(tmp_path, library) as server:
        (batch,) = polled(meter(server.port))

    by_channel = dict(zip(batch.channel.tolist(), batch.value.tolist()))
    assert [by_channel[number] for number in range(len(POINTS))] == pytest.approx(EXPECTED)
    assert (batch.quality == GOOD).all()
    assert (batch.flags == STAMPED).all()
    assert len(set(batch.time_ns.tolist())) == 1, "one poll has one time"


def test_polls_follow_one_another_by_exactly_one_period(tmp_path: Path) -> None:
    with device(tmp_path) as server:
        batches = polled(meter(server.port, period_s=0.2), batches=6)

    times = [int(batch.time_ns[0]) for batch in batches]
    steps = np.diff(times[1:])  # the first poll comes at once and keeps no rhythm
    assert (steps % 200_000_000 == 0).all()
    assert (np.array(times[1:]) % 1_000_000 == 0).all(), "whole milliseconds, so that times compress well"


def test_a_point_with_a_longer_period_is_read_as_seldom_as_it_says(tmp_path: Path) -> None:
    points = (POINTS[0], replace(POINTS[2], period_s=60.0))
    with device(tmp_path) as server:
        batches = polled(meter(server.port, points, period_s=0.1), batches=5, points=points)

    assert batches[0].channel.tolist() == [0, 1]
    assert sum(1 in batch.channel for batch in batches) <= 2


def test_a_refused_block_is_bad_and_the_others_stay_good(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with device(tmp_path, "pymodbus", "--refuse", "150") as server:
        batches = polled(meter(server.port, period_s=0.1), batches=3)

    for batch in batches:
        bad = batch.channel[batch.quality == BAD].tolist()
        assert bad == [2]
        assert np.isnan(batch.value[batch.channel == 2]).all()
    told = [record for record in caplog.records if "illegal data address" in record.getMessage()]
    assert len(told) == 1, "the log tells of changes"
    assert PLACE in told[0].getMessage()


def test_a_device_that_lacks_the_registers_between_two_points_is_read_around_them(tmp_path: Path) -> None:
    points = (POINTS[0], replace(POINTS[1], address=6))
    with device(tmp_path, "pymodbus", "--refuse", "3") as server:
        batches = polled(meter(server.port, points, period_s=0.1), batches=2, points=points)

    assert all((batch.quality == GOOD).all() and len(batch) == 2 for batch in batches)


def test_a_busy_device_is_asked_again(tmp_path: Path) -> None:
    with device(tmp_path, "pymodbus", "--busy") as server:
        (batch,) = polled(meter(server.port, POINTS[:2]), points=POINTS[:2])

    assert batch.value.tolist() == pytest.approx([100, 10.1])


def test_a_device_slower_than_the_time_out_is_lost_and_says_so(tmp_path: Path) -> None:
    with device(tmp_path, "pymodbus", "--delay", "2") as server, pytest.raises(SourceLost, match=r"0\.2 s"):
        polled(meter(server.port, timeout_s=0.2))


def test_a_slow_device_within_its_time_out_is_read(tmp_path: Path) -> None:
    with device(tmp_path, "pymodbus", "--delay", "0.15") as server:
        batches = polled(meter(server.port, POINTS[:2], period_s=0.1), batches=3, points=POINTS[:2])

    times = np.array([batch.time_ns[0] for batch in batches])
    assert (np.diff(times) > 100_000_000).all(), "polls that could not be kept are left out, not made up for"


def test_nobody_at_the_address_is_a_lost_source() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with pytest.raises(SourceLost):
        polled(meter(port))


def mbap(request: bytes, pdu: bytes) -> bytes:
    """A frame that answers a request, with any content."""
    return request[:4] + (len(pdu) + 1).to_bytes(2, "big") + request[6:7] + pdu


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda request: b"HTTP/1.1 400 Bad Request\r\n\r\n", id="another protocol"),
        pytest.param(lambda request: b"\xff" * 300, id="noise"),
        pytest.param(lambda request: mbap(request, b"\x03\x04\x00\x01"), id="fewer bytes than promised"),
        pytest.param(lambda request: mbap(request, b"\x03"), id="no length"),
        pytest.param(lambda request: mbap(request, b"\x55\x01\x02"), id="an unknown function"),
        pytest.param(lambda request: mbap(request, b"\x83"), id="an exception without a code"),
        pytest.param(
            lambda request: request[:2] + b"\0\0\xff\xff\x01\x03\x02\0\1", id="a length that never comes"
        ),
        pytest.param(
            lambda request: b"\x77\x77" + mbap(request, b"\x03\x02\0\1")[2:], id="another request's answer"
        ),
        pytest.param(lambda request: request[:6] + b"\x09" + b"\x03\x02\0\1", id="another device's answer"),
        pytest.param(lambda request: None, id="hangs up"),
    ],
)
def test_an_answer_that_is_no_answer_loses_the_device_and_nothing_else(
    answer: Callable[[bytes], bytes | None],
) -> None:
    points = POINTS[:2]
    with stub_device(answer) as port, pytest.raises(SourceLost):
        polled(meter(port, points, timeout_s=0.3), points=points)


@pytest.mark.parametrize(
    "pdu",
    [
        pytest.param(b"\x03\x02\x00\x01", id="one register where two were asked for"),
        pytest.param(b"\x03\x00", id="none"),
        pytest.param(b"\x03\x03\x00\x01\x02", id="one and a half"),
        pytest.param(b"\x04\x04\x00\x01\x00\x02", id="of another function"),
        pytest.param(b"\x10\x00\x00\x00\x02", id="the answer to a write"),
        pytest.param(b"\x83\x63", id="an unknown exception"),
    ],
)
def test_a_well_formed_answer_to_something_else_reads_as_bad(pdu: bytes) -> None:
    points = POINTS[:2]
    with stub_device(lambda request: mbap(request, pdu)) as port:
        (batch,) = polled(meter(port, points, timeout_s=0.3), points=points)

    assert batch.quality.tolist() == [BAD, BAD]


def test_what_was_read_before_the_device_fell_silent_is_delivered() -> None:
    def once(request: bytes) -> bytes:
        return mbap(request, b"\x03\x02\x00\x64") if request[8:10] == b"\x00\x00" else b""

    points = (POINTS[0], POINTS[2])

    async def run() -> list[ReadingBatch]:
        listening = Listening(99)
        with pytest.raises(SourceLost):
            await meter(port, points, timeout_s=0.3).run(site(points), listening)
        return listening.batches

    with stub_device(once) as port:
        (batch,) = asyncio.run(run())

    assert batch.value.tolist() == [100]


def test_the_source_has_no_way_to_write() -> None:
    tree = ast.parse(Path(gateway.sources.modbus.__file__).read_text(encoding="utf-8"))
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}

    assert {name for name in called if name.startswith("read_")} == {
        "read_coils",
        "read_discrete_inputs",
        "read_holding_registers",
        "read_input_registers",
    }
    assert not {name for name in called if "write" in name or "execute" in name or "send" in name}


def test_options_that_cannot_work_are_refused_before_the_start() -> None:
    with pytest.raises(SettingsError) as caught:
        meter(502, period_s=0, timeout_s=-1)
    assert len(caught.value.mistakes) == 2
    with pytest.raises(SettingsError, match="for mqtt"):
        Modbus(host="h", place=PLACE, profile=Profile("band", "A band", "mqtt", POINTS))
    with pytest.raises(SettingsError, match=r"no channel of channels\.csv"):
        meter(502).check(ChannelTable([]))


def test_a_stalled_poll_is_not_made_up_for_in_a_burst() -> None:
    async def moments() -> list[int]:
        due: list[int] = []
        async for due_ns in every(0.1):
            due.append(due_ns)
            if len(due) == 3:
                time.sleep(0.45)  # a stall of the whole thread
            if len(due) == 6:
                break
        return due

    regular = np.array(asyncio.run(moments())[1:])

    assert (regular % 100_000_000 == 0).all()
    steps = np.diff(regular)
    assert steps[1] >= 400_000_000, "the moments of the stall are left out"
    assert (steps >= 100_000_000).all()


def test_polls_go_on_when_the_clock_is_set_back() -> None:
    set_back_ns = [0]

    async def moments() -> list[int]:
        due: list[int] = []
        async for due_ns in every(0.1, lambda: time.time_ns() - set_back_ns[0]):
            due.append(due_ns)
            if len(due) == 3:
                set_back_ns[0] = 3600 * 10**9
            if len(due) == 6:
                break
        return due

    due = asyncio.run(asyncio.wait_for(moments(), 10))

    assert due[2] - due[5] > 3500 * 10**9


def test_pauses_between_attempts_grow_and_differ() -> None:
    backoff = Backoff(shortest_s=1, longest_s=8)

    pauses = [backoff.pause_s() for _ in range(10)]

    for pause, whole in zip(pauses, [1, 2, 4, 8, 8, 8, 8, 8, 8, 8]):
        assert whole / 2 <= pause <= whole
    assert len(set(pauses)) == len(pauses)
    backoff.reset()
    assert backoff.pause_s() <= 1
