"""What people report: merged with what sensors noticed, handed to the police, flagged, and never dropped."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.centre.calling.reports import ReportRefused, Reports, Taken, counts
from alerts.centre.stages import Stage
from tests.alerts.centre.calling.office import Office, story
from tests.alerts.centre.people.district import LAT, LON, bring, credit_code, settle

GRID = "510108003002-01"
METRE = 1 / 111_195  # degrees of latitude


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = settle(tmp_path_factory.mktemp("district") / "people.sqlite", 200)
    here = {"grid": GRID, "lat": LAT, "lon": LON}
    far = {"grid": "510108009001-01", "lat": LAT + 900 * METRE, "lon": LON}
    assets = [
        {"asset": "gas.block3", "medium": "gas", "owner": credit_code(0), **here},
        {"asset": "water.main-7", "medium": "water", **here},
        {"asset": "gas.far", "medium": "gas", **far},
    ]
    bring(directory, "assets", assets)
    sites = [
        {"site": "school-1", "name": "School", "class": "school", **here, "lat": LAT + 120 * METRE},
        {"site": "hotel-1", "name": "Inn", "class": "hotel", **far, "lat": LAT + 1080 * METRE},
    ]
    bring(directory, "sites", sites)
    rounds = [{"round": "evening", "site": "school-1", "rota": "510108003", "start": "19:00",
               "within_min": 60, "first": "2026-01-01"}]  # fmt: skip
    bring(directory, "rounds", rounds)
    return directory


@pytest.fixture
def office(district: Path, tmp_path: Path) -> Iterator[Office]:
    there = Office(tmp_path, district)
    yield there
    there.close()


def take(office: Office, number: int = 1, source: str = "96966", **given: Any) -> Taken:
    reports = Reports(office.desk, office.caller.attending, office.routing)
    whole = {
        "id": f"r-{number}",
        "channel": "hotline",
        "category": "gas_smell",
        "place": "gas.block3",
        **given,
    }
    taken: Taken = office.do(reports.take(reports.read(json.dumps(whole).encode()), source))
    return taken


def test_a_report_is_an_incident_of_its_own_and_people_are_called(office: Office) -> None:
    taken = take(office, text="It smells at the stairs, call me at 138 0000 0000")
    office.run(1)

    incident = office.desk.board.incidents[taken.incident]
    assert (incident.grade, incident.lead.said.kind) == ("P1", "slow_leak"), "a school stands beside it"
    assert "138" not in incident.lead.said.because
    assert "It smells at the stairs" in incident.lead.said.because
    assert "gas-company" in office.calls()[0][2]


def test_a_report_about_what_a_sensor_noticed_joins_it_whichever_came_first(office: Office) -> None:
    sensor = story(kind="slow_leak", grade="P2")
    office.tell(sensor.raised())
    office.sweep()
    later = take(office, 1, category="gas_smell", place="", lat=LAT + 50 * METRE, lon=LON)
    other = story("water.main-7.north", medium="water", kind="burst", grade="P2")
    first = take(office, 2, category="water_burst", place="water.main-7")
    office.now_s = 600
    office.tell(other.raised())
    office.sweep()

    assert later == Taken(sensor.key, merged=True)
    assert not first.merged
    board = office.desk.board
    assert {len(board.incidents[one.key].alarms) for one in (sensor, other)} == {2}
    assert board.moved_to(board.incidents[first.incident]) == other.key
    office.kill()
    assert {len(office.desk.board.incidents[one.key].alarms) for one in (sensor, other)} == {2}


@pytest.mark.parametrize(
    "given",
    [
        {"category": "water_burst"},  # another medium
        {"place": "gas.far"},  # 900 m away
        {"place": "", "lat": LAT + 900 * METRE, "lon": LON},
    ],
)
def test_a_report_about_something_else_stays_apart(office: Office, given: dict[str, Any]) -> None:
    office.tell(story(kind="slow_leak", grade="P2").raised())

    assert not take(office, **given).merged


def test_a_report_long_after_it_was_over_is_a_new_incident(office: Office) -> None:
    told = story(kind="slow_leak", grade="P2")
    office.tell(told.raised())
    office.tell(told.cleared())
    office.now_s = 3600

    assert not take(office).merged


def test_police_matters_go_to_110_with_a_copy_and_unknown_ones_to_the_hub_with_a_flag(office: Office) -> None:
    police = take(office, 1, category="violence", place=GRID)
    strange = take(office, 2, category="ufo", place=GRID)
    take(office, 3, source="police-110", channel="110", category="water_burst", place="water.main-7")
    office.run(1)

    assert (police.police, police.flagged) == (True, False)
    assert (strange.police, strange.flagged) == (False, True)
    by_steps = {tuple(steps): people for _, steps, people in office.calls()}
    assert by_steps["desk", "police"] == ["desk-1", "police-110"]
    assert office.desk.board.incidents[strange.incident].lead.said.tier == "district"
    assert counts(office.desk) == {
        "reports": 3,
        "by_channel": {"hotline": 2, "110": 1},
        "merged_with_sensors": 0,
        "police_matters": 1,
        "handed_to_110": 1,
        "taken_over_from_110": 1,
        "flagged_unknown": 1,
        "handed_to_110_from_sensors": 0,
        "flagged_unknown_of_sensors": 0,
    }


def test_the_same_report_again_is_the_same_and_another_sources_is_not(office: Office) -> None:
    first, again = take(office), take(office, text="told twice")
    other = take(office, source="app")

    assert again == Taken(first.incident, repeated=True)
    assert other.incident != first.incident


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"place": ""}, "place: missing"),
        ({"lat": 30.0}, "lat and lon go together"),
        ({"at": "2026-01-01T10:00:00"}, "at: has no zone"),
        ({"at": "2031-01-01T10:00:00+08:00"}, "lies ahead"),
        ({"channel": "pigeon"}, "channel: Invalid enum value 'pigeon'"),
        ({"lat": 300, "lon": 3}, "lat: Expected `float` <= 90"),
        ({"reporter_phone": "138"}, "unknown field"),
        ({"text": "x" * 1001}, "text: Expected `str` of length <= 1000"),
    ],
)
def test_a_report_that_cannot_be_taken_names_its_field(
    office: Office, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ReportRefused, match=said):
        take(office, **given)


def test_the_fields_word_ends_a_report_and_the_case_can_be_closed(office: Office) -> None:
    taken = take(office, category="street", place=GRID)
    office.act(taken.incident, "confirmed", "e" * 24, outcome="real", note="swept away")
    office.do(office.caller.attending.attend({taken.incident}))
    incident = office.desk.board.incidents[taken.incident]
    assert incident.in_band
    office.now_s += 1801
    office.act(taken.incident, "closed", "f" * 24)

    assert office.desk.board.incidents[taken.incident].stage is Stage.CLOSED


def test_beside_a_school_a_leak_is_a_grade_graver_and_calls_as_such(office: Office) -> None:
    office.tell(story("gas.block3.riser", kind="slow_leak", grade="P2").raised())
    office.tell(story("gas.far", kind="slow_leak", grade="P2").raised())
    asyncio.run(office.caller.attending.attend(set(office.desk.board.open)))
    office.run(1)

    grades = {one.lead.now.place: one.grade for one in office.desk.board.open.values()}
    assert grades == {"gas.block3.riser": "P1", "gas.far": "P2"}, "the inn is 180 m away, and reaches 100 m"
    assert ["desk", "owner", "sub_district"] in [steps for _, steps, _ in office.calls()]


def test_information_beside_a_school_stays_information(office: Office) -> None:
    office.tell(story("gas.block3.riser", kind="late_detected", grade="P4").raised())
    asyncio.run(office.caller.attending.attend(set(office.desk.board.open)))

    assert [one.grade for one in office.desk.board.open.values()] == ["P4"]


def test_a_round_that_nobody_walked_is_an_incident_and_one_that_was_done_is_not(office: Office) -> None:
    def look(now_s: float) -> list[str]:
        office.now_s = now_s
        office.do(office.caller.patrols.look())
        return [one.lead.said.because for one in office.desk.board.open.values()]

    assert look(0) == []  # 13:00 of the first day
    evening_s = 6 * 3600 + 600
    office.now_s = evening_s
    office.do(office.caller.patrols.done("evening", "w-00001"))
    assert look(8 * 3600) == []
    (because,) = look(86_400 + 7 * 3600)
    assert because == (
        "Round evening at School was due from 2026-01-02 19:00 to 20:00 by 510108003"
        " and is not on the record."
    )
    office.run(office.now_s + 1)
    assert office.calls()[0][1] == ["sub_district"]
    office.kill()
    assert len(look(86_400 + 8 * 3600)) == 1, "told once, also after a restart"
