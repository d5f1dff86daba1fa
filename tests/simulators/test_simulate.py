"""`watchline simulate`: files, the wire, and the catalogue's page."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
import pyarrow.parquet as pq
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import ModbusTcpClient

from config.load import read_channels, read_context, read_gateway, read_links
from config.profiles import read_profile
from gateway.cli import main
from simulators.entries import entry_named
from simulators.scenarios import SECOND_NS, nanoseconds
from simulators.site import read_site
from tests.parts import Server, free_port, mosquitto

FILES = ("channels.csv", "context.json", "links.csv", "readings.parquet", "truth.json")
SMALL = ("--set", "channels=40", "--set", "physics=trees", "--days", "0.5")


def simulate(*words: str | Path) -> int:
    return main(["simulate", *map(str, words)])


def test_a_district_is_written_in_the_forms_of_the_contracts(tmp_path: Path) -> None:
    assert simulate("district", *SMALL, "--seed", "3", "--out", tmp_path / "d") == 0

    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == sorted(FILES)
    channels, warnings = read_channels(tmp_path / "d" / "channels.csv")
    links, more = read_links(tmp_path / "d" / "links.csv", channels)
    context, yet_more = read_context(tmp_path / "d" / "context.json", channels)
    assert warnings == more == yet_more == []
    assert len(channels) == 40
    assert links
    truth = json.loads((tmp_path / "d" / "truth.json").read_text())
    assert {row["class"] for row in truth["events"]} == {"incident", "benign", "sensor_fault"}
    assert len(context) <= sum(row["class"] == "benign" for row in truth["events"])
    assert truth["scenario"] == "district"
    assert truth["settings"]["channels"] == 40
    assert truth["versions"]["numpy"] == np.__version__
    table = pq.read_table(tmp_path / "d" / "readings.parquet")
    assert table.column_names == ["time", "channel", "value", "quality", "arrival"]
    assert set(table["channel"].unique().to_pylist()) == set(channels.ids)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("one", "3"), ("two", "3"), ("three", "4")):
        assert simulate("district", *SMALL, "--seed", seed, "--out", tmp_path / name) == 0

    def written(name: str) -> list[bytes]:
        return [(tmp_path / name / file).read_bytes() for file in FILES]

    assert written("one") == written("two")
    assert written("one")[3] != written("three")[3]


def test_a_solved_network_gives_the_same_bytes_again(tmp_path: Path) -> None:
    pytest.importorskip("wntr", reason="needs the extra `sim`: pip install 'watchline[sim]'")
    for name in ("one", "two"):
        words = ("--set", "hours=1", "--days", "1", "--seed", "5", "--out", tmp_path / name)
        assert simulate("water/net3_lake_pump_off", *words) == 0

    one, two = ((tmp_path / name / "readings.parquet").read_bytes() for name in ("one", "two"))
    assert one == two


def test_announced_works_are_in_the_context_and_others_are_not(tmp_path: Path) -> None:
    assert simulate("band/gym", "--days", "1", "--out", tmp_path / "gym") == 0
    assert json.loads((tmp_path / "gym" / "context.json").read_text()) == {"planned": []}
    pytest.importorskip("wntr", reason="needs the extra `sim`: pip install 'watchline[sim]'")
    assert simulate("water/hydrant_test", "--days", "1", "--out", tmp_path / "hydrant") == 0

    planned = json.loads((tmp_path / "hydrant" / "context.json").read_text())["planned"]
    truth = json.loads((tmp_path / "hydrant" / "truth.json").read_text())["events"]
    assert [row["kind"] for row in planned] == ["hydrant_test"] * 3
    for told, true in zip(planned, truth):
        assert told["place"] == true["place"]
        assert told["start"] < true["start"] < true["end"] < told["end"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a scenario, such as"),
        (["water/net3_night_brust", "--out", "x"], "did you mean water/net3_night_burst?"),
        (["band/gym"], "--out is missing"),
        (["band/gym", "--out", "x", "--days", "0"], "--days 0: must be from"),
        (["faults/slow_drift", "--out", "x", "--days", "1"], "write --days 3 or more"),
        (["band/gym", "--out", "x", "--start", "monday"], "--start"),
        (["band/gym", "--out", "x", "--start", "2026-01-05T00:00:00.5Z"], "a whole second"),
        (["band/gym", "--out", "x", "--set", "rate"], "write NAME=VALUE"),
        (["band/gym", "--out", "x", "--set", "rate=1", "--set", "rate=2"], "given twice"),
        (["band/gym", "--out", "x", "--set", "rate=fast"], "must be a number"),
        (["district", "--out", "x", "--set", "channels=5"], "from 20 to 100000"),
        (["district", "--out", "x", "--set", "media=steam"], "known: all"),
        (["band/gym", "--live", "--broker", "nowhere"], "write HOST:PORT"),
        (["band/gym", "--live", "--start", "2020-01-01T00:00:00Z"], "leave --start out"),
        (["band/gym", "--out", "taken"], "is a file"),
        (["--catalogue", "taken"], "is a file"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("")

    assert simulate(*words) == 2

    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_files_that_fail_half_way_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from simulators import simulate as simulating

    def full(*_: Any) -> int:
        (_[3] / "channels.csv").write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setattr(simulating, "record", full)
    with pytest.raises(OSError, match="No space"):
        simulate("band/gym", "--out", tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wntr", None)

    assert simulate("water/net3_night_burst", "--out", tmp_path / "out") == 2

    assert "pip install 'watchline[sim]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_list_tells_every_scenario_and_what_may_be_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("--list") == 0
    text = capsys.readouterr().out
    assert simulate("--list", "--json") == 0
    rows = json.loads(capsys.readouterr().out)

    assert "water/net3_night_burst" in text
    assert "--set flow_lps=30  water lost, l/s" in text
    assert {"name", "title", "engine", "expected", "days", "parameters"} == set(rows[0])
    assert rows[-1]["name"] == "district"


def test_the_catalogue_shows_a_scenario_with_its_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra `sim`: pip install 'watchline[sim]'")

    assert simulate("faults/backlog_6h", "--catalogue", tmp_path / "page") == 0

    page = (tmp_path / "page" / "index.html").read_text()
    assert "sensor_fault:backlog" in page
    assert "sensor_fault notice only" in page
    assert (tmp_path / "page" / "plots" / "faults-backlog_6h.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (tmp_path / "page").iterdir()) == ["index.html", "plots"]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with mosquitto(tmp_path_factory.mktemp("broker")) as server:
        yield server


LIVE = ("district", "--set", "channels=60", "--set", "physics=trees", "--set", "period=2", "--days", "0.2")


@pytest.fixture(scope="module")
def live(broker: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A scenario that is being played: the folder of its site, and what it said when it was ready."""
    folder = tmp_path_factory.mktemp("live") / "site"
    command = [
        sys.executable, "-P", "-m", "gateway.cli", "simulate", *LIVE, "--live", "--seed", "3",
        "--out", str(folder), "--broker", f"127.0.0.1:{broker.port}", "--modbus-port", str(free_port()),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield folder, json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def at_once(folder: Path, tries: int = 20) -> tuple[int, dict[str, float]]:
    """Every Modbus register of the site, read within one second, and that second."""
    for _ in range(tries):
        time.sleep(1.02 - time.time() % 1)  # a second has just begun
        second, shown = int(time.time()), {}
        for device in read_site(folder).devices:
            with ModbusTcpClient(device.host, port=device.port, timeout=5, retries=0) as client:
                count = 2 * len(device.profile.points)
                words = client.read_input_registers(0, count=count, device_id=device.device_id).registers
            for point in device.profile.points:
                octets = struct.pack(">HH", *words[point.address : point.address + 2])
                shown[f"{device.place}.{point.name}"] = struct.unpack(">f", octets)[0]
        if int(time.time()) == second:
            return second, shown
    raise AssertionError("the machine is too busy to read all devices within one second")


def published(port: int) -> list[dict[str, Any]]:
    """Some messages: device, and their entries."""
    heard: list[dict[str, Any]] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2)

    def take(_: mqtt.Client, __: Any, message: mqtt.MQTTMessage) -> None:
        payload = json.loads(message.payload)
        device = {"device": message.topic.split("/")[3]}
        heard.extend(device | entry for entry in (payload if isinstance(payload, list) else [payload]))

    client.on_message = take
    client.connect("127.0.0.1", port)
    client.subscribe("watchline/v1/+/+/readings", qos=1)
    client.loop_start()
    end = time.monotonic() + 20
    while len(heard) < 12 and time.monotonic() < end:
        time.sleep(0.05)
    client.loop_stop()
    client.disconnect()
    return heard


