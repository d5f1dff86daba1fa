"""How often rules warn beside what the alarm budget promises: python -m tests.quality.calibration [--days N]

Made-up channels through the whole bank with its defaults: noise and a daily swing, and nothing happens. Each
line is a rule on one kind of noise: warnings that began, warnings that the budget allows, and their ratio
with the exact 95 % interval of a Poisson count. Above 1 the rule is louder than promised.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import chi2

from config.channels import Channel, ChannelTable
from detectors.bank import Bank
from detectors.findings import CALM
from ingest.row import Row
from ingest.window import Window

Values = NDArray[np.float64]
PERIOD_S = 300.0
DAY = 288
START_NS = 1_767_571_200 * 10**9  # 2026-01-05T00:00:00Z
LEARNING_DAYS = 3


def gaussian(chance: np.random.Generator, rows: int, channels: int) -> Values:
    return chance.normal(size=(rows, channels))


def slow(chance: np.random.Generator, rows: int, channels: int) -> Values:
    """AR(1), correlation 0.9 from row to row."""
    steps = chance.normal(0, np.sqrt(1 - 0.9**2), (rows, channels))
    values: Values = lfilter([1.0], [1.0, -0.9], steps, axis=0)
    return values


def heavy(chance: np.random.Generator, rows: int, channels: int) -> Values:
    """Student's t with 3 degrees of freedom, variance 1."""
    values: Values = chance.standard_t(3, (rows, channels)) / np.sqrt(3.0)
    return values


def coarse(chance: np.random.Generator, rows: int, channels: int) -> Values:
    """Gaussian, rounded to its own deviation."""
    return np.round(chance.normal(size=(rows, channels)))


NOISES: dict[str, Callable[[np.random.Generator, int, int], Values]] = {
    "Gaussian": gaussian,
    "AR(1) 0.9": slow,
    "Student t3": heavy,
    "coarse": coarse,
}


def warnings(record: Values) -> tuple[dict[str, int], dict[str, float]]:
    """By rule: warnings that began after the first days, and what the budget allows in that time."""
    channels = ChannelTable(
        [
            Channel(f"w.{n}.flow", "water", f"w.{n}", "flow", "m3/h", PERIOD_S, zone=f"z{n // 20}")
            for n in range(record.shape[1])
        ]
    )
    (grid,) = Window(channels).grids
    bank = Bank(channels, [(grid.period_s, grid.channels)])
    begun: dict[str, int] = {}
    before: dict[int, NDArray[np.bool_]] = {}
    for number, values in enumerate(record):
        row = Row(values, START_NS + round((number + 1) * PERIOD_S * 1e9), PERIOD_S)
        for at, findings in enumerate(bank.judge_row(0, row)):
            strange = findings.severity > CALM
            new = strange & ~before.get(at, np.zeros_like(strange))
            before[at] = strange
            if number >= LEARNING_DAYS * DAY:
                for point in np.flatnonzero(new).tolist():
                    rule = findings.points.rule[point]
                    begun[rule] = begun.get(rule, 0) + 1
    days = len(record) / DAY - LEARNING_DAYS
    allowed = {rule: per_day * days for rule, _, per_day in bank.expected_alarms_per_day()}
    return begun, allowed


def interval(count: int, expected: float) -> tuple[float, float, float]:
    """count / expected with the exact 95 % interval of a Poisson count (Garwood, Biometrika 28, 1936)."""
    low = float(chi2.ppf(0.025, 2 * count) / 2) if count else 0.0
    high = float(chi2.ppf(0.975, 2 * count + 2) / 2)
    return count / expected, low / expected, high / expected


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.quality.calibration", description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--channels", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rows = args.days * DAY
    swing = 5 * np.sin(2 * np.pi * np.arange(rows) / DAY)[:, None]
    channel_days = args.channels * (args.days - LEARNING_DAYS)
    print(f"{args.channels} channels, {channel_days:,} channel-days after {LEARNING_DAYS} days of learning")
    print(f"{'noise':12} {'rule':9} {'warned':>7} {'allowed':>8} {'ratio':>6}  95 % interval")
    for name, made in NOISES.items():
        record = 300 + swing + made(np.random.default_rng(args.seed), rows, args.channels)
        begun, allowed = warnings(record)
        learning = {rule: expected for rule, expected in allowed.items() if expected}
        for rule, expected in [*learning.items(), ("all", sum(learning.values()))]:
            count = sum(begun.get(one, 0) for one in learning) if rule == "all" else begun.get(rule, 0)
            ratio, low, high = interval(count, expected)
            print(f"{name:12} {rule:9} {count:7} {expected:8.1f} {ratio:6.2f}  {low:.2f} to {high:.2f}")
        plain = {rule: count for rule, count in begun.items() if rule not in learning}
        print(f"{name:12} rules without a chance: {plain or 'none'}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
