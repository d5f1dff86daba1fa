"""A picture of each detector at work: python -m tests.quality.plots [--out docs/plots]

For each kind that judges rows a channel on which nothing happens for nine days, then what this kind looks
for. Above the value, below what the detector makes of it: surprise, and from where it warns. Seeds are fixed,
so that the same code draws the same pictures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config import kinds
from detectors.apart import Apart
from detectors.base import Detector, Row

Values = NDArray[np.float64]
PERIOD_S, DAY, CALM_DAYS = 300.0, 288, 9
START_NS = 1_767_571_200 * 10**9  # Monday 2026-01-05, 08:00 in Shanghai
WIDTH, TOP, BOTTOM, GAP, LEFT = 720, 120, 80, 26, 46
INK, LINE, ALARMED, GRID = "#334155", "#2563eb", "#dc2626", "#cbd5e1"


@dataclass(frozen=True)
class Case:
    """What happens to a channel on the tenth day."""

    says: str
    happens: Callable[[Values, np.random.Generator], Values]
    begins: int = 60  # row of that day
    days: float = 1.0  # how long it is looked at
    shown: float = 1.0  # days before it that are shown
    neighbours: int = 0  # like channels beside it, on which nothing happens


def _burst(value: Values, chance: np.random.Generator) -> Values:
    value -= 14.0 * np.exp(-np.arange(len(value)) / 100)
    return value


def _drift(value: Values, chance: np.random.Generator) -> Values:
    value -= 1.0 * np.arange(len(value)) / DAY
    return value


def _other_hour(value: Values, chance: np.random.Generator) -> Values:
    value[:40] -= 10.0
    return value


def _shift(value: Values, chance: np.random.Generator) -> Values:
    value += 1.6
    return value


def _never_seen(value: Values, chance: np.random.Generator) -> Values:
    value += np.minimum(np.arange(len(value)) * 0.15, 22.0)
    return value


def _noisy(value: Values, chance: np.random.Generator) -> Values:
    value += chance.normal(0, 8, len(value))
    return value


def _spikes(value: Values, chance: np.random.Generator) -> Values:
    value[::7] += 60.0
    return value


def _leaving(value: Values, chance: np.random.Generator) -> Values:
    value += 6.0 * np.arange(len(value)) / DAY
    return value


def _unit(value: Values, chance: np.random.Generator) -> Values:
    value *= 10.0
    return value


def _exchanged(value: Values, chance: np.random.Generator) -> Values:
    value += 30.0
    return value


def _frozen(value: Values, chance: np.random.Generator) -> Values:
    value[:] = value[0]
    return value


def _lost(value: Values, chance: np.random.Generator) -> Values:
    value[:50] = np.nan
    return value


CASES: dict[str, Case] = {
    "jump": Case("A regulator lets the pressure fall.", _burst, begins=96),
    "drift": Case("A joint seeps: one deviation a day.", _drift, begins=0, days=5.0),
    "rhythm": Case("For three hours it is as low as at another time of the day.", _other_hour),
    "plateau": Case("A shift of 1.6 deviations, hidden in the noise of single rows.", _shift),
    "novelty": Case("It climbs slowly to where it never was.", _never_seen),
    "unrest": Case("A dying battery: the noise grows.", _noisy),
    "spike": Case("A loose contact.", _spikes),
    "apart": Case(
        "One of eight pressures leaves the others: six deviations a day.", _leaving, 0, 3.0, 1.0, 7
    ),
    "scale": Case("The unit is changed: everything ten times as large.", _unit),
    "regime": Case("A meter is exchanged: another level from now on.", _exchanged, days=2.5),
    "stuck": Case("The value freezes.", _frozen),
    "silence": Case("Four hours without a reading.", _lost),
}


def record(case: Case) -> Values:
    """The channel (rows,): a daily swing and noise of 1, rounded to 0.1, then what happens."""
    chance = np.random.default_rng(11)
    rows = round((CALM_DAYS + case.days) * DAY)
    value = 300.0 + 6 * np.sin(2 * np.pi * np.arange(rows) / DAY) + chance.normal(size=rows)
    begins = CALM_DAYS * DAY + case.begins
    value[begins:] = case.happens(value[begins:], chance)
    return np.round(value, 1)


def beside(case: Case, rows: int) -> Values:
    """Its neighbours (rows, neighbours): the same swing, noise of their own."""
    swing = 300.0 + 6 * np.sin(2 * np.pi * np.arange(rows) / DAY)
    noise = np.random.default_rng(12).normal(size=(rows, case.neighbours))
    return np.round(swing[:, None] + noise, 1)


def surprises(kind: str, value: Values) -> tuple[Values, float]:
    """What the detector makes of each row, as -log10 of the chance of it, and from where it warns.

    One that judges what the rhythm leaves is given that. A channel is calm while it does not warn.
    """
    values = np.column_stack([value, beside(CASES[kind], len(value))])
    channels = values.shape[1]
    detector: Detector = kinds.build(kinds.DETECTORS, kind, {}, kind)
    if isinstance(detector, Apart):
        detector = replace(detector, group=np.zeros(channels, dtype=np.int32))
    rhythm: Detector = kinds.build(kinds.DETECTORS, "rhythm", {}, "rhythm")
    warning = 5.6 if detector.calibrated else 6.0
    memory, before = detector.fresh_memory(channels), rhythm.fresh_memory(channels)
    told = np.full(len(value), np.nan)
    for number, levels in enumerate(values):
        row = Row(levels, START_NS + round((number + 1) * PERIOD_S * 1e9), PERIOD_S)
        odd = rhythm.surprise(np.nan_to_num(rhythm.score(row, before))) > 5.6
        judged = Row(before["residual"], row.end_ns, PERIOD_S) if detector.deseasoned else row
        raw = detector.score(judged, memory)
        if np.isfinite(raw[0]):
            told[number] = detector.surprise(raw)[0]
        calm = ~odd
        calm[0] &= not told[number] >= warning
        rhythm.learn(row, calm, before)
        detector.learn(judged, calm, memory)
    return told, warning


def picture(kind: str, case: Case) -> str:
    """The picture as SVG."""
    value = record(case)
    told, warning = surprises(kind, value)
    first = round((CALM_DAYS - case.shown) * DAY)
    value, told = value[first:], told[first:]
    begins = LEFT + (WIDTH - LEFT - 8) * (case.shown * DAY + case.begins) / len(value)
    most = max(2.0 * warning, float(np.nanmax(told)))
    upper = 20
    lower = upper + TOP + GAP
    level = lower + BOTTOM - BOTTOM * warning / most
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {lower + BOTTOM + 22}" ',
            f'font-family="sans-serif" font-size="11" fill="{INK}">',
            '<rect width="100%" height="100%" fill="#fff"/>',
            f'<text x="{LEFT}" y="13">{kind}: {case.says}</text>',
            f'<path d="M{begins:.0f} {upper}V{lower + BOTTOM}" stroke="{GRID}"/>',
            _line(value, upper, TOP, float(np.nanmin(value)), float(np.nanmax(value)), LINE),
            _axis(upper, TOP, float(np.nanmin(value)), float(np.nanmax(value))),
            f'<path d="M{LEFT} {level:.1f}H{WIDTH - 8}" stroke="{ALARMED}" stroke-dasharray="4 3"/>',
            f'<text x="{WIDTH - 8}" y="{level - 4:.1f}" text-anchor="end" fill="{ALARMED}">warns</text>',
            _line(told, lower, BOTTOM, 0.0, most, INK),
            _axis(lower, BOTTOM, 0.0, most),
            f'<text x="{LEFT}" y="{lower + BOTTOM + 16}">{len(value) / DAY:g} days, a row each 5 minutes; ',
            "above the value, below the surprise (-log10 of its chance); it begins at the line</text>",
            "</svg>\n",
        ]
    )


def _line(values: Values, top: float, height: float, low: float, high: float, colour: str) -> str:
    """A line through the values that there are."""
    reach = max(high - low, 1e-9)
    step = (WIDTH - LEFT - 8) / len(values)
    drawn, pen = [], "M"
    for number, value in enumerate(values.tolist()):
        if value != value:
            pen = "M"
            continue
        drawn.append(f"{pen}{LEFT + number * step:.1f} {top + height * (1 - (value - low) / reach):.1f}")
        pen = "L"
    return f'<path d="{"".join(drawn)}" fill="none" stroke="{colour}"/>'


def _axis(top: float, height: float, low: float, high: float) -> str:
    return "".join(
        f'<text x="{LEFT - 5}" y="{top + height * (1 - share) + 4:.1f}" text-anchor="end">{at:.4g}</text>'
        for share, at in ((0.0, low), (1.0, high))
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.quality.plots", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/plots"))
    parser.add_argument("--only", choices=sorted(CASES), help="this one alone")
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    for kind, case in CASES.items():
        if args.only not in (None, kind):
            continue
        (args.out / f"{kind}.svg").write_text(picture(kind, case), encoding="utf-8")
        print(args.out / f"{kind}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