def test_live_and_files_are_the_same_to_the_step_of_a_register(
    live: tuple[Path, dict[str, Any]], broker: Server, tmp_path: Path
) -> None:
    folder, ready = live
    second, polled = at_once(folder)
    while second % 2:  # files hold readings of every other second
        second, polled = at_once(folder)
    sent = published(broker.port)
    assert simulate(*LIVE, "--seed", "3", "--out", tmp_path / "files") == 0
    table = pq.read_table(tmp_path / "files" / "readings.parquet")
    times = table["time"].to_numpy().astype(np.int64)
    channels, _ = read_channels(tmp_path / "files" / "channels.csv")
    late_ns = ready["later_than_in_files_s"] * SECOND_NS
    assert late_ns % (60 * SECOND_NS) == 0

    def in_files(time_ns: int) -> dict[str, float]:
        rows = table.take(np.flatnonzero(times == time_ns - late_ns))
        return dict(zip(rows["channel"].to_pylist(), rows["value"].to_pylist()))

    recorded = in_files(second * SECOND_NS)
    assert len(polled) > 25
    for channel, value in polled.items():
        step = channels[channels.number[channel]].resolution
        assert value == pytest.approx(recorded[channel], abs=step / 2 + 1e-6 * abs(value)), channel
    assert len(sent) >= 12
    compared = 0
    for entry in sent:
        recorded = in_files(nanoseconds(entry["t"]))
        for point, value in entry["v"].items():
            expected = recorded[f"{entry['device']}.{point}"]
            if value != 0 or expected == 0:  # 0 and 255 are a band's words for nothing measured
                assert value == pytest.approx(expected, abs=1e-6)
                compared += 1
    assert compared > 50


