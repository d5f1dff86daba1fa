"""A level that has changed for good: recognised after a day, asked about, adopted by command."""

from __future__ import annotations

import numpy as np

from config.channels import Channel, ChannelTable
from detectors.bank import Bank
from detectors.findings import CALM, Findings
from detectors.regime import Regime
from ingest.window import Window
from tests.detectors.rows import Values, noise, row, scores_of

PERIOD_S = 600.0
DAY = 144


def test_a_day_at_another_level_is_a_question_and_not_before() -> None:
    values = noise(20 * DAY)
    values[10 * DAY :, 1] += 30
    raw = scores_of(Regime(), values, PERIOD_S)

    assert not (raw[: 11 * DAY - 7] >= 1.0).any()
    assert raw[11 * DAY + 6, 1] >= 1.0
    assert not (raw[:, [0, 2]] >= 0.5).any()


def test_a_night_at_another_level_is_none() -> None:
    values = noise(20 * DAY)
    values[10 * DAY : 10 * DAY + 100, 0] += 30
    raw = scores_of(Regime(), values, PERIOD_S)

    assert not (raw >= 1.0).any() and not raw[11 * DAY :].any()


def test_a_level_that_never_comes_to_rest_is_none() -> None:
    values = noise(20 * DAY)
    values[10 * DAY :, 1] += np.tile(np.repeat([30.0, -30.0], DAY // 4), 20)
    raw = scores_of(Regime(), values, PERIOD_S)

    assert not (raw >= 1.0).any()


def site() -> tuple[Bank, int]:
    channels = ChannelTable(
        [Channel(f"w.{n}.pressure", "water", f"w.{n}", "pressure", "kPa", PERIOD_S) for n in range(3)]
    )
    grids = Window(channels).grids
    return Bank(channels, [(grid.period_s, grid.channels) for grid in grids]), len(channels)


def strange(findings: Findings) -> set[tuple[str, int]]:
    points = findings.points
    return {(points.rule[p], int(points.channel[p])) for p in np.flatnonzero(findings.severity > CALM)}


def a_meter_is_exchanged(days: int) -> Values:
    values = noise(days * DAY)
    values += 5 * np.sin(np.arange(days * DAY) * 2 * np.pi / DAY)[:, None]
    values[10 * DAY :, 1] += 30
    return values


def test_what_was_adopted_is_normal_at_once_and_the_old_level_is_strange() -> None:
    bank, _ = site()
    values = a_meter_is_exchanged(14)
    values[12 * DAY :, 1] -= 30
    for number in range(11 * DAY + 60):
        (findings,) = bank.judge_row(0, row(values[number], number, PERIOD_S))
    assert ("regime", 1) in strange(findings) and ("rhythm", 1) in strange(findings)

    bank.adopt(np.array([1], dtype=np.int32))
    after: set[tuple[str, int]] = set()
    for number in range(11 * DAY + 60, 12 * DAY):
        (findings,) = bank.judge_row(0, row(values[number], number, PERIOD_S))
        after |= strange(findings)
    for number in range(12 * DAY, 12 * DAY + 40):
        (findings,) = bank.judge_row(0, row(values[number], number, PERIOD_S))

    assert not after
    assert ("rhythm", 1) in strange(findings)


def test_neighbours_of_an_adopted_channel_are_judged_as_before() -> None:
    one, other = site()[0], site()[0]
    values = a_meter_is_exchanged(13)
    for number, levels in enumerate(values):
        if number == 11 * DAY + 60:
            one.adopt(np.array([1], dtype=np.int32))
        now = row(levels, number, PERIOD_S)
        (findings,), (plain,) = one.judge_row(0, now), other.judge_row(0, now)
    of_others = findings.points.channel != 1

    assert np.allclose(findings.score[of_others], plain.score[of_others], equal_nan=True, atol=0.05)
    assert np.array_equal(findings.severity[of_others], plain.severity[of_others])
