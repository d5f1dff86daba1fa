"""The even grid: which reading lands in which row, when a row is handed out, and what stays out."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.channels import Channel, ChannelTable
from config.snapshot import pack, unpack
from ingest.readings import BAD, CONFLICT, EARLY, LATE, STAMPED, ReadingBatch
from ingest.row import Row
from ingest.window import NEVER, Window

S = 1_000_000_000
START = 1_767_600_000 * S  # a whole hour, UTC


def table(*periods_s: float) -> ChannelTable:
    return ChannelTable(
        [Channel(f"c{n}", "gas", f"p{n}", "pressure", "kPa", period) for n, period in enumerate(periods_s)]
    )


def read(
    channel: int, at_s: float, value: float, arrival_s: float | None = None, **more: int
) -> ReadingBatch:
    arrival_s = at_s if arrival_s is None else arrival_s
    return ReadingBatch.of(
        channel, START + round(at_s * S), value, arrival_ns=START + round(arrival_s * S), **more
    )


def rows_of(window: Window, until_s: float) -> list[tuple[int, float, list[float]]]:
    return [
        (grid, (row.end_ns - START) / S, row.values.tolist()) for grid, row in window.settled(at(until_s))
    ]


def at(seconds: float) -> int:
    return START + round(seconds * S)


def heard(rows: Iterable[tuple[int, float, list[float]]]) -> list[tuple[float, list[float]]]:
    return [(end, values) for _, end, values in rows if not all(map(math.isnan, values))]


def test_a_reading_belongs_to_the_row_that_ends_at_or_after_it() -> None:
    window = Window(table(60))
    window.take(ReadingBatch.joined([read(0, 60, 1.0), read(0, 61, 2.0)]))

    assert heard(rows_of(window, 400)) == [(60.0, [1.0]), (120.0, [2.0])]


def test_a_row_waits_one_period_and_at_most_a_minute_for_late_readings() -> None:
    window = Window(table(10, 300))
    window.take(ReadingBatch.joined([read(0, 5, 1.0), read(1, 5, 2.0)]))

    assert heard(rows_of(window, 19)) == []
    assert heard(rows_of(window, 20)) == [(10.0, [1.0])]
    window.take(read(1, 290, 4.0, arrival_s=355))
    assert heard(rows_of(window, 359)) == []
    assert heard(rows_of(window, 360)) == [(300.0, [3.0])]


def test_a_cell_read_more_than_once_holds_the_mean_whatever_the_order() -> None:
    window = Window(table(60))
    window.take(ReadingBatch.joined([read(0, 30, 1.0), read(0, 20, 2.0)]))
    window.take(read(0, 10, 6.0, arrival_s=40))

    assert heard(rows_of(window, 120)) == [(60.0, [3.0])]


def test_the_next_deadline_is_known_and_reached_exactly() -> None:
    window = Window(table(60))
    assert window.next_settling_ns() == NEVER
    window.take(read(0, 30, 1.0))
    list(window.settled(at(30)))
    deadline = window.next_settling_ns()

    assert list(window.settled(deadline - 1)) == []
    assert len(list(window.settled(deadline))) == 1


@pytest.mark.parametrize("flags", [LATE, EARLY, CONFLICT])
def test_late_early_and_conflicting_readings_are_not_judged(flags: int) -> None:
    window = Window(table(60))
    window.take(ReadingBatch.joined([read(0, 30, 1.0), read(0, 31, 9.0, flags=STAMPED | flags)]))
    window.take(read(0, 32, 9.0, quality=BAD))
    window.take(read(0, 33, math.nan))

    assert heard(rows_of(window, 120)) == [(60.0, [1.0])]


def test_a_reading_behind_its_judged_row_is_counted_and_left_out() -> None:
    window = Window(table(1))
    window.take(read(0, 10, 1.0))
    rows_of(window, 20)
    window.take(read(0, 12, 5.0, arrival_s=21))

    assert window.missed == 1
    assert heard(rows_of(window, 40)) == []


def test_rows_come_in_the_order_in_which_they_settle() -> None:
    window = Window(table(1, 60))
    for second in range(1, 200):
        window.take(ReadingBatch.joined([read(0, second, 1.0), read(1, second, 2.0)]))
    dues = [row.end_ns + min(row.period_s, 60) * S for _, row in window.settled(at(200))]

    assert len(dues) > 200
    assert dues == sorted(dues)


def test_silence_of_the_whole_grid_makes_empty_rows_for_six_hours_and_then_none() -> None:
    window = Window(table(60))
    window.take(read(0, 30, 1.0))
    silent = rows_of(window, 3 * 86400)
    assert 360 <= len(silent) <= 362
    assert window.next_settling_ns() == NEVER

    window.take(read(0, 3 * 86400 + 30, 2.0))
    assert heard(rows_of(window, 3 * 86400 + 200)) == [(3 * 86400 + 60.0, [2.0])]


def test_a_gap_longer_than_the_ring_loses_no_reading() -> None:
    window = Window(table(1))
    window.take(read(0, 1, 1.0))
    window.take(read(0, 5000, 2.0))

    assert heard(rows_of(window, 5010)) == [(1.0, [1.0]), (5000.0, [2.0])]
    assert window.missed == 0


def test_a_new_epoch_drops_what_has_not_settled_and_starts_anew_even_in_the_past() -> None:
    window = Window(table(60))
    window.take(read(0, 7200, 1.0))
    window.restart()
    assert window.next_settling_ns() == NEVER
    window.take(read(0, 30, 2.0))

    assert heard(rows_of(window, 120)) == [(60.0, [2.0])]


def test_a_restored_window_goes_on_where_the_saved_one_stood() -> None:
    def feed(window: Window, first: int, last: int) -> list[Row]:
        rows: list[Row] = []
        for second in range(first, last):
            window.take(ReadingBatch.joined([read(0, second, second), read(1, second, -second)]))
            rows += [row for _, row in window.settled(at(second))]
        return rows

    whole, first, second = Window(table(1, 60)), Window(table(1, 60)), Window(table(1, 60))
    expected = feed(whole, 1, 400)
    got = feed(first, 1, 150)
    second.restore(unpack(pack(first.state())))
    got += feed(second, 150, 400)

    assert [(row.end_ns, repr(row.values)) for row in got] == [
        (row.end_ns, repr(row.values)) for row in expected
    ]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_usable_reading_is_in_exactly_one_row(data: st.DataObject) -> None:
    """Delivered in any grouping that is never later than a row's settling, values add up."""
    count = data.draw(st.integers(1, 60))
    times = sorted(data.draw(st.lists(st.floats(0.5, 900), min_size=count, max_size=count)))
    delays = data.draw(st.lists(st.floats(0, 9), min_size=count, max_size=count))
    channel = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    window = Window(table(10, 10, 60))
    arrivals = np.array(times) + delays
    order = np.argsort(arrivals, kind="stable")
    seen: dict[tuple[int, float], float] = {}
    for number in order:
        tick = math.ceil(arrivals[number])
        window.take(read(channel[number], times[number], 1.0 + number, arrival_s=arrivals[number]))
        collect(window, tick, seen)
    collect(window, 2000, seen)

    expected: dict[tuple[int, float], list[float]] = {}
    for number in range(count):
        period = 60 if channel[number] == 2 else 10
        end = -(-round(times[number] * S) // (period * S)) * period
        expected.setdefault((channel[number], float(end)), []).append(1.0 + number)
    assert window.missed == 0
    assert seen == pytest.approx({key: float(np.mean(values)) for key, values in expected.items()})


def collect(window: Window, now_s: float, into: dict[tuple[int, float], float]) -> None:
    for grid, row in window.settled(at(now_s)):
        for column in np.flatnonzero(np.isfinite(row.values)):
            key = (int(window.grids[grid].channels[column]), (row.end_ns - START) / S)
            assert key not in into
            into[key] = float(row.values[column])
