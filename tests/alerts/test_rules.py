"""Rules: what announced works, and what detectors recognise by themselves, do to a grade."""

from __future__ import annotations

import pytest

from alerts.rules import Announcements
from config.channels import Channel, ChannelTable, Planned
from config.grades import read_grades
from detectors.findings import WARNING

HOUR_NS = 3600 * 10**9
PLACES = {"w1": "north", "w2": "north", "w3": "south"}


def works(*planned: Planned) -> Announcements:
    channels = [
        Channel(f"{place}.pressure", "water", place, "pressure", "kPa", 300.0, zone=zone)
        for place, zone in PLACES.items()
    ]
    return Announcements(planned, ChannelTable(channels), read_grades())


@pytest.mark.parametrize(("place", "grade"), [("w1", "P4"), ("w2", "P4"), ("w3", "P3")])
def test_a_festival_is_felt_in_all_of_the_zone_of_its_place(place: str, grade: str) -> None:
    festival = works(Planned("festival", "w1", 0, HOUR_NS))
    assert festival.worth("water", place, "low_pressure", "pressure", WARNING, 1).grade == grade


def test_the_noise_of_a_leak_is_no_festival_elsewhere() -> None:
    festival = works(Planned("festival", "w1", 0, HOUR_NS))
    assert festival.worth("water", "w2", "slow_leak", "leak_noise", WARNING, 1).grade == "P3"
    assert festival.worth("water", "w2", "slow_leak", "flow", WARNING, 1).grade == "P4"


def test_what_a_detector_recognised_lowers_a_grade_as_if_it_had_been_announced() -> None:
    draw = [Planned("brief_draw", "north", 0, 0)]
    nobody = works()

    assert nobody.worth("water", "w1", "burst", "pressure", WARNING, 1).grade == "P3"
    assert nobody.worth("water", "w1", "burst", "pressure", WARNING, 1, draw).grade == "P4"
    assert nobody.worth("water", "w1", "burst", "pressure", WARNING, HOUR_NS, draw).grade == "P3"
    assert nobody.worth("water", "w1", "pump_trip", "pressure", WARNING, 1, draw).grade == "P3"
