"""Kpis: how well an alarm system serves its operator, by ISA-18.2 / IEC 62682 and EEMUA 191; pure.

Annunciated is what people were told. What chatters, is fleeting or goes stale is judged on every alarm,
told or not: a point that flaps behind an open incident is still in need of repair.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.alarmlog import NEVER_NS, Activation, Entry, Log
from alerts.alert import rfc3339
from alerts.flood import FLOOD_BEGINS, FLOOD_ENDS, TEN_MINUTES_NS
from alerts.rules import SHELF_CAP_S

SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
CHATTERS, CHATTER_NS = 3, 60 * SECOND_NS  # times on within a minute
FLEETING_NS = 10 * SECOND_NS  # on for less, and not again within a minute
STALE_NS = DAY_NS
TOP = 10
GRADES = ("P1", "P2", "P3", "P4")
PRIORITY = {"P1": "highest", "P2": "high", "P3": "medium", "P4": "low"}
ACK_DUE_S = {"P1": 120.0, "P2": 300.0, "P3": 900.0, "P4": 3600.0}  # domain facts §12
MOST_LISTED = 100
LEAST_JUDGED = 30  # annunciated alarms from which shares are held against their targets (a choice)


@dataclass(frozen=True, slots=True)
class Target:
    """One figure beside what is recommended. most: it should not be above; None where it is only told."""

    name: str
    value: float
    unit: str
    most: float | None
    source: str

    @property
    def met(self) -> bool | None:
        return None if self.most is None else self.value <= self.most

    def as_dict(self) -> dict[str, Any]:
        value = float(f"{self.value:.6g}")
        return {
            "name": self.name,
            "value": value,
            "unit": self.unit,
            "most": self.most,
            "met": self.met,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class Period:
    """What is reported on, [start, end), for how many operators who share the load."""

    start_ns: int
    end_ns: int
    zone: tzinfo
    operators: int = 1

    @property
    def days(self) -> float:
        return (self.end_ns - self.start_ns) / DAY_NS

    def dates(self) -> Iterator[tuple[str, int, int]]:
        """Each local day with its beginning and end, in UTC nanoseconds."""
        at_ns = self.start_ns
        while at_ns < self.end_ns:
            day = datetime.fromtimestamp(at_ns / 1e9, self.zone).date()
            after = datetime.combine(day + timedelta(days=1), datetime.min.time(), self.zone)
            next_ns = min(int(after.timestamp()) * SECOND_NS, self.end_ns)
            yield day.isoformat(), at_ns, next_ns
            at_ns = next_ns

    def holds(self, at_ns: int) -> bool:
        return self.start_ns <= at_ns < self.end_ns


def report(log: Log, period: Period, approved: Sequence[str] = ()) -> dict[str, Any]:
    """All figures as plain values. approved: hashes of settings that somebody in authority put in force."""
    told = [entry for entry in log.entries if entry.annunciated and period.holds(entry.at_ns)]
    times = [entry.at_ns for entry in told]
    activations = log.activations()
    mine = [one for one in activations if period.holds(one.start_ns)]
    found_floods = floods(times, period.end_ns)
    top = _top(told)
    chattering, fleeting = _chattering(mine), _fleeting(mine)
    stale = _stale(activations, period)
    days = list(_days(told, found_floods, stale, period))
    answers = [(entry, after) for entry, after in log.answers() if period.holds(entry.at_ns)]
    unauthorised = _unauthorised(log, period, approved)
    result = {
        "period": {
            "from": rfc3339(period.start_ns),
            "to": rfc3339(period.end_ns),
            "days": round(period.days, 3),
            "timezone": str(period.zone),
            "operators": period.operators,
            "known_since": rfc3339(log.since_ns) if log.since_ns > period.start_ns else None,
        },
        "annunciated": len(told),
        "activations": len(mine),
        "per_day": days,
        "priorities": _priorities(told),
        "floods": [_flood_line(flood, times) for flood in found_floods[:MOST_LISTED]],
        "top": top,
        "chattering": chattering[:MOST_LISTED],
        "fleeting": fleeting[:MOST_LISTED],
        "stale": [_stale_line(one, period) for one in stale[:MOST_LISTED]],
        "acknowledged": _acknowledged(answers),
        "suppressed": _suppressed(log, period),
        "unauthorised": unauthorised[:MOST_LISTED],
        "settings": [
            {"at": rfc3339(one.at_ns), "gateway": one.gateway, "hash": one.hash}
            for one in log.settings
            if period.holds(one.at_ns)
        ],
    }
    counts = {"chattering": len(chattering), "fleeting": len(fleeting), "unauthorised": len(unauthorised)}
    result["kpis"] = [one.as_dict() for one in _targets(result, times, found_floods, counts, period)]
    return result


def floods(times: Sequence[int], end_ns: int) -> list[tuple[int, int]]:
    """[begin, end) of each flood: from more than 10 within 10 minutes until there are fewer than 5."""
    found: list[tuple[int, int]] = []
    begin: int | None = None
    moments = sorted({*times, *(when + TEN_MINUTES_NS for when in times)})
    for now_ns in moments:
        if now_ns >= end_ns:
            break
        recent = bisect_right(times, now_ns) - bisect_right(times, now_ns - TEN_MINUTES_NS)
        if begin is None and recent > FLOOD_BEGINS:
            begin = now_ns
        elif begin is not None and recent < FLOOD_ENDS:
            found.append((begin, now_ns))
            begin = None
    return [*found, (begin, end_ns)] if begin is not None else found


def _targets(
    result: Mapping[str, Any],
    times: Sequence[int],
    found: Sequence[tuple[int, int]],
    counts: Mapping[str, int],
    period: Period,
) -> Iterator[Target]:
    total, share = len(times), result["priorities"]
    each = max(period.operators, 1)
    per_day = total / max(period.days, 1e-9) / each
    tens = np.bincount(
        np.array([(when - period.start_ns) // TEN_MINUTES_NS for when in times], dtype=np.int64),
        minlength=max(-(-(period.end_ns - period.start_ns) // TEN_MINUTES_NS), 1),
    )
    in_flood = sum(end - begin for begin, end in found) / max(period.end_ns - period.start_ns, 1)
    isa, iec = "ISA-18.2-2016, table 5", "IEC 62682:2014"
    yield Target("annunciated a day and operator", per_day, "", 144.0, iec)
    yield Target("annunciated an hour and operator", per_day / 24, "", 6.0, isa)
    yield Target("10-minute periods with more than 10", 100 * float(np.mean(tens > 10)), "%", 1.0, isa)
    yield Target("most in 10 minutes", float(tens.max(initial=0)), "", 10.0, isa)
    yield Target("time in flood", 100 * in_flood, "%", 1.0, isa)
    few = total < LEAST_JUDGED  # shares of a handful say nothing
    load = 100 * sum(one["count"] for one in result["top"]) / max(total, 1)
    yield Target("load of the 10 most frequent", load, "%", None if few else 5.0, f"{isa}: 5 %")
    yield Target("chattering alarms", counts["chattering"], "", 0.0, isa)
    yield Target("fleeting alarms", counts["fleeting"], "", 0.0, isa)
    yield Target("most stale on a day", max((d["stale"] for d in result["per_day"]), default=0), "", 4.0, isa)
    yield Target("highest priority", share["highest"]["percent"], "%", None if few else 1.0, f"{isa}: 1 %")
    yield Target("high priority", share["high"]["percent"], "%", None if few else 5.0, f"{isa}: 5 %")
    yield Target("medium priority", share["medium"]["percent"], "%", None if few else 15.0, f"{isa}: 15 %")
    yield Target("low priority", share["low"]["percent"], "%", None, f"{isa}: 80 %")
    yield Target("unauthorised changes", counts["unauthorised"], "", 0.0, isa)


def _days(
    told: Sequence[Entry],
    found: Sequence[tuple[int, int]],
    stale: Sequence[Activation],
    period: Period,
) -> Iterator[dict[str, Any]]:
    times = [entry.at_ns for entry in told]
    for date, start_ns, end_ns in period.dates():
        here = told[bisect_left(times, start_ns) : bisect_left(times, end_ns)]
        grades = Counter(entry.grade for entry in here)
        flood_ns = sum(max(min(end, end_ns) - max(begin, start_ns), 0) for begin, end in found)
        standing = sum(
            max(one.start_ns + STALE_NS, start_ns) < min(one.end_ns, end_ns) for one in stale
        )  # for more than a day by then
        yield {
            "date": date,
            "annunciated": len(here),
            **{grade: grades[grade] for grade in GRADES},
            "flood_s": flood_ns // SECOND_NS,
            "stale": standing,
        }


def _priorities(told: Sequence[Entry]) -> dict[str, dict[str, float]]:
    counts = Counter(entry.grade for entry in told)
    total = max(len(told), 1)
    return {
        PRIORITY[grade]: {"count": counts[grade], "percent": round(100 * counts[grade] / total, 3)}
        for grade in GRADES
    }


def _flood_line(flood: tuple[int, int], times: Sequence[int]) -> dict[str, Any]:
    begin, end = flood
    first = begin - TEN_MINUTES_NS
    return {
        "from": rfc3339(begin),
        "to": rfc3339(end),
        "seconds": (end - begin) // SECOND_NS,
        "annunciated": bisect_right(times, end) - bisect_right(times, first),
    }


def _top(told: Sequence[Entry]) -> list[dict[str, Any]]:
    counts = Counter(entry.tag for entry in told)
    kinds = {entry.tag: entry.kind for entry in told}
    first = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:TOP]
    return [
        {**_named(tag), "kind": kinds[tag], "count": n, "share": round(n / len(told), 4)} for tag, n in first
    ]


def _by_tag(activations: Sequence[Activation]) -> dict[tuple[str, str], list[Activation]]:
    found: dict[tuple[str, str], list[Activation]] = {}
    for one in activations:
        found.setdefault(one.tag, []).append(one)
    return found


def _chattering(activations: Sequence[Activation]) -> list[dict[str, Any]]:
    """Alarms that came on three times within a minute, with how often they did."""
    found = []
    for tag, mine in _by_tag(activations).items():
        starts = [one.start_ns for one in mine]
        bursts = sum(
            starts[n + CHATTERS - 1] - starts[n] < CHATTER_NS for n in range(len(starts) - CHATTERS + 1)
        )
        if bursts:
            found.append({**_named(tag), "kind": mine[0].kind, "times": bursts, "activations": len(mine)})
    return sorted(found, key=lambda one: (-one["times"], one["subject"], one["rule"]))


def _fleeting(activations: Sequence[Activation]) -> list[dict[str, Any]]:
    """Alarms that were on for less than ten seconds and did not come again within a minute."""
    found = []
    for tag, mine in _by_tag(activations).items():
        times = 0
        for number, one in enumerate(mine):
            again = mine[number + 1].start_ns if number + 1 < len(mine) else NEVER_NS
            times += one.end_ns - one.start_ns < FLEETING_NS and again - one.end_ns > CHATTER_NS
        if times:
            found.append({**_named(tag), "kind": mine[0].kind, "times": times, "activations": len(mine)})
    return sorted(found, key=lambda one: (-one["times"], one["subject"], one["rule"]))


def _stale(activations: Sequence[Activation], period: Period) -> list[Activation]:
    """Alarms that had been on for more than a day at some time of the period, the oldest first."""
    return [
        one
        for one in activations
        if one.start_ns + STALE_NS < min(one.end_ns, period.end_ns) and one.end_ns > period.start_ns
    ]


def _stale_line(one: Activation, period: Period) -> dict[str, Any]:
    end_ns = min(one.end_ns, period.end_ns)
    return {
        **_named(one.tag),
        "kind": one.kind,
        "grade": one.grade,
        "since": rfc3339(one.start_ns),
        "hours": round((end_ns - one.start_ns) / HOUR_NS, 1),
        "lasts": one.end_ns > period.end_ns,
    }


def _acknowledged(answers: Sequence[tuple[Entry, int | None]]) -> dict[str, dict[str, Any]]:
    """By grade: how many were taken, how fast, and how many in time."""
    found = {}
    for grade in GRADES:
        mine = [after for entry, after in answers if entry.grade == grade]
        taken = np.array([after for after in mine if after is not None], dtype=np.float64) / SECOND_NS
        found[grade] = {
            "annunciated": len(mine),
            "acknowledged": len(taken),
            "median_s": _quantile(taken, 0.5),
            "p90_s": _quantile(taken, 0.9),
            "longest_s": _quantile(taken, 1.0),
            "due_s": ACK_DUE_S[grade],
            "in_time": int(np.count_nonzero(taken <= ACK_DUE_S[grade])),
        }
    return found


def _quantile(values: NDArray[np.float64], share: float) -> float | None:
    return round(float(np.quantile(values, share)), 1) if len(values) else None


def _suppressed(log: Log, period: Period) -> dict[str, int]:
    counts = Counter(entry.type for entry in log.entries if period.holds(entry.at_ns))
    return {name: counts[name] for name in ("shelved", "unshelved", "suppressed")}


def _unauthorised(log: Log, period: Period, approved: Sequence[str]) -> list[dict[str, Any]]:
    """Suppressions that break a rule, and changes of settings that nobody approved."""
    found = []
    for entry in log.entries:
        if entry.type == "shelved" and period.holds(entry.at_ns):
            for why in _wrong_with(entry, log.staff):
                what = {"what": "shelved", "who": entry.actor, "why": why}
                found.append({"at": rfc3339(entry.at_ns), **_named(entry.tag), **what})
    for setting in log.settings:
        if period.holds(setting.at_ns) and not any(setting.hash.startswith(one) for one in approved if one):
            what = {"what": "settings", "who": "", "why": f"settings {setting.hash} without approval"}
            found.append({"at": rfc3339(setting.at_ns), "rule": "", "subject": setting.gateway, **what})
    return sorted(found, key=lambda one: one["at"])


def _wrong_with(entry: Entry, staff: frozenset[str] | None) -> Iterator[str]:
    if not entry.reason.strip():
        yield "no reason given"
    if entry.actor in ("", "gateway"):
        yield "nobody's name is on it"
    elif staff is not None and entry.actor not in staff:
        yield "no such account at the centre"
    cap_s = SHELF_CAP_S.get(entry.grade, 0.0)
    if cap_s == 0.0:
        yield f"{entry.grade} may not be shelved"
    elif entry.until_ns - entry.at_ns > (cap_s + 60.0) * SECOND_NS:
        yield f"longer than {cap_s / 60:.0f} min, the most for {entry.grade}"


def _named(tag: tuple[str, str]) -> dict[str, str]:
    return {"rule": tag[0], "subject": tag[1]}
