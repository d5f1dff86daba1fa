"""Escalation: where each open incident stands on its ladder and what is due now; pure, time is handed in.

A climb is a few numbers, kept durably by whoever runs this; all deadlines are absolute. Whatever happens
between two of them, the next sweep finds what is due, and what was missed meanwhile is called at once.
"""

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from alerts.centre.calling.ladder import Step
from config.routing import Ladder

SECOND_NS = 1_000_000_000
NEVER = 2**63 - 1


class Climb(NamedTuple):
    """One incident on its ladder; a tuple, since a flood moves ten thousand of them at once."""

    incident: str
    armed: int  # the fact that called people; another one starts the ladder anew
    grade: str
    began_ns: int
    step: int = 0  # steps called so far
    calls: int = 0  # made so far, repeats among them
    called_ns: int = 0  # the last of them
    taken: bool = False
    arrived: bool = False
    due_ns: int = 0


class Call(NamedTuple):
    """What a sweep found to be due: these steps of the ladder are called."""

    incident: str
    number: int  # counts the calls of this incident, so that none is made twice
    steps: tuple[int, ...]
    why: str  # first, unanswered, nobody_there, repeat


def begin(incident: str, armed: int, grade: str, called_ns: int) -> Climb:
    """A climb whose first step is due at once."""
    return Climb(incident, armed, grade, called_ns, due_ns=called_ns)


def answered(climb: Climb, rules: Ladder, ladder: Sequence[Step], *, taken: bool, arrived: bool) -> Climb:
    """The climb after somebody took it, arrived, or (a return, 退单) gave it back."""
    muted = climb.due_ns == NEVER and not climb.arrived  # and is no longer: this was asked
    if (taken, arrived) == (climb.taken, climb.arrived) and not muted:
        return climb
    changed = climb._replace(taken=taken or arrived, arrived=arrived)
    return changed._replace(due_ns=_next_ns(changed, rules, ladder))


def rebased(climb: Climb, rules: Ladder, ladder: Sequence[Step], began_ns: int) -> Climb:
    """The climb with its times counted from another moment."""
    changed = climb._replace(began_ns=began_ns)
    return changed._replace(due_ns=_next_ns(changed, rules, ladder))


def shelved(climb: Climb, until_ns: int) -> Climb:
    """The climb while its incident is put aside: nobody is called before that ends (0 = by word alone)."""
    return climb._replace(due_ns=max(until_ns, climb.due_ns) if until_ns else NEVER)


def advance(climb: Climb, rules: Ladder, ladder: Sequence[Step], now_ns: int) -> tuple[Climb, Call | None]:
    """What is due by now, as one call, and the climb after it; nothing where nothing is due."""
    if now_ns < climb.due_ns:
        return climb, None
    step = climb.step
    while step < len(ladder) and _step_ns(climb, rules, ladder, step) <= now_ns:
        step += 1
    fresh = tuple(range(climb.step, step))
    again = not climb.taken and climb.calls and _repeat_ns(climb, rules) <= now_ns
    if climb.step == 0:
        why, steps = "first", fresh
    elif fresh:
        why, steps = "nobody_there" if climb.taken else "unanswered", tuple(range(step)) if again else fresh
    elif again and step < len(ladder):
        why, steps = "repeat", tuple(range(step))
    else:
        why, steps = "repeat", (len(ladder) - 1,)
    incident, armed, grade, began_ns, _, calls, _, taken, arrived, _ = climb  # _replace costs thrice as much
    after = Climb(incident, armed, grade, began_ns, step, calls + 1, now_ns, taken, arrived)
    due_ns = _next_ns(after, rules, ladder)
    return Climb(*after[:-1], due_ns), Call(incident, calls, steps, why)


def climb_on(climb: Climb, rules: Ladder, ladder: Sequence[Step]) -> Climb:
    """One step further at once, because nobody stands on those that were called."""
    further = climb._replace(step=climb.step + 1)
    return further._replace(due_ns=_next_ns(further, rules, ladder))


def _step_ns(climb: Climb, rules: Ladder, ladder: Sequence[Step], step: int) -> int:
    """When a step is called: by its time; once somebody took it, when they should be there and are not."""
    if not climb.taken or step == 0:
        return climb.began_ns + int(ladder[step].after_s * SECOND_NS)
    missed_ns = climb.began_ns + int(rules.arrive_s * SECOND_NS)
    next_ns = missed_ns if climb.called_ns < missed_ns else climb.called_ns + _pace_ns(rules)
    return next_ns + (step - climb.step) * _pace_ns(rules)


def _next_ns(climb: Climb, rules: Ladder, ladder: Sequence[Step]) -> int:
    """When something is due next."""
    if climb.arrived:
        return NEVER
    if climb.step < len(ladder):
        due_ns = _step_ns(climb, rules, ladder, climb.step)
        return due_ns if climb.taken or not climb.calls else min(due_ns, _repeat_ns(climb, rules))
    missed_ns = climb.began_ns + int(rules.arrive_s * SECOND_NS) if climb.taken else 0
    return max(missed_ns, climb.called_ns + _pace_ns(rules))


def _repeat_ns(climb: Climb, rules: Ladder) -> int:
    """When those already called hear it again."""
    return climb.called_ns + int(rules.repeat_s * SECOND_NS) if rules.repeat_s else NEVER


def _pace_ns(rules: Ladder) -> int:
    """Between two calls of the last receiver, who hears it for ever: never into silence."""
    return int((rules.repeat_s or rules.climb_s[-1]) * SECOND_NS)


class Climbs:
    """All open climbs by incident, and the one that is due next."""

    def __init__(self, known: Iterable[Climb] = ()) -> None:
        self.by_incident: dict[str, Climb] = {}
        self._due: list[tuple[int, str]] = []
        for climb in known:
            self.keep(climb)

    def keep(self, climb: Climb) -> None:
        self.by_incident[climb.incident] = climb
        if climb.due_ns != NEVER:
            heapq.heappush(self._due, (climb.due_ns, climb.incident))

    def drop(self, incident: str) -> None:
        self.by_incident.pop(incident, None)

    def next_ns(self) -> int:
        """When the next climb is due; NEVER where none is."""
        while self._due:
            due_ns, incident = self._due[0]
            climb = self.by_incident.get(incident)
            if climb is not None and climb.due_ns == due_ns:
                return due_ns
            heapq.heappop(self._due)  # it was moved or dropped since
        return NEVER

    def due(self, now_ns: int, most: int) -> list[Climb]:
        """Those that are due, the longest overdue first; each is to be advanced and kept again."""
        found: list[Climb] = []
        heap, known = self._due, self.by_incident
        while heap and len(found) < most and heap[0][0] <= now_ns:
            due_ns, incident = heapq.heappop(heap)
            climb = known.get(incident)
            if climb is not None and climb.due_ns == due_ns:  # else it was moved or dropped since
                found.append(climb)
        return found
