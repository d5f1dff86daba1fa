"""Writer: a disk that takes nothing is waited out; nothing is acknowledged meanwhile, and nothing is lost."""

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ingest.journal import open_reader, stored_arrivals
from ingest.readings import ReadingBatch
from ingest.storage import StorageFailed
from tests.ingest.failing_disk import OPENED
from tests.ingest.world import NOON_NS, Hands, Life, balanced, living, site

HOUSE = Path(__file__).resolve().parents[2]


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    end_s = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end_s, "it did not come about in time"
        time.sleep(0.01)


def pages(life: Life, most: int) -> None:
    """Let the file grow to so many pages and no more: a disk of that size."""
    writer = life.storage._running()
    writer.ask(lambda: writer._connection.execute(f"PRAGMA max_page_count={most}").fetchall()).result(10)


class Feeding:
    """Readings that cannot be packed, each group acknowledged once it is durable."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.rng = np.random.default_rng(0)
        self.sent = 0
        self.acknowledged: list[int] = []

    def feed(self, size: int = 999) -> None:
        times = NOON_NS + self.sent * 1000 + np.arange(size)
        batch = ReadingBatch.of(np.zeros(size), times, self.rng.normal(size=size))
        self.sent += size
        self.life.storage.deliver(batch, lambda: self.acknowledged.append(size), "mqtt")


def test_a_full_disk_is_waited_out_and_what_came_meanwhile_is_kept(tmp_path: Path) -> None:
    hands = Hands()
    with living(tmp_path, site(), hands) as life:
        feeding = Feeding(life)
        pages(life, 200)
        while not life.storage.trouble:
            feeding.feed()
            time.sleep(0.01)
        before = sum(feeding.acknowledged)
        feeding.feed()
        time.sleep(0.2)
        assert "full" in life.storage.trouble
        assert life.storage.failure is None
        assert sum(feeding.acknowledged) == before < feeding.sent
        pages(life, 1 << 30)
        until(lambda: sum(feeding.acknowledged) == feeding.sent)
        assert not life.storage.trouble
        life.tick()

    assert balanced(tmp_path).total.durable == feeding.sent


def test_a_tick_waits_for_the_disk_and_says_so_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.storage.WAITING_S", 0.05)
    with living(tmp_path, site()) as life:
        waited = threading.Event()
        life.storage.while_waiting = waited.set
        pages(life, 1)
        feeding = Feeding(life)
        for _ in range(20):
            feeding.feed()
        ticks: list[int] = []
        thread = threading.Thread(target=lambda: ticks.append(len(life.tick().readings)))
        thread.start()
        assert waited.wait(10)
        assert not ticks
        pages(life, 1 << 30)
        thread.join(10)
        assert ticks == [feeding.sent]


def test_who_must_end_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    life = Life(tmp_path, site(), Hands())
    life.hear(0, 1.0)
    life.tick()
    feeding = Feeding(life)
    pages(life, 1)
    while not life.storage.trouble:
        feeding.feed()
        time.sleep(0.01)
    life.storage.hurry()
    with pytest.raises(StorageFailed, match="full"):
        life.tick()
    with pytest.raises(StorageFailed):
        life.hear(0, 2.0)
    life.storage.stop()

    assert balanced(tmp_path).total.durable == 1 + sum(feeding.acknowledged)


def test_damage_met_while_running_ends_it_and_the_next_start_puts_it_right(tmp_path: Path) -> None:
    def damaged(connection: sqlite3.Connection) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    hands = Hands()
    life = Life(tmp_path, site(), hands)
    life.hear(0, 1.0)
    life.tick()
    with pytest.raises(StorageFailed, match="malformed"):
        life.storage.submit(damaged).result(10)
    life.storage.stop()

    assert (tmp_path / "journal.suspect").exists()
    with living(tmp_path, site(), hands) as life:
        assert len(list(life.recovery.ticks)) == 1  # it was a false alarm: every page could be read
    assert not (tmp_path / "journal.suspect").exists()


def under_strace(folder: Path, *rules: str) -> subprocess.CompletedProcess[str]:
    """A life of the failing disk; what it called is in the file `strace`."""
    told = [
        "-qq",
        "-s",
        "100",
        "-o",
        str(folder / "strace"),
        *(part for rule in rules for part in ("-e", rule)),
    ]
    life = [sys.executable, "-m", "tests.ingest.failing_disk", str(folder / "data")]
    return subprocess.run(
        ["strace", "-f", *told, *life], cwd=HOUSE, capture_output=True, text=True, timeout=60
    )


def calls_of_an_opening(folder: Path, call: str) -> int:
    """How often a journal that begins makes a system call until it is open."""
    folder.mkdir()
    assert under_strace(folder, f"trace={call},write").returncode == 0
    before, opened, _ = (folder / "strace").read_text().partition(OPENED)
    assert opened
    return before.count(f" {call}(")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace makes system calls fail")
@pytest.mark.parametrize(
    ("call", "error", "first", "count"),
    [
        ("fdatasync", "EIO", 3, 3),
        ("fdatasync", "ENOSPC", 6, 4),
        ("pwrite64", "EIO", 20, 10),
        ("pwrite64", "ENOSPC", 20, 30),
    ],
)
def test_nothing_acknowledged_is_lost_when_syncs_or_writes_fail_for_a_while(
    tmp_path: Path, call: str, error: str, first: int, count: int
) -> None:
    """Written at once or later, each is acknowledged once and is there once."""
    first += calls_of_an_opening(tmp_path / "sound", call)
    rule = f"inject={call}:error={error}:when={first}..{first + count - 1}"
    done = under_strace(tmp_path, f"trace={call}", rule)
    assert done.returncode == 0, done.stderr
    assert "INJECTED" in (tmp_path / "strace").read_text()

    acknowledged = [int(line) for line in done.stdout.split()]
    connection = open_reader(tmp_path / "data")
    batches = [batch for *_, batch in stored_arrivals(connection, 0, 1 << 60) if batch is not None]
    connection.close()
    values = np.concatenate([batch.value for batch in batches]).astype(int).tolist()
    assert sorted(values) == list(range(40))
    assert sorted(acknowledged) == sorted(values)
    assert "the journal is written again" in done.stderr
    assert balanced(tmp_path / "data").total.durable == 40
