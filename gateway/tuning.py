"""Tuning: what settings would quiet the alarms that a recording shows to be too many; decisions, pure.

A point is tuned one rung at a time: each rung is tried by a replay, and only what is still too loud goes on
to the next. What guards lives, what speaks of a person, and what would lose or delay a P1 alarm stays.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log10
from statistics import quantiles
from typing import Any

from alerts.alarmlog import NEVER_NS, Activation
from alerts.comparing import Comparison, Raised
from alerts.kpis import SECOND_NS
from config.channels import ChannelTable
from config.defaults import defaults_for, is_life_safety
from detectors.panel import ALARM_OVER_WARNING
from gateway.alarmbudget import SHORT_S, Budget, worst

DECADES = (1.0, 2.0, 4.0)  # by how much rarer a learning rule must find something
PATIENCE = (2.0, 4.0)  # times the silence that is normal now
LONGEST_DELAY_S = 600.0
MARGIN = 1.5  # over what most of the short alarms lasted
LEARNING = frozenset({"jump", "drift", "rhythm", "stuck"})
DAY_S = 86_400.0
Point = tuple[str, str]
"""Rule and channel."""


@dataclass(frozen=True)
class Proposal:
    """One `[[watching]]` that would take the place of what holds for one channel now."""

    kind: str
    channel: str
    options: Mapping[str, Any]
    why: str
    point: Point
    rung: int = 0

    def toml(self) -> str:
        """As it is written at the end of gateway.toml."""
        lines = [f"# {self.why}", "[[watching]]", f'kind = "{self.kind}"', f'channels = "{self.channel}"']
        return "\n".join([*lines, *(f"{name} = {_toml(value)}" for name, value in self.options.items())])


@dataclass
class Tuning:
    """What is proposed so far, and what was left as it is, with the reason."""

    channels: ChannelTable
    budget: Budget
    watchings: Sequence[Any]
    delays: Mapping[Point, float]  # on-delays as they are now, in seconds
    days: float
    outcomes: Mapping[str, str] = field(default_factory=dict)
    proposals: dict[Point, Proposal] = field(default_factory=dict)
    left: dict[Point, str] = field(default_factory=dict)
    first: dict[Point, list[Activation]] = field(default_factory=dict)

    def consider(self, raised: Sequence[Activation]) -> bool:
        """Look at what was raised under the proposals so far; whether there is anything new to try."""
        if not self.first:
            for one in raised:
                self.first.setdefault(one.tag, []).append(one)
        changed = False
        for loud in worst(self.budget, raised, self.outcomes, self.days, most=len(raised)):
            point = (loud["rule"], loud["channel"])
            if point in self.left:
                continue
            before = self.proposals.get(point)
            proposal = self._next(point, loud, -1 if before is None else before.rung)
            if proposal is not None:
                self.proposals[point] = proposal
                changed = True
            elif before is None:
                self.left[point] = self._reason(point)
        return changed

    def protect(self, comparison: Comparison) -> bool:
        """Take back what would lose or delay a P1 alarm; whether anything was."""
        lost: Iterable[Raised] = [
            *(one for one in comparison.removed if one.grade == "P1"),
            *(one for one, _ in comparison.later if one.grade == "P1"),
        ]
        touched = {one.channel for one in lost} | {one.place for one in lost}
        taken = [
            point
            for point in self.proposals
            if point[1] in touched or self.channels[self.channels.number[point[1]]].place in touched
        ]
        for point in taken:
            del self.proposals[point]
            self.left[point] = "a P1 alarm would be lost or come later"
        return bool(taken)

    def _next(self, point: Point, loud: Mapping[str, Any], rung: int) -> Proposal | None:
        """The next rung of a point's ladder; None where there is none."""
        rule, channel = point
        where = self.channels[self.channels.number[channel]] if channel in self.channels.number else None
        if where is None or where.medium == "wristband" or is_life_safety(where.medium, where.quantity):
            return None
        ladder = list(self._ladder(point))
        if rung + 1 >= len(ladder):
            return None
        kind = "limits" if "." in rule else rule
        why = (
            f"{rule} on {channel}: {len(self.first.get(point, ()))} alarms in {self.days:.0f} days,"
            f" {loud['expected']:.2g} expected by chance"
        )
        options = {**self._standing(kind, channel), **ladder[rung + 1]}
        return Proposal(kind, channel, options, why, point, rung + 1)

    def _ladder(self, point: Point) -> Iterable[Mapping[str, Any]]:
        rule, channel = point
        mine = self.first.get(point, [])
        hold_s = round(self.delays.get(point, 0.0), 3)
        if rule in LEARNING:
            surprise = self._surprise(point)
            for decades in DECADES if surprise else ():
                yield {
                    "warning": _score(surprise + decades),
                    "alarm": _score(surprise + decades + ALARM_OVER_WARNING),
                    "hold_s": hold_s,
                }
        elif rule == "silence":
            where = self.channels[self.channels.number[channel]]
            usual_s = defaults_for(where).silence_s(where.period_s)
            now_s = float(self._standing("silence", channel).get("stale_after_s", usual_s))
            for times in PATIENCE:
                yield {"stale_after_s": round(now_s * times), "hold_s": hold_s}
        elif "." in rule:
            lasted = [(o.end_ns - o.start_ns) / SECOND_NS for o in mine if o.end_ns != NEVER_NS]
            if len(lasted) >= 2 and sorted(lasted)[len(lasted) // 2] < SHORT_S:
                cuts = quantiles(lasted, n=10)
                for cut in (cuts[4], cuts[8]):
                    yield {"on_delay_s": round(min(hold_s + cut * MARGIN, LONGEST_DELAY_S), 1)}

    def _surprise(self, point: Point) -> float:
        """-log10 of the chance in a row from which the rule warns now; 0 where it knows none."""
        channel = self.channels[self.channels.number[point[1]]]
        per_day = self.budget.per_day.get(point, 0.0)
        return -log10(per_day * channel.period_s / DAY_S) if per_day > 0.0 else 0.0

    def _standing(self, kind: str, channel: str) -> dict[str, Any]:
        """Options that the settings give that kind on that channel already: they go on to hold."""
        number = self.channels.number[channel]
        for watching in reversed(self.watchings):
            if watching.kind == kind and number in self.channels.matching(watching.channels):
                levels = {"warning": watching.warning, "alarm": watching.alarm}
                known = {name: level for name, level in levels.items() if level is not None}
                return {**watching.options, **known}
        return {}

    def _reason(self, point: Point) -> str:
        rule, channel = point
        where = self.channels[self.channels.number[channel]] if channel in self.channels.number else None
        if where is None:
            return "it speaks of a place, not of one channel"
        if where.medium == "wristband":
            return "it speaks of a person: no one is made quieter by a machine"
        if is_life_safety(where.medium, where.quantity):
            return "lives may hang on it"
        if "." in rule:
            return "its alarms last: the value truly lies beyond; see to the cause, or set low and high"
        return "no setting of this rule would help: have the sensor looked at"


def tuned(text: str, proposals: Iterable[Proposal]) -> str:
    """The settings file with the proposals at its end; each of them holds over what stands before it."""
    return "\n\n".join([text.rstrip("\n"), *(one.toml() for one in proposals)]) + "\n"


def _score(surprise: float) -> float:
    """On the scale of settings: s / (s + 5)."""
    return round(surprise / (surprise + 5.0), 4)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return repr(value)
