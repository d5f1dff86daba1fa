"""Record: a window packed without anything personal says elsewhere what it said here."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.channels import Channel, ChannelTable
from gateway import cli
from gateway.unpacking import Packed, alike, differing_scores, unpacked
from ingest.archive import Archive
from ingest.courier import Courier
from ingest.ticks import Command, Epoch
from simulators.district import write_channels
from tests.ingest.world import NOON_NS, Hands, living

SECRETS = (
    "li.wei",
    "gas leak at aunt Wang's",
    "person-1",
    "heart_rate",
    "10.1.2.3",
    "hunter2",
    "W-17",
    "roster",
)
CHANNELS = ChannelTable(
    [
        *(
            Channel(f"gas.p{n}.{q}", "gas", f"gas.p{n}", q, unit, 60.0, 0.01, zone="north")
            for n in range(3)
            for q, unit in (("ch4", "%{LEL}"), ("pressure", "kPa"))
        ),
        Channel("w1.heart_rate", "wristband", "person-1", "heart_rate", "/min", 60.0),
    ]
)
SETTINGS = """
[site]
id = "east"
channels = "channels.csv"
context = "context.json"
warmup_s = "1h"
[[source]]
kind = "mqtt"
host = "10.1.2.3"
[archive]
folder = "archive"
[[watching]]
kind = "limits"
channels = "gas.p0.ch4"
high = 20.0
options = { without = ["high_high"] }
"""


def at(hours: float) -> str:
    moment = NOON_NS // 10**9 + round(hours * 3600)
    return np.datetime64(moment, "s").item().isoformat() + "Z"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hours of a gateway's life; the first are archived, the rest is in the journal."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "gateway.toml").write_text(SETTINGS)
    write_channels(folder / "channels.csv", CHANNELS)
    planned = [{"kind": "works", "place": p, "start": at(1), "end": at(2)} for p in ("gas.p1", "person-1")]
    (folder / "context.json").write_text(json.dumps({"planned": planned}))
    hands, noise = Hands(), np.random.default_rng(5)
    with living(folder / "data", CHANNELS, hands) as life:
        archive = Courier(life.storage, Archive(folder / "archive", life.clock.now_ns, stop_s=60.0))
        archive.start()
        life.tick(Epoch("start", True, "hash"))
        for minute in range(210):
            levels = np.array([2.0, 300.0] * 3 + [72.0]) + noise.normal(size=7) * [
                0.2,
                0.6,
                0.2,
                0.6,
                0.2,
                0.6,
                2,
            ]
            levels[0] += 40 * (100 <= minute < 110)
            levels[3] -= 90 * (150 <= minute < 160)
            levels[6] += 120 * (160 <= minute < 170)
            life.hear(np.arange(7), levels)
            if minute == 104:
                life.storage.command(order("ack", place="gas.p0", reason="gas leak at aunt Wang's"))
                life.storage.command(order("out_of_service", place="person-1", permit="W-17"))
                life.storage.command(order("roster", people=[{"name": "li.wei", "password": "hunter2"}]))
                life.storage.command(order("out_of_service", place="gas.p2", permit="W-17"))
            life.tick()
            hands.wind(59.0)
        archive.stop()
    return folder


def order(kind: str, **body: Any) -> Command:
    return Command(f"{kind}-{body.get('place', '')}", kind, body, "li.wei")


@pytest.fixture(scope="module")
def packed(gateway: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("packed") / "report.zip"
    assert record(gateway, out) == 0
    return out


def record(gateway: Path, out: Path, *more: str) -> int:
    window = ("--from", at(1), "--to", at(3.4))
    return cli.main(["record", str(gateway / "gateway.toml"), *window, "--out", str(out), *more])


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)


def test_it_says_elsewhere_what_it_said_here(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alerts = tmp_path / "alerts.jsonl"
    assert cli.main(["replay", str(packed), "--alerts", str(alerts), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)

    assert figures["changes"] > 5
    assert figures["scores"] > 20
    assert figures["differing_changes"] == figures["differing_scores"] == figures["machines"] == []
    places = {json.loads(line)["data"]["place"] for line in alerts.read_text().splitlines()}
    assert {"gas.p0", "gas.p1"} <= places


def test_the_window_reaches_from_the_archive_into_the_journal(gateway: Path, packed: Path) -> None:
    hours = sorted(path.name for path in (gateway / "archive").glob("readings-*.parquet"))
    about = dict(contents(packed))["about.json"]

    assert hours
    assert json.loads(about)["readings"] == 204 * 6


def test_nothing_personal_and_no_secret_leaves(packed: Path) -> None:
    for name, content in contents(packed):
        for secret in SECRETS:
            assert secret.encode() not in content, f"{secret} in {name}"


def test_commands_stay_under_a_made_up_name(packed: Path) -> None:
    facts = [json.loads(line) for line in dict(contents(packed))["facts.jsonl"].splitlines()]
    commands = [fact["body"] for fact in facts if fact["kind"] == "command"]

    assert [(one["kind"], one["actor"], one["body"]) for one in commands] == [
        ("ack", "staff-1", {"place": "gas.p0"}),
        ("out_of_service", "staff-1", {"place": "gas.p2"}),
    ]


def test_settings_that_judge_come_along(packed: Path, tmp_path: Path) -> None:
    with unpacked(packed) as laid_out:
        assert isinstance(laid_out, Packed)
        text = (laid_out.folder / "gateway.toml").read_text()

    assert 'kind = "limits"' in text
    assert "20.0" in text
    assert "mqtt" not in text


def rewritten(packed: Path, out: Path, name: str, change: Any) -> Path:
    with zipfile.ZipFile(out, "w") as archive:
        for part, content in contents(packed):
            archive.writestr(part, change(content) if part == name else content)
    return out


def test_a_change_that_is_not_as_it_was_is_named(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = rewritten(packed, tmp_path / "x.zip", "alerts.jsonl", lambda text: text.replace(b'"P2"', b'"P3"'))

    assert cli.main(["replay", str(other)]) == 1
    said = capsys.readouterr().out
    assert "alert changes: " in said
    assert "was raised P3" in said
    assert "scores: as they were" in said


def test_another_processor_is_named(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def other(content: bytes) -> bytes:
        about = json.loads(content)
        about["machine"]["processor"] = "riscv64"
        about["machine"]["features"].append("RVV")
        about["versions"]["numpy"] = "1.0"
        return json.dumps(about).encode()

    assert cli.main(["replay", str(rewritten(packed, tmp_path / "x.zip", "about.json", other))]) == 0
    said = capsys.readouterr().out
    assert "processor: riscv64 there" in said
    assert "RVV" in said
    assert "numpy: 1.0 there" in said


def test_scores_count_as_different_beyond_a_billionth() -> None:
    was = {
        "points": np.array(["jump a", "jump b"]),
        "point": np.array([0, 1, 1]),
        "end_ns": np.array([1, 1, 2]),
        "score": np.array([0.5, 0.5, 0.5]),
    }
    now = {**was, "score": np.array([0.5 + 9e-10, 0.5 + 2e-9, 0.5])}

    assert [(one.point, one.end_ns) for one in differing_scores(was, now)] == [("jump b", 1)]
    fewer = {name: column[:2] for name, column in was.items()}
    assert [(one.point, one.end_ns) for one in differing_scores(was, fewer)] == [("jump b", 2)]


def test_alerts_may_differ_in_the_last_digits_only() -> None:
    assert alike({"a": [1.0, "x"]}, {"a": [1.0 + 1e-12, "x"]})
    assert not alike({"a": [1.0, "x"]}, {"a": [1.0 + 1e-6, "x"]})
    assert not alike({"a": 1}, {"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--from", "yesterday"), "--from"),
        (("--to", at(0)), "must lie behind --from"),
        (("--lead", "long"), "--lead long"),
        (("--from", "2031-01-01T00:00:00Z", "--to", "2031-01-02T00:00:00Z", "--lead", "1d"), "no readings"),
    ],
)
def test_what_cannot_be_packed_is_named_and_nothing_is_written(
    gateway: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], says: str
) -> None:
    assert record(gateway, tmp_path / "report.zip", *more) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_cut_off_is_named(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking = tmp_path / "lacking.zip"
    with zipfile.ZipFile(lacking, "w") as archive:
        archive.writestr("about.json", "{}")

    assert cli.main(["replay", str(lacking)]) == 2
    assert "lacks" in capsys.readouterr().err
