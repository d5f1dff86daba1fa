"""Alarmsystem: the alarm system's own report, as lines for a terminal, and as a page with plots."""

from collections.abc import Mapping, Sequence
from typing import Any

from alerts.kpitables import plain, tables
from gateway.reports import page

MOST = 20
WHAT = {
    "Chattering": "Came on three times within a minute.",
    "Fleeting": "On for less than ten seconds, and not again within a minute.",
    "Stale": "On for more than a day.",
    "Floods": "From more than ten alarms within ten minutes to fewer than five.",
    "Unauthorised changes": "Shelves that break a rule; settings that no --approved names.",
}


def text(report: Mapping[str, Any]) -> str:
    """Plain lines."""
    lines = [_about(report)]
    for one in report["kpis"]:
        mark = {True: "  ", False: "! ", None: "  "}[one["met"]]
        most = "" if one["most"] is None else f"at most {one['most']:g}{one['unit']}"
        lines.append(f"{mark}{one['name']:38} {one['value']:10.4g}{one['unit']:2} {most}")
    for title, head, rows in tables(report):
        if rows:
            lines += ["", title, *_columns([head, *rows[:MOST]])]
            lines += [f"  … and {len(rows) - MOST} more (--json lists all)"] if len(rows) > MOST else []
    return "\n".join(lines)


def html(report: Mapping[str, Any]) -> str:
    """A page that stands alone."""
    kpis = [
        (
            one["name"],
            one["source"],
            f"{one['value']:.4g}{one['unit']}",
            "" if one["most"] is None else f"≤ {one['most']:g}{one['unit']}",
            {True: "met", False: "MISSED", None: ""}[one["met"]],
        )
        for one in report["kpis"]
    ]
    missed = [number for number, row in enumerate(kpis) if row[-1] == "MISSED"]
    days = report["per_day"]
    ends = (days[0]["date"], days[-1]["date"]) if days else ("", "")
    parts = [
        page.paragraph(_about(report)),
        page.table(("figure", "source", "value", "recommended", ""), kpis, 2, missed),
        page.figure(
            page.bars([day["annunciated"] for day in days], ends, "alarms"), "Annunciated alarms a day."
        ),
    ]
    if any(day["flood_s"] for day in days):
        parts.append(page.figure(page.bars([d["flood_s"] / 60 for d in days], ends, "min"), "Flood a day."))
    for title, head, rows in tables(report):
        parts.append(page.heading(title))
        if title in WHAT:
            parts.append(page.paragraph(WHAT[title]))
        words = sum(all(isinstance(row[n], str) for row in rows) for n in range(len(head))) if rows else 0
        shown = [[plain(value) for value in row] for row in rows]
        parts.append(page.table(head, shown, words) if rows else page.paragraph("none"))
    return page.page(f"Watchline: alarm system report, {ends[0]} to {ends[1]}", parts)


def _about(report: Mapping[str, Any]) -> str:
    period = report["period"]
    days = report["per_day"]
    said = f"{report['source']}: {days[0]['date']} to {days[-1]['date']} ({period['days']:g} days of"
    said += f" {period['timezone']}), {report['annunciated']} annunciated alarms"
    said += f" for {period['operators']} operator(s), {report['activations']} activations."
    if period["known_since"]:
        said += f" Nothing is kept of the time before {period['known_since'][:16]}Z: ask the centre."
    return said


def _columns(rows: Sequence[Sequence[Any]]) -> list[str]:
    shown = [[plain(value) for value in row] for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    return ["  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths)).rstrip() for row in shown]
