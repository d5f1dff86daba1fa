"""Kpitables: the alarm system's own report as tables, for a terminal, a page, or CSV."""

import csv as csv_module
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LISTS = {  # title, columns that are words, columns that are figures
    "top": ("Most frequent", ("rule", "subject", "kind"), ("count", "share")),
    "chattering": ("Chattering", ("rule", "subject", "kind"), ("times", "activations")),
    "fleeting": ("Fleeting", ("rule", "subject", "kind"), ("times", "activations")),
    "stale": ("Stale", ("rule", "subject", "grade", "since"), ("hours",)),
    "floods": ("Floods", ("from", "to"), ("seconds", "annunciated")),
    "unauthorised": ("Unauthorised changes", ("at", "what", "rule", "subject", "who", "why"), ()),
    "settings": ("Changes of settings", ("at", "gateway", "hash"), ()),
}
ACKNOWLEDGED = (
    "grade", "annunciated", "acknowledged", "median_s", "p90_s", "longest_s", "due_s", "in_time",
)  # fmt: skip
BY_RULE = ("points", "expected_per_day", "measured_per_day", "measured", "real", "false")
FORMULA = tuple("=+-@\t\r")  # a cell that begins so is run by a spreadsheet


def csv(report: Mapping[str, Any]) -> str:
    """Every figure as a line: table, row, name, value. What somebody wrote is never a formula."""
    out = io.StringIO()
    writer = csv_module.writer(out, lineterminator="\n")
    writer.writerow(("table", "row", "name", "value"))
    for one in report["kpis"]:
        writer.writerow(("kpis", one["name"], "value", one["value"]))
        writer.writerow(("kpis", one["name"], "most", "" if one["most"] is None else one["most"]))
    for title, head, rows in tables(report):
        for number, row in enumerate(rows, 1):
            for name, value in zip(head, row):
                writer.writerow((title, number, name, _cell(value)))
    for day in report["per_day"]:
        for name, value in day.items():
            writer.writerow(("per day", day["date"], name, value))
    return out.getvalue()


def tables(report: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[str], list[list[Any]]]]:
    """(title, head, rows); the columns of words come first."""
    shares = report["priorities"]
    rows = [[name, share["count"], share["percent"]] for name, share in shares.items()]
    yield "Priorities", ("priority", "count", "percent"), rows
    taken = report["acknowledged"].items()
    rows = [[grade, *(figures[name] for name in ACKNOWLEDGED[1:])] for grade, figures in taken]
    yield "Time to acknowledge", ACKNOWLEDGED, rows
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


def plain(value: Any) -> str:
    """A value as it is shown; nothing where there is none."""
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _cell(value: Any) -> str:
    text = plain(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA) else text
