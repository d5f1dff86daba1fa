"""Detection: what rows cost the detectors alone, without a window before them or alarms behind them."""

from collections.abc import Callable, Iterator, Sequence
from math import nan

import numpy as np
from numpy.typing import NDArray

from detectors import fast
from detectors.bank import FALSE_PER_CHANNEL_DAY, Bank
from detectors.panel import Panel
from detectors.windows import ROWS as WINDOW_ROWS
from gateway.bench.figures import Effort, Figure, cpu_us
from gateway.bench.site import MONDAY_NS, SECOND_NS, district, seconds
from ingest.row import Row
from ingest.window import Window

FIRST = (
    "jump",
    "drift",
    "rhythm",
    "stuck",
    "silence",
)  # what a site is judged by at the least, beside limits
GAPS = 0.03  # share of readings that are missing in the second figure


def detection(effort: Effort) -> Iterator[Figure]:
    """Rows of made-up sites through a panel: all detectors, then the first five, with and without gaps.

    Each by NumPy and, where numba works, by compiled kernels, in turn within one run.
    """
    sizes = (
        (5_000, effort.of(10, 4)),
        (effort.of(100_000, 2_000), 4),
        (20, effort.of(50, 8)),
    )
    try:
        for channels, windows in sizes:
            yield from _of_site(channels, windows * WINDOW_ROWS)
    finally:
        fast.unload()


def _of_site(channels: int, rows: int) -> Iterator[Figure]:
    table = district(channels)
    (grid,) = Window(table).grids
    values = [batch.value.copy() for batch in seconds(table, rows)]
    gappy = [value.copy() for value in values]
    chance = np.random.default_rng(1)
    for value in gappy:
        value[chance.random(len(value)) < GAPS] = np.nan
    (whole,) = Bank(table, [(grid.period_s, grid.channels)]).panels
    floor_ns = _copied_ns(whole, rows)
    for name, first_only, rows_of in (
        ("all that judge rows", False, values),
        ("five detectors", True, values),
        ("five detectors, 3 % missing", True, gappy),
    ):
        panel = whole
        if first_only:
            seats = [seat for seat in whole.seats if seat.rule in FIRST]
            panel = Panel(table, grid.channels, grid.period_s, seats, FALSE_PER_CHANNEL_DAY)
        goals = ("at most 70", "at most 20") if first_only else ("at most 300", "at most 120")
        for way, cost_ns, goal in zip(("", ", compiled"), _judged_ns(panel, rows_of), goals):
            known = cost_ns == cost_ns
            yield Figure(
                "detectors",
                f"{name}{way}, {channels:,} channels",
                cost_ns if known else None,
                "ns/reading",
                floor_ns,
                "a copy of the hot state of all",
                goal=goal if channels >= 5_000 else "",
                note=f"{cost_ns * channels / 1e3:,.0f} us a row" if known else "numba is not there",
            )


def _judged_ns(panel: Panel, values: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """CPU of a reading by NumPy and by kernels, NaN without numba; the first two windows are not measured.

    The two take turns, a window each, so that both meet the same noise and as many ends of windows.
    """
    rows = [Row(value, MONDAY_NS + (n + 1) * SECOND_NS, 1.0) for n, value in enumerate(values)]
    begin = 2 * WINDOW_ROWS
    fast.unload()
    for row in rows[:WINDOW_ROWS]:
        panel.judge(row)
    fast.load()
    compiled = fast.kernels() is not None
    for row in rows[WINDOW_ROWS:begin]:
        panel.judge(row)
    spent_us, judged = [0.0, 0.0], [0, 0]
    for number, first in enumerate(range(begin, len(rows), WINDOW_ROWS)):
        way = number % 2
        fast.load() if way else fast.unload()
        chosen = rows[first : first + WINDOW_ROWS]
        spent_us[way] += cpu_us(_all(panel, chosen))
        judged[way] += len(chosen) * len(values[0])
    numpy_ns, kernels_ns = (1e3 * us / count for us, count in zip(spent_us, judged))
    return numpy_ns, kernels_ns if compiled else nan


def _all(panel: Panel, rows: Sequence[Row]) -> Callable[[], None]:
    def judge() -> None:
        for row in rows:
            panel.judge(row)

    return judge


def _copied_ns(panel: Panel, rows: int) -> float:
    """CPU of one copy a row of every column that a row touches; a season or a window counts as one column."""
    memories = [seat.detector.fresh_memory(len(panel.members)) for seat in panel.seats]
    columns = [array[:, 0] if array.ndim > 1 else array for memory in memories for array in memory.values()]
    columns = [column.copy() for column in columns]
    into = [np.empty_like(column) for column in columns]

    def copy() -> None:
        for _ in range(rows):
            for column, there in zip(columns, into):
                np.copyto(there, column)

    return cpu_us(copy) * 1e3 / rows / len(panel.members)
