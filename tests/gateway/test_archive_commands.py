"""Export and backup: what leaves the house is whole, checked, and can be read by others."""

import contextlib
import csv
import json
import sqlite3
import stat
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gateway.cli import main
from ingest.journal import FILE_NAME
from ingest.ledger import read_ledger
from ingest.recorded import read_ticks
from ingest.shelf import volumes
from tests.ingest.test_compaction import a_day, tidied
from tests.ingest.world import NOON_NS, Hands, living, same_ticks, site


def test_an_export_holds_every_reading_and_replays_the_same(tmp_path: Path) -> None:
    a_day(tmp_path, Hands())
    out = tmp_path / "all.parquet"

    assert main(["export", str(tmp_path / "archive"), "--out", str(out)]) == 0

    stored = sum(pq.read_metadata(volume.path).num_rows for volume in volumes(tmp_path / "archive"))
    assert pq.read_metadata(out).num_rows == stored == 82
    facts = tmp_path / "archive" / "facts.jsonl"
    exported = list(read_ticks(out, site(), facts=facts))
    assert same_ticks(exported, list(read_ticks(tmp_path / "archive", site())))


def test_an_export_of_one_channel_and_one_hour_as_csv(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hands = Hands()
    a_day(tmp_path, hands)
    hands.wind(86_400)
    tidied(tmp_path, hands)
    out = tmp_path / "part.csv"
    words = [
        "--channel",
        "*.p02.*",
        "--from",
        "2025-10-09T12:59:50Z",
        "--to",
        "2025-10-09T13:30:00Z",
        "--json",
    ]

    assert main(["export", str(tmp_path / "archive"), "--out", str(out), *words]) == 0

    assert json.loads(capsys.readouterr().out) == {"readings": 6, "channels": 1, "out": str(out)}
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert {row["channel"] for row in rows} == {"gas.p02.pressure"}
    assert all("2025-10-09T12:59:5" < row["time"] < "2025-10-09T13:01" for row in rows)
    assert [row["conflict"] for row in rows].count("true") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "--out", "x.csv"], "no such folder"),
        ([".", "--out", "x.csv"], "no file of an archive"),
        (["archive", "--out", "gone/x.csv"], "folder gone does not exist"),
        (["archive", "--out", "x.csv", "--channel", "water*"], "no channel fits water*"),
        (["archive", "--out", "x.csv", "--from", "noon"], "--from"),
        (["archive", "--out", "archive/facts.jsonl"], "a file of the archive itself"),
    ],
)
def test_an_export_that_cannot_be_made_says_why_and_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    a_day(tmp_path, Hands(), hours=1)
    monkeypatch.chdir(tmp_path)

    assert main(["export", *words]) == 2

    assert said in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "data"]


def test_a_backup_while_the_gateway_writes_is_one_moment_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy" / FILE_NAME
    copy.parent.mkdir()
    hands = Hands()
    with living(tmp_path / "data", site(), hands) as life:
        for value in range(200):
            life.hear([0, 1], [float(value), 1.0])
            life.tick()
        ended = threading.Event()

        def go_on() -> None:
            while not ended.is_set():
                life.hear([0, 1], [5.0, 1.0])
                life.tick()

        writing = threading.Thread(target=go_on)
        writing.start()
        try:
            assert main(["backup", str(tmp_path / "data"), "--out", str(copy), "--json"]) == 0
        finally:
            ended.set()
            writing.join()

    assert json.loads(capsys.readouterr().out)["bytes"] == copy.stat().st_size
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    ledger = read_ledger(copy.parent)
    assert ledger.balanced
    assert 400 <= ledger.kept <= read_ledger(tmp_path / "data").kept
    with living(copy.parent, site(), hands) as life:  # a gateway can go on from it
        assert life.recovery.last_tick_ns >= NOON_NS + 200 * 10**9


def test_settings_name_the_state_that_is_backed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "channels.csv").write_text("channel,medium,place,quantity,unit,period_s\n")
    (tmp_path / "gateway.toml").write_text(
        '[site]\nid = "east"\nchannels = "channels.csv"\n'
        '[influxdb]\nurl = "http://x"\nbucket = "b"\ntoken = { env = "NOT_SET_HERE" }\n'
    )
    (tmp_path / "centre.toml").write_text('[store]\npath = "casebook.sqlite"\n')

    assert main(["backup", "gateway.toml"]) == 2
    assert "has not run yet" in capsys.readouterr().err
    with contextlib.closing(sqlite3.connect("casebook.sqlite")) as casebook:
        casebook.execute("CREATE TABLE facts (fact TEXT)")
    with living(tmp_path / "data", site()):
        pass
    assert main(["backup", "gateway.toml"]) == 0
    assert main(["backup", "centre.toml"]) == 0
    (tmp_path / "bad.toml").write_text("[store]\npath = 5\n")
    assert main(["backup", "bad.toml"]) == 2
    assert "no path in [store]" in capsys.readouterr().err
    assert len(list(tmp_path.glob("journal-east-*.sqlite"))) == 1
    assert len(list(tmp_path.glob("casebook-*.sqlite"))) == 1


def test_an_empty_file_is_not_taken_for_a_backup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE_NAME).touch()

    assert main(["backup", str(tmp_path), "--out", str(tmp_path / "copy")]) == 2

    assert "holds no state" in capsys.readouterr().err
    assert not (tmp_path / "copy").exists()


def test_a_damaged_state_is_said_and_not_taken_for_a_backup(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with living(tmp_path, site()) as life:
        for value in range(300):
            life.hear([0, 1, 2, 3], [float(value)] * 4)
            life.tick()
    journal = tmp_path / FILE_NAME
    content = bytearray(journal.read_bytes())
    content[4096 * 4 : 4096 * 12] = b"\xff" * (4096 * 8)
    journal.write_bytes(content)

    assert main(["backup", str(tmp_path), "--out", str(tmp_path / "copy")]) == 2

    assert "cannot be copied" in capsys.readouterr().err
    assert not (tmp_path / "copy").exists()
