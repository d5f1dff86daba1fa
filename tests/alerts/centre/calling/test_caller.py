"""Whom the centre calls about real incidents, what is on the record, and that a kill loses no call."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.alert import rfc3339
from alerts.centre.calling.escalation import SECOND_NS
from alerts.centre.calling.reports import counts
from alerts.centre.people.directory import Directory
from tests.alerts.centre.calling.office import START_NS, Office, story
from tests.alerts.centre.people.district import bring, credit_code, settle

GRID = "510108003002-01"


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = settle(tmp_path_factory.mktemp("district") / "people.sqlite", 400)
    assets = [
        {"asset": "gas.block3", "medium": "gas", "grid": GRID, "owner": credit_code(0)},
        {"asset": "water.main-7", "medium": "water", "grid": GRID, "owner": credit_code(1)},
    ]
    bring(directory, "assets", assets)
    bring(directory, "residents", [{"pseudonym": "r-7f3a", "grid": GRID, "carers": "w-00002"}])
    return directory


@pytest.fixture
def office(district: Path, tmp_path: Path) -> Iterator[Office]:
    there = Office(tmp_path, district)
    yield there
    there.close()


def test_p1_reaches_desk_owner_and_street_at_once_by_the_rota_of_the_hour(office: Office) -> None:
    office.tell(story().raised())
    office.run(1)

    assert office.calls() == [
        (0.0, ["desk", "owner", "sub_district"], ["desk-1", "gas-company", "duty-510108003"])
    ]
    (letter,) = office.letters()
    assert letter["type"] == "city.linkage.alert.escalated.v1"
    assert letter["data"]["to"][1] == {
        "org": "gas-company", "person": "", "contacts": ["phone:02812340000"],
    }  # fmt: skip
    assert letter["data"]["grade"] == "P1"
    assert letter["data"]["notify"] is True


def test_nobody_answers_and_it_climbs_to_backup_community_chief_and_on(office: Office) -> None:
    office.tell(story().raised())
    office.run(700)

    called = {name for _, _, people in office.calls() for name in people}
    assert {"desk-1", "desk-3", "chief"} <= called
    assert any(name.startswith(("duty-510108003002", "w-")) for name in called)
    assert [at for at, _, _ in office.calls()] == [0, 120, 240, 300, 420, 540, 600]


def test_an_acknowledgement_stops_it_and_a_missed_arrival_climbs_again(office: Office) -> None:
    told = story()
    office.tell(told.raised())
    office.run(60)
    office.act(told.key, "acknowledged", "a" * 24)
    office.run(899)
    assert len(office.calls()) == 1
    office.run(1000)
    assert office.calls()[1][:2] == (900, ["community", "backups"])


def test_what_is_shelved_calls_nobody_until_the_shelf_ends(office: Office) -> None:
    told = story(grade="P3", kind="slow_leak")
    office.tell(told.raised())
    office.run(10)
    until = {"shelved_until": rfc3339(START_NS + 7200 * SECOND_NS)}
    office.tell(told.change("shelved", "ACTIVE_UNACK", notify=False, extra=until))
    office.run(7000)
    assert len(office.calls()) == 1
    office.kill()
    office.run(7201)
    assert office.calls()[1][0] == 7200, "also where the gateway says nothing of the end"


def test_a_shelf_that_ends_by_word_alone_lets_the_climb_go_on(office: Office) -> None:
    told = story(grade="P3", kind="slow_leak")
    office.tell(told.raised())
    office.run(10)
    office.tell(told.change("shelved", "ACTIVE_UNACK", notify=False))
    office.run(9000)
    assert len(office.calls()) == 1
    office.tell(told.change("unshelved", "ACTIVE_UNACK", notify=False))
    office.run(9001)
    assert len(office.calls()) == 2


def test_feedback_from_the_field_ends_it_and_a_closed_case_calls_nobody(office: Office) -> None:
    told = story()
    office.tell(told.raised())
    office.run(60)
    office.act(told.key, "confirmed", "b" * 24, outcome="real", note="valve closed")
    office.run(100_000)
    assert len(office.calls()) == 1


def test_a_rise_of_the_grade_calls_anew_although_it_was_taken(office: Office) -> None:
    told = story(grade="P3", kind="slow_leak")
    office.tell(told.raised())
    office.run(10)
    office.act(told.key, "acknowledged", "c" * 24)
    office.now_s = 100
    office.tell(told.change("updated", "ACTIVE_UNACK", grade="P1", notify=True))
    office.run(101)

    assert [at for at, _, _ in office.calls()] == [0, 100]
    assert office.calls()[1][1] == ["desk", "owner", "sub_district"]


def test_a_fall_goes_to_the_residents_own_carers_and_no_volunteer(office: Office) -> None:
    office.tell(story("r-7f3a", medium="wristband", kind="fall", grade="P3", tier="community",
                      channel=None, extra={"owner": "community"}).raised())  # fmt: skip
    office.run(100)

    _, (_, steps, people) = office.calls()  # after the desk, which calls back
    assert steps == ["community", "backups"]
    assert people[0] == "w-00002"
    directory = office.directory
    assert all(directory.person(id).role != "volunteer" for id in people)  # type: ignore[union-attr]


def test_a_wearer_who_wanders_off_is_for_carers_and_110_with_the_desk_in_the_know(office: Office) -> None:
    before = counts(office.desk)
    office.tell(story("r-7f3a", medium="wristband", kind="wandering", grade="P2", tier="community",
                      channel=None, extra={"owner": "community"}).raised())  # fmt: skip
    office.run(1)

    ((at, steps, people),) = office.calls()
    assert (at, steps) == (0, ["desk", "community", "police"])
    assert {"w-00002", "desk-1", "police-110"} <= set(people)
    assert office.now_s == 1
    after = counts(office.desk)
    assert after["handed_to_110_from_sensors"] - before["handed_to_110_from_sensors"] == 1


def test_a_kind_that_nobody_knows_goes_to_the_desk_too_with_a_flag(office: Office) -> None:
    office.tell(story(kind="comet", grade="P3", tier="sub-district").raised())
    office.run(1)

    ((_, steps, people),) = office.calls()
    assert "desk" in steps
    assert "desk-1" in people
    assert office.letters()[-1]["data"]["flag"] == "unknown_kind"
    assert counts(office.desk)["flagged_unknown_of_sensors"] == 1


def test_a_welfare_check_may_go_to_volunteers_of_the_grid(office: Office) -> None:
    office.tell(story("r-7f3a", medium="wristband", kind="no_activity", grade="P3", tier="community",
                      channel=None, extra={"owner": "community"}).raised())  # fmt: skip
    office.run(100)

    roles = {office.directory.person(id).role for id in office.calls()[1][2]}  # type: ignore[union-attr]
    assert "volunteer" in roles


def test_where_nobody_stands_on_a_step_the_next_is_called_at_once(office: Office) -> None:
    office.tell(story("unheard.of", medium="power", kind="undervoltage", grade="P3", tier="sub-district",
                      extra={"owner": "nobody_we_know"}).raised())  # fmt: skip
    office.run(1)

    ((at, _, people),) = office.calls()
    assert at == 0
    assert "desk-1" in people


def test_information_calls_nobody(office: Office) -> None:
    office.tell(story(grade="P4", kind="late_detected").raised())
    office.run(100_000)

    assert office.calls() == []


def test_no_telephone_number_is_in_the_casebook_of_facts(office: Office) -> None:
    office.tell(story().raised())
    office.run(700)

    with office.casebook.reading() as connection:
        for (data,) in connection.execute("SELECT data FROM fact"):
            assert b"+86138" not in data
            assert "某".encode() not in data


def test_a_kill_after_each_call_changes_neither_who_is_called_nor_when(
    district: Path, tmp_path: Path
) -> None:
    whole, torn = Office(tmp_path / "whole", district), Office(tmp_path / "torn", district)
    told = story()
    event = told.raised()
    for office in (whole, torn):
        office.tell(event)
    torn.kill()  # stored and told the gateway so, but nobody was called yet
    whole.run(1000)
    for until_s in range(0, 1001, 60):
        torn.run(until_s)
        torn.kill()

    assert torn.calls() == whole.calls()
    assert len({letter["id"] for letter in torn.letters()}) == len(torn.letters()) == len(torn.calls())
    for office in (whole, torn):
        office.close()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kills=st.lists(st.integers(0, 1500), max_size=6),
    taken=st.integers(0, 1500),
    stopped_s=st.integers(0, 300),
)
def test_killed_at_any_moment_the_next_call_is_on_time_or_at_the_start(
    district: Path, tmp_path_factory: pytest.TempPathFactory, kills: list[int], taken: int, stopped_s: int
) -> None:
    whole, torn = (Office(tmp_path_factory.mktemp(name), district, tells=False) for name in ("whole", "torn"))
    told = story()
    event = told.raised()
    whole.tell(event)
    torn.tell(event)
    whole.run(taken)
    whole.act(told.key, "acknowledged", "d" * 24)
    whole.run(1500)
    moments = sorted({*((at, "kill") for at in kills), (taken, "act"), (1500, "end")})
    for at_s, what in moments:
        torn.run(max(at_s, torn.now_s))
        if what == "act":
            torn.act(told.key, "acknowledged", "d" * 24)
        elif what == "kill":
            torn.kill()
    assert torn.calls() == whole.calls()
    torn.kill()
    torn.now_s += stopped_s  # it was away for some minutes
    whole.run(torn.now_s)
    torn.sweep()
    assert {name for _, _, p in torn.calls() for name in p} == {
        name for _, _, p in whole.calls() for name in p
    }
    whole.close()
    torn.close()


def test_a_directory_that_cannot_be_read_is_said_and_calls_go_on_when_it_can(
    office: Office, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"no database " * 1000)
    caller, whole = office.caller, office.directory
    office.tell(story().raised())

    async def watch() -> None:
        caller.receivers.directory = caller.patrols.directory = Directory(broken)
        running = asyncio.create_task(caller.run())
        while not caller.trouble:
            await asyncio.sleep(0.02)
        caller.receivers.directory = caller.patrols.directory = whole
        while caller.trouble or not office.calls():
            await asyncio.sleep(0.02)
        running.cancel()

    asyncio.run(asyncio.wait_for(watch(), 60))

    assert "nobody can be called" in caplog.text
    assert "people are called again" in caplog.text
