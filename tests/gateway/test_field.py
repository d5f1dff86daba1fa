"""Field: devices are read side by side; one that is dead, slow or broken costs the others nothing."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from config.channels import Channel, ChannelTable
from config.errors import SettingsError, SourceLost
from config.profiles import Point, Profile
from gateway.field import Field
from gateway.sources.base import Deliver, Source
from gateway.sources.modbus import Modbus
from ingest.readings import ReadingBatch
from tests.gateway.modbus_devices import device
from tests.gateway.recorder import Recorder, eventually, steps_s
from tests.parts import free_port

METER = Profile("meter", "A meter", "modbus", (Point("flow", "flow", "m3/h", address=5),))
SITE = ChannelTable(
    [Channel(f"{place}.flow", "gas", place, "flow", "m3/h", 0.1) for place in ("a", "b", "c")]
)


def meter(place: str, port: int, **options: float) -> Modbus:
    return Modbus("127.0.0.1", place, METER, port, period_s=0.1, **options)  # type: ignore[arg-type]


@contextlib.contextmanager
def reading(sources: Sequence[Source]) -> Iterator[tuple[Field, Recorder]]:
    recorder = Recorder()
    field = Field(sources, SITE, recorder, time.time_ns)
    field.start()
    try:
        yield field, recorder
    finally:
        field.stop()


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@dataclass
class HardOfHearing:
    """A source that misses the first time it is told to end, as `asyncio.wait_for` may before Python 3.12."""

    told: int = 0

    async def run(self, channels: ChannelTable, deliver: Deliver) -> None:
        while True:
            try:
                await asyncio.sleep(3600.0)
            except asyncio.CancelledError:
                self.told += 1
                if self.told > 1:
                    raise


def test_a_source_that_misses_that_it_should_end_is_told_again() -> None:
    source = HardOfHearing()
    with reading([source]):
        time.sleep(0.05)

    assert source.told == 2


def test_a_dead_and_a_mute_device_cost_the_one_beside_them_nothing(tmp_path: Path, black_hole: int) -> None:
    with device(tmp_path) as live:
        sources = [meter("a", free_port()), meter("b", live.port), meter("c", black_hole, timeout_s=0.5)]
        with reading(sources) as (field, recorder):
            eventually(lambda: len(recorder.of(1)) >= 12)

        readings = recorder.readings
        assert set(readings.channel.tolist()) == {1}, "silence is not delivered"
        assert (readings.value == 105).all()
        assert np.median(steps_s(readings)[1:]) == pytest.approx(0.1)
        assert [standing.up for standing in field.standings] == [False, True, False]
        assert "0.5 s" in field.standings[2].trouble
        assert "(a)" in field.trouble
        assert "(b)" not in field.trouble
        assert set(recorder.lanes) == {"modbus"}


def test_a_device_that_restarts_is_read_again_and_the_log_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gateway")
    with device(tmp_path) as server, reading([meter("a", server.port, timeout_s=0.5)]) as (field, recorder):
        eventually(lambda: len(recorder.batches))
        server.kill()
        eventually(lambda: not field.standings[0].up)
        time.sleep(1.5)  # several attempts in vain
        before = len(recorder.of(0))
        server.start()
        eventually(lambda: len(recorder.of(0)) > before + 3)

    told = [r.getMessage() for r in caplog.records if r.name == "gateway.field"]
    assert ["is read" in told[0], "is lost" in told[1], "is back" in told[2]] == [True] * 3
    assert len(told) == 3
    assert f"127.0.0.1:{server.port}" in told[1]


def test_a_mute_device_is_lost_once_however_often_it_is_tried(
    black_hole: int, caplog: pytest.LogCaptureFixture
) -> None:
    with reading([meter("a", black_hole, timeout_s=0.1)]):
        time.sleep(2.0)

    assert len([r for r in caplog.records if "is lost" in r.getMessage()]) == 1


def test_a_broken_source_is_seen_and_is_its_own_loss_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    @dataclass(frozen=True)
    class Broken:
        async def run(self, channels: ChannelTable, deliver: Deliver) -> None:
            raise ZeroDivisionError("a bug")

    with device(tmp_path) as server, reading([Broken(), meter("b", server.port)]) as (_, recorder):
        eventually(lambda: len(recorder.of(1)) > 3)

    (told, *_) = [r for r in caplog.records if "is lost" in r.getMessage()]
    assert told.exc_info is not None
    assert "ZeroDivisionError" in told.getMessage()


def test_many_small_batches_reach_the_store_as_few() -> None:
    @dataclass(frozen=True)
    class Chatty:
        lane = "chat"

        async def run(self, channels: ChannelTable, deliver: Deliver) -> None:
            for number in range(100):
                deliver(ReadingBatch.of([0], deliver.now_ns(), [number]))
            raise SourceLost("it hung up")

    with reading([Chatty()]) as (_, recorder):
        eventually(lambda: len(recorder.readings) >= 100)

    assert recorder.readings.value[:100].tolist() == list(range(100)), "in the order in which they came"
    assert len(recorder.batches) < 10
    assert set(recorder.lanes) == {"chat"}


def test_what_was_read_last_is_handed_over_when_the_field_stops() -> None:
    @dataclass(frozen=True)
    class Once:
        async def run(self, channels: ChannelTable, deliver: Deliver) -> None:
            deliver(ReadingBatch.of([0], deliver.now_ns(), [1.0]))
            await asyncio.Event().wait()

    with reading([Once()]) as (field, recorder):
        eventually(lambda: field.standings[0].readings)
    assert len(recorder.readings) == 1


def test_sources_that_do_not_fit_the_channels_are_all_named_before_the_start() -> None:
    with pytest.raises(SettingsError) as caught:
        Field([meter("x", 1), meter("a", 2), meter("y", 3)], SITE, Recorder(), time.time_ns)

    assert len(caught.value.mistakes) == 2
    assert "127.0.0.1:1" in caught.value.mistakes[0]
