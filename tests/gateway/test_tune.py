"""Tune: what is too loud is proposed quieter, shown by replay; lives, persons and P1 alarms stay."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alerts.alarmlog import Activation
from alerts.comparing import Comparison, Raised
from config.channels import Channel, ChannelTable
from config.load import read_channels, read_gateway
from gateway.alarmbudget import Budget
from gateway.cli import main
from gateway.tuning import Tuning, tuned
from ingest.parquet import write_readings
from ingest.readings import ReadingBatch
from ingest.ticks import SECOND_NS

START_NS = 1_767_571_200 * SECOND_NS
SETTINGS = """\
[site]
id = "north"  # kept as it is written
channels = "channels.csv"
warmup_s = "1h"
"""
CHANNELS = """\
channel,medium,place,quantity,unit,period_s,high
flaps.flow,water,a,flow,m3/h,10,100
calm.flow,water,b,flow,m3/h,10,100
well.ch4,gas,c,ch4,%{LEL},10,
"""
HOURS = 3


def recorded(folder: Path) -> tuple[Path, Path]:
    """Every 20 min flow flaps over its limit for 25 s; once methane comes close to it; all else is calm."""
    (folder / "channels.csv").write_text(CHANNELS, "utf-8")
    settings = folder / "gateway.toml"
    settings.write_text(SETTINGS, "utf-8")
    channels, _ = read_channels(folder / "channels.csv")
    seconds = np.arange(0, HOURS * 3600, 10)
    noise = np.random.default_rng(4).normal(0.0, 1.0, (3, len(seconds)))
    values = np.array([[50.0], [50.0], [1.0]]) + noise * np.array([[1.0], [1.0], [0.05]])
    values[0, (seconds % 1200 < 40) & (seconds > 4000)] = 130.0
    values[2, (seconds % 1800 < 60) & (seconds > 4000)] = 30.0
    time_ns = START_NS + seconds * SECOND_NS
    batches = [
        ReadingBatch.of(np.full(len(seconds), number, dtype=np.int32), time_ns, column)
        for number, column in enumerate(values)
    ]
    write_readings(folder / "readings.parquet", iter(batches), channels)
    return settings, folder / "readings.parquet"


def tune(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    assert main(["tune", *map(str, words), "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_a_flapping_level_gets_a_longer_delay_and_methane_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, readings = recorded(tmp_path)
    page = tmp_path / "page.html"
    result = tune(capsys, settings, readings, "--html", page)
    level = next(one for one in result["proposals"] if one["kind"] == "limits")

    assert level["channel"] == "flaps.flow"
    assert level["options"]["on_delay_s"] > 15.0
    assert result["after"]["raised"] < result["before"]["raised"]
    assert all(one["channel"] != "well.ch4" for one in result["proposals"])
    assert {"lives may hang on it"} == {one["why"] for one in result["left"] if one["channel"] == "well.ch4"}
    assert settings.read_text("utf-8") == SETTINGS
    assert page.read_text("utf-8").startswith("<!doctype html>")
    proposal = Path(result["out"])
    assert proposal.name == "gateway.tuned.toml"
    assert proposal.read_text("utf-8").startswith(SETTINGS)
    assert [one.channels for one in read_gateway(proposal).watching] == [
        one["channel"] for one in result["proposals"]
    ]


def test_only_when_told_it_takes_the_place_of_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, readings = recorded(tmp_path)
    assert main(["tune", str(settings), str(readings), "--apply", "--rounds", "1"]) == 0

    assert "is in force" in capsys.readouterr().out
    assert (tmp_path / "gateway.toml.before").read_text("utf-8") == SETTINGS
    assert read_gateway(settings).watching


def alarms(rule: str, channel: str, times: int, lasting_s: float = 30.0) -> list[Activation]:
    starts = [START_NS + n * 3600 * SECOND_NS for n in range(times)]
    length = round(lasting_s * SECOND_NS)
    return [Activation((rule, channel), at, at + length, "", "P3", f"i{n}") for n, at in enumerate(starts)]


SITE = ChannelTable(
    [
        Channel("w.flow", "water", "w", "flow", "m3/h", 60.0),
        Channel("band.heart_rate", "wristband", "person-1", "heart_rate", "/min", 60.0),
    ]
)


def tuning(**given: Any) -> Tuning:
    expected = Budget({("jump", "w.flow"): 0.001, ("jump", "band.heart_rate"): 0.001})
    return Tuning(SITE, expected, (), {("jump", "w.flow"): 60.0}, 30.0, **given)


def test_each_rung_asks_for_something_rarer_and_the_ladder_ends() -> None:
    one = tuning()
    loud = alarms("jump", "w.flow", 20)
    warnings = []
    while one.consider(loud):
        warnings.append(one.proposals["jump", "w.flow"].options["warning"])

    assert len(warnings) == 3
    assert warnings == sorted(set(warnings))
    assert one.proposals["jump", "w.flow"].options["hold_s"] == 60.0
    assert "20 alarms in 30 days" in one.proposals["jump", "w.flow"].why


def test_alarms_that_the_field_confirmed_are_not_tuned_away() -> None:
    loud = alarms("jump", "w.flow", 20)

    assert not tuning(outcomes={one.incident: "real" for one in loud}).consider(loud)


def test_nobody_who_wears_a_band_is_made_quieter() -> None:
    one = tuning()

    assert not one.consider(alarms("jump", "band.heart_rate", 20))
    assert "speaks of a person" in one.left["jump", "band.heart_rate"]


def test_what_would_lose_a_p1_is_taken_back() -> None:
    one = tuning()
    one.consider(alarms("jump", "w.flow", 20))
    lost = Raised("f", START_NS, "w", "w.flow", "water", "jump", "contamination", "P1", True, "")

    assert one.protect(Comparison((), (lost,), (), (), (), 0))
    assert not one.proposals
    assert one.left == {("jump", "w.flow"): "a P1 alarm would be lost or come later"}
    assert not one.consider(alarms("jump", "w.flow", 20))


def test_a_proposal_is_written_so_that_it_can_be_read_again() -> None:
    one = tuning()
    one.consider(alarms("jump", "w.flow", 20))
    text = tuned("[site]\n", one.proposals.values())

    assert text.startswith("[site]\n\n# jump on w.flow: 20 alarms")
    assert 'kind = "jump"\nchannels = "w.flow"\nwarning = 0.' in text


def test_a_calm_recording_leaves_nothing_to_propose(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, readings = recorded(tmp_path)
    words = (str(settings), str(readings), "--to", "2026-01-05T01:00:00Z")
    assert main(["tune", *words]) == 0

    assert "nothing to propose" in capsys.readouterr().out
    assert not (tmp_path / "gateway.tuned.toml").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--rounds", "0"), "at least 1"),
        (("--from", "yesterday"), "--from"),
        (("--out", "gateway.toml"), "that is the file in force"),
    ],
)
def test_a_mistake_is_named(
    words: tuple[str, ...],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, readings = recorded(tmp_path)
    monkeypatch.chdir(tmp_path)

    assert main(["tune", str(settings), str(readings), *words]) == 2
    assert says in capsys.readouterr().err
