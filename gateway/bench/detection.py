"""Detection: what rows cost the detectors alone, without a window before them or alarms behind them."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.bank import FALSE_PER_CHANNEL_DAY, Bank
from detectors.panel import Panel
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
    """Rows of made-up sites through a panel: the first five detectors, then all, with and without gaps."""
    sizes = (
        (5_000, effort.of(90, 15)),
        (effort.of(100_000, 2_000), effort.of(15, 6)),
        (20, effort.of(300, 30)),
    )
    for channels, rows in sizes:
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
            cost_ns = _judged_ns(panel, rows_of)
            yield Figure(
                "detectors",
                f"{name}, {channels:,} channels",
                cost_ns,
                "ns/reading",
                floor_ns,
                "a copy of the hot state of all",
                goal=("at most 70" if first_only else "at most 300") if channels >= 5_000 else "",
                note=f"{cost_ns * channels / 1e3:,.0f} us a row",
            )


def _judged_ns(panel: Panel, values: Sequence[NDArray[np.float64]]) -> float:
    """CPU of a reading; the first third of the rows is not measured."""
    begin = len(values) // 3
    rows = [Row(value, MONDAY_NS + (n + 1) * SECOND_NS, 1.0) for n, value in enumerate(values)]
    for row in rows[:begin]:
        panel.judge(row)

    def judge() -> None:
        for row in rows[begin:]:
            panel.judge(row)

    return cpu_us(judge) * 1e3 / (len(rows) - begin) / len(values[0])


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
