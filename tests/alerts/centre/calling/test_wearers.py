"""Wearers: the steps of care drive who is called about a fall and when; a kill loses none of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.centre.care import ANSWERS
from tests.alerts.centre.calling.office import Office, story
from tests.alerts.centre.people.district import DISTRICT, bring, settle
from tests.alerts.centre.world import Story

GRID = "510108003002-01"
CANCEL_S, STAFF_S, STREET_S = 30.0, 90.0, 990.0


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = settle(tmp_path_factory.mktemp("district") / "people.sqlite", 400)
    bring(directory, "residents", [{"pseudonym": "r-7f3a", "grid": GRID, "carers": "w-00002"}])
    rescue = {"code": "rescue-120", "kind": "department", "name": "120", "parent": DISTRICT}
    bring(directory, "organisations", [{**rescue, "duty": "ambulance", "contacts": "phone:120"}])
    return directory


@pytest.fixture
def office(district: Path, tmp_path: Path) -> Iterator[Office]:
    there = Office(tmp_path, district)
    yield there
    there.close()


def fall(office: Office, kind: str = "fall", grade: str = "P2", **more: Any) -> Story:
    told = story("r-7f3a", medium="wristband", kind=kind, grade=grade, tier="community", channel=None,
                 extra={"owner": "community"}, **more)  # fmt: skip
    office.tell(told.raised())
    return told


def new_steps(office: Office) -> list[tuple[float, str]]:
    """When each step was called for the first time."""
    found: dict[str, float] = {}
    for at, steps, _ in office.calls():
        for step in steps:
            found.setdefault(step, at)
    return [(at, step) for step, at in found.items() if step != "backups"]


def test_without_a_word_the_desk_calls_back_then_staff_go_then_the_sub_district(office: Office) -> None:
    fall(office)
    office.run(CANCEL_S - 1)
    assert office.calls() == [], "the wearer may still cancel on the band"
    office.run(STREET_S)

    assert new_steps(office) == [(CANCEL_S, "desk"), (STAFF_S, "community"), (STREET_S, "sub_district")]
    staff = next(people for at, _, people in office.calls() if at == STAFF_S)
    assert staff[0] == "w-00002", "the wearer's own carers first"


def test_no_answer_sends_staff_at_once_and_the_sub_district_a_quarter_of_an_hour_later(
    office: Office,
) -> None:
    told = fall(office)
    office.run(40)
    office.act(told.key, "called_back", "a" * 24, answer="no_answer")
    office.run(2000)

    assert new_steps(office)[:3] == [(30, "desk"), (40, "community"), (940, "sub_district")]
    assert "ambulance" not in [step for _, step in new_steps(office)]


def test_a_wearer_who_is_well_ends_the_calls_and_help_asked_for_later_starts_them_anew(
    office: Office,
) -> None:
    told = fall(office)
    office.run(100)
    office.act(told.key, "called_back", "a" * 24, answer="well")
    office.run(5000)
    before = office.calls()
    assert [at for at, _, _ in before] == [30, 90]

    office.act(told.key, "called_back", "b" * 24, answer="needs_help")
    office.sweep()

    after = office.calls()[len(before) :]
    assert {at for at, _, _ in after} == {5000}
    assert sorted({step for _, steps, _ in after for step in steps} - {"backups"}) == [
        "ambulance",
        "community",
        "desk",
    ]


def test_need_that_is_confirmed_calls_120_and_the_desk_beside_all_else_and_only_once(office: Office) -> None:
    told = fall(office)
    office.run(40)
    office.act(told.key, "called_back", "a" * 24, answer="needs_help")
    office.sweep()
    office.kill()
    office.run(45)

    calls = [(at, people) for at, steps, people in office.calls() if "ambulance" in steps]
    assert calls == [(40, ["rescue-120", "desk-1"])]
    (letter,) = [one for one in office.letters() if one["data"].get("why") == "ambulance"]
    assert letter["data"]["to"][0]["contacts"] == ["phone:120"]
    assert not {"observed", "numbers", "plot"} & set(letter["data"])


def test_somebody_on_the_spot_ends_the_calls(office: Office) -> None:
    told = fall(office)
    office.run(95)
    office.act(told.key, "acknowledged", "a" * 24)
    office.act(told.key, "confirmed", "b" * 24, outcome="false_alarm", note="sat down hard")
    office.run(20_000)

    assert [step for _, step in new_steps(office)] == ["desk", "community"]


def test_an_acknowledgement_alone_keeps_nobody_from_going(office: Office) -> None:
    told = fall(office)
    office.run(35)
    office.act(told.key, "acknowledged", "a" * 24)
    office.run(STREET_S)

    assert new_steps(office) == [(CANCEL_S, "desk"), (STAFF_S, "community"), (STREET_S, "sub_district")]


def test_an_sos_is_for_everybody_at_once(office: Office) -> None:
    fall(office, "sos", "P1")
    office.run(0)

    ((at, steps, _),) = office.calls()
    assert (at, {"desk", "sub_district"} <= set(steps)) == (0, True)


@given(
    answers=st.lists(st.tuples(st.integers(0, 300), st.sampled_from(ANSWERS)), max_size=3),
    kills=st.lists(st.integers(0, 1200), max_size=3),
)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_said_and_however_often_it_is_killed_the_calls_are_the_same(
    district: Path, tmp_path_factory: pytest.TempPathFactory, answers: list[tuple[int, str]], kills: list[int]
) -> None:
    def lived(killed: list[int]) -> list[tuple[float, list[str], list[str]]]:
        office = Office(tmp_path_factory.mktemp("life"), district)
        told = fall(office)
        moments = [
            *((at, n, answer) for n, (at, answer) in enumerate(answers)),
            *((at, 99, "") for at in killed),
        ]
        for at, number, answer in sorted(moments):
            office.run(at)
            if answer:
                office.act(told.key, "called_back", f"{number:024d}", answer=answer)
            else:
                office.kill()
        office.run(1500)
        calls = office.calls()
        office.close()
        return calls

    calls = lived([])
    assert lived(kills) == calls
    needs = [at for at, answer in answers if answer == "needs_help"]
    assert [at for at, steps, _ in calls if "ambulance" in steps] == ([min(needs)] if needs else [])
