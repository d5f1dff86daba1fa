"""How readings get from a device to the gateway."""

import numpy as np
import pytest

from simulators.district import demo_district
from simulators.scenarios import SECOND_NS, Event, nanoseconds
from simulators.travel import Arrivals, Travel

CHANNELS = demo_district(10.0).channels
START = nanoseconds("2026-01-05T00:00:00+08:00")
TAKEN = START + np.arange(0, 3600, 10) * SECOND_NS
BAND, METER = "band.a07", "power.centre.market"


def way(place: str, kind: str = "", size: float = 0.0) -> Arrivals:
    """Arrivals of an hour of readings, something of that kind going on in its second and third quarter."""
    events = [Event(kind, place, START + 900 * SECOND_NS, START + 2700 * SECOND_NS, size)] if kind else []
    return Travel(CHANNELS, 1, events).arrivals(place, TAKEN)


def delay_s(came: Arrivals) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return (came.arrival_ns - TAKEN[came.row]) / SECOND_NS


def test_a_meter_answers_at_once_and_a_band_within_a_second() -> None:
    assert (delay_s(way(METER)) == 0).all()
    assert 0.1 <= delay_s(way(BAND)).min() < delay_s(way(BAND)).max() <= 1.0


@pytest.mark.parametrize("place", [BAND, METER])
def test_a_silent_device_sends_nothing_and_nothing_later(place: str) -> None:
    came = way(place, "sensor_fault:dropout")

    assert came.row.tolist() == [*range(90), *range(270, 360)]


def test_a_backlog_waits_until_the_end_and_comes_in_order() -> None:
    came = way(BAND, "sensor_fault:backlog")
    waited = (came.row >= 90) & (came.row < 270)
    arrived_s = (came.arrival_ns[waited] - START) / SECOND_NS

    assert len(came.row) == 360
    assert 2700 <= arrived_s.min() < arrived_s.max() <= 2703.001
    assert (np.diff(arrived_s) > 0).all()
    assert (delay_s(came)[~waited] <= 1.0).all()


def test_duplicates_follow_their_first() -> None:
    came = way(BAND, "sensor_fault:duplicates", 0.5)
    rows, counts = np.unique(came.row, return_counts=True)

    assert rows.tolist() == list(range(360))
    assert counts.max() == 2
    assert 60 < (counts == 2).sum() < 120
    assert (counts[:90] == 1).all()
    assert (came.arrival_ns[360:] >= came.arrival_ns[came.row[360:]]).all()


def test_readings_out_of_order_are_all_there() -> None:
    came = way(BAND, "sensor_fault:out_of_order", 300.0)

    assert sorted(came.row) == list(range(360))
    assert (np.diff(came.arrival_ns) < 0).sum() > 30
    assert delay_s(came).max() < 301


def test_a_slow_device_is_late_and_a_refusing_one_says_so() -> None:
    assert np.unique(delay_s(way(METER, "device:slow", 2.0))).tolist() == [0.0, 2.0]
    assert np.flatnonzero(way(METER, "device:refuse").refused).tolist() == list(range(90, 270))


@pytest.mark.parametrize(
    "kind", ["sensor_fault:duplicates", "sensor_fault:out_of_order", "sensor_fault:backlog"]
)
def test_a_reading_arrives_as_it_does_whoever_else_is_asked_for(kind: str) -> None:
    travel = Travel(CHANNELS, 1, [Event(kind, BAND, START, START + 3600 * SECOND_NS, 0.5)])
    together = travel.arrivals(BAND, TAKEN)

    for row in (0, 17, 250):
        alone = travel.arrivals(BAND, TAKEN[[row]])
        assert alone.arrival_ns.tolist() == together.arrival_ns[together.row == row].tolist()
