"""A case: who must act, what an act is worth once things grow worse, and when it may be closed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alerts.centre.acts import ACTS, ActRefused, NotYet, prepare
from alerts.centre.board import Board
from alerts.centre.cases import Incident, timeline, waiting_for
from alerts.centre.clocks import Clocks
from alerts.centre.events import Fact
from alerts.centre.stages import Stage
from config.clocks import read_clocks
from config.workdays import work_calendar
from tests.alerts.centre.world import SECOND_NS, Story, done, fact

SOURCE = "urn:watchline:gw-1"
START_NS = 1_767_578_400 * SECOND_NS
MINUTE_NS = 60 * SECOND_NS
WINDOW_NS = 30 * MINUTE_NS


class Desk:
    """A board that is told one fact a minute."""

    def __init__(self) -> None:
        self.board = Board()
        self.number = 0

    @property
    def now_ns(self) -> int:
        return START_NS + self.number * MINUTE_NS

    def told(self, event: dict[str, Any]) -> None:
        self.number += 1
        self.board.fold(fact(event, self.number, self.now_ns))

    def did(self, story: Story, kind: str, **body: Any) -> None:
        self.number += 1
        self.board.fold(done(story.key, kind, self.number, self.now_ns, **body))

    def incident(self, story: Story) -> Incident:
        return self.board.incidents[story.key]

    def missing(self, story: Story, later_ns: int = 0, silent: bool = False) -> list[str]:
        waiting = waiting_for(self.incident(story), self.now_ns + later_ns, WINDOW_NS, silent)
        return [one.what for one in waiting]

    def act(self, story: Story, kind: str, *, seen: int | None = None, **form: str) -> Fact:
        incident = self.incident(story)
        return prepare(
            incident,
            kind,
            {"seen": str(incident.known if seen is None else seen), **form},
            actor="wang",
            once="0" * 24,
            now_ns=self.now_ns,
            verify_ns=WINDOW_NS,
            gateway_silent=False,
        )


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def burst() -> Story:
    return Story(SOURCE, "water.main-7")


def test_a_case_goes_from_received_over_accepted_and_verifying_to_closed(desk: Desk, burst: Story) -> None:
    stages = []
    desk.told(burst.raised())
    stages.append(desk.incident(burst).stage)
    for kind in ("acknowledged", "confirmed", "closed"):
        desk.did(burst, kind)
        stages.append(desk.incident(burst).stage)

    assert stages == [Stage.RECEIVED, Stage.ACCEPTED, Stage.VERIFYING, Stage.CLOSED]
    assert burst.key not in desk.board.open


def test_a_signal_that_returns_never_closes_a_case(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised())
    desk.told(burst.cleared())

    assert desk.incident(burst).stage is Stage.RECEIVED
    assert burst.key in desk.board.open


def test_closing_needs_the_field_and_the_signal_in_band_for_the_whole_window(
    desk: Desk, burst: Story
) -> None:
    desk.told(burst.raised())
    assert desk.missing(burst) == ["field", "signal"]

    desk.did(burst, "acknowledged")
    assert desk.missing(burst) == ["field", "signal"]

    desk.did(burst, "confirmed", outcome="real")
    assert desk.missing(burst) == ["signal"]

    desk.told(burst.cleared())
    assert desk.missing(burst) == ["window"]
    assert desk.missing(burst, later_ns=WINDOW_NS - 1) == ["window"]
    assert desk.missing(burst, later_ns=WINDOW_NS) == []


def test_a_signal_that_strays_again_starts_the_window_anew(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised())
    desk.did(burst, "confirmed")
    desk.told(burst.cleared())
    desk.told(burst.change("updated", "ACTIVE_UNACK"))
    assert desk.missing(burst, later_ns=WINDOW_NS) == ["signal"]

    desk.told(burst.cleared())

    assert desk.missing(burst, later_ns=WINDOW_NS - 1) == ["window"]


def test_every_alarm_of_the_incident_counts(desk: Desk, burst: Story) -> None:
    other = Story(SOURCE, "water.main-8", {"incident": burst.incident})
    desk.told(burst.raised())
    desk.told(other.raised(notify=False))
    desk.did(burst, "confirmed")
    desk.told(burst.cleared())

    assert desk.missing(burst, later_ns=WINDOW_NS) == ["signal"]


def test_an_acknowledged_return_goes_on_counting_from_the_return(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised())
    desk.told(burst.change("cleared", "RTN_UNACK"))
    returned = desk.now_ns
    desk.told(burst.change("acknowledged", "NORMAL"))

    assert next(iter(desk.incident(burst).alarms.values())).calm_since_ns == returned


def test_a_latched_alarm_must_be_reset_before_closing(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised())
    desk.did(burst, "confirmed")
    desk.told(burst.change("cleared", "LATCH_ACK"))
    assert desk.missing(burst, later_ns=WINDOW_NS) == ["reset"]
    assert desk.act(burst, "reset").data.count(b'"reset"') == 1

    desk.told(burst.change("updated", "NORMAL", notify=False))

    assert desk.missing(burst, later_ns=WINDOW_NS) == []


def test_silence_of_the_gateway_proves_nothing(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised())
    desk.did(burst, "confirmed")
    desk.told(burst.cleared())

    assert desk.missing(burst, later_ns=WINDOW_NS, silent=True) == ["gateway"]


def test_growing_worse_asks_for_a_new_acknowledgement_and_a_new_look(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised(grade="P3"))
    desk.did(burst, "acknowledged")
    desk.did(burst, "confirmed")

    desk.told(burst.change("updated", "ACTIVE_UNACK", grade="P1", notify=True))

    assert desk.incident(burst).stage is Stage.RECEIVED
    assert desk.incident(burst).grade == "P1"
    assert "field" in desk.missing(burst)


def test_a_closed_case_opens_again_when_people_are_called_again(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised())
    for kind in ("acknowledged", "confirmed", "closed"):
        desk.did(burst, kind)

    desk.told(burst.raised())

    assert burst.key in desk.board.open


def test_a_change_that_folds_into_a_running_incident_disturbs_nobody(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised())
    desk.did(burst, "acknowledged")

    desk.told(burst.change("updated", "ACTIVE_ACK", notify=False))
    desk.told(burst.cleared(notify=True))

    assert desk.incident(burst).stage is Stage.ACCEPTED


def test_whoever_acknowledged_at_the_gateway_has_taken_it(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised())
    desk.told(burst.change("acknowledged", "ACTIVE_ACK", actor="local.roster"))

    assert desk.incident(burst).stage is Stage.ACCEPTED


def test_closing_without_field_confirmation_is_impossible_even_as_a_fact(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised())
    desk.did(burst, "acknowledged")

    desk.did(burst, "closed")

    assert desk.incident(burst).stage is Stage.ACCEPTED


@pytest.mark.parametrize("said", [{"grade": "P4"}, {"grade": "P3", "warmup": True, "rule": "jump"}])
def test_information_and_learning_ask_nothing_and_end_with_their_signal(
    desk: Desk, burst: Story, said: dict[str, Any]
) -> None:
    desk.told(burst.raised(**said))
    assert desk.incident(burst).quiet
    assert burst.key in desk.board.open

    desk.told(burst.cleared(**said))

    assert burst.key not in desk.board.open


@pytest.mark.parametrize(
    "said",
    [
        {"grade": "P1", "rule": "jump"},
        {"grade": "P3", "rule": "water.pressure.low"},
    ],
)
def test_a_high_grade_or_a_level_asks_for_people_from_the_first_minute(
    desk: Desk, burst: Story, said: dict[str, Any]
) -> None:
    desk.told(burst.raised(warmup=True, **said))

    assert not desk.incident(burst).quiet


def test_acts_are_refused_with_a_reason(desk: Desk, burst: Story) -> None:
    def refused(kind: str, **form: str) -> str:
        with pytest.raises(ActRefused) as refusal:
            desk.act(burst, kind, seen=None, **form)
        return refusal.value.code

    desk.told(burst.raised())
    assert refused("dance") == "unknown_act"
    assert refused("confirmed", note="seen") == "outcome_missing"
    assert refused("confirmed", outcome="real", note=" ") == "note_missing"
    assert refused("confirmed", outcome="real", note="x" * 1001) == "too_long"
    assert refused("unshelved") == "not_shelved"
    assert refused("reset") == "nothing_latched"
    with pytest.raises(NotYet) as not_yet:
        desk.act(burst, "closed")
    assert [one.what for one in not_yet.value.waiting] == ["field", "signal"]

    desk.did(burst, "acknowledged")
    assert refused("acknowledged") == "acknowledged_already"


def test_acting_on_an_old_picture_is_refused_once_it_grew_worse(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised(grade="P3"))
    seen = desk.incident(burst).known
    desk.told(burst.change("escalated", "ACTIVE_UNACK", grade="P1", notify=True))

    with pytest.raises(ActRefused, match="grew_worse"):
        desk.act(burst, "acknowledged", seen=seen)


@pytest.mark.parametrize(
    ("grade", "seconds", "code"),
    [
        ("P1", "60", "not_shelvable"),
        ("P2", "3600", ""),
        ("P2", "3601", "shelf_length"),
        ("P3", "28800", ""),
        ("P3", "28801", "shelf_length"),
        ("P3", "59", "shelf_length"),
        ("P3", "-3600", "shelf_length"),
        ("P3", "1e9", "shelf_length"),
        ("P3", "9" * 400, "shelf_length"),
        ("P3", "one_shot", ""),
    ],
)
def test_shelves_have_a_reason_and_an_end_within_the_cap(
    desk: Desk, burst: Story, grade: str, seconds: str, code: str
) -> None:
    desk.told(burst.raised(grade=grade))
    if code:
        with pytest.raises(ActRefused, match=code):
            desk.act(burst, "shelved", seconds=seconds, reason="works")
        return

    assert b'"shelve"' in desk.act(burst, "shelved", seconds=seconds, reason="works").data
    with pytest.raises(ActRefused, match="reason_missing"):
        desk.act(burst, "shelved", seconds=seconds, reason=" ")


def test_the_timeline_tells_everything_newest_first(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised(detected_ns=START_NS + MINUTE_NS))
    desk.did(burst, "acknowledged")
    desk.told(burst.cleared(detected_ns=START_NS + 3 * MINUTE_NS))

    lines = timeline(desk.incident(burst))

    told = [line.told.type if line.told else line.act.kind if line.act else "" for line in lines]
    assert told == ["cleared", "acknowledged", "raised"]


LOOP = ("acknowledged", "filed", "dispatched", "engaged", "started", "reported", "verifying", "closed")


def test_the_seven_steps_lead_from_received_to_closed_and_to_an_evaluation(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised())
    stages = []
    for kind in (*LOOP, "evaluated"):
        desk.did(burst, kind, to="street 2")
        stages.append(str(desk.incident(burst).stage))

    assert stages == [
        *("accepted", "registered", "dispatched", "engaged", "handling", "feedback", "verifying"),
        *("closed", "evaluated"),
    ]


def test_an_order_that_is_returned_is_to_be_dispatched_again(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised())
    for kind in LOOP[:3]:
        desk.did(burst, kind, to="street 2")
    assert desk.incident(burst).assigned == "street 2"

    desk.did(burst, "returned", reason="not our street")

    assert desk.incident(burst).stage is Stage.REGISTERED
    assert desk.incident(burst).assigned == ""


def test_work_that_fails_verification_goes_back_and_its_feedback_counts_no_more(
    desk: Desk, burst: Story
) -> None:
    desk.told(burst.raised())
    for kind in LOOP[:-1]:
        desk.did(burst, kind, to="street 2", outcome="real")
    desk.told(burst.cleared())
    assert desk.missing(burst, later_ns=WINDOW_NS) == []

    desk.did(burst, "reworked", reason="still wet")

    assert desk.incident(burst).stage is Stage.HANDLING
    assert desk.missing(burst, later_ns=WINDOW_NS) == ["field"]
    with pytest.raises(NotYet):
        desk.act(burst, "closed")


def test_who_is_under_way_stays_under_way_when_it_grows_worse_but_the_desk_must_look_again(
    desk: Desk, burst: Story
) -> None:
    desk.told(burst.raised(grade="P3"))
    for kind in LOOP[:5]:
        desk.did(burst, kind, to="street 2")
    assert desk.incident(burst).acknowledged

    desk.told(burst.change("updated", "ACTIVE_UNACK", grade="P1", notify=True))

    assert desk.incident(burst).stage is Stage.HANDLING
    assert not desk.incident(burst).acknowledged
    assert b'"ack"' in desk.act(burst, "acknowledged").data
    assert b'"ack"' in desk.act(burst, "reported", outcome="real", note="valve shut").data


def test_what_is_out_of_remit_is_handed_over_and_its_answer_is_feedback(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised())
    desk.did(burst, "acknowledged")
    desk.did(burst, "transferred", to="110", reason="a crime")
    assert desk.incident(burst).assigned == "110"
    assert burst.key in desk.board.open, "handed over is not closed"

    desk.did(burst, "reported", outcome="real")

    assert desk.incident(burst).stage is Stage.FEEDBACK


def test_only_what_is_back_in_band_may_be_left_unfiled(desk: Desk, burst: Story) -> None:
    desk.told(burst.raised())
    with pytest.raises(ActRefused, match="still_out"):
        desk.act(burst, "rejected", reason="a drill")
    desk.told(burst.cleared())
    desk.board.fold(
        Fact(
            99, desk.now_ns, "urn:watchline:centre:staff", "x", "city.linkage.case.rejected.v1", burst.key,
            desk.act(burst, "rejected", reason="a drill").data,
        )
    )  # fmt: skip

    assert desk.incident(burst).stage is Stage.REJECTED
    assert burst.key not in desk.board.open


@given(st.lists(st.sampled_from([*ACTS, "worse", "better"]), max_size=25))
def test_however_staff_and_signals_mix_nothing_is_closed_without_feedback_and_a_calm_signal(
    turns: list[str],
) -> None:
    desk, story = Desk(), Story(SOURCE, "water.main-7")
    desk.told(story.raised())
    for turn in turns:
        if turn == "worse":
            desk.told(story.change("updated", "ACTIVE_UNACK", grade="P1", notify=True))
        elif turn == "better":
            desk.told(story.cleared())
        else:
            form = {"outcome": "real", "note": "seen", "reason": "so", "to": "street", "score": "5"}
            try:
                made = desk.act(story, turn, seen=None, seconds="600", **form)
            except ActRefused:
                continue
            desk.number += 1
            desk.board.fold(replace(made, number=desk.number, id=f"act-{desk.number}"))
            if turn == "closed":
                incident = desk.incident(story)
                assert incident.finding is not None
                assert incident.in_band


def test_a_limit_given_with_the_order_is_counted_in_working_hours(desk: Desk, burst: Story) -> None:
    calendar = work_calendar("Asia/Shanghai", "09:00-12:00 13:00-17:00", "CN")
    clocks = Clocks(calendar, read_clocks())
    desk.told(burst.raised(grade="P3"))
    assert clocks.due_ns(desk.incident(burst)) == desk.now_ns + 15 * MINUTE_NS
    for kind in LOOP[:5]:
        desk.did(burst, kind, to="street 2", limit="4 working hours")

    due_ns = clocks.due_ns(desk.incident(burst))

    assert due_ns is not None
    order = desk.incident(burst).last_order
    assert order is not None
    assert calendar.worked_s(order.at_ns, due_ns) == 4 * 3600


@pytest.mark.parametrize(
    ("kind", "form", "code"),
    [
        ("dispatched", {"to": "x"}, "to_missing"),
        ("dispatched", {"to": "street 2", "limit": "soon"}, "limit_unclear"),
        ("started", {}, "wrong_stage"),
        ("evaluated", {"score": "5"}, "wrong_stage"),
    ],
)
def test_a_step_that_lacks_something_or_comes_too_early_is_refused(
    desk: Desk, burst: Story, kind: str, form: dict[str, str], code: str
) -> None:
    desk.told(burst.raised())
    desk.did(burst, "filed")

    with pytest.raises(ActRefused, match=code):
        desk.act(burst, kind, seen=None, **form)
