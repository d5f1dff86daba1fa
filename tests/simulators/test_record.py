"""A simulated stretch of time as files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from config.load import read_channels, read_context, read_links
from ingest.readings import BAD, ReadingBatch
from simulators import record as recording
from simulators.district import demo_district
from simulators.record import main, recorded
from simulators.scenarios import SECOND_NS, Event, nanoseconds, planned, script_row
from simulators.world import World

FILES = ("readings.parquet", "channels.csv", "links.csv", "context.json", "truth.json")
MONDAY = nanoseconds("2026-01-05T00:00:00+08:00")
HOUR_NS = 3600 * SECOND_NS


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def run(out: Path, *arguments: str, days: str = "0.5", period: str = "60") -> int:
    return main(["--out", str(out), "--days", days, "--period", period, *arguments])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("one", "7"), ("two", "7"), ("three", "8")):
        assert run(tmp_path / name, "--scenario", "burst", "--seed", seed) == 0

    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    assert bytes_of(tmp_path / "one")["readings.parquet"] != bytes_of(tmp_path / "three")["readings.parquet"]


def test_the_files_are_in_the_forms_of_the_contracts(tmp_path: Path) -> None:
    assert run(tmp_path, "--scenario", "burst", "--scenario", "fall", "--seed", "2") == 0

    channels, warnings = read_channels(tmp_path / "channels.csv")
    links, more = read_links(tmp_path / "links.csv", channels)
    planned_works, yet_more = read_context(tmp_path / "context.json", channels)
    assert warnings == more == yet_more == []
    assert channels.channels == demo_district(60.0).channels.channels
    assert links == demo_district().links
    assert planned_works == ()
    table = pq.read_table(tmp_path / "readings.parquet")
    assert table.column_names == ["time", "channel", "value", "quality", "arrival"]
    arrival = table["arrival"].to_numpy().astype(np.int64)
    assert (np.diff(arrival) >= 0).all()
    assert set(table["channel"].unique().to_pylist()) == set(channels.ids)
    nothing_measured = np.isnan(table["value"].to_numpy())
    assert set(table["quality"].filter(nothing_measured).to_pylist()) <= {"bad"}
    assert set(table["quality"].filter(~nothing_measured).to_pylist()) == {"good"}
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert sorted(event["kind"] for event in truth["events"]) == ["burst", "fall"]
    assert {"class", "kind", "place", "start", "end", "channels", "near_places", "severity"} <= set(
        truth["events"][0]
    )


def test_a_calm_day_has_no_events(tmp_path: Path) -> None:
    assert run(tmp_path, "--scenario", "calm") == 0

    assert json.loads((tmp_path / "truth.json").read_text())["events"] == []


def test_a_file_holds_what_the_world_shows_at_each_moment(tmp_path: Path) -> None:
    event = planned("burst", demo_district(60.0).channels, 7, 0, {}, (MONDAY, MONDAY + 12 * HOUR_NS))
    assert run(tmp_path, "--scenario", "burst", "--seed", "7") == 0
    district = demo_district(60.0)
    world = World(district.channels, district.links, 7, [event])
    rows = pq.read_table(tmp_path / "readings.parquet").take(np.arange(0, 40_000, 397))

    for channel, time_ns, value in zip(
        rows["channel"].to_pylist(), rows["time"].to_numpy().astype(np.int64), rows["value"].to_pylist()
    ):
        shown = world.values(np.array([time_ns]), [district.channels.number[channel]])
        np.testing.assert_equal(shown[0, 0], value)


def test_the_size_of_the_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    district = demo_district()  # of several periods
    kinds = (
        "sensor_fault:backlog",
        "sensor_fault:out_of_order",
        "sensor_fault:duplicates",
        "device:refuse",
        "fall",
    )
    span = (MONDAY, MONDAY + 12 * HOUR_NS)
    world = World(
        district.channels, district.links, 1, [planned(k, district.channels, 1, 0, {}, span) for k in kinds]
    )

    def in_pieces(readings: int) -> ReadingBatch:
        monkeypatch.setattr(recording, "CHUNK_READINGS", readings)
        batches = list(recorded(world, *span))
        assert all((batch.arrival_ns[1:] >= batch.arrival_ns[:-1]).all() for batch in batches)
        return ReadingBatch.joined(batches)

    def as_rows(batch: ReadingBatch) -> list[Any]:
        return sorted(
            zip(batch.arrival_ns, batch.channel, batch.time_ns, batch.value, batch.quality), key=repr
        )

    whole, pieces = in_pieces(10**9), in_pieces(3000)
    assert (np.diff(whole.arrival_ns) >= 0).all()
    assert (np.diff(pieces.arrival_ns) >= 0).all()
    assert [repr(row) for row in as_rows(whole)] == [repr(row) for row in as_rows(pieces)]
    assert (whole.quality == BAD).any()


def test_a_silent_device_leaves_a_gap(tmp_path: Path) -> None:
    rows = [
        {
            "kind": "sensor_fault:dropout",
            "place": "water.north.inlet",
            "start": "2026-01-05T03:00:00+08:00",
            "seconds": 7200,
        }
    ]
    (tmp_path / "script.json").write_text(json.dumps(rows))
    assert run(tmp_path / "out", "--script", str(tmp_path / "script.json")) == 0

    table = pq.read_table(
        tmp_path / "out" / "readings.parquet", filters=[("channel", "=", "water.north.inlet.flow")]
    )
    times = (table["time"].to_numpy().astype(np.int64) - MONDAY) / HOUR_NS
    assert not ((times >= 3) & (times < 5)).any()
    assert len(times) == 10 * 60


def test_a_period_may_be_chosen_and_so_may_the_event(tmp_path: Path) -> None:
    settings = [
        "--set",
        "place=gas.centre.well",
        "--set",
        "start=2026-01-05T01:00:00+08:00",
        "--set",
        "seconds=900",
    ]
    assert run(tmp_path, "--scenario", "third_party_damage", *settings, days="0.1", period="30") == 0

    (event,) = json.loads((tmp_path / "truth.json").read_text())["events"]
    assert (event["place"], event["start"], event["end"]) == (
        "gas.centre.well", "2026-01-04T17:00:00Z", "2026-01-04T17:15:00Z",
    )  # fmt: skip
    table = pq.read_table(tmp_path / "readings.parquet", filters=[("channel", "=", "gas.centre.well.ch4")])
    assert set(np.diff(table["time"].to_numpy().astype(np.int64)) // SECOND_NS) == {30}


def test_a_site_of_ones_own_can_be_recorded(tmp_path: Path) -> None:
    (tmp_path / "channels.csv").write_text(
        "channel,medium,place,quantity,unit,period_s\nw.pressure,water,w,pressure,bar,60\n"
    )
    assert run(tmp_path / "out", "--site", str(tmp_path), "--scenario", "burst") == 0

    values = pq.read_table(tmp_path / "out" / "readings.parquet")["value"].to_numpy()
    assert len(values) == 720
    assert 2 < values.min() < values.max() < 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scenario", "brust"], "did you mean burst?"),
        (["--start", "yesterday"], "--start"),
        (["--days", "0"], "--days"),
        (["--period", "0.1"], "--period"),
        (["--set", "colour=red"], "--set"),
        (["--set", "size=big"], "not a number"),
        (["--script", "no-such.json"], "no such file"),
        (["--site", "no-such-folder"], "channels.csv"),
        (["--scenario", "burst", "--set", "place=gas.north.well"], "needs a place"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "out", *arguments) == 2

    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_event_at_a_place_is_the_same_in_a_script_and_in_a_scenario(tmp_path: Path) -> None:
    channels = demo_district(60.0).channels
    event: Event = planned("voltage_sag", channels, 5, 0, {}, (MONDAY, MONDAY + 12 * HOUR_NS))
    (tmp_path / "script.json").write_text(json.dumps([script_row(event)]))
    assert run(tmp_path / "a", "--scenario", "voltage_sag", "--seed", "5") == 0
    assert run(tmp_path / "b", "--script", str(tmp_path / "script.json"), "--seed", "5") == 0

    assert bytes_of(tmp_path / "a")["readings.parquet"] == bytes_of(tmp_path / "b")["readings.parquet"]
