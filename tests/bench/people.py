"""Bench of the directory and of escalation (python -m tests.bench.people).

A made-up district: 45,000 people, 100,000 assets and 5,000 cameras, imported as CSV by the code of `watchline
import`; then a sweep over 10,000 open climbs, with nothing, one in a hundred, and all of them due.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alerts.centre.calling.escalation import SECOND_NS, Climbs, advance, begin
from alerts.centre.calling.ladder import Matter, ladder_of
from alerts.centre.people.directory import Directory
from config.routing import read_routing
from tests.alerts.centre.people.district import (
    LAT,
    LON,
    SUB_DISTRICTS,
    bring,
    credit_code,
    desk_shifts,
    organisations,
    people,
)

COMMUNITIES, GRIDS = 8, 8
CELLS = SUB_DISTRICTS * COMMUNITIES * GRIDS


def grid(number: int) -> str:
    """The code of one of the grids."""
    street, rest = divmod(number % CELLS, COMMUNITIES * GRIDS)
    block, cell = divmod(rest, GRIDS)
    return f"510108{street + 1:03d}{block + 1:03d}-{cell + 1:02d}"


def lists(persons: int, assets: int, cameras: int) -> dict[str, list[dict[str, Any]]]:
    """Every list of the district, in the order in which they refer to each other."""
    return {
        "organisations": list(organisations(COMMUNITIES, GRIDS)),
        "people": list(people(persons, COMMUNITIES, GRIDS)),
        "assets": [
            {
                "asset": f"water.{n}",
                "medium": "water",
                "grid": grid(n),
                "owner": credit_code(1),
                "lat": LAT + n % 700 * 1e-4,
                "lon": LON + n // 700 * 1e-4,
            }
            for n in range(assets)
        ],
        "cameras": [
            {"camera": f"cam-{n}", "grid": grid(n), "lat": LAT + n % 70 * 1e-3, "lon": LON + n // 70 * 1e-3}
            for n in range(cameras)
        ],
        "shifts": desk_shifts(),
    }


def import_all(folder: Path, persons: int, assets: int, cameras: int) -> Path:
    """Import and print what it took."""
    directory = folder / "people.sqlite"
    for name, rows in lists(persons, assets, cameras).items():
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        report = bring(directory, name, rows)
        assert not report.bad, report.bad[0]
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        print(f"import {name:14} {report.stored:7} rows  {wall_s:6.2f} s, of it CPU {cpu_s:6.2f} s")
    return directory


def sweep(count: int) -> None:
    """Find and advance what is due among `count` open climbs; CPU milliseconds of the fastest of five."""
    routing = read_routing()
    rules = routing.ladder["P2"]
    ladder = ladder_of(Matter("P2", "water", "burst", "district", "water_company", "x"), routing)

    def run(due: int) -> float:
        now_ns = 1_000_000 * SECOND_NS
        climbs = Climbs(begin(f"gw/{n}", n, "P2", now_ns + (n >= due) * SECOND_NS) for n in range(count))
        start_s = time.process_time()
        for climb in climbs.due(now_ns, most=count):
            after, call = advance(climb, rules, ladder, now_ns)
            assert call is not None
            climbs.keep(after)
        return (time.process_time() - start_s) * 1000

    for due in (0, count // 100, count):
        print(f"sweep over {count} open, {due:6} due: {min(run(due) for _ in range(5)):8.2f} ms CPU")


def looks(directory: Path) -> None:
    """Questions to a full directory; microseconds each."""
    there = Directory(directory)
    questions: dict[str, Callable[[int], Any]] = {
        "an asset and its territory": lambda n: there.lineage(there.asset(f"water.{n}").grid),  # type: ignore[union-attr]
        "the workers of a grid": lambda n: there.people_of(grid(n), ["grid_3"]),
        "the five nearest cameras": lambda n: there.cameras_near(LAT + n * 1e-5, LON),
    }
    for name, ask in questions.items():
        start_s = time.perf_counter()
        for n in range(500):
            ask(n)
        print(f"{name:28} {(time.perf_counter() - start_s) / 500 * 1e6:8.0f} µs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=45_000)
    parser.add_argument("--assets", type=int, default=100_000)
    parser.add_argument("--cameras", type=int, default=5_000)
    parser.add_argument("--open", type=int, default=10_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        looks(import_all(Path(folder), args.people, args.assets, args.cameras))
    sweep(args.open)


if __name__ == "__main__":
    main()
