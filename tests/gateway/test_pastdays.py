"""Pastdays: an alert can say how it was at this hour on the days before, also after a restart or a gap."""

from datetime import UTC
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from config.snapshot import pack, unpack
from gateway.pastdays import HOUR_NS, PastDays
from ingest.row import Row

MIDNIGHT_NS = 1_767_571_200 * 10**9  # 2026-01-05T00:00:00Z
TEN_MINUTES_NS = HOUR_NS // 6


def shown(past: PastDays, hours: range, skip: range = range(0)) -> PastDays:
    """Every ten minutes the number of the hour, on two channels, from midnight on."""
    for step in range(6 * hours.start, 6 * hours.stop):
        if step // 6 not in skip:
            end_ns = MIDNIGHT_NS + (step + 1) * TEN_MINUTES_NS
            past.show(Row(np.array([float(step // 6), 1e3]), end_ns, 600.0))
    return past


def test_this_hour_on_the_days_before_the_latest_first() -> None:
    past = shown(PastDays(2), range(75))  # it is Thursday, 02:50

    assert past.of(0, UTC) == [
        {"date": "2026-01-07", "value": 50.0},
        {"date": "2026-01-06", "value": 26.0},
        {"date": "2026-01-05", "value": 2.0},
    ]
    assert past.of(0, ZoneInfo("Asia/Shanghai"))[0]["date"] == "2026-01-07"


def test_hours_that_nobody_heard_are_left_out_and_the_week_moves_on() -> None:
    past = shown(PastDays(2), range(24 * 9), skip=range(24 * 4, 24 * 5))

    assert [one["date"] for one in past.of(0, UTC)] == [
        "2026-01-12", "2026-01-11", "2026-01-10", "2026-01-08", "2026-01-07", "2026-01-06",
    ]  # fmt: skip


def test_a_restart_forgets_nothing() -> None:
    whole = shown(PastDays(2), range(60))
    first = shown(PastDays(2), range(30))
    second = PastDays(2)
    second.restore(unpack(pack(first.state(["a", "b"]))), ["a", "b"])
    shown(second, range(30, 60))

    assert second.of(0, UTC) == whole.of(0, UTC)
    assert np.array_equal(second.mean, whole.mean, equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=2, max_size=40))
def test_no_value_harms_it(values: list[float]) -> None:
    past = PastDays(1)
    for number, value in enumerate(values):
        past.show(Row(np.array([value]), MIDNIGHT_NS + number * HOUR_NS, 3600.0))

    assert all(np.isfinite(one["value"]) for one in past.of(0, UTC))
