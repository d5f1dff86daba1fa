"""Archive: every reading once, in files that any tool reads, whatever moment the process died at."""

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from config.errors import DeliveryFailed
from ingest import archive as archive_module
from ingest.archive import Archive
from ingest.courier import Courier, Gap, Place, Trip
from ingest.journal import FILE_NAME
from ingest.parquet import Recording
from ingest.readings import UNCERTAIN
from ingest.recorded import read_ticks
from ingest.safekeeping import keep_safe
from ingest.ticks import SECOND_NS, Command, Epoch, Tick
from tests.ingest.world import NOON_NS, Hands, Life, balanced, living, same_ticks, site

ALL = Gap(Place(0, 0))


def stopping() -> threading.Event:
    """The sign to end, given."""
    event = threading.Event()
    event.set()
    return event


def carried(life: Life, folder: Path) -> None:
    """Archive all there is, as a stop does."""
    courier = Courier(life.storage, Archive(folder, life.clock.now_ns, stop_s=60.0))
    courier.start()
    courier.stop()
    assert not courier.trouble


def lived(life: Life) -> list[Tick]:
    """Ten seconds before one o'clock and after, with a conflict, a command, a late and an early reading."""
    life.hands.wind(3590)
    ticks = [life.tick(Epoch("start", settings_hash="abc"))]
    rng = np.random.default_rng(0)
    for second in range(20):
        life.hear(np.arange(4), np.round(rng.normal(50, 1, 4), 2))
        if second == 5:
            life.storage.command(Command("c1", "ack", {"alert_id": "a"}, "centre", 7))
            life.hear([0, 1, 2], [1.0, 2.0, np.nan], ago_s=[5000.0, -400.0, 0.5])
        if second == 7:
            life.hear(3, 99.0)
            life.hear(4, 70.0, quality=UNCERTAIN)
        ticks.append(life.tick())
    return ticks


def readings_in(folder: Path) -> list[tuple[Any, ...]]:
    files = sorted(folder.glob("*.parquet"))
    return [tuple(row.values()) for file in files for row in pq.read_table(file).to_pylist()]


def test_live_and_replay_agree(tmp_path: Path) -> None:
    channels = site()
    with living(tmp_path / "data", channels) as life:
        ticks = lived(life)
        carried(life, tmp_path / "archive")

    assert same_ticks(list(read_ticks(tmp_path / "archive", channels)), ticks)
    assert balanced(tmp_path / "data").couriers["archive"].stored == sum(len(tick.readings) for tick in ticks)


def test_an_hour_is_a_file_sorted_by_channel_and_time(tmp_path: Path) -> None:
    with living(tmp_path / "data", site()) as life:
        lived(life)
        carried(life, tmp_path / "archive")

    first, second = sorted((tmp_path / "archive").glob("*.parquet"))
    assert first.name == "readings-000000000001-20251009T12Z.parquet"
    assert second.name.endswith("-20251009T13Z.parquet")
    table = pq.read_table(first)
    assert table.column_names == ["time", "channel", "value", "quality", "arrival", "conflict"]
    rows = table.to_pylist()
    assert [(row["channel"], row["time"]) for row in rows] == sorted(
        (row["channel"], row["time"]) for row in rows
    )
    assert sum(row["conflict"] for row in rows) == 1
    assert {row["quality"] for row in rows} == {"good", "bad", "uncertain"}
    assert all(row["arrival"].microsecond == 0 for row in rows)
    facts = [json.loads(line) for line in (tmp_path / "archive" / "facts.jsonl").read_text().splitlines()]
    assert [(fact["kind"], fact["body"].get("id"), fact["body"].get("settings_hash")) for fact in facts] == [
        ("epoch", None, "abc"),
        ("command", "c1", None),
    ]
    assert facts[0]["at"] == "2025-10-09T12:59:51Z"


def test_an_hour_waits_until_it_is_over(tmp_path: Path) -> None:
    with living(tmp_path / "data", site()) as life:
        life.hear(0, 1.0)
        life.tick()
        archive = Archive(tmp_path / "archive", life.clock.now_ns)
        reader = life.storage.reader()
        assert archive.carry(reader, ALL, threading.Event()) is None
        life.hands.wind(3610)
        trip = archive.carry(reader, ALL, threading.Event())
        reader.close()

    assert trip is not None
    assert (trip.stored, trip.upto) == (1, Place(1, 1))


