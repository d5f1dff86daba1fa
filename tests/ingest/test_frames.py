"""Frames: a WAL with a damaged frame costs that frame, not all that was committed behind it."""

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from ingest.frames import FRAME_HEADER, HEADER, mend

PAGE = 1024
ROWS = 60


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Rows committed one by one, all in the WAL; as a kill leaves it."""
    live = tmp_path / "live.sqlite"
    connection = sqlite3.connect(live, isolation_level=None)
    for statement in (f"PRAGMA page_size={PAGE}", "PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=0"):
        connection.execute(statement)
    connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT)")
    for number in range(ROWS):
        connection.execute("INSERT INTO t VALUES (?, ?)", (number, "x" * 500))
    left = tmp_path / "left" / "journal.sqlite"
    left.parent.mkdir()
    shutil.copy(live, left)
    shutil.copy(tmp_path / "live.sqlite-wal", wal_of(left))
    connection.close()
    return left


def wal_of(journal: Path) -> Path:
    return journal.with_name(f"{journal.name}-wal")


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def rows(journal: Path) -> int:
    connection = sqlite3.connect(journal)
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    assert verdict == "ok"
    (count,) = connection.execute("SELECT count(*) FROM t").fetchone()
    connection.close()
    return int(count)


def frame(journal: Path, number: int) -> int:
    """Where a frame begins; negative numbers from the end."""
    size = FRAME_HEADER + PAGE
    count = (wal_of(journal).stat().st_size - HEADER) // size
    return HEADER + (number % count) * size


def test_a_sound_wal_is_left_alone(journal: Path, tmp_path: Path) -> None:
    assert mend(journal, tmp_path / "aside") == 0
    assert rows(journal) == ROWS
    assert not (tmp_path / "aside").exists()


def test_a_page_that_was_written_again_later_costs_nothing(journal: Path, tmp_path: Path) -> None:
    before = wal_of(journal).read_bytes()
    flip(wal_of(journal), frame(journal, 4) + FRAME_HEADER + 20)

    assert mend(journal, tmp_path / "aside") == 1
    assert rows(journal) == ROWS
    assert len((tmp_path / "aside").read_bytes()) == len(before)
    assert not wal_of(journal).exists()


@pytest.mark.parametrize("part", [0, 4, 9, 17, FRAME_HEADER, FRAME_HEADER + PAGE - 1])
def test_every_part_of_a_frame_is_judged(journal: Path, tmp_path: Path, part: int) -> None:
    flip(wal_of(journal), frame(journal, 6) + part)

    assert mend(journal, tmp_path / "aside") >= 1


@pytest.mark.parametrize("at", [0, 9, 17, 30])
def test_a_damaged_header_costs_only_the_first_frame(journal: Path, tmp_path: Path, at: int) -> None:
    flip(wal_of(journal), at)

    assert mend(journal, tmp_path / "aside") in (1, 2)  # what the first frame is summed from stands there
    assert rows(journal) == ROWS


@pytest.mark.parametrize("seed", range(10))
def test_the_torn_end_of_a_power_cut_is_no_damage(journal: Path, tmp_path: Path, seed: int) -> None:
    content = bytearray(wal_of(journal).read_bytes())
    last = frame(journal, -2)  # one row is two frames: its page and the table's root
    for at in range(last, len(content), 512):
        if random.Random(f"{seed} {at}").random() < 0.5:
            content[at : at + 512] = bytes(len(content[at : at + 512]))
    wal_of(journal).write_bytes(content)

    assert mend(journal, tmp_path / "aside") == 0
    assert rows(journal) >= ROWS - 1


@pytest.mark.parametrize("content", [b"", b"x", bytes(4000), b"\xff" * 4000])
def test_what_is_no_wal_is_left_to_sqlite(journal: Path, tmp_path: Path, content: bytes) -> None:
    wal_of(journal).write_bytes(content)

    assert mend(journal, tmp_path / "aside") == 0
