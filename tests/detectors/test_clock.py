"""A device whose clock is wrong is told from one that is slow, held up, or heard by a wrong gateway."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.channels import Channel, ChannelTable
from config.snapshot import Keyed, pack, unpack
from detectors.clock import Clock
from detectors.findings import ALARM, CALM
from ingest.readings import ReadingBatch

S = 10**9
T0 = 1_767_600_000
TABLE = ChannelTable(
    [
        *(Channel(f"gas.p{n}.pressure", "gas", f"gas.p{n}", "pressure", "kPa", 10.0) for n in range(3)),
        Channel("gas.p0.flow", "gas", "gas.p0", "flow", "m3/h", 60.0),
        Channel("w1.heart_rate", "wristband", "person-1", "heart_rate", "/min", 10.0),
        Channel("w1.battery", "wristband", "person-1", "battery", "%", 3600.0),
    ]
)
P0, P1, P2, FLOW, BEAT, BATTERY = range(6)


class Watched:
    """Clock over the table, fed a tick at a time; a device is known by the first of its channels."""

    def __init__(self, clock: Clock | None = None, table: ChannelTable = TABLE) -> None:
        self.clock = clock or Clock()
        self.points = self.clock.points(table)
        self.memory = self.clock.fresh_memory(table)
        self.severity = np.zeros(len(self.points), dtype=np.uint8)
        self.last: Any = None

    def hear(self, now_s: float, *readings: tuple[int, float]) -> None:
        """(channel, delay in seconds: + is behind) of readings that arrive now."""
        channel = [channel for channel, _ in readings]
        time_ns = [round((now_s - delay) * S) for _, delay in readings]
        found = self.clock.judge(
            ReadingBatch.of(channel, time_ns, 1.0).sorted(), round(now_s * S), self.memory
        )
        if found is not None:
            self.last = found
            self.severity = np.where(found.heard, found.severity, self.severity)

    def run(
        self, minutes: float, *readings: tuple[int, float], start: float = T0, every_s: float = 10.0
    ) -> float:
        """The same readings again and again; the moment behind the last."""
        for now_s in np.arange(start, start + 60 * minutes, every_s):
            self.hear(float(now_s), *readings)
        return start + 60 * minutes

    def of(self, channel: int) -> int:
        return int(self.severity[self.points.channel.tolist().index(channel)])


def test_devices_are_what_channels_are_named_after() -> None:
    assert Clock().points(TABLE).channel.tolist() == [P0, P1, P2, BEAT]


@pytest.mark.parametrize("offset_s", [3600.0, -3600.0, 8 * 3600.0, -8 * 3600.0, 70.0, -100.0])
def test_a_lasting_offset_is_found_and_only_that_device(offset_s: float) -> None:
    watched = Watched()
    now = watched.run(9.0, (P0, 0.3), (P1, -offset_s), (BEAT, 0.5))
    assert not watched.severity.any(), "it must last"
    watched.run(4.0, (P0, 0.3), (P1, -offset_s), (BEAT, 0.5), start=now)

    assert watched.of(P1) == ALARM
    assert watched.severity.sum() == ALARM
    words = watched.last.explain(1)
    assert f"{abs(offset_s):.0f} s {'ahead of' if offset_s > 0 else 'behind'} the gateway's" in words.sentence
    assert words.direction == np.sign(offset_s)
    assert words.numbers == {"offset_s": offset_s}
    assert watched.last.score[1] > 0.58


def test_of_a_wristband_nothing_is_told_in_numbers() -> None:
    watched = Watched()
    watched.run(15.0, (BEAT, 1800.0))
    words = watched.last.explain(3)
    assert not any(letter.isdigit() for letter in words.sentence)
    assert not words.numbers
    assert words.observed is None


def test_a_clock_that_was_set_is_right_again() -> None:
    watched = Watched()
    now = watched.run(15.0, (P1, -300.0))
    assert watched.of(P1) == ALARM
    watched.run(3.0, (P1, 0.2), start=now)
    assert watched.of(P1) == CALM


def test_silence_neither_raises_nor_clears() -> None:
    watched = Watched()
    now = watched.run(15.0, (P1, -300.0), (P0, 0.0))
    now = watched.run(30.0, (P0, 0.0), start=now)
    assert watched.of(P1) == ALARM


def test_a_backlog_that_drains_is_not_a_wrong_clock() -> None:
    watched = Watched()
    watched.run(5.0, (P1, 0.2))
    now, delay = T0 + 300.0 + 7200.0, 7200.0  # two hours of readings, ten times as fast as they were taken
    while delay > 0:
        watched.hear(now, (P1, delay))
        now, delay = now + 1.0, delay - 9.0
        assert watched.of(P1) == CALM
    watched.run(15.0, (P1, 0.2), start=now)
    assert watched.of(P1) == CALM


def test_who_collects_and_sends_now_and_then_is_not_wrong() -> None:
    watched = Watched()
    for minute in range(
        0, 240, 15
    ):  # an hour's battery level, and ten-second readings of a quarter of an hour
        watched.hear(
            T0 + 60.0 * minute, *((BEAT, age) for age in np.arange(2.0, 900.0, 10.0)), (BATTERY, 1700.0)
        )
    assert not watched.severity.any()


def test_a_rare_sender_with_a_wrong_clock_is_found_in_time() -> None:
    table = ChannelTable([Channel("m.level", "water", "m", "level", "m", 900.0)])
    watched = Watched(table=table)
    watched.run(80.0, (0, -600.0), every_s=900.0)
    assert watched.of(0) == ALARM


def test_a_gateway_whose_own_clock_is_bad_accuses_nobody() -> None:
    watched = Watched()
    watched.clock.restart(watched.memory, clock_good=False)
    now = watched.run(30.0, (P1, -1e9))
    assert not watched.severity.any()
    watched.clock.restart(watched.memory, clock_good=True)
    watched.run(30.0, (P1, 0.1), start=now)
    assert not watched.severity.any()


def test_a_step_of_our_own_clock_is_not_theirs() -> None:
    watched = Watched()
    now = watched.run(30.0, (P0, 0.1), (P1, 0.1))
    watched.clock.restart(watched.memory, clock_good=True)
    watched.run(30.0, (P0, 0.1), (P1, 0.1), start=now - 3600.0)
    assert not watched.severity.any()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([P0, P1, BEAT]), st.floats(-4000, 4000)), min_size=1, max_size=60),
    st.integers(0, 60),
)
def test_it_goes_on_from_a_snapshot_as_if_nothing_had_been(said: list[tuple[int, float]], cut: int) -> None:
    one, other = Watched(), Watched()
    for step, reading in enumerate(said):
        if step == cut:
            keys = tuple(map(str, range(len(other.points))))
            saved = unpack(pack({name: Keyed(keys, array) for name, array in other.memory.items()}))
            other.memory = {name: row.array for name, row in saved.items() if isinstance(row, Keyed)}
        now_s = T0 + 37.0 * step
        one.hear(now_s, reading)
        other.hear(now_s, reading)
        assert one.severity.tolist() == other.severity.tolist()
    assert all(np.array_equal(one.memory[name], other.memory[name], equal_nan=True) for name in one.memory)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.0, 60.0), min_size=10, max_size=200))
def test_no_delay_within_reason_accuses_anybody(delays: list[float]) -> None:
    watched = Watched()
    for step, delay in enumerate(delays):
        watched.hear(T0 + 10.0 * step, (P1, delay))
    assert not watched.severity.any()


def test_narrowed_it_watches_only_its_own() -> None:
    clock = Clock(ahead_s=5.0).over(np.array([P1, P2], dtype=np.int32))
    watched = Watched(clock)
    watched.run(15.0, (P0, -300.0), (P1, -10.0), (P2, -4.0))
    assert watched.points.channel.tolist() == [P1, P2]
    assert watched.severity.tolist() == [ALARM, CALM]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-100, 100)), min_size=1, max_size=40))
def test_how_channels_are_ordered_means_nothing(said: list[tuple[int, float]]) -> None:
    ids = ["a.x", "a.y", "b.x", "c.x", "b.y", "a.z"]
    tables = [
        ChannelTable([Channel(id, "gas", "p", "pressure", "kPa", 1.0) for id in order])
        for order in (ids, sorted(ids))
    ]
    found = []
    for table in tables:
        watched = Watched(table=table)
        watched.hear(T0, *((table.number[ids[n]], delay) for n, delay in said))
        watched.hear(T0 + 60.0, *((n, 0.0) for n in range(6)))
        clocks = watched.clock.clocks(watched.memory)
        found.append({clock.device: clock.offset_s for clock in clocks})
    assert found[0] == pytest.approx(found[1])
