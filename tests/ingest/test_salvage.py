"""Salvage: whatever bytes of the journal are damaged, the gateway starts, and counts what is lost."""

import contextlib
import os
import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ingest.archive import Archive
from ingest.courier import Courier
from ingest.journal import FILE_NAME, open_reader, stored_arrivals, stored_ticks
from ingest.memo import FILE_NAME as memo_name
from ingest.salvage import READY
from ingest.storage import Storage
from ingest.ticks import Command, Epoch
from tests.ingest.world import Hands, Life, balanced, living, site

READINGS = 1500
CHANGED_PAGES = 12


def long_life(folder: Path, hands: Hands) -> None:
    """Readings with rising values in ticks, alerts, commands and snapshots; an archive that has had half."""
    with living(folder, site(), hands) as life:
        life.tick(Epoch("start"))
        rng = np.random.default_rng(3)
        for number in range(0, READINGS, 10):
            if number == READINGS // 2:
                courier = Courier(life.storage, Archive(folder / "archive", life.clock.now_ns, stop_s=60.0))
                courier.start()
                courier.stop()
            life.hear(
                np.zeros(10), np.arange(number, number + 10) + 0.25, ago_s=rng.random(10).cumsum() / 100
            )
            event = {"id": f"event-{number}", "data": {"grade": "P1", "text": "x" * 300}}
            life.tick(changes=[event], snapshot={"number": number} if number % 500 == 0 else None)
        life.storage.command(Command("last", "ack", {}, "centre"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Hands]:
    folder, hands = tmp_path_factory.mktemp("sound"), Hands()
    long_life(folder, hands)
    return folder, hands


def copied(sound: tuple[Path, Hands], to: Path) -> tuple[Path, Hands]:
    folder, hands = sound
    shutil.copytree(folder, to / "data")
    again = Hands(hands.wall_ns)
    again.monotonic_ns = hands.monotonic_ns
    return to / "data", again


def values(folder: Path) -> list[float]:
    """What the journal holds."""
    with contextlib.closing(open_reader(folder)) as connection:
        batches = [batch for *_, batch in stored_arrivals(connection, 0, 1 << 60) if batch is not None]
    return [value for batch in batches for value in batch.value.tolist()]


def live_on(folder: Path, hands: Hands) -> Life:
    """Start on what is there, judge, carry everything to the archive, stop; the books must balance."""
    with living(folder, site(), hands) as life:
        for _ in life.recovery.ticks:
            pass
        courier = Courier(life.storage, Archive(folder / "archive", life.clock.now_ns, stop_s=60.0))
        courier.start()
        life.hear(1, 9999.0)
        life.tick(Epoch("start"))
        life.tick()
        courier.stop()
    return life


def damage(file: Path, chance: random.Random, pages: int = CHANGED_PAGES) -> None:
    """Overwrite pieces at random places, and sometimes cut the end off."""
    content = bytearray(file.read_bytes())
    for _ in range(pages):
        start = chance.randrange(len(content))
        size = chance.choice([1, 1, 16, 512, 4096])
        content[start : start + size] = chance.randbytes(len(content[start : start + size]))
    if chance.random() < 0.2:
        del content[chance.randrange(len(content)) :]
    file.write_bytes(content)


@pytest.mark.parametrize("seed", range(int(os.environ.get("WATCHLINE_SEEDS", "20"))))
def test_damage_anywhere_never_stops_the_start(sound: tuple[Path, Hands], tmp_path: Path, seed: int) -> None:
    folder, hands = copied(sound, tmp_path)
    chance = random.Random(seed)
    damage(folder / FILE_NAME, chance, chance.choice([1, 1, 3, CHANGED_PAGES]))

    live_on(folder, hands)

    held = Counter(values(folder))
    del held[9999.0]
    assert set(held) <= {number + 0.25 for number in range(READINGS)}
    assert max(held.values(), default=1) == 1


def test_of_a_damaged_page_of_arrivals_only_that_page_is_lost(
    sound: tuple[Path, Hands], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, hands = copied(sound, tmp_path)
    content = bytearray((folder / FILE_NAME).read_bytes())
    with contextlib.closing(open_reader(folder)) as connection:
        ((blob,),) = connection.execute("SELECT columns FROM arrivals ORDER BY id LIMIT 1 OFFSET 100")
    page = content.index(blob) // 1024 * 1024
    content[page : page + 1024] = b"\xff" * 1024
    (folder / FILE_NAME).write_bytes(content)
    (folder / "journal.suspect").write_text("a courier met damage")

    live_on(folder, hands)

    ledger = balanced(folder)
    assert 0 < ledger.notes["lost: damaged file"] <= 100
    assert ledger.couriers["archive"].dead_lettered == {
        "damaged in the journal": ledger.notes["lost: damaged file"]
    }
    assert ledger.notes["damaged files put aside"] == 1
    (aside,) = folder.glob("journal-damaged-*.sqlite")
    assert aside.read_bytes() == bytes(content)
    assert f"the damaged journal is now {aside}" in caplog.text


def test_a_file_that_is_no_journal_is_put_aside_and_life_begins_anew(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database at all" * 100)

    live_on(tmp_path, Hands())

    (aside,) = tmp_path.glob("journal-damaged-*.sqlite")
    assert aside.read_bytes().startswith(b"not a database")
    with contextlib.closing(open_reader(tmp_path)) as connection:
        first = next(stored_ticks(connection, 0))
    assert first.id > 1_000_000_000  # no number of an earlier journal's tick, whose files are in the archive


def test_a_damaged_first_page_costs_nothing(sound: tuple[Path, Hands], tmp_path: Path) -> None:
    folder, hands = copied(sound, tmp_path)
    with (folder / FILE_NAME).open("r+b") as file:
        file.write(bytes(1024))

    live_on(folder, hands)

    assert sorted(values(folder)) == [number + 0.25 for number in range(READINGS)] + [9999.0]
    assert len(list(folder.glob("journal-damaged-*.pages"))) == 1


@pytest.mark.parametrize(("table", "word"), [(b"arrivals", b"columns"), (b"ahead", b"after_arrival")])
def test_a_letter_of_a_definition_that_flipped_costs_nothing(
    sound: tuple[Path, Hands], tmp_path: Path, table: bytes, word: bytes
) -> None:
    folder, hands = copied(sound, tmp_path)
    content = bytearray((folder / FILE_NAME).read_bytes())
    content[content.index(word, content.index(b"CREATE TABLE " + table))] ^= 2
    (folder / FILE_NAME).write_bytes(content)

    live_on(folder, hands)

    assert sorted(values(folder)) == [number + 0.25 for number in range(READINGS)] + [9999.0]


@pytest.mark.parametrize("seed", range(8))
def test_a_memo_that_is_damaged_too_stops_no_start_and_makes_nothing_up(
    sound: tuple[Path, Hands], tmp_path: Path, seed: int
) -> None:
    folder, hands = copied(sound, tmp_path)
    chance = random.Random(seed)
    with (folder / FILE_NAME).open("r+b") as file:
        file.write(bytes(4096))
    memo = bytearray((folder / memo_name).read_bytes())
    memo[chance.randrange(len(memo))] ^= 1 << chance.randrange(8)
    (folder / memo_name).write_bytes(memo)
    live_on(folder, hands)

    assert values(folder) == [9999.0]
    assert list(folder.glob("journal-damaged-*"))


def test_what_was_told_and_what_was_decided_lives_on(sound: tuple[Path, Hands], tmp_path: Path) -> None:
    folder, hands = copied(sound, tmp_path)
    with (folder / FILE_NAME).open("r+b") as file:
        file.write(bytes(1024))

    with living(folder, site(), hands) as life:
        assert life.recovery.snapshot == {"number": 1000}
        assert not life.storage.command(Command("last", "ack", {}, "centre"))
        events = life.storage.reader().execute("SELECT count(*) FROM outbox").fetchone()
        assert events == (READINGS // 10,)


def test_a_salvage_that_is_interrupted_is_finished_by_the_next_start(
    sound: tuple[Path, Hands], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    def cut(folder: Path) -> None:
        raise PowerCut

    folder, hands = copied(sound, tmp_path)
    with (folder / FILE_NAME).open("r+b") as file:
        file.write(bytes(1024))
    with monkeypatch.context() as patched:
        patched.setattr("ingest.salvage.put_in_place", cut)
        with pytest.raises(PowerCut):
            Storage(folder, site(), hands.clock()).open()
    assert (folder / READY).exists()

    live_on(folder, hands)

    assert len(values(folder)) == READINGS + 1
    assert not (folder / READY).exists()