@pytest.mark.parametrize("moment", ["before the rename", "after the rename", "amid the facts"])
def test_a_crash_anywhere_leaves_every_reading_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    channels, hands, folder = site(), Hands(), tmp_path / "archive"
    with living(tmp_path / "data", channels, hands) as life:
        ticks = lived(life)
        reader = life.storage.reader()
        archive = Archive(folder, life.clock.now_ns)
        with monkeypatch.context() as patch:
            if moment == "before the rename":
                patch.setattr(Path, "replace", _die)
            elif moment == "after the rename":
                patch.setattr(Archive, "_write_facts", _die)
            with pytest.raises(KeyboardInterrupt) if moment != "amid the facts" else _calm():
                archive.carry(reader, ALL, stopping())
        if moment == "amid the facts":
            facts = folder / "facts.jsonl"
            facts.write_bytes(facts.read_bytes()[:-20])
        reader.close()

    with living(tmp_path / "data", channels, hands) as life:
        carried(life, folder)

    assert not list(folder.glob("*.part"))
    assert same_ticks(list(read_ticks(folder, channels)), ticks)


@pytest.mark.parametrize("damage", [b"{", b"\xff", b'{"tick":"x"}', b"[]", b"3", b""])
def test_a_damaged_line_of_facts_stops_no_hour(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes
) -> None:
    with living(tmp_path / "data", site()) as life:
        lived(life)
        carried(life, tmp_path / "archive")
        facts = tmp_path / "archive" / "facts.jsonl"
        before = facts.read_bytes()
        facts.write_bytes(before + damage + b"\n")
        life.hear(0, 9.0)
        life.tick(Epoch("clock", settings_hash="new"))
        carried(life, tmp_path / "archive")

    assert facts.read_bytes().startswith(before + damage + b"\n{")
    assert f"facts.jsonl:{before.count(10) + 1}: damaged" in caplog.text
    assert balanced(tmp_path / "data").couriers["archive"].pending == 0


def _die(*arguments: object) -> None:
    raise KeyboardInterrupt


class _calm:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...


def test_a_stop_within_an_hour_and_a_restart_make_two_files_and_no_doubles(tmp_path: Path) -> None:
    channels, hands, folder = site(), Hands(), tmp_path / "archive"
    ticks = []
    for value in range(3):
        with living(tmp_path / "data", channels, hands) as life:
            ticks.append(life.tick(Epoch("start")))
            life.hear(0, float(value))
            ticks.append(life.tick())
            carried(life, folder)

    assert len(list(folder.glob("*.parquet"))) == 3
    assert same_ticks(list(read_ticks(folder, channels)), ticks)


def test_time_that_was_set_back_stays_in_the_order_in_which_it_was_lived(tmp_path: Path) -> None:
    channels, hands, folder = site(), Hands(), tmp_path / "archive"
    with living(tmp_path / "data", channels, hands) as life:
        ticks = []
        for step in (0, -1800, 0, 7200, -100_000):
            hands.wall_ns += step * SECOND_NS
            ticks.append(life.tick(life.clock.epoch_if_stepped()))
            life.hear([0, 1], [1.0, float(step)])
            ticks.append(life.tick())
        carried(life, folder)

    said = [tick for tick in ticks if len(tick.readings) or tick.epoch]
    assert same_ticks(list(read_ticks(folder, channels)), said)


def test_an_hour_larger_than_memory_is_read_in_portions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "READINGS_AT_ONCE", 7)
    channels = site(9)
    with living(tmp_path / "data", channels) as life:
        ticks = []
        for second in range(5):
            life.hear(np.arange(9), np.full(9, float(second)))
            ticks.append(life.tick())
        carried(life, tmp_path / "archive")

    rows = readings_in(tmp_path / "archive")
    assert len(rows) == 45
    assert [(row[1], row[0]) for row in rows] == sorted((row[1], row[0]) for row in rows)
    assert same_ticks(list(read_ticks(tmp_path / "archive", channels)), ticks)


