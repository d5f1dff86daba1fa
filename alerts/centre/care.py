"""Care: the steps after a wristband's alert, from the cancel window to 120; by time and by what staff say.

The alert is raised at once; what follows are steps of the case and delay it by nothing (domain facts §10).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from alerts.centre.cases import Act, Incident
from alerts.centre.stages import FIELD

SECOND_NS = 10**9
CANCEL_S = 30  # in which the wearer can cancel on the band
CALL_S = 60  # until the call back is made
ARRIVE_S = 15 * 60  # until community staff are there
ANSWERS = ("well", "needs_help", "no_answer")
NO_WINDOW = frozenset({"sos"})  # who presses the key means it


class Step(StrEnum):
    """What is to be done now."""

    CANCEL = "cancel"  # wait whether the wearer cancels
    CALL = "call"  # call the wearer back
    STAFF = "staff"  # community staff go, the family is told
    STREET = "street"  # they are not there in time: the sub-district takes it
    THERE = "there"  # somebody is with the wearer
    TALKED = "talked"  # the wearer answered and is well


NEXT: Mapping[tuple[Step, str], Step] = {  # (where it stands, what happens) -> where it then stands
    (Step.CANCEL, "late"): Step.CALL,
    (Step.CALL, "late"): Step.STAFF,  # nobody called back: never into silence
    (Step.STAFF, "late"): Step.STREET,
    **{(step, "well"): Step.TALKED for step in (Step.CANCEL, Step.CALL, Step.STAFF, Step.STREET)},
    **{(step, answer): Step.STAFF for step in (Step.CANCEL, Step.CALL) for answer in ANSWERS[1:]},
    (Step.TALKED, "needs_help"): Step.STAFF,
    **{(step, "there"): Step.THERE for step in Step if step is not Step.THERE},
}
LASTS_S: Mapping[Step, int] = {Step.CANCEL: CANCEL_S, Step.CALL: CALL_S, Step.STAFF: ARRIVE_S}


@dataclass(frozen=True, slots=True)
class Care:
    """Where the care for a wearer stands. `due_ns`: when it goes on by itself; None where it does not."""

    step: Step
    since_ns: int
    due_ns: int | None
    ambulance: str  # "", "now" (call 120 in parallel) or "called"


def care_of(incident: Incident, now_ns: int) -> Care | None:
    """Of a wristband's incident that calls people; None of any other."""
    lead = incident.lead.said
    if lead.medium != "wristband" or incident.quiet:
        return None
    step = Step.CALL if lead.kind in NO_WINDOW else Step.CANCEL
    since_ns = incident.called_ns
    for act in incident.acts_since_armed:
        step, since_ns = _by_time(step, since_ns, act.at_ns)
        after = NEXT.get((step, _turn(act)), step)
        if after is not step:
            step, since_ns = after, act.at_ns
    step, since_ns = _by_time(step, since_ns, now_ns)
    lasts_s = LASTS_S.get(step)
    due_ns = None if lasts_s is None else since_ns + lasts_s * SECOND_NS
    return Care(step, since_ns, due_ns, _ambulance(incident))


def _by_time(step: Step, since_ns: int, now_ns: int) -> tuple[Step, int]:
    """What time alone has done by a moment."""
    while (lasts_s := LASTS_S.get(step)) is not None and since_ns + lasts_s * SECOND_NS <= now_ns:
        step, since_ns = NEXT[step, "late"], since_ns + lasts_s * SECOND_NS
    return step, since_ns


def _turn(act: Act) -> str:
    if act.kind == "called_back":
        return str(act.body.get("answer", ""))
    return "there" if act.kind == "started" or act.kind in FIELD else ""


def _ambulance(incident: Incident) -> str:
    """120 in parallel once need is confirmed: by the wearer, by silence after an SOS, or by the field."""
    if incident.last_act("ambulance") is not None:
        return "called"
    answers = [act.body.get("answer") for act in incident.acts_since_armed if act.kind == "called_back"]
    sos = incident.lead.said.kind in NO_WINDOW and "no_answer" in answers
    found = incident.finding
    real = found is not None and found.body.get("outcome") == "real"
    return "now" if "needs_help" in answers or sos or real else ""
