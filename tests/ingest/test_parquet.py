"""Parquet: a file of the archive that was damaged says so, or says the same as before."""

import contextlib
import random
from pathlib import Path

import numpy as np
import pytest

from ingest.parquet import Recording, columns_of, opened, texts_of
from ingest.readings import ReadingBatch

IDS = ["gas.p00.pressure", "gas.p01.pressure", "w1.heart_rate"]
ROWS = 4_000
FLIPS = 300


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("archive") / "hour.parquet"
    rng = np.random.default_rng(5)
    with Recording(path, b'{"first_tick":1,"last_tick":9}') as recording:
        for channel in range(len(IDS)):
            time_ns = 1_760_000_000_000_000_000 + np.arange(ROWS) * 1_000_003
            values = rng.normal(300.0, 1.0, ROWS).round(2)
            recording.write(ReadingBatch.of(np.full(ROWS, channel), time_ns, values), IDS)
    return path.read_bytes()


def content(path: Path) -> list[tuple[list[str], bytes, bytes]]:
    found = []
    with opened(path) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            names, index = texts_of(table.column("channel"))
            readings = columns_of(table)
            texts = [names[number] for number in index.tolist()]
            found.append((texts, readings.time_ns.tobytes(), readings.value.tobytes()))
    return found


def footer_starts(whole: bytes) -> int:
    """The last eight bytes of a file say how long its footer is (parquet.apache.org/docs/file-format)."""
    return len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")


def flipped(whole: bytes, place: int, bit: int) -> bytes:
    return whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]


def test_no_flipped_bit_of_the_data_goes_unnoticed(whole: bytes, tmp_path: Path) -> None:
    path, chance = tmp_path / "hour.parquet", random.Random(11)
    path.write_bytes(whole)
    before = content(path)
    noticed = 0
    for _ in range(FLIPS):
        path.write_bytes(flipped(whole, chance.randrange(4, footer_starts(whole)), chance.randrange(8)))
        try:
            assert content(path) == before
        except OSError:
            noticed += 1

    assert noticed > FLIPS * 0.9


def test_whatever_a_footer_says_is_no_bug(whole: bytes, tmp_path: Path) -> None:
    path, chance = tmp_path / "hour.parquet", random.Random(12)
    for _ in range(FLIPS):
        place = chance.randrange(footer_starts(whole), len(whole))
        path.write_bytes(flipped(whole, place, chance.randrange(8)))
        with contextlib.suppress(OSError):
            content(path)
    for size in (0, 3, 4, 8, 12, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(OSError):
            content(path)