def test_a_gateway_can_read_the_live_sites_settings(live: tuple[Path, dict[str, Any]]) -> None:
    folder, ready = live

    settings = read_gateway(folder / "gateway.toml")

    assert settings.site.id == "district"
    kinds = [source.kind for source in settings.source]
    assert kinds.count("mqtt") == 1
    assert kinds.count("modbus") > 5
    assert ready["gateway"] == str(folder / "gateway.toml")
    truth = json.loads((folder / "truth.json").read_text())
    assert truth["events"][0]["start"] == ready["first_event"]
    wait_s = (nanoseconds(ready["first_event"]) - time.time_ns()) / SECOND_NS
    assert -120 < wait_s < 121
    for profile in sorted((folder / "profiles").iterdir()):
        assert read_profile(str(profile)).points


def test_without_a_broker_nothing_is_played_and_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--live", "--broker", f"127.0.0.1:{free_port()}", "--modbus-port", str(free_port()))

    assert simulate("band/gym", *words) == 2

    assert "no MQTT broker answers" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(
    tmp_path: Path, broker: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        words = (
            *SMALL,
            "--set",
            "media=water",
            "--out",
            tmp_path / "site",
            "--modbus-port",
            taken.getsockname()[1],
        )

        assert simulate("district", *words, "--live", "--broker", f"127.0.0.1:{broker.port}") == 2

    assert "--modbus-port" in capsys.readouterr().err


def test_a_scenario_that_is_over_ends_by_itself(tmp_path: Path) -> None:
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(time.time()) - 5 * 86400 + 8))
    command = [
        sys.executable, "-P", "-m", "gateway.cli", "simulate", "district", "--set", "channels=20", "--set",
        "physics=trees", "--set", "media=water", "--live", "--start", start, "--days", "5",
        "--modbus-port", str(free_port()),
    ]  # fmt: skip

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ})

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"over": True}


def test_played_in_its_own_time_nothing_is_shifted() -> None:
    from simulators.playing import lateness_ns

    start_ns = nanoseconds("2026-01-05T00:00:00+08:00")
    play = entry_named("band/gym").play({}, 1, start_ns)

    assert lateness_ns(play, start_ns + SECOND_NS, at_its_own_time=True) == 0
    late = lateness_ns(play, start_ns + 77 * SECOND_NS, at_its_own_time=False)
    assert late % (60 * SECOND_NS) == 0
    assert 60 <= (play.first_ns + late - start_ns) / SECOND_NS - 77 <= 120
