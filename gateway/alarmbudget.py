"""Alarmbudget: false alarms that are to be expected, by rule and channel, beside those that were raised."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log
from statistics import median
from typing import TYPE_CHECKING, Any

from alerts.alarmlog import NEVER_NS, Activation, Log
from alerts.kpis import SECOND_NS, Period

if TYPE_CHECKING:
    from config.channels import ChannelTable
    from config.load import SiteFiles

OPERATOR_ALARMS_PER_DAY = 144.0  # IEC 62682:2014: what one operator bears
WORST = 20
UNLIKELY = 0.01  # so rarely would chance alone bring as many alarms
SHORT_S = 60.0  # an alarm that is over so soon wanted a longer delay
REAL = frozenset({"real", "exercise"})  # what the field found: nothing false about it
FAULTS = frozenset({"stuck", "silence", "clock", "spike"})  # rules that speak of a sensor


@dataclass(frozen=True)
class Budget:
    """False alarms to be expected a day: (rule, channel) -> how many. Levels know no chance."""

    per_day: Mapping[tuple[str, str], float]

    @property
    def total(self) -> float:
        return sum(self.per_day.values())

    def by(self, part: int) -> list[tuple[str, int, float]]:
        """By rule (part 0) or channel (1): its name, how many points, alarms a day; the most first."""
        sums: dict[str, tuple[int, float]] = {}
        for point, per_day in self.per_day.items():
            count, total = sums.get(point[part], (0, 0.0))
            sums[point[part]] = (count + 1, total + per_day)
        lines = [(name, count, total) for name, (count, total) in sums.items()]
        return sorted(lines, key=lambda line: (-line[2], line[0]))


def budget(channels: "ChannelTable", watchings: Any, timezone: str) -> Budget:
    """Of the detectors as set, by their own reckoning."""
    from zoneinfo import ZoneInfo

    from detectors.bank import Bank
    from ingest.window import Window

    grids = [(grid.period_s, grid.channels) for grid in Window(channels).grids]
    expected: dict[tuple[str, str], float] = {}
    for rule, numbers, per_day in Bank(channels, grids, watchings, ZoneInfo(timezone)).expected_alarms():
        for number in numbers.tolist():
            point = (rule, channels.ids[number])
            expected[point] = expected.get(point, 0.0) + per_day
    return Budget(expected)


def beside(site: "SiteFiles", alarms: Log, period: Period) -> dict[str, Any]:
    """Expected and measured over a period: in all, by rule, and the worst offenders with what to do.

    Measured are the alarms that rules raised; those that the field confirmed as real are told apart, and
    what nobody judged may be either.
    """
    settings = site.settings
    expected = budget(site.channels, settings.watching, settings.site.timezone)
    raised = [one for one in alarms.activations() if period.holds(one.start_ns)]
    return {
        "operator_budget_per_day": OPERATOR_ALARMS_PER_DAY,
        "expected_per_day": expected.total,
        "measured_per_day": len(raised) / period.days,
        "by_rule": list(_by_rule(expected, raised, alarms.outcomes, period.days)),
        "by_channel": list(_by_channel(expected, raised, alarms.outcomes, period.days)),
        "worst": worst(expected, raised, alarms.outcomes, period.days),
    }


def worst(
    expected: Budget,
    raised: Sequence[Activation],
    outcomes: Mapping[str, str],
    days: float,
    most: int = WORST,
) -> list[dict[str, Any]]:
    """Points that raised more than chance explains, those that cost most first, each with a suggestion."""
    points: dict[tuple[str, str], list[Activation]] = {}
    for one in raised:
        if outcomes.get(one.incident) not in REAL:
            points.setdefault(one.tag, []).append(one)
    found: list[dict[str, Any]] = []
    for (rule, channel), mine in points.items():
        by_chance = expected.per_day.get((rule, channel), 0.0) * days
        if len(mine) < 2 or _at_least(len(mine), by_chance) > UNLIKELY:
            continue
        found.append(
            {
                "rule": rule,
                "channel": channel,
                "measured": len(mine),
                "expected": float(f"{by_chance:.4g}"),
                "suggestion": suggestion(rule, mine),
            }
        )
    return sorted(found, key=lambda one: (-one["measured"], one["channel"], one["rule"]))[:most]


def suggestion(rule: str, mine: Sequence[Activation]) -> str:
    """What would help against alarms of one rule on one channel, from how they looked."""
    lasted = [(one.end_ns - one.start_ns) / SECOND_NS for one in mine if one.end_ns != NEVER_NS]
    if rule in FAULTS or mine[0].kind.startswith("sensor_fault:"):
        return "have the sensor or its radio looked at: it is at fault again and again"
    if lasted and median(lasted) < SHORT_S:
        return (
            f"half of them were over within {median(lasted):.0f} s: a longer on-delay or a wider deadband"
            " would leave them out; watchline tune shows what that changes"
        )
    if "." in rule:
        return (
            "its level lies within what is usual there: see to the cause, or let watchline tune propose one"
        )
    return "what is usual there is not what it learned: let watchline tune propose higher scores or a hold"


def _at_least(count: int, mean: float) -> float:
    """The chance of so many or more where `mean` are expected (Poisson)."""
    if mean <= 0.0:
        return 0.0
    below = sum(exp(n * log(mean) - mean - lgamma(n + 1)) for n in range(count))
    return max(1.0 - below, 0.0)


def _by_rule(
    expected: Budget, raised: Sequence[Activation], outcomes: Mapping[str, str], days: float
) -> Iterator[dict[str, Any]]:
    chance = {rule: (count, per_day) for rule, count, per_day in expected.by(0)}
    yield from _lines("rule", 0, chance, raised, outcomes, days)


def _by_channel(
    expected: Budget, raised: Sequence[Activation], outcomes: Mapping[str, str], days: float
) -> Iterator[dict[str, Any]]:
    """Channels that raised anything."""
    loud = {one.tag[1] for one in raised}
    chance = {name: (count, per_day) for name, count, per_day in expected.by(1) if name in loud}
    yield from _lines("channel", 1, chance, raised, outcomes, days)


def _lines(
    head: str,
    part: int,
    chance: Mapping[str, tuple[int, float]],
    raised: Sequence[Activation],
    outcomes: Mapping[str, str],
    days: float,
) -> Iterator[dict[str, Any]]:
    """What each raised, the most first; `real` is what the field confirmed, `false` what it denied."""
    seen: dict[str, list[Activation]] = {}
    for one in raised:
        seen.setdefault(one.tag[part], []).append(one)
    for name in sorted(chance.keys() | seen.keys(), key=lambda name: (-len(seen.get(name, ())), name)):
        mine = seen.get(name, [])
        found = [outcomes.get(one.incident, "") for one in mine]
        count, per_day = chance.get(name, (0, 0.0))
        yield {
            head: name,
            "points": count,
            "expected_per_day": float(f"{per_day:.4g}"),
            "measured_per_day": float(f"{len(mine) / days:.4g}"),
            "measured": len(mine),
            "real": sum(outcome in REAL for outcome in found),
            "false": sum(bool(outcome) and outcome not in REAL for outcome in found),
        }
