"""States: the ISA-18.2 life of an alarm as a table; the code looks it up, the documentation is drawn from it.

Names follow ISA-18.2 / IEC 62682 and OPC UA Part 9.
"""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where an alarm stands. UNACK: nobody has seen it yet. RTN, LATCH: its condition is over."""

    NORMAL = "NORMAL"
    PENDING = "PENDING"
    ACTIVE_UNACK = "ACTIVE_UNACK"
    ACTIVE_ACK = "ACTIVE_ACK"
    RTN_UNACK = "RTN_UNACK"
    LATCH_UNACK = "LATCH_UNACK"
    LATCH_ACK = "LATCH_ACK"


class Turn(StrEnum):
    """What can happen to an alarm."""

    STRANGE = "condition true"
    CALM = "condition false"  # before the on-delay had passed: nobody hears of it
    LASTED = "true for on-delay"
    WORSENED = "higher severity"
    RETURNED = "false for off-delay"
    RETURNED_LATCHING = "false for off-delay, latching"
    ACKNOWLEDGED = "acknowledge"
    RESET = "reset"
    RETIRED = "retired"  # no longer watched, or come again as a new alarm


class Overlay(StrEnum):
    """What mutes an alarm's notification, never its record; any of them may lie over any state."""

    SHELVED = "SHELVED"
    SUPPRESSED = "SUPPRESSED_BY_DESIGN"
    OUT_OF_SERVICE = "OUT_OF_SERVICE"


ACTIVE = frozenset({State.ACTIVE_UNACK, State.ACTIVE_ACK})
UNACKNOWLEDGED = frozenset({State.ACTIVE_UNACK, State.RTN_UNACK, State.LATCH_UNACK})

TRANSITIONS: Mapping[tuple[State, Turn], State] = {
    (State.NORMAL, Turn.STRANGE): State.PENDING,
    (State.PENDING, Turn.CALM): State.NORMAL,
    (State.PENDING, Turn.LASTED): State.ACTIVE_UNACK,
    (State.ACTIVE_UNACK, Turn.ACKNOWLEDGED): State.ACTIVE_ACK,
    (State.ACTIVE_UNACK, Turn.WORSENED): State.ACTIVE_UNACK,
    (State.ACTIVE_UNACK, Turn.LASTED): State.ACTIVE_UNACK,
    (State.ACTIVE_UNACK, Turn.RETURNED): State.RTN_UNACK,
    (State.ACTIVE_UNACK, Turn.RETURNED_LATCHING): State.LATCH_UNACK,
    (State.ACTIVE_UNACK, Turn.RETIRED): State.NORMAL,
    (State.ACTIVE_ACK, Turn.WORSENED): State.ACTIVE_UNACK,
    (State.ACTIVE_ACK, Turn.LASTED): State.ACTIVE_UNACK,
    (State.ACTIVE_ACK, Turn.RETURNED): State.NORMAL,
    (State.ACTIVE_ACK, Turn.RETURNED_LATCHING): State.LATCH_ACK,
    (State.ACTIVE_ACK, Turn.RETIRED): State.NORMAL,
    (State.RTN_UNACK, Turn.ACKNOWLEDGED): State.NORMAL,
    (State.RTN_UNACK, Turn.LASTED): State.ACTIVE_UNACK,
    (State.RTN_UNACK, Turn.RETIRED): State.NORMAL,
    (State.LATCH_UNACK, Turn.ACKNOWLEDGED): State.LATCH_ACK,
    (State.LATCH_UNACK, Turn.LASTED): State.ACTIVE_UNACK,
    (State.LATCH_UNACK, Turn.RETIRED): State.NORMAL,
    (State.LATCH_ACK, Turn.RESET): State.NORMAL,
    (State.LATCH_ACK, Turn.LASTED): State.ACTIVE_UNACK,
    (State.LATCH_ACK, Turn.RETIRED): State.NORMAL,
}


def after(state: State, turn: Turn) -> State | None:
    """The state that follows, or None where the table knows no such step."""
    return TRANSITIONS.get((state, turn))
