"""Weekends and holidays have levels of their own, once several of them have shown it; one leak has not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from config.daykinds import WORKDAY, day_kind
from detectors.base import Memory, Row
from detectors.days import VISITS
from detectors.rhythm import Rhythm
from tests.detectors.rows import Values

PERIOD_S, HOUR, DAY = 300.0, 12, 288
BEGIN = datetime(2025, 12, 31, 16, tzinfo=UTC)  # New Year's Day in Shanghai, a Thursday
STRANGE = 5.5


def kinds(days: int) -> list[int]:
    first = (BEGIN.date() + timedelta(days=1)).toordinal() - datetime(1970, 1, 1).toordinal()
    return [day_kind("CN", first + n) for n in range(days)]


def demand(days: int, channels: int = 3, rest: float = 0.0, seed: int = 5) -> Values:
    """A morning and an evening, with noise; on days off the morning is `rest` lower. (rows, channels)"""
    hours = np.arange(days * DAY) % DAY / HOUR
    course = 40 + 12 * np.sin((hours - 8) * np.pi / 12)
    free = np.repeat([kind != WORKDAY for kind in kinds(days)], DAY)
    course = course - rest * free * ((hours >= 6) & (hours < 12))
    noise = np.random.default_rng(seed).normal(0.0, 1.0, (days * DAY, channels))
    values: Values = course[:, None] + noise
    return values


def watched(values: Values, rhythm: Rhythm | None = None) -> tuple[Values, Memory]:
    """Where each row is strange, and what is known in the end; what is strange teaches nothing."""
    rhythm = rhythm or Rhythm()
    memory = rhythm.fresh_memory(values.shape[1])
    strange = np.zeros(values.shape, dtype=bool)
    begin_ns = round(BEGIN.timestamp()) * 10**9
    for number, levels in enumerate(values):
        row = Row(levels, begin_ns + round((number + 1) * PERIOD_S * 1e9), PERIOD_S)
        strange[number] = rhythm.score(row, memory) > STRANGE
        rhythm.learn(row, ~strange[number], memory)
    return strange.reshape(-1, DAY, values.shape[1]).sum(axis=1), memory


def test_a_quiet_weekend_morning_is_usual_from_the_third_weekend_on() -> None:
    days = 32
    strange, memory = watched(demand(days, rest=10.0))
    off = np.array([kind != WORKDAY for kind in kinds(days)])
    late = np.arange(days) >= 16

    assert strange[3:5].sum() > 50  # the first weekend is news …
    assert strange[late & off].sum() < 10 and strange[late & ~off].sum() < 10  # … and the third is not
    assert (memory["weight"][:, 1] > 0.8).all()


def test_a_weekend_on_which_people_work_is_a_working_day() -> None:
    """2026-02-14 and 02-28 are Saturdays that make up for the Spring Festival."""
    days = 62
    strange, _ = watched(demand(days, channels=1, rest=10.0))
    made_up = [44, 58]  # days since New Year's Day

    assert [kinds(days)[n] for n in made_up] == [WORKDAY, WORKDAY]
    assert strange[made_up].sum() < 6


def test_days_that_are_alike_weigh_nothing() -> None:
    values = demand(28, channels=40, rest=0.0)
    values += np.repeat(np.random.default_rng(2).normal(0.0, 1.0, (28, 40)), DAY, axis=0)
    _, memory = watched(values)

    assert (memory["weight"][:, 1] > 0.2).mean() < 0.1  # whole days that differ by chance, the worst case


def test_the_leak_of_one_weekend_is_not_expected_on_the_next() -> None:
    values = demand(26)
    values[16 * DAY : 18 * DAY, 1] += 15.0
    strange, memory = watched(values)

    assert strange[16:18, 1].sum() > 400
    assert strange[18:].sum() < 10
    assert np.abs(memory["weight"][1, :, None] * memory["middle"][1].T).max() < 1.0


def test_a_leak_of_nine_days_is_no_weekend() -> None:
    """It begins on a Saturday and lasts over the next Sunday; the second weekend is not a new visit."""
    values = demand(26)
    values[9 * DAY : 18 * DAY, 1] += 15.0
    _, memory = watched(values)
    counted = np.isfinite(memory["visits"][1, 12, 1])

    assert counted.sum() <= VISITS
    assert (np.abs(memory["visits"][1, 12, 1]) > 10).sum() <= 2


def test_what_no_kind_of_day_changes_is_judged_to_the_bit_as_without_calendar() -> None:
    values = demand(9)
    rhythm, other = Rhythm(), Rhythm(holidays="")
    one, two = watched(values, rhythm)[1], watched(values, other)[1]

    assert np.array_equal(one["level"], two["level"])
    assert np.array_equal(one["expected"], two["expected"])


def test_an_older_memory_without_kinds_of_days_goes_on() -> None:
    values = demand(6)
    _, memory = watched(values)
    fresh = Rhythm().fresh_memory(3)
    older = {name: memory[name] for name in ("level", "deviation", "taught", "usual")}
    restored = fresh | older
    row = Row(values[0], round((BEGIN + timedelta(days=6, minutes=5)).timestamp()) * 10**9, PERIOD_S)

    assert np.isfinite(Rhythm().score(row, restored)).all()


@pytest.mark.parametrize("backwards_s", [60.0, 3600.0, 86400.0])
def test_time_that_goes_backwards_harms_nothing(backwards_s: float) -> None:
    rhythm, values = Rhythm(), demand(5)
    _, memory = watched(values, rhythm)
    end_ns = round((BEGIN + timedelta(days=5) - timedelta(seconds=backwards_s)).timestamp()) * 10**9
    for number in range(40):
        row = Row(values[number], end_ns + round(number * PERIOD_S * 1e9), PERIOD_S)
        rhythm.score(row, memory)
        rhythm.learn(row, np.ones(3, dtype=bool), memory)

    assert all(np.isfinite(memory[name]).all() for name in ("level", "deviation", "day_from", "weight"))
