"""Bench of a replay by several workers, as channels grow: what one process costs, and what each part does.

Run as `python -m tests.bench.parts --channels 100 1000 10000 100000`. Every size is a process of its own.
Figures are CPU time, which other work on the machine disturbs least. What two idle cores win is the whole
over the larger of two parts and the look at the first minutes; to start processes takes a second more.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from config.channels import ChannelTable
from gateway.bench.site import district, seconds
from gateway.parts.part import Job, work
from gateway.parts.rota import Source, quick_rota
from gateway.parts.split import split
from gateway.replaying import Recording, Workers, replay
from gateway.watch import Site
from ingest.parquet import write_readings

HEAD = "channels   rows   readings built, s  us/row  ns/reading   MB   of two parts, s   two cores"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.parts", description=__doc__)
    parser.add_argument("--channels", type=int, nargs="+", default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--readings", type=int, default=6_000_000, help="about so many at each size")
    parser.add_argument("--most-rows", type=int, default=5000)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured(given.one, rows_of(given.one, given.readings, given.most_rows))))
        return
    print(HEAD)
    for channels in given.channels:
        words = [
            "--one",
            str(channels),
            "--readings",
            str(given.readings),
            "--most-rows",
            str(given.most_rows),
        ]
        command = [sys.executable, "-m", "tests.bench.parts", *words]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        print(line(channels, **found), flush=True)


def rows_of(channels: int, readings: int, most: int) -> int:
    return max(60, min(readings // channels, most))


def measured(channels: int, rows: int) -> dict[str, object]:
    """One size: a reading of every channel a second."""
    import pyarrow as pa

    pa.set_cpu_count(1)
    table = district(channels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "readings.parquet"
        readings = write_readings(path, seconds(table, rows), table)
        start_s = time.process_time()
        Site(table).watch()
        built_s = time.process_time() - start_s
        start_s = time.process_time()
        replay(Recording(str(path)), Site(table), Workers(), lambda: lambda changes: None, lambda *a: None)
        whole_s = time.process_time() - start_s
        memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {
            "rows": rows,
            "readings": readings,
            "whole_s": whole_s,
            "built_s": built_s,
            "memory_mb": memory_mb,
            "parts_s": parts(path, table),
        }


def parts(path: Path, table: ChannelTable) -> list[float]:
    """CPU seconds of the look at the first minutes, then of each of two parts."""
    source = Source(path, None, None, None)
    start_s = time.process_time()
    rota = quick_rota(source, table, None)
    assert rota is not None
    spent = [time.process_time() - start_s]
    for share in split(table, range(len(table)), 2):
        start_s = time.process_time()
        for _ in work(Job(source, table, share, rota, (), "Asia/Shanghai", 3 * 86400.0)):
            pass
        spent.append(time.process_time() - start_s)
    return spent


def line(
    channels: int,
    rows: int,
    readings: int,
    whole_s: float,
    built_s: float,
    memory_mb: float,
    parts_s: list[float],
) -> str:
    first, *two = parts_s
    won = whole_s / (first + max(two))
    judged_s = whole_s - built_s
    per_row, per_reading = judged_s / rows * 1e6, judged_s / readings * 1e9
    shares = " + ".join(f"{part:.1f}" for part in two)
    return (
        f"{channels:8,} {rows:6,} {readings:10,} {built_s:8.1f} {per_row:7,.0f} {per_reading:11,.0f}"
        f" {memory_mb:4,.0f}   {first:.1f}, {shares:12} {won:6.2f} x"
    )


if __name__ == "__main__":
    main()
