"""A joint that corrodes is hotter than its load explains, long before it reaches any limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from config.channels import Channel
from detectors.findings import ALARM, WARNING
from detectors.joint import Joint
from tests.detectors.bands import DAY, HOUR, Watched, channel

LOAD, SISTERS = "power.joint.hot_for_load box", "power.joint.hotter_than_sisters box"


def power(quantity: str, name: str) -> Channel:
    return channel("box", quantity, 300.0, "power", name=name)


def life(
    last: float, worse: float = 1.0, since: float = np.inf, peak: float = 1.0, seed: int = 2
) -> Iterator[tuple[float, Mapping[str, float]]]:
    """A joint in soil of 16 Cel; its load swings with the day and, at the end, is `peak` times as high."""
    rng, warm = np.random.default_rng(seed), 7.0
    for second in np.arange(0.0, last, 300.0).tolist():
        current = 100.0 * (1.0 + 0.5 * np.sin(2 * np.pi * second / DAY)) * rng.normal(1.0, 0.05)
        current *= peak if second >= since else 1.0
        warm += (7.0 * (current / 100.0) ** 2 - warm) * (1 - np.exp(-300.0 / 5400.0))
        joint = 16.0 + warm * (worse if second >= since else 1.0) + rng.normal(0, 0.2)
        yield second, {"box.joint_temperature": joint, "box.current": current}


def watched() -> Watched:
    return Watched(Joint(), power("joint_temperature", "joint_temperature"), power("current", "current"))


def test_days_of_load_swinging_call_nobody() -> None:
    assert watched().live(life(6 * DAY)) == {}


def test_a_joint_whose_resistance_doubles_is_found_though_it_is_far_from_sixty_degrees() -> None:
    box = watched()
    rose = box.live(life(6 * DAY, worse=2.0, since=5 * DAY))

    assert list(rose) == [LOAD] and 5 * DAY <= rose[LOAD][0] <= 5 * DAY + 12 * HOUR
    assert box.memory["value"][0, 0] < 60.0
    assert "hotter than its load explains" in box.said()[0].sentence


def test_readings_of_each_minute_of_which_it_looks_at_every_fifth_teach_it_as_soon() -> None:
    minutely = [channel("box", name, 60.0, "power", name=name) for name in ("joint_temperature", "current")]
    rose = Watched(Joint(), *minutely).live(life(4 * DAY, worse=2.0, since=3 * DAY))

    assert list(rose) == [LOAD] and 3 * DAY <= rose[LOAD][0] <= 3 * DAY + 12 * HOUR


def test_twice_the_load_explains_its_own_heat() -> None:
    assert watched().live(life(5.5 * DAY, since=5 * DAY, peak=1.5)) == {}


@pytest.mark.parametrize(("hotter", "severity"), [(8.0, 0), (17.0, WARNING), (30.0, ALARM)])
def test_three_phases_under_one_load_are_alike_or_one_is_sick(hotter: float, severity: int) -> None:
    names = [f"joint_{phase}" for phase in "abc"]
    box = Watched(Joint(), *(power("joint_temperature", name) for name in names))

    box.hear(0.0, {"box.joint_b": 25.0, "box.joint_c": 25.4, "box.joint_a": 25.2 + hotter})

    assert box.memory["severity"][3:].tolist() == [severity, 0, 0]


def test_the_current_of_a_joint_is_that_of_its_phase() -> None:
    channels = [power("joint_temperature", f"joint_{p}") for p in "ab"]
    box = Watched(Joint(), *channels, *(power("current", f"current_{p}") for p in "ab"))
    column = box.site.role("current")

    assert [box.table.ids[n] for n in box.site.member[:, column]] == ["box.current_a", "box.current_b"]


def test_a_joint_without_a_current_is_measured_by_the_joints_of_its_zone() -> None:
    def joint(place: str) -> Channel:
        return channel(place, "joint_temperature", 600.0, "power", zone="block1")

    places = ("one", "two", "three", "four")
    street = Watched(Joint(), *(joint(place) for place in places))
    rng = np.random.default_rng(6)

    def rows(first: float, last: float, hot: float) -> Iterator[tuple[float, Mapping[str, float]]]:
        for second in np.arange(first, last, 600.0).tolist():
            soil = 16.0 + 3.0 * np.sin(2 * np.pi * second / DAY) + (4.0 if second > 4 * DAY else 0.0)
            warm = {
                f"{place}.joint_temperature": soil + n + rng.normal(0, 0.2) for n, place in enumerate(places)
            }
            yield second, warm | {"two.joint_temperature": warm["two.joint_temperature"] + hot}

    assert street.live(rows(0, 5 * DAY, 0.0)) == {}  # the hot day is everybody's

    assert list(street.live(rows(5 * DAY, 5.2 * DAY, 8.0))) == ["power.joint.hot_for_load two"]
