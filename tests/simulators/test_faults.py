"""Sensors at fault."""

import struct

import numpy as np
import pytest

from simulators.district import demo_district
from simulators.faults import words_swapped
from simulators.noise import FloatArray
from simulators.scenarios import SECOND_NS, Event, nanoseconds
from simulators.sensors import spread_of
from simulators.travel import Travel
from simulators.world import World

DISTRICT = demo_district(60.0)
CHANNELS = DISTRICT.channels
START = nanoseconds("2026-01-05T08:00:00+08:00")
SENSOR, PLACE = "water.centre.market.pressure", "water.centre.market"
NUMBER = CHANNELS.number[SENSOR]
AT = START + np.arange(-60, 300) * 60 * SECOND_NS
DURING = (AT >= START) & (AT < START + 4 * 3600 * SECOND_NS)
SPREAD = spread_of(CHANNELS[NUMBER])


def fault(kind: str, size: float = 0.0, place: str = PLACE, channel: str = SENSOR) -> Event:
    """A fault of four hours."""
    return Event(f"sensor_fault:{kind}", place, START, START + 4 * 3600 * SECOND_NS, size, channel)


def shown(*events: Event) -> FloatArray:
    return World(CHANNELS, DISTRICT.links, 3, events).values(AT, [NUMBER])[:, 0]


def test_outside_its_time_a_fault_changes_nothing_nor_ever_another_sensor() -> None:
    others = [number for number in range(len(CHANNELS)) if number != NUMBER]
    for kind, size in (("drift", 20.0), ("spike", 0.2), ("wrong_unit", 0.1), ("byte_order", 0.0)):
        with_it = World(CHANNELS, DISTRICT.links, 3, [fault(kind, size)])
        without = World(CHANNELS, DISTRICT.links, 3)

        np.testing.assert_array_equal(shown(fault(kind, size))[~DURING], shown()[~DURING])
        np.testing.assert_array_equal(with_it.values(AT, others), without.values(AT, others))


def test_a_drift_grows_evenly_to_its_size() -> None:
    away = (shown(fault("drift", 20.0)) - shown())[DURING] / SPREAD

    assert away[0] == pytest.approx(0.0, abs=0.1)
    assert away[-1] == pytest.approx(20.0, abs=0.5)
    assert np.diff(away).max() < 0.3


def test_spikes_are_single_readings_far_off_on_either_side() -> None:
    away = (shown(fault("spike", 0.1)) - shown())[DURING] / SPREAD

    hit = np.abs(away) > 1
    assert 0.04 < hit.mean() < 0.2
    assert np.abs(away[hit]).min() > 39
    assert (away[hit] > 0).any()
    assert (away[hit] < 0).any()


def test_a_gauge_in_psi_read_as_kilopascal_shows_a_seventh() -> None:
    ratio = shown(fault("wrong_unit", 1 / 6.894757293168))[DURING] / shown()[DURING]

    np.testing.assert_allclose(ratio, 0.145, atol=0.001)


@pytest.mark.parametrize("value", [293.4, 0.1, -17.25, 10_000.0])
def test_swapped_words_are_those_of_the_float_on_the_wire(value: float) -> None:
    octets = struct.pack(">f", value)

    (wrong,) = struct.unpack(">f", octets[2:] + octets[:2])

    np.testing.assert_equal(words_swapped(np.array([value]))[0], wrong)


def test_a_dying_battery_makes_noise_and_then_silence() -> None:
    event = fault("battery_death", 15.0, channel="")
    noisy = (shown(event) - shown())[DURING][:60] / SPREAD
    came = Travel(CHANNELS, 3, [event]).arrivals(PLACE, AT)

    assert 10 < np.std(noisy) < 20
    silent = np.setdiff1d(np.arange(len(AT)), came.row)
    assert (AT[silent[0]] - START) / SECOND_NS == 3600
    assert len(silent) == 180


def test_a_clock_that_runs_ahead_stamps_what_it_measures_now() -> None:
    event = fault("clock_skew", 8 * 3600.0, place="band.a07", channel="")

    came = Travel(CHANNELS, 3, [event]).arrivals("band.a07", AT)

    ahead = (came.stamp_ns - AT[came.row]) / SECOND_NS
    assert set(ahead[DURING]) == {8 * 3600.0}
    assert set(ahead[~DURING]) == {0.0}
    assert ((came.arrival_ns - AT[came.row]) < 2 * SECOND_NS).all()
