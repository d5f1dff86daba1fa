"""Bench of a replay under `six.toml`, from Parquet to lines of alerts; beside the goals.

Run as `python -m tests.bench.replay`; `--month` adds a month of 1,000 channels at one a minute (43 million
readings). Every case is a process of its own, once by NumPy alone and once with compiled detectors (numba)
from the first tick on, their loading included. Figures are CPU time of one core, user and system, of the
whole replay, alerts included; building the watch is left out, and told. The machine's load is told too:
on shared cores the same work costs up to twice as much.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

from alerts.alert import AlertChange
from config.load import read_gateway
from detectors import fast
from gateway.bench.site import MONDAY_NS, district, seconds
from gateway.replaying import Recording, Workers, replay
from gateway.watch import Site
from ingest.parquet import write_readings
from ingest.readings import ReadingBatch

SETTINGS = Path(__file__).with_name("six.toml")


@dataclass(frozen=True)
class Case:
    """channels at one reading each `period_s`, `rows` times."""

    channels: int
    rows: int
    period_s: float = 1.0
    goal: str = ""
    compiled: bool = False


CASES = (Case(5000, 1200, goal="4,000,000/s"), Case(1000, 3000), Case(10, 20_000, goal="100,000/s"))
MONTH = Case(1000, 30 * 1440, 60.0, goal="below 1,000 MB")
HEAD = (
    "detectors  channels    rows    readings   ns/reading   readings/s   us/row   built, s   MB   load   goal"
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.replay", description=__doc__)
    parser.add_argument("--month", action="store_true", help="43 million readings too: some minutes")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured(Case(**json.loads(given.one)))))
        return
    print(HEAD)
    for case, compiled in product((*CASES, *([MONTH] if given.month else [])), (False, True)):
        case = replace(case, compiled=compiled)
        command = [sys.executable, "-m", "tests.bench.replay", "--one", json.dumps(asdict(case))]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        print(line(case, **found), flush=True)


def measured(case: Case) -> dict[str, float]:
    """One case, in this process."""
    import pyarrow as pa

    pa.set_cpu_count(1)
    fast.LONG = 1 if case.compiled else sys.maxsize
    table = district(case.channels, case.period_s)
    site = Site(table, watchings=read_gateway(SETTINGS).watching)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "readings.parquet"
        command = [sys.executable, "-c", WRITE, str(path), json.dumps(asdict(case))]
        subprocess.run(command, check=True)  # in a process of its own: its memory is not the replay's
        start_s = time.process_time()
        site.watch()
        built_s = time.process_time() - start_s
        with (Path(folder) / "alerts.jsonl").open("w") as lines:

            def told(changes: Sequence[AlertChange]) -> None:
                lines.writelines(json.dumps(c.cloud_event("urn:watchline:bench")) + "\n" for c in changes)

            start_s = time.process_time()
            readings = replay(Recording(str(path)), site, Workers(), lambda: told, lambda *where: None)
            spent_s = time.process_time() - start_s
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"readings": readings, "built_s": built_s, "spent_s": spent_s, "memory_mb": memory_mb}


WRITE = """
import json, sys
from tests.bench.replay import Case, write

write(sys.argv[1], Case(**json.loads(sys.argv[2])))
"""


def write(path: str, case: Case) -> None:
    """The recording of a case."""
    table = district(case.channels, case.period_s)
    write_readings(Path(path), _paced(seconds(table, case.rows), case.period_s), table)


def _paced(batches: Iterator[ReadingBatch], period_s: float) -> Iterator[ReadingBatch]:
    """What comes once a second, once in a period."""
    for batch in batches:
        time_ns = MONDAY_NS + round((int(batch.time_ns[0]) - MONDAY_NS) * period_s)
        yield ReadingBatch.of(batch.channel, time_ns, batch.value)


def line(case: Case, readings: int, built_s: float, spent_s: float, memory_mb: float) -> str:
    judged_s = spent_s - built_s
    way = "compiled" if case.compiled else "NumPy"
    return (
        f"{way:9}  {case.channels:8,} {case.rows:7,} {readings:11,} {judged_s / readings * 1e9:12,.0f}"
        f" {readings / judged_s:12,.0f} {judged_s / case.rows * 1e6:8,.0f} {built_s:10.1f} {memory_mb:4,.0f}"
        f" {os.getloadavg()[0]:6.1f}   {case.goal}"
    )


if __name__ == "__main__":
    main()
