"""Evaluation: what alerts were worth, as a table for a terminal and as a page with plots."""

from collections.abc import Mapping, Sequence
from typing import Any

from alerts.alert import rfc3339
from alerts.judging import HOUR_NS, Judgement
from gateway.reports import page

DAY_NS = 24 * HOUR_NS
HEAD = (
    "medium",
    "kind",
    "n",
    "recall (95 %)",
    "placebo",
    "delay min",
    "periods",
    "place",
    "kind right",
    "messages",
)
FALSE_HEAD = ("medium", "episodes", "channel-days", "a channel-day (95 %)", "an operator-day (95 %)")
QUIET_HEAD = ("medium", "kind", "n", "left quiet (95 %)", "by chance")
MOST_EPISODES = 40


def text(report: Mapping[str, Any]) -> str:
    """Plain lines of columns."""
    blocks = []
    for title, head, rows, texts in sections(report):
        blocks.append(f"{title}\n{_columns([head, *rows], texts)}" if rows else f"{title}\n  none")
    blocks.append(_in_all(report))
    return "\n\n".join(blocks)


def html(report: Mapping[str, Any], judgements: Sequence[Judgement], names: Sequence[str]) -> str:
    """A page that stands alone."""
    parts = [page.paragraph(f"{report['runs']} run(s), {report['days']:.1f} days: {', '.join(names)}")]
    parts.append(page.paragraph(_in_all(report)))
    for title, head, rows, texts in sections(report):
        parts.append(page.heading(title))
        totals = [number for number, row in enumerate(rows) if "all" in row[:2]]
        parts.append(page.table(head, rows, texts, totals) if rows else page.paragraph("none"))
        if title in PLOTTED and rows:
            parts += _plots(report[PLOTTED[title]], title)
    parts += _false_by_day(judgements)
    return page.page("Watchline: what the alerts were worth", parts)


def sections(report: Mapping[str, Any]) -> list[tuple[str, Sequence[str], list[list[str]], int]]:
    """(title, head, rows, how many columns are words)."""
    return [
        ("Incidents", HEAD, [_noticed(row) for row in report["incidents"]], 2),
        ("Sensor faults recognised", HEAD, [_noticed(row) for row in report["sensor_faults"]], 2),
        ("Benign events left quiet", QUIET_HEAD, [_quiet(row) for row in report["benign"]], 2),
        ("False episodes", FALSE_HEAD, [_false(row) for row in report["false"]], 1),
    ]


PLOTTED = {"Incidents": "incidents", "Sensor faults recognised": "sensor_faults"}


def _in_all(report: Mapping[str, Any]) -> str:
    alerts = report["alerts"]
    return (
        f"Precision {_share(alerts['precision'])}: of the counted alerts {alerts['right']} were right,"
        f" {alerts['false']} false, {alerts['neither']} neither (they came within 4 h after an event)."
    )


def _noticed(row: Mapping[str, Any]) -> list[str]:
    return [
        row["medium"] or "-",
        row["kind"],
        str(row["n"]),
        _share(row["recall"]),
        f"{row['placebo']:.0%}",
        _median(row["delay_min"], ".1f"),
        _median(row["delay_periods"], ".1f"),
        _bare(row["place"]),
        _bare(row["kind_last"]),
        "-" if row["messages"]["rate"] is None else f"{row['messages']['rate']:.2f}",
    ]


def _quiet(row: Mapping[str, Any]) -> list[str]:
    return [row["medium"] or "-", row["kind"], str(row["n"]), _share(row["quiet"]), f"{row['placebo']:.0%}"]


def _false(row: Mapping[str, Any]) -> list[str]:
    return [
        row["medium"],
        str(row["episodes"]),
        f"{row['channel_days']:.1f}",
        _rate(row["per_channel_day"]),
        _rate(row["per_operator_day"]),
    ]


def _share(share: Mapping[str, Any]) -> str:
    if share["share"] is None:
        return "-"
    return f"{share['share']:.0%} ({share['low']:.0%}–{share['high']:.0%})"


def _bare(share: Mapping[str, Any]) -> str:
    return "-" if share["share"] is None else f"{share['share']:.0%}"


def _median(delay: Mapping[str, Any], form: str) -> str:
    if delay["median"] is None:
        return "-"
    return f"{delay['median']:{form}} ({delay['low']:{form}}–{delay['high']:{form}})"


def _rate(rate: Mapping[str, Any]) -> str:
    if rate["rate"] is None:
        return "-"
    return f"{rate['rate']:.3g} ({rate['low']:.3g}–{rate['high']:.3g})"


def _columns(rows: Sequence[Sequence[str]], texts: int) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  "
        + "  ".join(
            cell.ljust(width) if column < texts else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )


def _plots(rows: Sequence[Mapping[str, Any]], title: str) -> list[str]:
    """Recall beside chance, and delay, of each kind."""
    recalls, delays = [], []
    for row in rows:
        name = " ".join(dict.fromkeys(filter(None, (row["medium"], row["kind"]))))  # "all", not "all all"
        name += f" (n={row['n']})"
        recall, delay = row["recall"], row["delay_min"]
        recalls.append(
            (name, 100 * recall["share"], 100 * recall["low"], 100 * recall["high"], 100 * row["placebo"])
        )
        if delay["median"] is not None:
            delays.append((name, delay["median"], delay["low"], delay["high"], None))
    plots = [
        page.figure(
            page.ranges(recalls, 100.0, " %"),
            f"{title}: share noticed, with its 95 % interval; the grey mark is what the same alerts"
            " would have hit at random times.",
        )
    ]
    if delays:
        most = max(high for _, _, _, high, _ in delays) or 1.0
        plots.append(
            page.figure(
                page.ranges(delays, most, " min"), f"{title}: minutes until the first alert (median)."
            )
        )
    return plots


def _false_by_day(judgements: Sequence[Judgement]) -> list[str]:
    """False episodes over time, and the latest of them by name."""
    parts = []
    for number, judgement in enumerate(judgements, 1):
        case = judgement.case
        days = max(1, -(-(case.end_ns - case.start_ns) // DAY_NS))
        counts = [0.0] * days
        for episode in judgement.episodes:
            counts[min(max((episode.start_ns - case.start_ns) // DAY_NS, 0), days - 1)] += 1
        ends = (rfc3339(case.start_ns)[:10], rfc3339(case.end_ns)[:10])
        plot = page.bars(counts, ends, "episodes")
        parts += [page.heading(f"False episodes by day, run {number}"), page.figure(plot, "A bar a day.")]
        rows = [
            (rfc3339(one.start_ns)[:16], one.place, one.medium, ", ".join(one.kinds), str(one.alerts))
            for one in judgement.episodes[:MOST_EPISODES]
        ]
        if rows:
            parts.append(page.table(("from (UTC)", "place", "medium", "said to be", "alerts"), rows, 4))
        if len(judgement.episodes) > MOST_EPISODES:
            parts.append(page.paragraph(f"… and {len(judgement.episodes) - MOST_EPISODES} more"))
    return parts
