"""The bench measures every stage, says what was missing, and can be read by a machine and by people."""

import json
import socket
import subprocess
import sys

import pytest

from gateway.bench.figures import Figure
from gateway.cli import main
from gateway.commands.bench import STAGES, table
from tests.living import HOUSE


def test_a_quick_bench_has_a_figure_for_every_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--quick", "--json"]) == 0

    figures = json.loads(capsys.readouterr().out)
    assert {figure["stage"] for figure in figures} == set(STAGES)
    for figure in figures:
        assert figure["figure"] is None or figure["figure"] > 0, figure
        assert figure["figure"] is not None or figure["note"], figure
    compared = {figure["stage"] for figure in figures if figure["beside"]}
    assert compared == set(STAGES), "each stage stands beside its floor"
    goals = {(figure["stage"], figure["name"]) for figure in figures if figure["goal"]}
    assert {stage for stage, _ in goals} == {"mqtt", "journal", "tick", "detectors", "replay", "start"}


def test_a_flood_is_measured_by_its_name_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--quick", "--only", "flood", "--json"]) == 0

    lost, cost, *_ = json.loads(capsys.readouterr().out)
    assert (lost["stage"], lost["unit"], lost["goal"]) == ("flood", "readings", "0")
    assert cost["unit"] == "us/reading"


def test_one_stage_can_be_measured_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--quick", "--only", "modbus"]) == 0

    head, *rows = capsys.readouterr().out.splitlines()
    assert "ratio" in head
    assert [row.split()[0] for row in rows] == ["modbus"]


def test_what_could_not_be_measured_says_why() -> None:
    missing = Figure("mqtt", "flat out", None, "us/reading", note="not measured: mosquitto is not installed")

    assert missing.ratio is None
    assert "not measured: mosquitto is not installed" in table([missing])


@pytest.mark.parametrize("rate", ["0", "1000"])
def test_a_feeder_ends_when_its_broker_has_gone(rate: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as broker:
        told = [str(broker.getsockname()[1]), "5000", "1", rate]
        command = [sys.executable, "-m", "gateway.bench.feeder", *told]
        feeder = subprocess.Popen(command, cwd=HOUSE, stderr=subprocess.PIPE)
        one, _ = broker.accept()
        with one:
            one.recv(100)
            one.sendall(b"\x20\x02\x00\x00")
            one.recv(100)
        _, said = feeder.communicate(timeout=60)

    assert feeder.returncode == 1
    assert b"Error" in said
