"""Whoever leaves home at night is missed at once; by day only who goes farther than ever before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.findings import ALARM, WARNING
from detectors.wandering import METRES_A_DEGREE, Wandering, _metres
from tests.detectors.bands import DAY, HOUR, Watched, channel

HOME = (30.66, 104.12)
RULE = "wristband.wandering anna"
Moments = Iterator[tuple[float, Mapping[str, float]]]


def watched(given_home: bool = True) -> Watched:
    lat, lon = HOME if given_home else (np.nan, np.nan)
    where = [channel("anna", q, 300.0, lat=lat, lon=lon) for q in ("latitude", "longitude")]
    return Watched(Wandering(), *where, channel("anna", "on_wrist", 300.0))


def at(metres_north: float) -> dict[str, float]:
    return {"anna.latitude": HOME[0] + metres_north / METRES_A_DEGREE, "anna.longitude": HOME[1]}


def days(first: int, last: int, trip_m: float = 150.0) -> Moments:
    """At home by night, some way to the market and back in the afternoon."""
    for second in np.arange(first * DAY, last * DAY, 300.0).tolist():
        out = 14 <= second % DAY / HOUR < 15
        yield second, at(trip_m if out else 10.0)


@pytest.mark.parametrize("given_home", [True, False])
def test_a_night_out_is_an_alarm_whether_home_was_given_or_learned(given_home: bool) -> None:
    anna = watched(given_home)
    assert anna.live(days(0, 4)) == {}

    assert anna.hear(4 * DAY + 2 * HOUR, at(700.0))[RULE] == ALARM
    assert anna.points.on_samples.tolist() == [2]
    assert anna.hear(4 * DAY + 3 * HOUR, at(20.0))[RULE] == 0


def test_by_day_only_a_way_longer_than_ever_before_is_a_warning() -> None:
    anna = watched()
    assert anna.live(days(0, 5, trip_m=900.0)) == {}
    noon = 5 * DAY + 12 * HOUR

    assert anna.hear(noon, at(1700.0))[RULE] == 0
    assert anna.hear(noon + 300, at(4000.0))[RULE] == WARNING


def test_by_day_nothing_is_said_of_a_wearer_who_is_hardly_known() -> None:
    anna = watched()
    anna.live(days(0, 1))

    assert anna.hear(DAY + 12 * HOUR, at(9000.0))[RULE] == 0


def test_half_a_position_and_a_band_in_a_lost_bag_say_nothing() -> None:
    anna = watched()
    anna.live(days(0, 4))
    night = 4 * DAY + 2 * HOUR

    assert anna.hear(night, {"anna.latitude": HOME[0] + 0.05})[RULE] == 0
    anna.hear(night + 300, {"anna.on_wrist": 0.0})
    assert anna.hear(night + 600, at(5000.0))[RULE] == 0


@settings(deadline=None)
@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(-0.02, 0.02), st.floats(-0.02, 0.02))
def test_the_plane_at_home_is_as_good_as_the_sphere(lat: float, lon: float, dlat: float, dlon: float) -> None:
    to = (lat + dlat, (lon + dlon + 180.0) % 360.0 - 180.0)
    a, b = np.radians(lat), np.radians(to[0])
    half = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(dlon) / 2) ** 2
    sphere_m = 2 * 6_371_000.0 * np.arcsin(np.sqrt(half))

    (plane_m,) = _metres(np.array([[lat, lon]]), np.array([to]))

    assert plane_m == pytest.approx(sphere_m, rel=2e-3, abs=1.0)


def test_a_slow_walk_away_does_not_move_the_fence_before_it() -> None:
    anna = watched()
    anna.live(days(0, 4))
    noon = 4 * DAY + 12 * HOUR

    said = [anna.hear(noon + 300.0 * step, at(60.0 * step))[RULE] for step in range(21)]
    assert said[-1] == WARNING
