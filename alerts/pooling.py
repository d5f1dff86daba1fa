"""Pooling: judged runs put together: by kind and medium, with how many there were and 95 % intervals."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alerts import chances
from alerts.judging import BENIGN, INCIDENT, SENSOR, Judgement, Outcome

ALL = "all"
Row = dict[str, Any]


def pooled(judgements: Sequence[Judgement]) -> dict[str, Any]:
    """Plain data: what JSON says, and what tables and reports are made of.

    Shares are {"n", "k", "share", "low", "high"}; delays are medians with the interval of the median.
    """
    outcomes = [outcome for judgement in judgements for outcome in judgement.outcomes]
    of = {
        name: [outcome for outcome in outcomes if outcome.happening.category == name]
        for name in (INCIDENT, BENIGN, SENSOR)
    }
    return {
        "runs": len(judgements),
        "days": sum(judgement.case.days for judgement in judgements),
        "incidents": [_noticed(*group) for group in _groups(of[INCIDENT])],
        "sensor_faults": [_noticed(*group) for group in _groups(of[SENSOR])],
        "benign": [_quiet(*group) for group in _groups(of[BENIGN])],
        "alerts": _alerts(judgements),
        "false": _false(judgements),
    }


def _groups(outcomes: Sequence[Outcome]) -> Iterable[tuple[str, str, list[Outcome]]]:
    """(medium, kind, outcomes): each kind, then each medium, then all."""
    by_kind: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        by_kind.setdefault((outcome.happening.medium, outcome.happening.kind), []).append(outcome)
    by_medium: dict[str, list[Outcome]] = {}
    for (medium, kind), some in sorted(by_kind.items()):
        by_medium.setdefault(medium, []).extend(some)
        yield medium, kind, some
    for medium, some in by_medium.items():
        yield medium, ALL, some
    if outcomes:
        yield ALL, ALL, list(outcomes)


def _noticed(medium: str, kind: str, outcomes: Sequence[Outcome]) -> Row:
    hit = [outcome for outcome in outcomes if outcome.hits]
    messages = sum(outcome.messages for outcome in hit)
    low, high = chances.count(messages)
    return {
        "medium": medium,
        "kind": kind,
        "n": len(outcomes),
        "recall": _share(len(hit), len(outcomes)),
        "placebo": sum(outcome.placebo for outcome in outcomes) / len(outcomes),
        "delay_min": _delay([o.delay_s / 60 for o in hit if o.delay_s is not None]),
        "delay_periods": _delay([o.delay_periods for o in hit if o.delay_periods is not None]),
        "place": _share(sum(o.place_right for o in hit), len(hit)),
        "kind_first": _share(sum(o.kind_first for o in hit), len(hit)),
        "kind_last": _share(sum(o.kind_right for o in hit), len(hit)),
        "messages": _rate(messages, len(hit), (low, high)),
    }


def _quiet(medium: str, kind: str, outcomes: Sequence[Outcome]) -> Row:
    quiet = sum(not outcome.hits for outcome in outcomes)
    return {
        "medium": medium,
        "kind": kind,
        "n": len(outcomes),
        "quiet": _share(quiet, len(outcomes)),
        "placebo": 1 - sum(outcome.placebo for outcome in outcomes) / len(outcomes),
    }


def _alerts(judgements: Sequence[Judgement]) -> dict[str, Any]:
    right, false = sum(j.right for j in judgements), sum(j.false for j in judgements)
    return {
        "right": right,
        "false": false,
        "neither": sum(j.neither for j in judgements),
        "precision": _share(right, right + false),
    }


def _false(judgements: Sequence[Judgement]) -> list[Row]:
    """False episodes by medium and in all, a channel-day, and a day of the operator of one site."""
    days = sum(judgement.case.days for judgement in judgements)
    channel_days: dict[str, float] = {}
    episodes: dict[str, int] = {}
    for judgement in judgements:
        for medium in judgement.case.channels.medium:
            channel_days[medium] = channel_days.get(medium, 0.0) + judgement.case.days
        for episode in judgement.episodes:
            episodes[episode.medium] = episodes.get(episode.medium, 0) + 1
    rows = [(medium, episodes.get(medium, 0), channel_days[medium]) for medium in sorted(channel_days)]
    rows.append((ALL, sum(episodes.values()), sum(channel_days.values())))
    return [
        {
            "medium": medium,
            "episodes": count,
            "channel_days": spent,
            "per_channel_day": _rate(count, spent, chances.count(count)),
            "per_operator_day": _rate(count, days, chances.count(count)),
        }
        for medium, count, spent in rows
    ]


def _share(k: int, n: int) -> Mapping[str, Any]:
    low, high = chances.share(k, n)
    return {"k": k, "n": n, "share": k / n if n else None, "low": low, "high": high}


def _delay(values: Sequence[float]) -> Mapping[str, Any]:
    low, high = chances.median_interval(values) or (None, None)
    return {"n": len(values), "median": chances.median(values), "low": low, "high": high}


def _rate(count: int, over: float, interval: chances.Interval) -> Mapping[str, Any]:
    if over <= 0:
        return {"count": count, "over": over, "rate": None, "low": None, "high": None}
    return {
        "count": count,
        "over": over,
        "rate": count / over,
        "low": interval[0] / over,
        "high": interval[1] / over,
    }
