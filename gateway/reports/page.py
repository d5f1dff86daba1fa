"""Page: the paper that reports are drawn on: one HTML file with tables and SVG plots, light or dark."""

from collections.abc import Iterable, Sequence
from html import escape
from math import floor, log10

STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5d6b7a; --line: #d5dbe2; --paper: #ffffff;
  --one: #0b62a8; --two: #b4530a; --none: #8b97a5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #a3afbc; --line: #3a4552;
  --paper: #141a21; --one: #62b0f4; --two: #f2a35e; --none: #75818e; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 78rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p, figcaption { color: var(--soft); } figure { margin: 1rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto; }
th, td { padding: .25rem .7rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; } td.text, th.text { text-align: left; }
tr.total td { font-weight: 600; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); } svg .soft { fill: var(--soft); }
svg .axis { stroke: var(--line); } svg .one { fill: var(--one); stroke: var(--one); }
svg .two { fill: var(--two); stroke: var(--two); } svg .none { fill: var(--none); stroke: var(--none); }
svg .bar { stroke: none; opacity: .8; } svg path { fill: none !important; stroke-width: 1.5; }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole document; `parts` are HTML already."""
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1, totals: Sequence[int] = ()
) -> str:
    """The first `texts` columns are words, the rest figures; rows numbered in `totals` stand out."""

    def cell(tag: str, column: int, text: str) -> str:
        sort = ' class="text"' if column < texts else ""
        return f"<{tag}{sort}>{escape(text)}</{tag}>"

    lines = ["<table>", "<tr>" + "".join(cell("th", n, text) for n, text in enumerate(head)) + "</tr>"]
    for number, row in enumerate(rows):
        sort = ' class="total"' if number in totals else ""
        lines.append(f"<tr{sort}>" + "".join(cell("td", n, text) for n, text in enumerate(row)) + "</tr>")
    return "\n".join([*lines, "</table>"])


def figure(svg: str, caption: str) -> str:
    return f"<figure>\n{svg}\n<figcaption>{escape(caption)}</figcaption>\n</figure>"


LEFT, RIGHT, ROW = 300, 60, 24


def ranges(
    rows: Sequence[tuple[str, float | None, float, float, float | None]],
    most: float,
    unit: str,
    width: int = 900,
) -> str:
    """A line a row: its name, a value with its interval, and a mark beside it (what chance would give)."""
    most = _round(most)
    scale = (width - LEFT - RIGHT) / most if most > 0 else 0.0
    height = ROW * len(rows) + 34
    parts = [_svg(width, height), *_scale(width, height, most, unit, scale)]
    for number, (name, value, low, high, mark) in enumerate(rows):
        y = ROW * number + 16
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        if mark is not None:
            x = LEFT + min(mark, most) * scale
            parts.append(f'<line class="none" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 8}" y2="{y + 8}"/>')
        if value is None:
            continue
        first, last = (LEFT + min(end, most) * scale for end in (low, high))
        parts.append(
            f'<line class="one" x1="{first:.1f}" x2="{last:.1f}" y1="{y}" y2="{y}"/>'
            f'<circle class="one" cx="{LEFT + min(value, most) * scale:.1f}" cy="{y}" r="4"/>'
        )
    return "\n".join([*parts, "</svg>"])


def moments(
    rows: Sequence[tuple[str, Sequence[tuple[float, str, str]]]],
    first: float,
    last: float,
    labels: tuple[str, str],
    width: int = 900,
) -> str:
    """A line a row over time: dots (when, class, what it is when pointed at)."""
    scale = (width - LEFT - RIGHT) / (last - first) if last > first else 0.0
    height = ROW * len(rows) + 34
    parts = [_svg(width, height)]
    for number, (name, dots) in enumerate(rows):
        y = ROW * number + 16
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{width - RIGHT}" y1="{y}" y2="{y}"/>')
        for when, sort, title in dots:
            x = LEFT + (when - first) * scale
            parts.append(
                f'<circle class="{sort}" cx="{x:.1f}" cy="{y}" r="4"><title>{escape(title)}</title></circle>'
            )
    y = height - 8
    parts.append(f'<text class="soft" x="{LEFT}" y="{y}">{escape(labels[0])}</text>')
    parts.append(
        f'<text class="soft" x="{width - RIGHT}" y="{y}" text-anchor="end">{escape(labels[1])}</text>'
    )
    return "\n".join([*parts, "</svg>"])


def bars(values: Sequence[float], labels: tuple[str, str], unit: str, width: int = 900) -> str:
    """A bar a step (a day), the largest said at the top."""
    height, top = 150, 18
    most = max(values, default=0.0) or 1.0
    step = (width - LEFT - RIGHT) / max(len(values), 1)
    parts = [_svg(width, height)]
    parts.append(f'<text class="soft" x="{LEFT - 10}" y="{top + 4}" text-anchor="end">{most:g} {unit}</text>')
    for number, value in enumerate(values):
        tall = value / most * (height - top - 24)
        x, y = LEFT + number * step, height - 24 - tall
        parts.append(
            f'<rect class="two bar" x="{x:.1f}" y="{y:.1f}" width="{max(step - 1, 0.5):.1f}"'
            f' height="{tall:.1f}"/>'
        )
    parts.append(
        f'<line class="axis" x1="{LEFT}" x2="{width - RIGHT}" y1="{height - 24}" y2="{height - 24}"/>'
    )
    end, y = width - RIGHT, height - 6
    parts.append(f'<text class="soft" x="{LEFT}" y="{y}">{escape(labels[0])}</text>')
    parts.append(f'<text class="soft" x="{end}" y="{y}" text-anchor="end">{escape(labels[1])}</text>')
    return "\n".join([*parts, "</svg>"])


def line(values: Sequence[float | None], marks: Sequence[float], width: int = 420, height: int = 90) -> str:
    """A small plot of a channel's last levels, with limits as level lines; gaps stay gaps."""
    known = [value for value in [*values, *marks] if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    span = (high - low) or 1.0
    step = (width - 10) / max(len(values) - 1, 1)

    def y(value: float) -> float:
        return height - 8 - (value - low) / span * (height - 16)

    path, pen = [], "M"
    for number, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        path.append(f"{pen}{5 + number * step:.1f} {y(value):.1f}")
        pen = "L"
    levels = [
        f'<line class="axis" x1="0" x2="{width}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>' for mark in marks
    ]
    return "\n".join([_svg(width, height), *levels, f'<path class="one" d="{" ".join(path)}"/>', "</svg>"])


def _round(most: float) -> float:
    """The next number of which also the quarters are easily read: 1, 2, 4, 6 or 8 with zeros."""
    if most <= 0:
        return most
    size = 10.0 ** floor(log10(most))
    return next(step * size for step in (1, 2, 4, 6, 8, 10) if step * size >= most * (1 - 1e-9))


def _svg(width: int, height: int) -> str:
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'


def _scale(width: int, height: int, most: float, unit: str, scale: float) -> Iterable[str]:
    for quarter in range(5):
        value = most * quarter / 4
        x = LEFT + value * scale
        yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - 22}"/>'
        yield f'<text class="soft" x="{x:.1f}" y="{height - 6}" text-anchor="middle">{value:.3g}{unit}</text>'
