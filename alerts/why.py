"""Why: what stands behind an alarm: what was expected, what tipped it, what would have kept it silent."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from alerts.incidents import Alarm
from alerts.plots import draw_alone, plain_unit, series_of
from config.channels import ChannelTable

MOST = 8  # channels and rules named
TELLING = 1.0  # -log10 p: a rule that finds something likelier than one in ten says nothing


def why(
    alarm: Alarm,
    by_channel: Sequence[Mapping[str, Any]],
    days: Sequence[Mapping[str, Any]],
    channels: ChannelTable,
) -> dict[str, Any]:
    """The member `why` of an alert; not for wristbands. by_channel: `contributions` to its incident.

    expected, low, high: what is usual now, where that is known. silent: `above`, `below` (a value of its
    channel) or `within_s` (a reading; where it is `unchanged`, a change): what would have kept this rule
    silent. by_rule and by_channel: who says how strongly that something is unusual, `share` being its part
    of the surprise of all. days: this hour on the days before. text, text_zh: the same in a sentence or two.
    """
    numbers, observed = alarm.numbers, alarm.observed or {}
    told: dict[str, Any] = {}
    if (unit := observed.get("unit") or channels.unit[alarm.channel]) is not None:
        told["unit"] = unit
    for name in ("value", "expected"):
        value = observed.get(name, numbers.get(name))
        if isinstance(value, int | float):
            told[name] = _round(value)
    for name in ("low", "high"):
        bound = numbers.get(f"usual_{name}", numbers.get(name))
        if bound is not None:
            told[name] = _round(bound)
    if silent := silent_where(alarm):
        told["silent"] = silent
    if "unchanged_s" in numbers:
        told["unchanged"] = True
    told["by_rule"] = _shares(
        [({"rule": rule}, score) for rule, score in {**alarm.scores, alarm.rule: alarm.score}.items()]
    )
    told["by_channel"] = list(by_channel)
    if days:
        told["days"] = list(days)
    told["text"], told["text_zh"] = _text(told), _text_zh(told)
    return told


def contributions(together: Iterable[Alarm], channels: ChannelTable) -> list[dict[str, Any]]:
    """Which channels of an incident are how unusual; together: its alarms that are on, none of a person."""
    return _shares(
        [
            ({"channel": channels.ids[one.channel], "rule": one.rule}, one.score)
            for one in together
            if one.channel >= 0 and one.medium != "wristband"
        ]
    )


def silent_where(alarm: Alarm) -> dict[str, float]:
    """What would have kept the alarm silent: `above` or `below` a value, or something `within_s`."""
    numbers, observed = alarm.numbers, alarm.observed or {}
    if "limit" in observed:
        return {"below" if observed.get("op") == ">=" else "above": _round(observed["limit"])}
    if "limit_s" in numbers:
        return {"within_s": _round(numbers["limit_s"])}
    value = observed.get("value", numbers.get("value"))
    too_high = alarm.direction > 0 or (alarm.direction == 0 and _beyond(value, numbers))
    side, bound = ("below", numbers.get("high")) if too_high else ("above", numbers.get("low"))
    return {} if bound is None else {side: _round(bound)}


def marked(alarm: Alarm, recent: Mapping[str, Any]) -> dict[str, Any]:
    """The member `plot`: the levels before the alarm, and beside them what they are compared with."""
    numbers = alarm.numbers
    marks = {
        "expected": numbers.get("expected"),
        "low": numbers.get("usual_low", numbers.get("low")),
        "high": numbers.get("usual_high", numbers.get("high")),
        "limit": (alarm.observed or {}).get("limit"),
    }
    marks["observed"] = (alarm.observed or {}).get("value")  # at its time, where no level holds it yet
    plain = {name: _round(value) for name, value in marks.items() if isinstance(value, int | float)}
    return {**{name: value for name, value in recent.items() if name != "days"}, **plain}


def pictured(plot: Mapping[str, Any], event_ns: int, zone: tzinfo, title: str) -> dict[str, str]:
    """The plot drawn: `svg`, a picture that stands alone; nothing where there is nothing to draw."""
    series = series_of(plot, event_ns)
    return {} if series is None else {"svg": draw_alone(series, zone, title)}


def _beyond(value: Any, numbers: Mapping[str, Any]) -> bool:
    return isinstance(value, int | float) and "high" in numbers and value > numbers["high"]


def _shares(parts: Sequence[tuple[dict[str, str], float]]) -> list[dict[str, Any]]:
    """The strongest first, each with its score and its share of the surprise of all."""
    strong = [(who, score, surprise(score)) for who, score in parts if surprise(score) >= TELLING]
    total = sum(told for *_, told in strong)
    strong.sort(key=lambda one: (-one[2], sorted(one[0].items())))
    return [
        {**who, "score": float(f"{score:.6g}"), "share": round(told / total, 3)}
        for who, score, told in strong[:MOST]
    ]


def surprise(score: float) -> float:
    """-log10 p behind a score s / (s + 5)."""
    return 5.0 * score / max(1.0 - score, 1e-9)


def _text(told: Mapping[str, Any]) -> str:
    unit = plain_unit(str(told["unit"]))
    parts = []
    if "expected" in told:
        usual = f", usually {told['low']:g} to {told['high']:g}" if {"low", "high"} <= told.keys() else ""
        parts.append(f"Expected {told['expected']:g} {unit}".rstrip() + usual)
    for name, value in told.get("silent", {}).items():
        if name == "within_s":
            where = f"with a {'change' if told.get('unchanged') else 'reading'} within {_span(value)}"
        else:
            where = f"{name} {value:g} {unit}".rstrip()
        parts.append(f"It would have been silent {where}")
    if days := told.get("days"):
        values = [one["value"] for one in days]
        parts.append(f"This hour on {_count(len(days))} before: {_range(values, ' to ')} {unit}".rstrip())
    return "".join(f"{part}. " for part in parts).strip()


def _text_zh(told: Mapping[str, Any]) -> str:
    unit = plain_unit(str(told["unit"]))
    parts = []
    if "expected" in told:
        usual = f"，通常为 {told['low']:g} 至 {told['high']:g}" if {"low", "high"} <= told.keys() else ""
        parts.append(f"预期 {told['expected']:g} {unit}".rstrip() + usual)
    for name, value in told.get("silent", {}).items():
        if name == "within_s":
            said = f" {_span_zh(value)}内{'数值有变化' if told.get('unchanged') else '有新读数'}"
        else:
            said = f"读数{'高于' if name == 'above' else '低于'} {value:g} {unit}".rstrip()
        parts.append(f"若{said}，则不会报警")
    if days := told.get("days"):
        values = [one["value"] for one in days]
        parts.append(f"此前 {len(days)} 天同一时段为 {_range(values, ' 至 ')} {unit}".rstrip())
    return "".join(f"{part}。" for part in parts)


def _range(values: Sequence[float], between: str) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g}{between}{high:g}"


def _count(days: int) -> str:
    return "the day" if days == 1 else f"the {days} days"


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def _span_zh(seconds: float) -> str:
    return f"{seconds / 60:.0f} 分钟" if seconds >= 120 else f"{seconds:.0f} 秒"


def _round(value: float) -> float:
    """Five digits: more is noise to a reader."""
    return float(f"{value:.5g}")
