"""Evaluate: the command, from files to a table, JSON and a page."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from gateway import cli

CHANNELS = "channel,medium,place,quantity,unit,period_s\nw1.pressure,water,w1,pressure,kPa,60\n"
BURST = {
    "class": "incident", "kind": "burst", "place": "w1", "channels": ["w1.pressure"], "near_places": [],
    "start": "2026-01-05T02:00:00Z", "end": "2026-01-05T03:00:00Z",
}  # fmt: skip


def alert(at: str, **more: Any) -> dict[str, Any]:
    data = {
        "incident": "i1", "kind": "burst", "grade": "P2", "medium": "water", "place": "w1", "notify": True,
        "channel": "w1.pressure", "warmup": False, "t": {"event": at, "detected": at}, **more,
    }  # fmt: skip
    return {"type": "city.linkage.alert.raised.v1", "data": data}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "channels.csv").write_text(CHANNELS)
    truth = {"start": "2026-01-05T00:00:00Z", "end": "2026-01-07T00:00:00Z", "events": [BURST]}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    lines = [alert("2026-01-05T02:05:00.000Z"), alert("2026-01-06T12:00:00.000Z"), {"type": "other"}]
    (tmp_path / "alerts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def evaluate(folder: Path, *more: str) -> int:
    return cli.main(["evaluate", str(folder / "alerts.jsonl"), str(folder / "truth.json"), *more])


def test_figures_come_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(folder, "--json") == 0
    report = json.loads(capsys.readouterr().out)

    assert report["days"] == 2
    assert report["incidents"][0]["recall"]["k"] == 1
    assert report["incidents"][0]["delay_min"]["median"] == 5
    assert report["alerts"]["precision"]["share"] == 0.5
    assert report["false"][-1]["episodes"] == 1


def test_figures_come_as_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(folder) == 0
    said = capsys.readouterr().out

    assert "100% (21%–100%)" in said
    assert "Benign events left quiet\n  none" in said
    assert "1 were right, 1 false" in said


class Sources(HTMLParser):
    """What a page would fetch, and what is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_stands_alone_with_its_plots(folder: Path) -> None:
    path = folder / "worth.html"
    assert evaluate(folder, "--html", str(path)) == 0
    page = Sources()
    page.feed(path.read_text())

    assert page.fetched == []
    assert page.tags.count("svg") >= 3
    assert "script" not in page.tags


def test_several_runs_are_pooled(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = (str(folder / "alerts.jsonl"), str(folder / "truth.json"))
    assert cli.main(["evaluate", *pair, *pair, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)

    assert (report["runs"], report["days"]) == (2, 4)
    assert report["incidents"][0]["n"] == 2


def test_the_warm_up_can_be_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(folder, "--warmup", "1d", "--json") == 0
    report = json.loads(capsys.readouterr().out)

    assert report["days"] == 1
    assert report["incidents"] == []
    assert report["false"][-1]["episodes"] == 1


def unknown_channel(folder: Path) -> None:
    truth = {"events": [{**BURST, "channels": ["w2.pressure"]}]}
    (folder / "truth.json").write_text(json.dumps(truth))


def no_time(folder: Path) -> None:
    (folder / "truth.json").write_text(json.dumps({"events": [{**BURST, "start": "yesterday"}]}))


def no_json(folder: Path) -> None:
    (folder / "truth.json").write_text("{")


def no_truth(folder: Path) -> None:
    (folder / "truth.json").unlink()


def no_alert(folder: Path) -> None:
    (folder / "alerts.jsonl").write_text('{"type": "city.linkage.alert.raised.v1", "data": {}}\n')


def no_channels(folder: Path) -> None:
    (folder / "channels.csv").unlink()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            unknown_channel,
            'truth.json: event 0 (burst at w1): channel "w2.pressure" is not in the channel list',
        ),
        (no_time, "'yesterday' is no time"),
        (no_json, "truth.json:1: not JSON"),
        (no_truth, "truth.json: cannot be read"),
        (no_alert, "alerts.jsonl:1: not an alert change"),
        (no_channels, "name the channel list with --channels"),
    ],
)
def test_bad_input_is_named_and_no_page_is_left(
    folder: Path, capsys: pytest.CaptureFixture[str], spoil: Any, says: str
) -> None:
    spoil(folder)

    assert evaluate(folder, "--html", str(folder / "worth.html")) == 2
    assert says in capsys.readouterr().err
    assert not (folder / "worth.html").exists()


def test_files_come_in_pairs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", str(folder / "alerts.jsonl")]) == 2
    assert "come in pairs" in capsys.readouterr().err
