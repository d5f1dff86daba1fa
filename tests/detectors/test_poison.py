"""Learning that cannot be poisoned: outages, wrong units, garbage and slow attacks leave it alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from config.channels import Channel, ChannelTable
from detectors.bank import Bank
from detectors.findings import CALM
from ingest.window import Window
from tests.detectors.rows import Values, noise, row

PERIOD_S = 600.0
DAY = 144
LEARNED = 7 * DAY


def a_bank(channels: int = 2) -> Bank:
    table = ChannelTable(
        [
            Channel(f"w.{n}.pressure", "water", f"w.{n}", "pressure", "kPa", PERIOD_S, 0.1)
            for n in range(channels)
        ]
    )
    return Bank(table, [(grid.period_s, grid.channels) for grid in Window(table).grids])


def a_week_and_more(days: int = 11, channels: int = 2) -> Values:
    swing = 8 * np.sin(2 * np.pi * np.arange(days * DAY) / DAY)[:, None]
    values: Values = np.round(noise(days * DAY, channels, sigma=1.0) + swing, 1)
    return values


def judged(bank: Bank, values: Values, first: int = 0) -> list[set[tuple[str, int]]]:
    """(rule, channel) that are strange, row by row."""
    found = []
    for number, levels in enumerate(values, first):
        strange: set[tuple[str, int]] = set()
        for findings in bank.judge_row(0, row(levels, number, PERIOD_S)):
            points = findings.points
            strange |= {
                (points.rule[p], int(points.channel[p])) for p in np.flatnonzero(findings.severity > CALM)
            }
        found.append(strange)
    return found


def dead(values: Values) -> Values:
    return np.zeros_like(values)


def thousandfold(values: Values) -> Values:
    return values * 1000.0


def missing(values: Values) -> Values:
    return np.full_like(values, math.nan)


def garbage(values: Values) -> Values:
    odd = [math.inf, -math.inf, 1e308, 5e-324, -1e29, math.nan]
    return np.resize(odd, values.shape)


def alternating(values: Values) -> Values:
    return np.where(np.arange(len(values)) % 2, 1e6, -1e6)


@pytest.mark.parametrize("harm", [dead, thousandfold, missing, garbage, alternating])
def test_two_days_of_harm_change_little_of_what_is_normal(harm: object) -> None:
    assert callable(harm)
    bank, values = a_bank(), a_week_and_more()
    values[LEARNED : LEARNED + 2 * DAY, 1] = harm(values[LEARNED : LEARNED + 2 * DAY, 1])
    with np.errstate(all="raise", under="ignore"):
        judged(bank, values[:LEARNED])
        before = bank.usual(1).numbers
        judged(bank, values[LEARNED : LEARNED + 2 * DAY], LEARNED)
        judged(bank, values[LEARNED + 2 * DAY : LEARNED + 3 * DAY], LEARNED + 2 * DAY)
    after = bank.usual(1).numbers

    assert after["expected"] == pytest.approx(before["expected"], abs=2.0)
    assert after["spread"] < 2.0 * before["spread"]


def test_a_mistaken_unit_is_called_so_and_a_neighbour_is_left_alone() -> None:
    bank, values = a_bank(), a_week_and_more(9)
    values[LEARNED:, 1] *= 1000.0
    found = set().union(*judged(bank, values)[LEARNED:])

    assert ("scale", 1) in found
    assert not any(channel == 0 for _, channel in found)


@pytest.mark.parametrize("a_day", [1.0, -1.0])
def test_one_deviation_a_day_is_caught_within_five_days_however_patient_the_attacker(a_day: float) -> None:
    bank, values = a_bank(), a_week_and_more(13)
    values[LEARNED:, 1] += a_day * np.arange(len(values) - LEARNED) / DAY
    verdicts = judged(bank, values)
    first = next(number for number, strange in enumerate(verdicts) if any(c == 1 for _, c in strange))

    assert LEARNED < first <= LEARNED + 5 * DAY
    assert not any(c == 0 for strange in verdicts for _, c in strange)


def test_time_that_goes_backwards_breaks_nothing() -> None:
    bank, values = a_bank(), a_week_and_more(6)
    judged(bank, values[: 4 * DAY])
    judged(bank, values[: 2 * DAY], first=DAY)
    found = judged(bank, values[4 * DAY :], first=4 * DAY)

    assert not any(found[-DAY:])
