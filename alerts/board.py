"""Board: the points of one detector as arrays; which of them turned, once their delays have passed.

At rest a board costs one comparison of arrays. A Python object is made only for a point whose delay runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from alerts.states import Turn
from detectors.findings import CALM, Explanation, Findings, Points

SECOND_NS = 1_000_000_000
NEVER_NS = int(np.iinfo(np.int64).max)


class Turned(NamedTuple):
    """One point that turned: LASTED, WORSENED or RETURNED."""

    point: int
    turn: Turn
    severity: int
    event_ns: int  # when the strangeness (or the calm) was first measured
    explanation: Explanation | None  # None for RETURNED
    anew: bool = False  # it has just happened, whatever is known of it from before


@dataclass(slots=True)
class Rising:
    """A point that is stranger than what it is held at, while its on-delay runs."""

    since_ns: int
    deadline_ns: int
    samples: int
    severity: int
    explanation: Explanation


class Board:
    """The conditions of one detector's points. `held` (points,): the severity each is active for, 0 at rest.

    Delays count in stream time from the tick that first saw the condition. The on-delay needs its samples
    too, and may pass between two readings (`due`); an off-delay ends only with a heard calm verdict:
    silence never calms.
    """

    def __init__(self, points: Points, keys: tuple[str, ...]) -> None:
        self.points = points
        self.keys = keys
        self.held = np.zeros(len(points), dtype=np.uint8)
        self.active = 0  # how many are held
        self.moving = np.zeros(len(points), dtype=bool)  # a delay runs
        self.rising: dict[int, Rising] = {}
        self.falling: dict[int, tuple[int, int]] = {}  # point: (deadline, when the calm was measured)
        self.on_ns = np.rint(points.on_delay_s * SECOND_NS).astype(np.int64)
        self.off_ns = np.rint(points.off_delay_s * SECOND_NS).astype(np.int64)

    def judge(self, findings: Findings, now_ns: int) -> list[Turned]:
        """What turned with these verdicts."""
        severity = findings.severity
        if not (self.active or self.rising or self.falling or np.count_nonzero(severity)):
            return []
        touched = severity > self.held
        if self.rising or self.falling:
            touched |= self.moving
        if self.active:
            touched |= (self.held > CALM) & (severity == CALM) & findings.heard
        if findings.anew is not None:
            touched |= findings.anew
        if not np.count_nonzero(touched):
            return []
        return [
            turned
            for point in np.flatnonzero(touched).tolist()
            if (turned := self._look(point, findings, now_ns)) is not None
        ]

    def due(self, now_ns: int) -> Iterator[Turned]:
        """Points whose on-delay passed without a further reading, and with samples enough."""
        for point in [p for p, r in self.rising.items() if r.deadline_ns <= now_ns and self._enough(p, r)]:
            yield self._risen(point)

    def next_deadline_ns(self) -> int:
        """When `due` will have something to say."""
        return min(
            (r.deadline_ns for p, r in self.rising.items() if self._enough(p, r)),
            default=NEVER_NS,
        )

    def forget(self, point: int) -> None:
        """The point is at rest again, whatever was known."""
        self.active -= int(self.held[point] > CALM)
        self.held[point] = CALM
        self._stop(point)

    def hold(self, point: int, severity: int) -> None:
        """The point's alarm is active, as a snapshot says."""
        self.active += int(self.held[point] == CALM)
        self.held[point] = severity

    def delays(self) -> tuple[list[list[Any]], list[list[Any]]]:
        """The on-delays and off-delays that run, as JSON; what is held, the alarms themselves tell."""
        rising = [
            [self.keys[p], r.since_ns, r.deadline_ns, r.samples, r.severity, said(r.explanation)]
            for p, r in self.rising.items()
        ]
        return rising, [[self.keys[p], *times] for p, times in self.falling.items()]

    def restart(self) -> None:
        """Everything at rest."""
        self.held[:] = CALM
        self.active = 0
        self.moving[:] = False
        self.rising, self.falling = {}, {}

    def resume_rising(self, point: int, saved: Sequence[Any]) -> None:
        """An on-delay that `delays` told of, without its key."""
        since_ns, deadline_ns, samples, severity, text = saved
        self.rising[point] = Rising(since_ns, deadline_ns, samples, severity, Explanation(*text))
        self.moving[point] = True

    def resume_falling(self, point: int, saved: Sequence[int]) -> None:
        """An off-delay that `delays` told of, without its key."""
        deadline_ns, calm_ns = saved
        self.falling[point] = (deadline_ns, calm_ns)
        self.moving[point] = True

    def _look(self, point: int, findings: Findings, now_ns: int) -> Turned | None:
        severity = int(findings.severity[point])
        heard = bool(findings.heard[point])
        anew = findings.anew is not None and bool(findings.anew[point])
        if severity > self.held[point]:
            risen = self._rise(point, severity, heard, findings, now_ns)
            return risen if risen is None or not anew else risen._replace(anew=True)
        if anew and self.held[point] == severity:
            self._stop(point)
            event_ns, explanation = int(findings.event_ns[point]), _explained(findings, point)
            return Turned(point, Turn.LASTED, severity, event_ns, explanation, anew=True)
        if not heard:
            return None
        if severity > CALM or not self.held[point]:  # as strange as it is held at, or calm before its delay
            self._stop(point)
            return None
        self.rising.pop(point, None)
        event_ns = int(findings.event_ns[point])
        deadline_ns, calm_ns = self.falling.setdefault(point, (now_ns + int(self.off_ns[point]), event_ns))
        self.moving[point] = True
        if now_ns < deadline_ns:
            return None
        self.forget(point)
        return Turned(point, Turn.RETURNED, CALM, calm_ns, None)

    def _rise(self, point: int, severity: int, heard: bool, findings: Findings, now_ns: int) -> Turned | None:
        self.falling.pop(point, None)
        rising = self.rising.get(point)
        fresh = rising is None
        if rising is None:
            deadline_ns = now_ns + int(self.on_ns[point])
            event_ns = int(findings.event_ns[point])
            rising = Rising(event_ns, deadline_ns, 0, severity, _explained(findings, point))
            self.rising[point] = rising
            self.moving[point] = True
        rising.severity = severity
        rising.samples += heard
        if now_ns < rising.deadline_ns or not self._enough(point, rising):
            return None
        if heard and not fresh:  # else nothing is known that was not when it began; `due` would say so too
            rising.explanation = _explained(findings, point)
        return self._risen(point)

    def _risen(self, point: int) -> Turned:
        rising = self.rising[point]
        turn = Turn.WORSENED if self.held[point] else Turn.LASTED
        self.active += int(turn is Turn.LASTED)
        self.held[point] = rising.severity
        self._stop(point)
        return Turned(point, turn, rising.severity, rising.since_ns, rising.explanation)

    def _enough(self, point: int, rising: Rising) -> bool:
        needed = int(self.points.on_samples[point])
        return needed <= 1 or rising.samples >= needed

    def _stop(self, point: int) -> None:
        self.rising.pop(point, None)
        self.falling.pop(point, None)
        self.moving[point] = False


def _explained(findings: Findings, point: int) -> Explanation:
    score = float(findings.score[point])
    said = findings.explain(point)
    score = score if score == score else 0.0
    return Explanation(said.sentence, said.direction, said.observed, said.numbers, score, said.scores)


def said(explanation: Explanation) -> list[Any]:
    """An explanation as JSON, in the order of its fields."""
    observed = None if explanation.observed is None else plain(explanation.observed)
    numbers, scores = plain(explanation.numbers), plain(explanation.scores)
    return [explanation.sentence, int(explanation.direction), observed, numbers, explanation.score, scores]


def plain(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping with plain Python values, so that JSON can say it; what is not finite is left out."""
    found: dict[str, Any] = {}
    for name, value in mapping.items():
        value = value.item() if isinstance(value, np.generic) else value
        if not isinstance(value, float) or isfinite(value):
            found[str(name)] = value
    return found
