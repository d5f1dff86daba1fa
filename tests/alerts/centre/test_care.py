"""Care for a wearer: what is to be done when, by time and by what staff say; nothing private leaks."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.centre.acts import ActRefused
from alerts.centre.care import ANSWERS, Step, care_of
from tests.alerts.centre.test_cases import MINUTE_NS, SOURCE, Desk
from tests.alerts.centre.world import SECOND_NS, Centre, Story, centre, done, fact

NAME, PHONE, HEART = "王秀英", "13800138000", "147"


class Case:
    """A wearer's incident, told at second 0, and what is done about it later."""

    def __init__(self, kind: str = "fall") -> None:
        self.desk = Desk()
        self.story = Story(SOURCE, "person-7", {"medium": "wristband", "kind": kind, "channel": None})
        self.number = 1
        self.desk.board.fold(fact(self.story.raised(), 1, 0))

    def did(self, kind: str, at_s: float, **body: Any) -> None:
        self.number += 1
        self.desk.board.fold(done(self.story.key, kind, self.number, int(at_s * SECOND_NS), **body))

    def at(self, seconds: float) -> tuple[Step, str]:
        care = care_of(self.desk.board.incidents[self.story.key], int(seconds * SECOND_NS))
        assert care is not None
        return care.step, care.ambulance


def test_without_a_word_time_alone_leads_from_the_band_to_the_sub_district() -> None:
    case = Case()

    steps = [case.at(seconds)[0] for seconds in (0, 29, 30, 89, 90, 90 + 899, 90 + 900, 10**6)]

    assert steps == [
        *(Step.CANCEL, Step.CANCEL, Step.CALL, Step.CALL, Step.STAFF, Step.STAFF, Step.STREET, Step.STREET)
    ]


def test_who_presses_the_sos_key_is_called_at_once_and_silence_then_means_120() -> None:
    case = Case("sos")
    assert case.at(0) == (Step.CALL, "")

    case.did("called_back", 20, answer="no_answer")

    assert case.at(21) == (Step.STAFF, "now")
    case.did("ambulance", 30)
    assert case.at(31) == (Step.STAFF, "called")


def test_a_wearer_who_answers_and_is_well_needs_nobody_and_may_need_somebody_later() -> None:
    case = Case()
    case.did("called_back", 40, answer="well")
    assert case.at(10**5) == (Step.TALKED, "")

    case.did("called_back", 10**5, answer="needs_help")

    assert case.at(10**5) == (Step.STAFF, "now")


def test_whoever_is_there_ends_the_climb_and_what_they_find_may_call_120() -> None:
    case = Case()
    case.did("called_back", 40, answer="no_answer")
    assert case.at(100) == (Step.STAFF, "")
    case.did("started", 400)
    assert case.at(10**6) == (Step.THERE, "")

    case.did("confirmed", 500, outcome="real", note="hurt her hip")

    assert case.at(501) == (Step.THERE, "now")


@given(st.lists(st.tuples(st.sampled_from(ANSWERS), st.floats(0, 2000)), max_size=6), st.floats(0, 5000))
def test_care_is_never_waiting_for_longer_than_its_step_lasts(
    answers: list[tuple[str, float]], now_s: float
) -> None:
    case = Case()
    for answer, at_s in sorted(answers, key=lambda one: one[1]):
        case.did("called_back", at_s, answer=answer)
    now_s = max([now_s, *(at_s for _, at_s in answers)])
    care = care_of(case.desk.board.incidents[case.story.key], int(now_s * SECOND_NS))

    assert care is not None
    assert care.due_ns is None or care.due_ns > int(now_s * SECOND_NS)


def test_pipes_are_not_called_back() -> None:
    desk, burst = Desk(), Story(SOURCE, "water.main-7")
    desk.told(burst.raised())

    assert care_of(desk.incident(burst), MINUTE_NS) is None
    with pytest.raises(ActRefused, match="not_a_person"):
        desk.act(burst, "called_back", answer="well")


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Centre]:
    with centre(tmp_path, users={"wang": "staff", "zhao": "administrator"}) as there:
        yield there


def test_staff_see_level_place_and_what_to_do_and_no_vital_reaches_store_log_page_or_answer(
    city: Centre, caplog: pytest.LogCaptureFixture
) -> None:
    """A canary: a gateway that says too much is a mistake, and the mistake must end at the intake."""
    caplog.set_level(logging.DEBUG)
    gateway, person = city.gateway(), city.person("wang")
    story = gateway.alarm("person-7", medium="wristband", kind="fall", grade="P2", channel=None)
    change = story.raised(observed={"value": float(HEART), "unit": "/min"}, numbers={"heart": float(HEART)})
    plot = {"end": "2026-01-05T02:14:07Z", "period_s": 1, "unit": "/min", "values": [int(HEART)]}
    change["data"]["plot"] = plot
    change["data"] |= {"name": NAME, "phone": PHONE, "why": {"value": int(HEART)}}
    gateway.tell(change)

    assert person.act(story.key, "acknowledged").status == 303
    assert person.act(story.key, "called_back", answer="no_answer").status == 303
    assert person.act(story.key, "ambulance").status == 303
    page = person.see(f"/incidents/{story.key}")
    assert "person-7" in page
    assert "二级" in page
    assert city.server is not None
    city.server.kill()
    said = [page, (city.folder / "centre.log").read_text()]
    said += [file.read_bytes().decode("utf-8", "replace") for file in (city.folder / "state").iterdir()]
    for text in said:
        for private in (NAME, PHONE, f'"heart":{HEART}', f":{HEART}"):
            assert private not in text, private
