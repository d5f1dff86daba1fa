"""Reporting: the ISA-18.2 report of a month as the page of the centre shows it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from alerts import kpis
from alerts.centre.annals import read_log
from alerts.centre.words import Words
from config.errors import SettingsError

MONTHS = 13  # offered on the page
WIDTH, HEIGHT = 640, 120
LISTS = ("top", "chattering", "fleeting", "stale", "unauthorised")


def month_of(text: str, zone: ZoneInfo, now_ns: int) -> tuple[str, kpis.Period]:
    """A month written like 2026-01, this one where it is none, as far as it has come."""
    now = datetime.fromtimestamp(now_ns / 1e9, zone)
    try:
        start = datetime.strptime(text, "%Y-%m").replace(tzinfo=zone)
    except ValueError:
        start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = min((start + timedelta(days=32)).replace(day=1), max(now, start + timedelta(seconds=1)))
    return f"{start:%Y-%m}", kpis.Period(
        round(start.timestamp()) * 10**9, round(end.timestamp()) * 10**9, zone
    )


def made(casebook: Path, period: kpis.Period) -> dict[str, Any]:
    """The report; reads the whole casebook, so not on the loop that serves pages."""
    try:
        return kpis.report(read_log(casebook), period)
    except SettingsError as error:
        return {"error": str(error)}


def shown(report: Mapping[str, Any], words: Words, now_ns: int, zone: ZoneInfo, month: str) -> dict[str, Any]:
    """What the page shows of it, in one language."""
    days = report["per_day"]
    most = max((day["annunciated"] for day in days), default=0) or 1
    step = WIDTH / max(len(days), 1)
    return {
        "month": month,
        "months": _months(now_ns, zone),
        "kpis": [
            {
                **one,
                "name": words.of("kpi", one["name"]),
                "value": f"{one['value']:.4g}{one['unit']}",
                "most": "" if one["most"] is None else f"≤ {one['most']:g}{one['unit']}",
            }
            for one in report["kpis"]
        ],
        "bars": [
            {
                "x": round(number * step, 1),
                "width": round(max(step - 1.5, 0.5), 1),
                "height": round(day["annunciated"] / most * HEIGHT, 1),
                "title": f"{day['date']}: {day['annunciated']}",
            }
            for number, day in enumerate(days)
        ],
        "most": most,
        "acknowledged": [
            {
                "grade": words.of("grade", grade),
                "annunciated": figures["annunciated"],
                "acknowledged": figures["acknowledged"],
                "median": _span(figures["median_s"], words),
                "p90": _span(figures["p90_s"], words),
                "in_time": figures["in_time"],
            }
            for grade, figures in report["acknowledged"].items()
        ],
        "lists": [(words.of("kpi", name), _lines(name, report[name])) for name in LISTS],
    }


def _lines(name: str, rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(what, how much) of one list."""
    if name == "unauthorised":
        return [
            (f"{row['at'][:16]} {row['subject']} {row['rule']}", f"{row['who']} {row['why']}") for row in rows
        ]
    measure = {"top": "count", "stale": "hours"}.get(name, "times")
    unit = " h" if name == "stale" else ""
    return [(f"{row['subject']} · {row['rule']}", f"{row[measure]}{unit}") for row in rows]


def _months(now_ns: int, zone: ZoneInfo) -> list[str]:
    first = datetime.fromtimestamp(now_ns / 1e9, zone).replace(day=1)
    found = []
    for _ in range(MONTHS):
        found.append(f"{first:%Y-%m}")
        first = (first - timedelta(days=1)).replace(day=1)
    return found


def _span(seconds: float | None, words: Words) -> str:
    return "" if seconds is None else words.span(seconds)
