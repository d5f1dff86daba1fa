"""Wearers: how the steps of care for somebody who wears a wristband drive the calls about them; pure.

Cancel window → call back by the duty desk → the wearer's carers and community staff → sub-district, each by
the times of care; what staff say moves them (domain facts §10). P1 calls everybody at once as it ever does,
and a wearer who wanders off is for 110 from the first moment.
"""

from collections.abc import Sequence
from dataclasses import replace

from alerts.centre.calling.escalation import SECOND_NS, Climb, answered, rebased
from alerts.centre.calling.ladder import Matter, Step, ladder_of
from alerts.centre.care import ARRIVE_S, CALL_S, CANCEL_S, NO_WINDOW, Care
from alerts.centre.care import Step as CareStep
from config.grades import FAULT
from config.routing import Ladder, Routing

CALLED = ("desk", "community", "sub_district", "chief", "last")
RUNG = {CareStep.CALL: 0, CareStep.STAFF: 1, CareStep.STREET: 2}
WELL_OR_NOT_ALONE = (CareStep.TALKED, CareStep.THERE)


def plan_of(matter: Matter, routing: Routing) -> tuple[Ladder, tuple[Step, ...]]:
    """The times and the steps by which is called about a matter."""
    rules = routing.ladder[matter.grade]  # type: ignore[index]
    if not follows_care(matter, routing):
        return rules, ladder_of(matter, routing)
    call_s = 0.0 if matter.kind in NO_WINDOW else float(CANCEL_S)
    street_s = call_s + CALL_S + ARRIVE_S
    times = [0.0, *rules.climb_s]
    pace_s = times[-1] - times[-2]
    after_s = (call_s, call_s + CALL_S, street_s, street_s + pace_s, street_s + 2 * pace_s)
    steps = tuple(
        Step(when, (name,) if number == 0 else (name, "backups"))
        for number, (when, name) in enumerate(zip(after_s, CALLED))
    )
    return replace(rules, arrive_s=street_s), steps


def follows_care(matter: Matter, routing: Routing) -> bool:
    """Whether the calls about it go by the steps of care."""
    return (
        matter.medium == "wristband"
        and matter.grade != "P1"
        and matter.kind not in routing.police.copied
        and not matter.kind.startswith(FAULT)
    )


def cared_for(
    climb: Climb, care: Care, rules: Ladder, ladder: Sequence[Step], *, taken: bool, arrived: bool
) -> Climb:
    """The climb where care stands. Taking it stops no step before community staff have been called."""
    arrived = arrived or care.step in WELL_OR_NOT_ALONE
    again = climb.arrived and not arrived  # the wearer was well, and is no longer: staff are called anew
    step = min(climb.step, RUNG[CareStep.STAFF]) if again else climb.step
    taken = taken and step > RUNG[CareStep.STAFF]
    climb = answered(climb._replace(step=step), rules, ladder, taken=taken, arrived=arrived)
    rung = RUNG.get(care.step)
    if arrived:
        return climb
    passed_s = 0.0 if rung is None else ladder[rung].after_s
    return rebased(climb, rules, ladder, care.since_ns - int(passed_s * SECOND_NS))
