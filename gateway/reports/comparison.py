"""Comparison: two settings beside each other, as lines for a terminal and as a page with plots."""

from collections.abc import Iterator, Sequence

from alerts.alert import rfc3339
from alerts.comparing import SECOND_NS, Comparison, Pair, Raised
from gateway.reports import page

MOST_LINES = 20
MOST_ROWS = 200
MOST_PLOTS = 24
NAMES = ("added", "removed", "earlier", "later", "changed")
COLOUR = {"added": "two", "removed": "none", "earlier": "one", "later": "two", "changed": "one"}


def text(comparison: Comparison, first: str, second: str) -> str:
    """Counts, and the first alerts of each sort."""
    lines = [f"{second} beside {first}:"]
    for name, count in comparison.counts().items():
        told = f", {count['told']} of them told to people" if "told" in count else ""
        lines.append(f"  {name:8} {count['all']:5}{told}")
    for name in NAMES:
        group = _group(comparison, name)
        lines += [f"{name}:", *(f"  {_line(one)}" for one in group[:MOST_LINES])] if group else []
        if len(group) > MOST_LINES:
            lines.append(f"  … and {len(group) - MOST_LINES} more (--json lists all)")
    return "\n".join(lines)


def html(comparison: Comparison, first: str, second: str) -> str:
    """A page that stands alone."""
    counts = comparison.counts()
    rows = [[name, str(count["all"]), str(count.get("told", ""))] for name, count in counts.items()]
    parts = [
        page.paragraph(
            f"The same readings under {first}, then under {second}. What people were told comes first."
        ),
        page.table(("alerts", "all", "told to people"), rows),
        *_timeline(comparison),
    ]
    for name in NAMES:
        group = _group(comparison, name)
        if not group:
            continue
        parts.append(page.heading(name.capitalize()))
        parts.append(page.table(HEAD, [_row(one) for one in group[:MOST_ROWS]], 7))
        if len(group) > MOST_ROWS:
            parts.append(page.paragraph(f"… and {len(group) - MOST_ROWS} more"))
        parts += list(_plots(group))
    return page.page(f"Watchline: {second} beside {first}", parts)


HEAD = ("raised (UTC)", "kind", "grade", "place", "channel", "rule", "told", "moved")


def _group(comparison: Comparison, name: str) -> Sequence[Raised | Pair]:
    """One sort; what was told to people first, each in order of time."""
    group: Sequence[Raised | Pair] = getattr(comparison, name)
    return sorted(group, key=lambda one: not _now(one).notify)


def _now(one: Raised | Pair) -> Raised:
    """What stands for it: the alert itself, or how the second setting has it."""
    return one if isinstance(one, Raised) else one[1]


def _moved(one: Raised | Pair) -> str:
    if isinstance(one, Raised):
        return ""
    before, after = one
    seconds = (after.detected_ns - before.detected_ns) / SECOND_NS
    if seconds:
        return f"{seconds:+,.0f} s"
    told = {True: "told", False: "untold"}
    return f"was {before.kind}, {before.grade}, {told[before.notify]}"


def _line(one: Raised | Pair) -> str:
    raised, moved = _now(one), _moved(one)
    where = raised.channel or raised.place
    said = f"{rfc3339(raised.detected_ns)[:19]}  {raised.grade} {raised.kind} at {where} ({raised.rule})"
    return f"{said}  {moved}".rstrip()


def _row(one: Raised | Pair) -> list[str]:
    raised = _now(one)
    told = "yes" if raised.notify else "no"
    when = rfc3339(raised.detected_ns)[:19]
    row = [when, raised.kind, raised.grade, raised.place, raised.channel, raised.rule, told]
    return [*row, _moved(one)]


def _timeline(comparison: Comparison) -> Iterator[str]:
    """When each came, a line a sort."""
    rows = []
    for name in NAMES:
        dots = []
        for one in _group(comparison, name):
            raised = _now(one)
            title = f"{rfc3339(raised.detected_ns)[:16]} {raised.grade} {raised.kind} {raised.place}"
            dots.append((float(raised.detected_ns), COLOUR[name], title))
        rows.append((f"{name} ({len(dots)})", dots))
    moments = [when for _, dots in rows for when, _, _ in dots]
    if moments:
        first, last = min(moments), max(moments)
        ends = (rfc3339(int(first))[:16], rfc3339(int(last))[:16])
        yield page.figure(page.moments(rows, first, last, ends), "When they were raised; point at a dot.")


def _plots(group: Sequence[Raised | Pair]) -> Iterator[str]:
    """What the channels showed before; never a wristband, which has no plot in its alert."""
    plotted = [_now(one) for one in group if _now(one).plot is not None]
    for raised in plotted[:MOST_PLOTS]:
        plot = raised.plot or {}
        marks = [float(plot[name]) for name in ("limit", "low", "high", "expected") if name in plot]
        unit = f", {plot['unit']}" if plot.get("unit") else ""
        caption = f"{rfc3339(raised.detected_ns)[:16]} {raised.channel}{unit}: {raised.because}"
        yield page.figure(page.line(plot.get("values", []), marks), caption)
