"""Alarmsystem: the alarm system's own report, as lines for a terminal, as CSV, and as a page with plots."""

import csv as csv_module
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.reports import page

MOST = 20
LISTS = {  # title, columns that are words, columns that are figures
    "top": ("Most frequent", ("rule", "subject", "kind"), ("count", "share")),
    "chattering": ("Chattering", ("rule", "subject", "kind"), ("times", "activations")),
    "fleeting": ("Fleeting", ("rule", "subject", "kind"), ("times", "activations")),
    "stale": ("Stale", ("rule", "subject", "grade", "since"), ("hours",)),
    "floods": ("Floods", ("from", "to"), ("seconds", "annunciated")),
    "unauthorised": ("Unauthorised changes", ("at", "what", "rule", "subject", "who", "why"), ()),
    "settings": ("Changes of settings", ("at", "gateway", "hash"), ()),
}
WHAT = {
    "Chattering": "Came on three times within a minute.",
    "Fleeting": "On for less than ten seconds, and not again within a minute.",
    "Stale": "On for more than a day.",
    "Floods": "From more than ten alarms within ten minutes to fewer than five.",
    "Unauthorised changes": "Shelves that break a rule; settings that no --approved names.",
}
ACKNOWLEDGED = (
    "grade", "annunciated", "acknowledged", "median_s", "p90_s", "longest_s", "due_s", "in_time",
)  # fmt: skip
BY_RULE = ("points", "expected_per_day", "measured_per_day", "measured", "real", "false")


def text(report: Mapping[str, Any]) -> str:
    """Plain lines."""
    lines = [_about(report)]
    for one in report["kpis"]:
        mark = {True: "  ", False: "! ", None: "  "}[one["met"]]
        most = "" if one["most"] is None else f"at most {one['most']:g}{one['unit']}"
        lines.append(f"{mark}{one['name']:38} {one['value']:10.4g}{one['unit']:2} {most}")
    for title, head, rows in _tables(report):
        if rows:
            lines += ["", title, *_columns([head, *rows[:MOST]])]
            lines += [f"  … and {len(rows) - MOST} more (--json lists all)"] if len(rows) > MOST else []
    return "\n".join(lines)


def csv(report: Mapping[str, Any]) -> str:
    """Every figure as a line: table, row, name, value."""
    out = io.StringIO()
    writer = csv_module.writer(out, lineterminator="\n")
    writer.writerow(("table", "row", "name", "value"))
    for one in report["kpis"]:
        writer.writerow(("kpis", one["name"], "value", one["value"]))
        writer.writerow(("kpis", one["name"], "most", "" if one["most"] is None else one["most"]))
    for title, head, rows in _tables(report):
        for number, row in enumerate(rows, 1):
            for name, value in zip(head, row):
                writer.writerow((title, number, name, _plain(value)))
    for day in report["per_day"]:
        for name, value in day.items():
            writer.writerow(("per day", day["date"], name, value))
    return out.getvalue()


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
    for title, head, rows in _tables(report):
        parts.append(page.heading(title))
        if title in WHAT:
            parts.append(page.paragraph(WHAT[title]))
        words = sum(all(isinstance(row[n], str) for row in rows) for n in range(len(head))) if rows else 0
        shown = [[_plain(value) for value in row] for row in rows]
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


def _tables(report: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[str], list[list[Any]]]]:
    """(title, head, rows); the columns of words come first."""
    shares = report["priorities"]
    rows = [[name, share["count"], share["percent"]] for name, share in shares.items()]
    yield "Priorities", ("priority", "count", "percent"), rows
    taken = [[grade, *(figures[name] for name in ACKNOWLEDGED[1:])] for grade, figures in _taken(report)]
    yield "Time to acknowledge", ACKNOWLEDGED, taken
    for name, (title, words, figures) in LISTS.items():
        head = (*words, *figures)
        yield title, head, [[one[column] for column in head] for one in report[name]]
    false = report.get("false_alarms")
    if false:
        rows = [[one["rule"], *(one[name] for name in BY_RULE)] for one in false["by_rule"]]
        yield "False alarms expected and measured, by rule", ("rule", *BY_RULE), rows
        rows = [[one["channel"], *(one[name] for name in BY_RULE)] for one in false["by_channel"]]
        yield "False alarms expected and measured, by channel", ("channel", *BY_RULE), rows
        head = ("rule", "channel", "suggestion", "measured", "expected")
        yield "Worst offenders", head, [[one[column] for column in head] for one in false["worst"]]


def _taken(report: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from report["acknowledged"].items()


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _columns(rows: Sequence[Sequence[Any]]) -> list[str]:
    shown = [[_plain(value) for value in row] for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    return ["  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths)).rstrip() for row in shown]
