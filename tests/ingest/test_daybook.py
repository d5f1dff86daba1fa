"""Daybook: what was said of a day stays said, and whoever changes it breaks the chain."""

import json
from pathlib import Path

import pytest

from config.errors import SettingsError
from ingest.daybook import FILE_NAME, NOTHING, append, last_moment, verify
from ingest.ledger import Lane, Ledger


def ledger(received: int) -> Ledger:
    return Ledger({"w1": Lane(received=received, durable=received)}, {}, received, 0, {"mqtt": received})


def days(folder: Path, count: int) -> list[str]:
    return [append(folder, ledger(day), {"at": f"2026-01-{day:02}T00:11:00Z"}) for day in range(1, count + 1)]


def test_each_line_carries_the_hash_of_the_one_before(tmp_path: Path) -> None:
    hashes = days(tmp_path, 3)
    lines = [json.loads(line) for line in (tmp_path / FILE_NAME).read_text().splitlines()]

    assert [line["before"] for line in lines] == [NOTHING, *hashes[:-1]]
    assert [line["received"] for line in lines] == [1, 2, 3]
    assert verify(tmp_path).newest == hashes[-1]
    assert verify(tmp_path).broken == ""
    assert last_moment(tmp_path) == "2026-01-03T00:11:00Z"


def test_any_changed_bit_is_found_unless_it_is_in_the_last_line(tmp_path: Path) -> None:
    days(tmp_path, 3)
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    last = whole[:-1].rindex(b"\n")
    unseen = []
    for place in range(last + 1):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            if not verify(tmp_path).broken:
                unseen.append((place, bit))

    assert not unseen


def test_a_last_line_that_cannot_be_read_counts_as_never_written(tmp_path: Path) -> None:
    days(tmp_path, 2)
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    at = whole.rindex(b"2026-01-02T")
    for place, byte in ((at, b"\xff"), (at + 4, b"x"), (at + 10, b"\r")):
        path.write_bytes(whole[:place] + byte + whole[place + 1 :])
        assert last_moment(tmp_path) == ""


def test_a_removed_line_is_found(tmp_path: Path) -> None:
    days(tmp_path, 4)
    lines = (tmp_path / FILE_NAME).read_bytes().splitlines(keepends=True)
    (tmp_path / FILE_NAME).write_bytes(b"".join([lines[0], *lines[2:]]))
    verdict = verify(tmp_path)
    assert verdict.lines == 1
    assert f"{FILE_NAME}:2: does not carry the hash" in verdict.broken


def test_a_line_that_a_crash_tore_is_written_again(tmp_path: Path) -> None:
    days(tmp_path, 3)
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-20])
    assert (verify(tmp_path).lines, verify(tmp_path).broken) == (2, "")
    assert last_moment(tmp_path) == ""
    append(tmp_path, ledger(9), {"at": "2026-01-04T00:11:00Z"})
    assert (verify(tmp_path).lines, verify(tmp_path).broken) == (3, "")


def test_a_journal_that_began_anew_is_seen(tmp_path: Path) -> None:
    days(tmp_path, 3)
    append(tmp_path, ledger(1), {"at": "2026-01-04T00:11:00Z"})
    assert "received fell from 3 to 1" in verify(tmp_path).broken


def test_a_folder_without_a_chain_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        verify(tmp_path)
