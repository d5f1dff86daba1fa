"""Compiled kernels and NumPy: the same bits, whatever the rows hold; NumPy alone where numba is missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from config.channels import Channel, ChannelTable
from config.daykinds import WEEKEND
from config.snapshot import Keyed, State
from detectors import fast
from detectors.bank import Bank
from detectors.panel import Panel
from ingest.row import Row
from ingest.window import Window
from tests.detectors.rows import START_NS, Values

QUANTITIES = (("water", "flow", "m3/h"), ("water", "pressure", "kPa"), ("gas", "ch4", "%{LEL}"))
WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
from detectors import fast
assert fast.load() == "" and fast.kernels() is None
"""
BROKEN_NUMBA = """
import sys
sys.modules["llvmlite"] = None
from detectors import fast
assert "llvmlite" in fast.load() and fast.kernels() is None
"""


@pytest.fixture(autouse=True)
def _numpy_again() -> Iterator[None]:
    yield
    fast.unload()


def panel(channels: int, period_s: float) -> Panel:
    table = ChannelTable(
        [
            Channel(f"c{n}", *QUANTITIES[n % 3][:1], f"p{n}", *QUANTITIES[n % 3][1:], period_s, 0.1, zone="z")
            for n in range(channels)
        ]
    )
    grids = [(grid.period_s, grid.channels) for grid in Window(table).grids]
    return Bank(table, grids).panels[0]


def record(rows: int, channels: int, period_s: float, missing: float, seed: int) -> Values:
    """Days of a course, weekends, rounded noise, gaps, garbage, a jump and a channel that is stuck."""
    chance = np.random.default_rng(seed)
    hours = np.arange(rows)[:, None] * (period_s / 3600.0)
    values = 50.0 + 20.0 * np.sin(hours * np.pi / 12) + chance.normal(0.0, 1.0, (rows, channels))
    values -= 15.0 * (hours // 24 % 7 >= 5)
    values = np.round(values, 1)
    values[rows // 2 :, 0] += 30.0
    values[-rows // 4 :, -1] = values[-rows // 4, -1]
    values[chance.random(values.shape) < missing] = np.nan
    for garbage in (np.inf, -np.inf, 1e308, 1e29, 5e-324):
        values[chance.integers(rows), chance.integers(channels)] = garbage
    return np.asarray(values)


def judged(values: Values, period_s: float, switch: int) -> tuple[list[Values], State]:
    """Scores, severities and the memory afterwards; kernels from row `switch` on."""
    fast.unload()
    judge, told = panel(values.shape[1], period_s), []
    for number, levels in enumerate(values):
        if number == switch:
            assert fast.load() == "" and fast.kernels() is not None
        end_ns = START_NS + round((number + 1) * period_s * 1e9)
        found = judge.judge(Row(levels.copy(), end_ns, period_s))
        told += [found.score.copy(), found.severity.astype(np.float64), found.heard.astype(np.float64)]
    return told, judge.state()


def same(one: State, other: State) -> bool:
    assert one.keys() == other.keys()
    for name, saved in one.items():
        mine, yours = (s.array if isinstance(s, Keyed) else s for s in (saved, other[name]))
        np.testing.assert_array_equal(mine, yours, err_msg=name)
    return True


@pytest.mark.parametrize(
    ("channels", "rows", "period_s", "missing"),
    [
        (1, 700, 600.0, 0.0),
        (9, 500, 600.0, 0.03),
        (9, 200, 3600.0, 0.9),
        (5, 900, 3600.0, 0.01),
        (40, 200, 1.0, 0.0),
        (2_000, 14, 60.0, 0.03),
    ],
)
def test_kernels_give_the_same_bits_as_numpy(
    channels: int, rows: int, period_s: float, missing: float
) -> None:
    values = record(rows, channels, period_s, missing, seed=channels)
    slow, remembered = judged(values, period_s, switch=rows)
    quick, known = judged(values, period_s, switch=rows // 7)

    np.testing.assert_array_equal(np.array(slow), np.array(quick))
    assert same(remembered, known)


def test_the_weeks_of_that_record_teach_weekends() -> None:
    _, known = judged(record(900, 5, 3600.0, 0.01, seed=5), 3600.0, switch=100)

    saved = known["rhythm/weight"]
    assert isinstance(saved, Keyed) and saved.array[:, WEEKEND].max() > 0.0


@pytest.mark.parametrize("without", [WITHOUT_NUMBA, BROKEN_NUMBA])
def test_without_numba_numpy_does_the_work(without: str) -> None:
    subprocess.run([sys.executable, "-c", without], check=True, timeout=60)
