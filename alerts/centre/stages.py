"""Stages: the seven-step loop of a case as a table; the code looks it up, the documentation is drawn from it.

受理 → 立案 → 派遣 → 处置 → 反馈 → 核查 → 结案 (urban management's loop, GB/T 30428.8), with 退单, 返工, 移交,
不予立案 and 评价 (domain facts §3).
"""

from collections.abc import Mapping
from enum import StrEnum


class Stage(StrEnum):
    """Where a case stands."""

    RECEIVED = "received"  # 待受理: nobody has taken it yet
    ACCEPTED = "accepted"  # 受理: the duty desk has
    REGISTERED = "registered"  # 立案: it is a case, to be dispatched
    DISPATCHED = "dispatched"  # 派遣: a unit or person was told to go
    ENGAGED = "engaged"  # 接单: they said that they go
    HANDLING = "handling"  # 处置: they are on the spot
    TRANSFERRED = "transferred"  # 移交: outside our remit, in the hands of somebody who answers
    FEEDBACK = "feedback"  # 反馈: the field said what it found and did
    VERIFYING = "verifying"  # 核查: field feedback is there, the signal must prove it
    CLOSED = "closed"  # 结案
    EVALUATED = "evaluated"  # 评价
    REJECTED = "rejected"  # 不予立案


WORSENED = "worsened"  # the one thing that nobody does: a change of the gateway that calls people
FILED = (Stage.REGISTERED, Stage.DISPATCHED, Stage.ENGAGED, Stage.HANDLING, Stage.TRANSFERRED)
BEFORE_CLOSING = (Stage.RECEIVED, Stage.ACCEPTED, *FILED, Stage.FEEDBACK, Stage.VERIFYING)
OVER = frozenset({Stage.CLOSED, Stage.EVALUATED, Stage.REJECTED})

NEXT: Mapping[tuple[Stage, str], Stage] = {  # (where it stands, what is done) -> where it then stands
    (Stage.RECEIVED, "acknowledged"): Stage.ACCEPTED,
    (Stage.RECEIVED, "filed"): Stage.REGISTERED,
    (Stage.RECEIVED, "rejected"): Stage.REJECTED,
    (Stage.ACCEPTED, "filed"): Stage.REGISTERED,
    (Stage.ACCEPTED, "rejected"): Stage.REJECTED,
    (Stage.REGISTERED, "dispatched"): Stage.DISPATCHED,
    (Stage.DISPATCHED, "engaged"): Stage.ENGAGED,
    (Stage.DISPATCHED, "returned"): Stage.REGISTERED,  # 退单
    (Stage.ENGAGED, "started"): Stage.HANDLING,
    (Stage.HANDLING, "reported"): Stage.FEEDBACK,
    **{(stage, "transferred"): Stage.TRANSFERRED for stage in (Stage.ACCEPTED, *FILED[:-1])},
    (Stage.TRANSFERRED, "returned"): Stage.REGISTERED,
    (Stage.TRANSFERRED, "reported"): Stage.FEEDBACK,
    (Stage.FEEDBACK, "verifying"): Stage.VERIFYING,
    (Stage.FEEDBACK, "reworked"): Stage.HANDLING,  # 返工
    (Stage.VERIFYING, "reworked"): Stage.HANDLING,
    **{(stage, "confirmed"): Stage.VERIFYING for stage in BEFORE_CLOSING},  # feedback by word of mouth
    (Stage.VERIFYING, "closed"): Stage.CLOSED,
    (Stage.CLOSED, "evaluated"): Stage.EVALUATED,
    **{(s, WORSENED): Stage.RECEIVED for s in (Stage.ACCEPTED, Stage.VERIFYING, *sorted(OVER))},
    (Stage.FEEDBACK, WORSENED): Stage.HANDLING,  # whoever is on the spot looks again
}
STEPS = tuple(dict.fromkeys(act for _, act in NEXT if act != WORSENED))
"""What people do that moves a case."""

FIELD = frozenset({"reported", "confirmed"})  # the field's word: what was found, and by whom


def after(stage: Stage, act: str) -> Stage:
    """Where a case stands after an act; what the table does not hold moves nothing."""
    return NEXT.get((stage, act), stage)


def may(stage: Stage) -> tuple[str, ...]:
    """What can be done in a stage, in the order of the loop."""
    return tuple(act for before, act in NEXT if before is stage and act != WORSENED)
