"""Crash: a real process, killed at seeded moments while readings flow; nothing acknowledged is lost."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ingest.journal import open_reader, stored_arrivals
from tests.ingest.world import balanced

HOUSE = Path(__file__).resolve().parents[2]
KILLS = 6


def killed_after(folder: Path, first: int, seconds: float) -> list[tuple[int, int]]:
    """Run the writer, kill it; the ranges of readings that it acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.ingest.writer_process", str(folder), str(first)],
        cwd=HOUSE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        heard = process.stdout.readline()  # it is up, and has acknowledged something
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        heard += process.stdout.read()
    whole = heard[: heard.rfind(b"\n") + 1]
    return [(int(start), int(end)) for start, end in (line.split() for line in whole.splitlines())]


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_acknowledged_is_lost_by_sigkill(tmp_path: Path, seed: int) -> None:
    moments = random.Random(seed)
    acknowledged: set[int] = set()
    for life in range(KILLS):
        first = life * 10_000_000
        for start, end in killed_after(tmp_path, first, moments.uniform(0.0, 0.3)):
            acknowledged.update(range(start, end))

        connection = open_reader(tmp_path)
        batches = [batch for *_, batch in stored_arrivals(connection, 0, 1 << 60)]
        connection.close()
        assert all(batch is not None for batch in batches)
        values = np.concatenate([batch.value for batch in batches if batch is not None]).astype(int)

        assert len(np.unique(values)) == len(values)
        assert acknowledged <= set(values.tolist())
        ledger = balanced(tmp_path)
        assert ledger.durable == len(values)
