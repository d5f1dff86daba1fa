"""Drain: couriers killed while a backlog goes to the real engine; all arrives, and the books balance."""

import contextlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ingest.archive import Archive
from ingest.courier import Courier
from ingest.influx import Influx
from ingest.journal import open_reader, stored_arrivals
from ingest.shelf import volumes
from tests.ingest.courier_process import A_LIFE_NS
from tests.ingest.world import NOON_NS, Hands, balanced, living, site
from tests.parts import influxdb

HOUSE = Path(__file__).resolve().parents[2]
KILLS = 4


def killed(folder: Path, url: str, life: int, seconds: float) -> int:
    """Run it, kill it so long after its couriers have begun; the last number that was durable."""
    command = [sys.executable, "-m", "tests.ingest.courier_process", str(folder), url, "sensors", str(life)]
    with subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        heard = b"".join(process.stdout.readline() for _ in range(152))
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        heard += process.stdout.read()
    return int(heard[: heard.rfind(b"\n")].split()[-1])


def test_a_drain_that_is_killed_again_and_again_loses_and_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(11)
    with influxdb(tmp_path / "influx") as server:
        durable = []
        for life in range(KILLS):
            durable.append(killed(tmp_path, server.url, life, chance.uniform(0.2, 1.2)))
            balanced(tmp_path / "data")
        hands = Hands(NOON_NS + KILLS * A_LIFE_NS)
        with living(tmp_path / "data", site(), hands) as last_life:
            carriers = [
                Courier(last_life.storage, Influx(server.url, "sensors")),
                Courier(
                    last_life.storage, Archive(tmp_path / "archive", last_life.clock.now_ns, stop_s=60.0)
                ),
            ]
            last_life.tick()
            for carrier in carriers:
                carrier.start()
            end = time.monotonic() + 60
            while any(told.pending for told in balanced(tmp_path / "data").couriers.values()):
                assert time.monotonic() < end, [carrier.trouble for carrier in carriers]
                time.sleep(0.1)
                last_life.tick()
                hands.wind(600)
            for carrier in carriers:
                carrier.stop()
        rows = server.query("SELECT value FROM gas", "sensors")

    journal = _numbers(tmp_path / "data")
    for life_number, last in enumerate(durable):
        assert set(range(life_number * 1_000_000, last)) <= journal
    assert sorted(int(row["value"]) for row in rows) == sorted(journal)
    tables = [pq.read_table(volume.path) for volume in volumes(tmp_path / "archive")]
    archived = np.concatenate([table["value"].to_numpy() for table in tables])
    assert sorted(archived.astype(int).tolist()) == sorted(journal)
    told = balanced(tmp_path / "data").couriers
    assert told["influxdb"].stored == told["archive"].stored == len(journal)


def _numbers(data: Path) -> set[int]:
    with contextlib.closing(open_reader(data)) as connection:
        batches = [batch for *_, batch in stored_arrivals(connection, 0, 1 << 60) if batch is not None]
    return {int(value) for batch in batches for value in batch.value.tolist()}
