"""Levels are judged on every reading, at once, and by what was measured last."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.channels import Channel, ChannelTable
from config.snapshot import Keyed, pack, unpack
from detectors.base import Memory
from detectors.findings import ALARM, CALM, WARNING, Findings
from detectors.limits import Limits
from ingest.readings import BAD, CONFLICT, EARLY, GOOD, LATE, STAMPED, UNCERTAIN, ReadingBatch
from tests.detectors.twin_limits import Reading, TwinLimits, scores

S = 10**9
MIN = 60 * S
T0 = 1_767_600_000 * S  # 2026-01-05, a Monday


def channel(id: str, quantity: str, unit: str, **more: Any) -> Channel:
    medium, place = id.split(".")[:2]
    return Channel(id, medium, place, quantity, unit, more.pop("period_s", 60.0), **more)


WELL = channel("gas.well.ch4", "ch4", "%{LEL}")
MAIN = channel("gas.main.pressure", "pressure", "kPa", nominal=300.0)
SUPPLY = channel("power.box.voltage", "voltage", "V", nominal=220.0)
SAG = channel("power.box.voltage_min", "voltage_min", "V", nominal=220.0)
HEART = channel("wristband.band7.heart_rate", "heart_rate", "/min")
STEPS = channel("wristband.band7.steps", "steps", "{steps}/min")
WRIST = channel("wristband.band7.on_wrist", "on_wrist", "1", period_s=300.0)
SOS = channel("wristband.band7.sos", "sos", "1")
FLOW = channel("water.dma.flow", "flow", "m3/h")
SITE = (WELL, MAIN, SUPPLY, SAG, HEART, STEPS, WRIST, SOS, FLOW)


class Watched:
    """Limits over some channels, fed tick by tick."""

    def __init__(self, *channels: Channel, limits: Limits | None = None) -> None:
        self.table = ChannelTable(channels)
        self.limits = limits or Limits()
        self.points = self.limits.points(self.table)
        self.memory: Memory = self.limits.fresh_memory(self.table)
        self.now_ns = T0
        self.last: Findings | None = None

    def tick(self, *readings: tuple[Any, ...]) -> Findings | None:
        """Readings (channel, seconds after T0, value, quality, flags); the tick is a second later."""
        if readings:
            self.now_ns = max(self.now_ns, T0 + round(max(r[1] for r in readings) * S)) + S
        rows = [(*r, *(GOOD, STAMPED)[len(r) - 3 :]) for r in readings]
        batch = ReadingBatch.of(
            [self.table.number[r[0].id] for r in rows],
            [T0 + round(r[1] * S) for r in rows],
            [r[2] for r in rows],
            [r[3] for r in rows],
            self.now_ns,
            [r[4] for r in rows],
        ).sorted()
        self.last = self.limits.judge(batch, self.now_ns, self.memory)
        return self.last

    def severity(self, rule: str, of: Channel) -> int:
        assert self.last is not None
        return int(self.last.severity[self.point(rule, of)])

    def point(self, rule: str, of: Channel) -> int:
        number = self.table.number[of.id]
        return next(
            p for p, r in enumerate(self.points.rule) if r == rule and self.points.channel[p] == number
        )


def test_reaching_the_level_alarms_and_only_the_deadband_ends_it() -> None:
    well = Watched(WELL)
    seen = []
    for minute, value in enumerate((24.9, 25.0, 24.0, 23.0, 22.99, 24.9)):
        well.tick((WELL, minute * 60, value))
        seen.append(well.severity("gas.ch4.high", WELL))
    assert seen == [CALM, WARNING, WARNING, WARNING, CALM, CALM]


def test_low_levels_mirror_high_ones() -> None:
    supply = Watched(SUPPLY)
    seen = []
    for minute, value in enumerate((198.1, 198.0, 200.2, 200.21)):
        supply.tick((SUPPLY, minute * 60, value))
        seen.append(supply.severity("power.voltage.low", SUPPLY))
    assert seen == [CALM, ALARM, ALARM, CALM]


def test_a_voltage_minimum_below_a_twentieth_is_an_interruption_and_above_it_a_sag() -> None:
    supply = Watched(SAG)
    seen = []
    for minute, value in enumerate((198.1, 130.0, 11.1, 11.0, 15.3, 15.5, 202.3, 202.5)):
        supply.tick((SAG, minute * 60, value))
        seen.append([supply.severity(f"power.voltage_min.{level}", SAG) for level in ("low", "low_low")])
    both, sag = [ALARM, ALARM], [ALARM, CALM]
    assert seen == [[CALM, CALM], sag, sag, both, both, sag, sag, [CALM, CALM]]
    assert supply.points.kind[supply.point("power.voltage_min.low_low", SAG)] == "interruption"


def test_the_second_gas_level_latches_at_once_and_the_first_is_a_warning() -> None:
    well = Watched(WELL)
    well.tick((WELL, 0, 52.0))
    second = well.point("gas.ch4.high_high", WELL)
    assert well.severity("gas.ch4.high", WELL) == WARNING
    assert well.severity("gas.ch4.high_high", WELL) == ALARM
    assert well.points.latching[second]
    assert well.points.on_delay_s[second] == 0
    assert well.points.on_samples[second] == 1


def test_a_transient_within_a_tick_is_not_hidden() -> None:
    well = Watched(WELL)
    well.tick((WELL, 0, 1.0), (WELL, 0.2, 60.0), (WELL, 0.4, 1.0))
    assert well.severity("gas.ch4.high_high", WELL) == ALARM
    well.tick((WELL, 1, 1.0))
    assert well.severity("gas.ch4.high_high", WELL) == CALM


def test_a_pressure_spike_that_came_back_within_the_tick_calls_nobody() -> None:
    main = Watched(MAIN)
    main.tick((MAIN, 0, 300.0), (MAIN, 0.2, 500.0), (MAIN, 0.4, 300.0))
    assert main.severity("gas.pressure.high_high", MAIN) == CALM
    assert main.points.on_samples[main.point("gas.pressure.high_high", MAIN)] == 2


def test_silence_never_calms() -> None:
    site = Watched(WELL, MAIN)
    site.tick((WELL, 0, 60.0))
    found = site.tick((MAIN, 60, 300.0))
    assert found is not None
    assert site.severity("gas.ch4.high_high", WELL) == ALARM
    assert not found.heard[site.point("gas.ch4.high_high", WELL)]


def test_a_tick_without_a_watched_channel_says_nothing() -> None:
    site = Watched(WELL, FLOW)
    assert site.tick((FLOW, 0, 80.0)) is None
    assert site.tick() is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -1e308, 3.4e38])
def test_what_no_sensor_can_measure_is_not_heard(value: float) -> None:
    well = Watched(WELL)
    well.tick((WELL, 0, 60.0))
    assert well.tick((WELL, 60, value)) is None
    well.tick((WELL, 120, 60.0))
    assert well.severity("gas.ch4.high_high", WELL) == ALARM


@pytest.mark.parametrize(("quality", "flags"), [(BAD, STAMPED), (GOOD, EARLY), (GOOD, CONFLICT)])
def test_bad_early_and_conflicting_readings_are_not_judged(quality: int, flags: int) -> None:
    well = Watched(WELL)
    assert well.tick((WELL, 0, 60.0, quality, flags)) is None


def test_an_uncertain_reading_may_raise_but_never_calms() -> None:
    well = Watched(WELL)
    well.tick((WELL, 0, 60.0, UNCERTAIN, STAMPED))
    assert well.severity("gas.ch4.high_high", WELL) == ALARM
    well.tick((WELL, 60, 30.0, UNCERTAIN, STAMPED))
    assert well.severity("gas.ch4.high_high", WELL) == ALARM
    well.tick((WELL, 120, 30.0))
    assert well.severity("gas.ch4.high_high", WELL) == CALM


def test_late_pressure_is_noted_as_late_and_raises_nothing_else() -> None:
    main = Watched(MAIN)
    main.tick((MAIN, 3600, 300.0))
    found = main.tick((MAIN, 0, 100.0, GOOD, STAMPED | LATE))
    assert found is not None
    assert main.severity("gas.pressure.low_low", MAIN) == CALM
    assert main.severity("late_detected", MAIN) == ALARM
    late = main.point("late_detected", MAIN)
    assert main.points.kind[late] == "late_detected"
    assert "60 min before" in found.explain(late).sentence
    main.tick((MAIN, 3660, 300.0))
    assert main.severity("late_detected", MAIN) == CALM


def test_a_late_reading_between_the_levels_says_nothing() -> None:
    main = Watched(MAIN)
    main.tick((MAIN, 0, 301.0, GOOD, STAMPED | LATE))
    assert main.last is not None
    assert not main.last.severity.any()


def test_a_late_second_gas_level_pages_and_says_when_it_was_measured() -> None:
    well = Watched(WELL)
    well.tick((WELL, 0, 1.0))
    well.now_ns += 31 * MIN
    found = well.tick((WELL, 10, 60.0, GOOD, STAMPED | LATE))
    assert found is not None
    second = well.point("gas.ch4.high_high", WELL)
    assert found.severity[second] == ALARM
    assert found.event_ns[second] == T0 + 10 * S
    assert "31 min before it was received" in found.explain(second).sentence
    assert well.severity("late_detected", WELL) == CALM


def test_a_newer_good_reading_shows_that_late_gas_is_over() -> None:
    known_before = Watched(WELL)
    known_before.tick((WELL, 1800, 1.0))
    known_before.tick((WELL, 10, 60.0, GOOD, STAMPED | LATE))
    same_tick = Watched(WELL)
    same_tick.tick((WELL, 10, 60.0, GOOD, STAMPED | LATE), (WELL, 1800, 1.0))
    same_backlog = Watched(WELL)
    same_backlog.tick((WELL, 10, 60.0, GOOD, STAMPED | LATE), (WELL, 70, 1.0, GOOD, STAMPED | LATE))
    for well in (known_before, same_tick, same_backlog):
        assert well.severity("gas.ch4.high_high", WELL) == CALM
        assert well.severity("late_detected", WELL) == ALARM


def test_a_late_sos_pages() -> None:
    band = Watched(SOS)
    band.tick((SOS, 0, 1.0, GOOD, STAMPED | LATE))
    assert band.severity("wristband.sos.high", SOS) == ALARM


def test_a_reading_out_of_order_does_not_undo_a_newer_one() -> None:
    supply = Watched(SUPPLY)
    supply.tick((SUPPLY, 120, 190.0))
    supply.tick((SUPPLY, 60, 220.0))
    assert supply.severity("power.voltage.low", SUPPLY) == ALARM


def test_a_heart_that_beats_fast_while_walking_is_nobodys_business() -> None:
    band = Watched(HEART, STEPS)
    band.tick((STEPS, 0, 90.0))
    assert band.tick((HEART, 60, 150.0), (STEPS, 60, 0.0)) is None
    band.tick((HEART, 360, 150.0), (STEPS, 360, 0.0))
    assert band.severity("wristband.heart_rate.high", HEART) == ALARM
    assert band.points.on_samples[band.point("wristband.heart_rate.high", HEART)] == 3


def test_without_steps_a_heart_is_judged_as_it_is() -> None:
    band = Watched(HEART)
    band.tick((HEART, 0, 35.0))
    assert band.severity("wristband.heart_rate.low", HEART) == ALARM


def test_a_band_off_the_wrist_has_no_heart() -> None:
    band = Watched(HEART, WRIST)
    band.tick((WRIST, 0, 0.0))
    assert band.tick((HEART, 60, 35.0)) is None
    band.tick((WRIST, 120, 1.0), (HEART, 120, 35.0))
    assert band.severity("wristband.heart_rate.low", HEART) == ALARM


def test_a_voltage_without_nominal_learns_the_nearest_standard_one() -> None:
    channel_ = channel("power.box.voltage", "voltage", "V")
    box = Watched(channel_)
    point = box.point("power.voltage.low", channel_)
    for minute in range(12):
        found = box.tick((channel_, minute * 60, 226.0))
        assert found is not None
        if minute < 11:
            assert math.isnan(found.score[point])
            assert not found.heard[point]
    box.tick((channel_, 3600, 197.0))
    assert box.severity("power.voltage.low", channel_) == ALARM


def test_a_medium_voltage_is_held_to_its_own_band_once_it_is_known() -> None:
    channel_ = channel("power.feeder.voltage", "voltage", "kV")
    feeder = Watched(channel_)
    for minute in range(13):
        feeder.tick((channel_, minute * 60, 10.2))
    feeder.tick((channel_, 3600, 9.29))
    assert feeder.severity("power.voltage.low", channel_) == ALARM
    feeder.tick((channel_, 3660, 9.6))
    assert feeder.severity("power.voltage.low", channel_) == CALM


def test_a_learned_nominal_survives_a_restart() -> None:
    channel_ = channel("power.box.voltage", "voltage", "V")
    box = Watched(channel_)
    for minute in range(12):
        box.tick((channel_, minute * 60, 226.0))
    again = Watched(channel_)
    again.memory = {name: array.copy() for name, array in box.memory.items()}
    again.tick((channel_, 3600, 197.0))
    assert again.severity("power.voltage.low", channel_) == ALARM


def test_a_place_that_lives_below_the_network_minimum_learns_its_own_level() -> None:
    hill = channel("water.hill.pressure", "pressure", "kPa", period_s=300.0)
    site = Watched(hill)
    for step in range(14):
        site.tick((hill, step * 300, 120.0))
    assert site.severity("water.pressure.low", hill) == CALM
    site.tick((hill, 6000, 80.0))
    assert site.severity("water.pressure.low", hill) == WARNING


def test_the_operators_own_limit_replaces_the_default_one() -> None:
    own = channel("power.joint.t", "joint_temperature", "Cel", high=50.0)
    joint = Watched(own)
    joint.tick((own, 0, 51.0))
    assert joint.severity("power.joint_temperature.high", own) == WARNING
    assert joint.points.kind[joint.point("power.joint_temperature.high", own)] == "joint_overheat"


def test_options_change_levels_delays_and_deadband_of_the_channels_that_they_are_for() -> None:
    options = Limits(high_high=40.0, high=20.0, low=-1.0, deadband=5.0, on_delay_s=7.0, latching=True)
    table = ChannelTable([WELL, MAIN])
    assert len(options.points(table)) > 4
    points = options.over(table.matching("gas.well.*")).points(table)
    assert set(points.channel.tolist()) == {0}
    assert points.rule == ("gas.ch4.low", "gas.ch4.high", "gas.ch4.high_high", "late_detected")
    assert points.kind == ("limit", "well_gas", "well_gas", "late_detected")
    assert points.on_delay_s.tolist() == [7.0, 7.0, 7.0, 0.0]
    assert points.latching.tolist() == [True, True, True, False]
    assert Limits(without=("high",)).points(table).rule[0] == "gas.ch4.high_high"


def test_the_score_is_an_alarm_at_the_level_and_grows_with_the_distance() -> None:
    well = Watched(WELL)
    found = [
        well.tick((WELL, minute * 60, value)) for minute, value in enumerate((20.0, 25.0, 35.0, 90.0, 2000.0))
    ]
    high = well.point("gas.ch4.high", WELL)
    score = [float(f.score[high]) for f in found if f is not None]
    assert score[0] == 0.0
    assert score[1] == pytest.approx(7 / 12)
    assert score == sorted(score)
    assert score[-1] < 1.0


def test_explanations_name_place_and_numbers_of_pipes_and_no_number_of_wearers() -> None:
    site = Watched(WELL, HEART)
    found = site.tick((WELL, 0, 52.5), (HEART, 0, 33.0))
    assert found is not None
    gas = found.explain(site.point("gas.ch4.high_high", WELL))
    assert gas.sentence == "Methane at well is 52.5 %{LEL}, at or above its high_high level of 50 %{LEL}"
    assert gas.direction == 1
    assert gas.observed == {"value": 52.5, "unit": "%{LEL}", "limit": 50.0, "op": ">=", "quality": "good"}
    heart = found.explain(site.point("wristband.heart_rate.low", HEART))
    assert not any(character.isdigit() for character in heart.sentence)
    assert heart.observed is None
    assert not heart.numbers


VALUES = st.one_of(
    st.sampled_from(
        [0.0, 1.0, 23.0, 24.0, 25.0, 50.0, 198.0, 210.0, 235.4, 270.0, 330.0, 360.0, 120.0, 40.0, 45.0]
    ),
    st.floats(-50, 400),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e308]),
)
READING = st.tuples(
    st.integers(0, len(SITE) - 1),
    st.integers(0, 20),
    VALUES,
    st.sampled_from([GOOD, GOOD, GOOD, UNCERTAIN, BAD]),
    st.sampled_from([0, STAMPED, STAMPED, STAMPED | LATE, EARLY, CONFLICT]),
)
TICKS = st.lists(st.lists(READING, max_size=25), max_size=6)
KEPT = ("severity", "heard", "event_ns", "score")


def batch_of(rows: list[tuple[int, int, float, int, int]], order: list[int] | None = None) -> ReadingBatch:
    """Sorted as a tick is; `order` gives the channels other numbers. One reading a channel and time."""
    rows = list({(row[0], row[1]): row for row in rows}.values())
    number = list(range(len(SITE))) if order is None else order
    return ReadingBatch.of(
        [number[row[0]] for row in rows],
        [T0 + row[1] * MIN for row in rows],
        [row[2] for row in rows],
        [row[3] for row in rows],
        None,
        [row[4] for row in rows],
    ).sorted()


@settings(max_examples=300, deadline=None)
@given(TICKS)
def test_the_fast_limits_say_what_the_slow_ones_say(
    ticks: list[list[tuple[int, int, float, int, int]]],
) -> None:
    table = ChannelTable(SITE)
    limits, twin = Limits(), TwinLimits(table)
    points = limits.points(table)
    memory = limits.fresh_memory(table)
    assert points.channel.tolist() == [point.channel for point in twin.points()]
    for rows in ticks:
        batch = batch_of(rows)
        found = limits.judge(batch, T0, memory)
        columns = (batch.channel, batch.time_ns, batch.value, batch.quality, batch.flags)
        expected = twin.judge([Reading(*row) for row in zip(*(column.tolist() for column in columns))])
        if found is None or expected is None:
            assert found is None
            assert expected is None
            continue
        assert found.severity.tolist() == [point.severity for point in expected]
        assert found.heard.tolist() == [point.heard for point in expected]
        assert found.event_ns.tolist() == [point.event_ns for point in expected]
        wanted = scores(expected, [known.deadband for known in twin.defaults])
        assert found.score.tolist() == pytest.approx(wanted, abs=1e-12, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(TICKS, st.permutations(range(len(SITE))))
def test_the_order_of_channels_means_nothing(
    ticks: list[list[tuple[int, int, float, int, int]]], order: list[int]
) -> None:
    straight, shuffled = ChannelTable(SITE), ChannelTable([SITE[order.index(n)] for n in range(len(SITE))])
    verdicts = []
    for table, numbers in ((straight, None), (shuffled, order)):
        limits = Limits()
        points = limits.points(table)
        memory = limits.fresh_memory(table)
        seen = []
        for rows in ticks:
            found = limits.judge(batch_of(rows, numbers), T0, memory)
            keys = [(rule, table.ids[n]) for rule, n in zip(points.rule, points.channel.tolist())]
            seen.append(
                found
                and {
                    key: tuple(np.nan_to_num(getattr(found, name)[p], nan=-1.0).item() for name in KEPT)
                    for p, key in enumerate(keys)
                }
            )
        verdicts.append(seen)
    assert verdicts[0] == verdicts[1]


@settings(max_examples=60, deadline=None)
@given(TICKS, TICKS)
def test_a_restart_from_the_saved_memory_changes_nothing(
    before: list[list[tuple[int, int, float, int, int]]], after: list[list[tuple[int, int, float, int, int]]]
) -> None:
    table = ChannelTable(SITE)
    limits = Limits()
    points = limits.points(table)
    memory = limits.fresh_memory(table)
    for rows in before:
        limits.judge(batch_of(rows), T0, memory)
    keys = tuple(f"{rule}|{n}" for rule, n in zip(points.rule, points.channel.tolist()))
    saved = unpack(pack({name: Keyed(keys, array) for name, array in memory.items()}))
    again = Limits()
    again.points(table)
    copied = {name: value.array for name, value in saved.items()}
    for rows in after:
        one, other = limits.judge(batch_of(rows), T0, memory), again.judge(batch_of(rows), T0, copied)
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            for name in KEPT:
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_readings_are_left_as_they_were() -> None:
    well = Watched(WELL, MAIN)
    batch = ReadingBatch.of([0, 0, 1], [T0, T0 + S, T0], [60.0, math.nan, 200.0], [GOOD, BAD, UNCERTAIN])
    copies = [column.copy() for column in (batch.value, batch.time_ns, batch.quality, batch.flags)]
    well.limits.judge(batch, T0, well.memory)
    for column, copied in zip((batch.value, batch.time_ns, batch.quality, batch.flags), copies):
        np.testing.assert_array_equal(column, copied)
