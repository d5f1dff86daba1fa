"""Report: a month of an alarm system, from a centre's casebook, a gateway's journal and a replay's file."""

import csv
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.alert import rfc3339
from alerts.centre.casebook import Casebook, append
from alerts.centre.events import ALERT, CASE, STAFF_SOURCE, Fact
from config.load import read_channels
from gateway.cli import main
from ingest.storage import Storage
from ingest.ticks import SECOND_NS, Epoch
from ingest.wallclock import WallClock
from tests.gateway.test_check import centre, secrets, site

__all__ = ["secrets"]
START_NS = 1_767_571_200 * SECOND_NS  # 2026-01-05T00:00:00Z
GOLDEN = Path(__file__).parent / "golden" / "alerts.jsonl"


def change(at_s: float, alert: str, type: str = "raised", **given: Any) -> dict[str, Any]:
    at = rfc3339(START_NS + round(at_s * SECOND_NS))
    state = "ACTIVE_UNACK" if type == "raised" else "NORMAL"
    data = {
        "alert_id": alert, "incident": f"i-{alert}", "seq": 1 if type == "raised" else 2, "state": state,
        "grade": "P3", "kind": "burst", "rule": {"id": "jump", "version": 1}, "place": "a",
        "channel": "a.pressure", "because": "Pressure fell.", "notify": True, "warmup": False,
        "t": {"event": at, "detected": at}, **given,
    }  # fmt: skip
    return {"type": f"{ALERT}{type}.v1", "id": f"{alert}-{data['seq']}", "data": data}


def flapping(times: int) -> list[dict[str, Any]]:
    return [
        one
        for n in range(times)
        for one in (change(3600 * n, f"a{n}"), change(3600 * n + 20, f"a{n}", "cleared"))
    ]


def reported(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    assert main(["report", *map(str, words), "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_a_replays_alerts_as_json_csv_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, page = tmp_path / "report.csv", tmp_path / "report.html"
    report = reported(capsys, GOLDEN, "--month", "2026-01", "--csv", table, "--html", page)
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))

    events = [msgspec.json.decode(line) for line in GOLDEN.read_bytes().splitlines()]
    told = [one for one in events if one["data"]["notify"] and not one["type"].endswith("cleared.v1")]
    assert report["annunciated"] == len(told) > 0
    assert report["period"]["from"] == "2025-12-31T16:00:00.000Z"  # midnight in Shanghai
    assert {"kpis", "Priorities", "per day"} <= {row["table"] for row in rows}
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert "<script" not in page.read_text("utf-8")


def test_a_centres_casebook_knows_who_took_what_and_what_the_field_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = Casebook(tmp_path / "casebook.sqlite")
    book.open()
    told = [change(0, "a", grade="P1"), change(3600, "b")]
    facts = [
        Fact(0, START_NS, "urn:watchline:north", e["id"], e["type"], f"north/{e['data']['incident']}",
             msgspec.json.encode(e["data"]))
        for e in told
    ]  # fmt: skip
    act = msgspec.json.encode({"actor": "li.wei", "outcome": "false_alarm"})
    at_ns = START_NS + 90 * SECOND_NS
    facts.append(Fact(0, at_ns, STAFF_SOURCE, "x" * 24, f"{CASE}acknowledged.v1", "north/i-a", act))
    facts.append(Fact(0, at_ns, STAFF_SOURCE, "damaged", f"{ALERT}raised.v1", "north/i-z", b"{}"))
    book.submit(lambda connection: append(connection, facts)).result()
    report = reported(capsys, centre(tmp_path), "--month", "2026-01", "--settings", site(tmp_path))
    book.close()

    assert report["acknowledged"]["P1"]["median_s"] == 90.0
    assert report["annunciated"] == 2
    jump = next(one for one in report["false_alarms"]["by_rule"] if one["rule"] == "jump")
    assert (jump["measured"], jump["false"], jump["real"]) == (2, 1, 0)


def test_a_gateways_journal_shows_the_worst_offender_and_changed_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = site(tmp_path)
    channels, _ = read_channels(tmp_path / "channels.csv")
    storage = Storage(tmp_path / "data", channels, WallClock())
    storage.open()
    storage.start()
    for number, (hash, events) in enumerate([("one", flapping(6)), ("two", [])]):
        tick = storage.close_tick(START_NS + number * SECOND_NS, Epoch("start", True, hash))
        storage.commit_tick(tick, events)
    storage.stop()
    report = reported(capsys, settings, "--week", "2026-W02", "--timezone", "UTC")

    worst = report["false_alarms"]["worst"][0]
    assert (worst["channel"], worst["rule"], worst["measured"]) == ("a.pressure", "jump", 6)
    assert "over within 20 s" in worst["suggestion"]
    assert report["false_alarms"]["expected_per_day"] > 0
    assert [one["hash"] for one in report["settings"]] == ["two"]
    assert report["unauthorised"][0]["what"] == "settings"
    assert reported(capsys, settings, "--week", "2026-W02", "--approved", "two")["unauthorised"] == []


def test_without_a_name_the_settings_of_this_folder_are_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["report", "--month", "2026-01"]) == 2
    assert "name a centre.toml" in capsys.readouterr().err
    centre(tmp_path)
    assert main(["report", "--month", "2026-01"]) == 2
    assert "casebook.sqlite" in capsys.readouterr().err


def test_in_words_for_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(GOLDEN), "--month", "2026-01"]) == 0
    out = capsys.readouterr().out

    assert "annunciated a day and operator" in out
    assert "Most frequent" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--month", "2026-13"), "2026-13: not a month"),
        (("--week", "2026-5"), "2026-5: not a week"),
        (("--month", "2026-01", "--timezone", "Asia/Chengdu"), "Asia/Chengdu: not known"),
        (("--month", "2026-01", "--week", "2026-W01"), "not together"),
        (("--operators", "0"), "at least 1"),
    ],
)
def test_a_mistake_is_named(words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(GOLDEN), *words]) == 2
    assert says in capsys.readouterr().err


def test_a_file_that_holds_no_alerts_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_text('{"type": "city.linkage.alert.raised.v1", "data": {}}\n')

    assert main(["report", str(path), "--month", "2026-01"]) == 2
    assert f"{path}:1" in capsys.readouterr().err


def test_a_centre_that_never_ran_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(centre(tmp_path)), "--month", "2026-01"]) == 2
    assert "has not run yet" in capsys.readouterr().err
    (tmp_path / "casebook.sqlite").write_bytes(b"not a database" * 100)
    assert main(["report", str(centre(tmp_path)), "--month", "2026-01"]) == 2
    assert "cannot be read" in capsys.readouterr().err