def test_a_damaged_row_of_the_journal_is_counted_and_costs_only_itself(tmp_path: Path) -> None:
    with living(tmp_path / "data", site()) as life:
        for value in (1.0, 2.0, 3.0):
            life.hear([0, 1], [value, value])
            life.tick()

        def damage(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE arrivals SET columns = substr(columns, 1, 30) WHERE id = 2")

        life.storage.submit(damage).result()
        carried(life, tmp_path / "archive")

    assert sorted(row[2] for row in readings_in(tmp_path / "archive")) == [1.0, 1.0, 3.0, 3.0]
    told = balanced(tmp_path / "data").couriers["archive"]
    assert (told.stored, told.dead_lettered) == (4, {"damaged in the journal": 2})


def test_a_folder_that_cannot_be_written_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file in the way")
    with living(tmp_path / "data", site()) as life:
        life.hear(0, 1.0)
        life.tick()
        reader = life.storage.reader()
        with pytest.raises(DeliveryFailed, match="cannot be written"):
            Archive(tmp_path / "archive", life.clock.now_ns).carry(reader, ALL, stopping())
        reader.close()

    assert balanced(tmp_path / "data").kept == 1


def test_a_recording_that_fails_half_way_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Recording(tmp_path / "a.parquet"):
        raise KeyboardInterrupt

    assert not list(tmp_path.iterdir())
    assert Trip(Place(0, 0)).stored == 0
    assert NOON_NS % (3600 * SECOND_NS) == 0


def test_a_journal_begun_anew_puts_the_files_of_the_old_one_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    channels, hands, folder = site(), Hands(), tmp_path / "archive"
    with living(tmp_path / "old", channels, hands) as life:
        old = lived(life)
        carried(life, folder)
    with living(tmp_path / "new", channels, hands) as life:
        new = [life.tick(Epoch("start")), *(_heard(life, value) for value in (1.0, 2.0))]
        carried(life, folder)

    assert same_ticks(list(read_ticks(folder, channels)), new)
    (aside,) = folder.glob("earlier-*")
    assert same_ticks(list(read_ticks(aside, channels)), old)
    assert "does not continue" in caplog.text


def _heard(life: Life, value: float) -> Tick:
    life.hear([0, 1], [value, value])
    return life.tick()


def test_a_restored_journal_goes_on_from_where_it_was_copied(tmp_path: Path) -> None:
    channels, hands, folder = site(), Hands(), tmp_path / "archive"
    with living(tmp_path / "data", channels, hands) as life:
        before = lived(life)
        carried(life, folder)
    keep_safe(tmp_path / "data" / FILE_NAME, tmp_path / "copy.sqlite")
    with living(tmp_path / "data", channels, hands) as life:
        _heard(life, 50.0)
        carried(life, folder)
    (tmp_path / "restored").mkdir()
    (tmp_path / "copy.sqlite").rename(tmp_path / "restored" / FILE_NAME)
    hands.wind(10)
    with living(tmp_path / "restored", channels, hands) as life:
        after = _heard(life, 60.0)
        carried(life, folder)

    assert same_ticks(list(read_ticks(folder, channels)), [*before, after])
    (aside,) = folder.glob("earlier-*/*.parquet")
    assert pq.read_table(aside)["value"].to_pylist() == [50.0, 50.0]


def test_a_large_hour_waits_at_a_stop_for_it_is_to_take_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels, hands, folder = site(), Hands(), tmp_path / "archive"
    with living(tmp_path / "data", channels, hands) as life:
        ticks = lived(life)
        with monkeypatch.context() as patch:
            patch.setattr(archive_module, "STOP_READINGS", 42)
            carried(life, folder)
        assert len(list(folder.glob("*.parquet"))) == 1  # the hour before one o'clock is small
        assert balanced(tmp_path / "data").couriers["archive"].pending > 0
    with living(tmp_path / "data", channels, hands) as life:
        carried(life, folder)

    assert same_ticks(list(read_ticks(folder, channels)), ticks)


def test_a_stop_amid_an_hour_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "ROWS_A_GROUP", 1)
    monkeypatch.setattr(archive_module, "CHANNELS_A_GROUP", 1)
    stop, folder = threading.Event(), tmp_path / "archive"
    write = Recording.write

    def stopped_after_one(recording: Recording, *arguments: Any) -> None:
        write(recording, *arguments)
        stop.set()

    monkeypatch.setattr(Recording, "write", stopped_after_one)
    with living(tmp_path / "data", site()) as life:
        lived(life)
        life.hands.wind(7200)
        reader = life.storage.reader()
        assert Archive(folder, life.clock.now_ns).carry(reader, ALL, stop) is None
        reader.close()

    assert not list(folder.iterdir())
