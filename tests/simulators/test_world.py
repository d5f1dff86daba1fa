"""What every sensor shows at any moment."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.channels import Channel, ChannelTable, Link
from config.defaults import defaults_for
from simulators.district import demo_district
from simulators.kinds import SCENARIOS
from simulators.rhythms import hour_of_day
from simulators.scenarios import SECOND_NS, Event, nanoseconds, planned
from simulators.sensors import is_outlet
from simulators.world import IntArray, World

DISTRICT = demo_district(10.0)
CHANNELS = DISTRICT.channels
MONDAY = nanoseconds("2026-01-05T00:00:00+08:00")
DAY_NS = 86400 * SECOND_NS
SEEDS = range(8)
FITTING = [kind for kind, scenario in SCENARIOS.items() if scenario.places(CHANNELS)]
EVERY_KIND = tuple(planned(kind, CHANNELS, 3, 0, {}, (MONDAY, MONDAY + DAY_NS)) for kind in FITTING)
SEEN_ELSEWHERE = ("slow_leak", "hydrant_test", "festival")  # small flows, first seen at the inlet
INCIDENTS = [kind for kind in FITTING if SCENARIOS[kind].category == "incident"]


def world(seed: int, *events: Event) -> World:
    return World(CHANNELS, DISTRICT.links, seed, events)


def moments(start_ns: int, seconds: float, step_s: float) -> IntArray:
    return start_ns + np.arange(0, seconds, step_s).astype(np.int64) * SECOND_NS


def spread_of(channel: Channel, value: float) -> float:
    """One standard deviation of an honest reading, as the defaults of the project know it."""
    return max(defaults_for(channel).spread_floor(value), channel.resolution / 2)


def shift(event: Event, seed: int, channel: str, after_s: float) -> float:
    """How far the event has moved a channel, in standard deviations, so long after its start."""
    number = CHANNELS.number[channel]
    at = np.array([event.start_ns + round(after_s * SECOND_NS)])
    calm, disturbed = (w.values(at, [number])[0, 0] for w in (world(seed), world(seed, event)))
    return float((disturbed - calm) / spread_of(CHANNELS[number], calm))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, DAY_NS // 1000), min_size=1, max_size=6),
    st.sets(st.integers(0, len(CHANNELS) - 1), min_size=1, max_size=8),
)
def test_a_value_follows_from_seed_and_second_however_it_is_asked_for(
    micros: list[int], wanted: set[int]
) -> None:
    troubled = world(3, *EVERY_KIND)
    at = np.sort(MONDAY + np.array(micros, dtype=np.int64) * 1000)
    together = troubled.values(at)

    for row, time_ns in enumerate(at):
        alone = troubled.values(np.array([time_ns // SECOND_NS * SECOND_NS]), sorted(wanted))

        np.testing.assert_array_equal(alone[0], together[row, sorted(wanted)])


def test_the_order_of_the_channel_list_means_nothing() -> None:
    order = np.random.default_rng(1).permutation(len(CHANNELS))
    shuffled = World(ChannelTable([CHANNELS[n] for n in order]), DISTRICT.links[::-1], 3, EVERY_KIND)
    at = moments(MONDAY, 86400, 977)

    np.testing.assert_array_equal(shuffled.values(at), world(3, *EVERY_KIND).values(at)[:, order])


def test_seeds_make_different_districts() -> None:
    at = moments(MONDAY, 86400, 977)

    assert np.nanmean(world(1).values(at) == world(2).values(at)) < 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_two_calm_weeks_stay_inside_every_default_level(seed: int) -> None:
    values = world(seed).values(moments(MONDAY + seed * 45 * DAY_NS, 14 * 86400, 127))

    for number, channel in enumerate(CHANNELS.channels):
        for level in defaults_for(channel).levels:
            if level.is_high:
                assert not (values[:, number] >= level.limit).any(), f"{channel.id}: {level.name}"
            else:
                assert not (values[:, number] <= level.limit).any(), f"{channel.id}: {level.name}"


def test_readings_scatter_as_honest_sensors_do_and_are_rounded() -> None:
    values = world(1).values(moments(MONDAY, 600, 1))

    for number, channel in enumerate(CHANNELS.channels):
        column = values[:, number]
        steps = column / channel.resolution
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
        if (
            defaults_for(channel).spread_floor(1.0)
            and channel.medium != "wristband"
            and channel.quantity != "ch4"
        ):
            honest = spread_of(channel, float(np.mean(column)))
            assert 0.2 * honest < np.std(np.diff(column)) / np.sqrt(2) < 2 * honest, channel.id


def test_pressure_falls_with_demand_and_voltage_with_load() -> None:
    at = moments(MONDAY, 7 * 86400, 300)
    values = dict(zip(CHANNELS.ids, world(2).values(at).T))

    def goes_with(one: str, other: str) -> float:
        return float(np.corrcoef(values[one], values[other])[0, 1])

    assert goes_with("water.south.riverside.pressure", "water.centre.market.flow") < -0.8
    assert goes_with("power.south.riverside.voltage_a", "power.south.riverside.current_a") < -0.5
    assert goes_with("power.centre.market.active_power", "power.centre.market.current_a") > 0.95
    late = np.roll(values["power.centre.market.current_a"] ** 2, 5400 // 300)
    joint = values["power.centre.market.joint_temperature"]
    assert np.corrcoef(joint[100:], late[100:])[0, 1] > goes_with(
        "power.centre.market.joint_temperature", "power.centre.market.current_a"
    )


def test_wearers_sleep_at_night_and_walk_by_day() -> None:
    at = moments(MONDAY, 7 * 86400, 60)
    hour = hour_of_day(at / SECOND_NS)
    night, day = (hour > 0.5) & (hour < 4.5), (hour > 9) & (hour < 19)
    values = dict(zip(CHANNELS.ids, world(2).values(at).T))

    for band in ("band.a07", "band.b12", "band.c31", "band.d05"):
        assert np.nanmax(values[f"{band}.steps"][night]) == 0
        assert np.nanmean(values[f"{band}.steps"][day]) > 3
        pulse = values[f"{band}.heart_rate"]
        assert np.nanmean(pulse[night]) < np.nanmean(pulse[day]) - 5
        off = values[f"{band}.on_wrist"] == 0
        assert 0 < off.sum() < 4 * 75  # every third day, 75 minutes
        assert np.isnan(pulse[off]).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_burst_drops_the_pressure_within_half_a_minute_and_most_of_all_where_it_is(seed: int) -> None:
    event = planned("burst", CHANNELS, seed, 0, {}, (MONDAY, MONDAY + DAY_NS))

    drop = {
        c.place: -shift(event, seed, c.id, 60)
        for c in CHANNELS.channels
        if c.quantity == "pressure" and c.medium == "water"
    }

    assert -shift(event, seed, f"{event.place}.pressure", 30) > 3
    assert drop[event.place] > max(drop.values()) - 4
    assert drop[event.place] >= drop["water.north.inlet"] - 4
    assert shift(event, seed, "water.north.inlet.flow", 30) > 20


@pytest.mark.parametrize("seed", SEEDS)
def test_a_torn_gas_pipe_fills_its_well_and_empties_the_main(seed: int) -> None:
    event = planned("third_party_damage", CHANNELS, seed, 0, {}, (MONDAY, MONDAY + DAY_NS))
    ch4 = CHANNELS.number[f"{event.place}.ch4"]
    outlet = next(c.id for c in CHANNELS.channels if is_outlet(c))

    rising = world(seed, event).values(moments(event.start_ns, 180, 10), [ch4])[:, 0]

    assert rising[0] < 25
    assert rising[3:].min() > 25  # first level within half a minute
    assert rising[-1] > 50  # and the second within three
    assert -shift(event, seed, f"{event.place}.pressure", 120) > 10
    assert abs(shift(event, seed, outlet, 120)) < 1  # the regulator holds


def test_a_valve_closed_by_mistake_lowers_the_pressure_behind_it_and_the_flow_before_it() -> None:
    mains = [("inlet", "flow"), ("valve", "pressure"), ("end", "flow"), ("beside", "pressure")]
    channels = ChannelTable(
        [
            Channel(
                f"{place}.{quantity}", "gas", place, quantity, "m3/h" if quantity == "flow" else "kPa", 60.0
            )
            for place, quantity in mains
        ]
    )
    links = [Link("inlet", "valve", "pipe"), Link("valve", "end", "pipe"), Link("inlet", "beside", "pipe")]
    event = Event("valve_misclosure", "valve", MONDAY, MONDAY + 7200 * SECOND_NS, 0.6)
    at = moments(MONDAY + 900 * SECOND_NS, 1800, 60)

    calm, closed = (World(channels, links, 1, told).values(at).mean(axis=0) for told in ((), (event,)))
    left = dict(zip(channels.ids, closed / calm))

    assert left["valve.pressure"] == pytest.approx(0.4, abs=0.05)
    assert left["end.flow"] == pytest.approx(0.22, abs=0.05)
    assert left["inlet.flow"] == pytest.approx(1 - 0.5 * 0.78, abs=0.05)  # two of its four places
    assert left["beside.pressure"] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bad_joint_grows_hot_with_its_load(seed: int) -> None:
    event = planned("joint_overheat", CHANNELS, seed, 0, {}, (MONDAY, MONDAY + DAY_NS))
    joint = f"{event.place}.joint_temperature"
    length_s = event.end_s - event.start_s

    assert abs(shift(event, seed, joint, 60)) < 5  # slowly
    assert shift(event, seed, joint, 0.6 * length_s) > 50
    assert shift(event, seed, joint, length_s + 3 * 3600) < 5  # and is well again once remade


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sag_shows_in_the_minimum_of_every_meter_on_the_feeder(seed: int) -> None:
    event = planned("voltage_sag", CHANNELS, seed, 0, {}, (MONDAY, MONDAY + DAY_NS))
    lowest = [CHANNELS.number[c.id] for c in CHANNELS.channels if c.quantity == "voltage_min"]

    seen = world(seed, event).values(event.start_ns + np.array([-10, 1, 11, 41, 71]) * SECOND_NS, lowest)

    assert (seen[[1, 2, 3]] < 0.9 * 220).all()
    assert (seen[[0, 4]] > 0.9 * 220).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fall_is_one_impact_then_stillness(seed: int) -> None:
    event = planned("fall", CHANNELS, seed, 0, {}, (MONDAY, MONDAY + DAY_NS))
    at = moments(event.start_ns // (10 * SECOND_NS) * (10 * SECOND_NS), event.end_s - event.start_s, 10)
    points = ("acceleration_peak", "steps", "fall", "on_wrist")
    shown = world(seed, event).values(at, [CHANNELS.number[f"{event.place}.{p}"] for p in points])

    peak, steps, flag, worn = shown.T
    assert np.sum(peak > 3) == 1
    assert np.argmax(peak) == np.argmax(flag)
    lying = slice(int(np.argmax(peak)) + 1, None)
    assert (steps[lying] == 0).all()
    assert (peak[lying] < 1.3).all()
    assert flag.sum() == 6  # a minute
    assert (worn == 1).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_racing_heart_races_at_rest(seed: int) -> None:
    event = planned("tachycardia", CHANNELS, seed, 0, {}, (MONDAY, MONDAY + DAY_NS))
    pulse, steps = (CHANNELS.number[f"{event.place}.{point}"] for point in ("heart_rate", "steps"))

    shown = world(seed, event).values(moments(event.start_ns + 240 * SECOND_NS, 600, 10), [pulse, steps])

    assert shown[:, 0].min() > 131
    assert (shown[:, 1] == 0).all()


def test_a_stuck_sensor_repeats_its_last_value_and_no_other_changes() -> None:
    event = planned("sensor_fault:stuck", CHANNELS, 4, 0, {}, (MONDAY, MONDAY + DAY_NS))
    at = moments(event.start_ns - 60 * SECOND_NS, event.end_s - event.start_s + 120, 30)
    calm, stuck = world(4).values(at), world(4, event).values(at)
    number = CHANNELS.number[event.channel]
    during = (at >= event.start_ns) & (at < event.end_ns)

    assert len(np.unique(stuck[during, number])) == 1
    assert stuck[during, number][0] == calm[during, number][0]
    assert len(np.unique(calm[during, number])) > 10
    stuck[during, number] = calm[during, number]
    np.testing.assert_array_equal(stuck, calm)


@pytest.mark.parametrize("kind", FITTING)
def test_the_truth_names_what_the_event_moves_and_nothing_else(kind: str) -> None:
    for seed in SEEDS:
        event = planned(kind, CHANNELS, seed, 0, {}, (MONDAY, MONDAY + DAY_NS))
        told = world(seed, event).truth()
        if SCENARIOS[kind].category == "device":
            assert told == []
            continue
        (row,) = told
        assert json.loads(json.dumps(row)) == row
        assert row["class"] == SCENARIOS[kind].category
        assert (row["kind"], row["place"]) == (SCENARIOS[kind].told or kind, event.place)
        assert (nanoseconds(row["start"]), nanoseconds(row["end"])) == (event.start_ns, event.end_ns)
        assert row["channels"]
        places = {CHANNELS[CHANNELS.number[id]].place for id in row["channels"]}
        assert event.place in places or kind in SEEN_ELSEWHERE
        assert places - {event.place} <= set(row["near_places"]) <= set(CHANNELS.places)
        assert row["severity"] in ("critical", "major", "notice", "none")


@pytest.mark.parametrize("kind", INCIDENTS)
def test_an_incident_leaves_the_other_media_untouched(kind: str) -> None:
    event = planned(kind, CHANNELS, 6, 0, {}, (MONDAY, MONDAY + DAY_NS))
    at = moments(event.start_ns, event.end_s - event.start_s + 60, 20)
    medium = CHANNELS[int(CHANNELS.at_place(event.place)[0])].medium
    others = [n for n, channel in enumerate(CHANNELS.channels) if channel.medium != medium]

    np.testing.assert_array_equal(world(6, event).values(at, others), world(6).values(at, others))


def test_before_an_event_nothing_shows_of_it() -> None:
    for event in EVERY_KIND:
        at = moments(event.start_ns - 600 * SECOND_NS, 600, 7)

        np.testing.assert_array_equal(world(3, event).values(at), world(3).values(at))


def test_any_channel_of_any_unit_has_a_value() -> None:
    odd = ChannelTable(
        [
            Channel("w.pressure", "water", "w", "pressure", "MPa", 60.0, nominal=0.3),
            Channel("w.chlorine", "water", "w", "chlorine", "mg/L", 60.0),
            Channel("w.odour", "water", "w", "odour", "1", 60.0),
            Channel("p.leakage_current", "power", "p", "leakage_current", "A", 60.0),
            Channel("p.temperature", "power", "p", "temperature", "K", 60.0),
        ]
    )

    pressure, chlorine, odour, leakage, kelvin = World(odd, (), 1).values(moments(MONDAY, 86400, 600)).T

    assert 0.2 < pressure.min() < pressure.max() < 0.4
    assert 0.2 < chlorine.min() < chlorine.max() < 0.8
    assert (odour == 0).all()
    assert 0.001 < leakage.min() < leakage.max() < 0.03
    assert 270 < kelvin.min() < kelvin.max() < 300
