"""A running gateway says how it is: to Prometheus, to a watchdog, and at the terminal."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from socketserver import BaseRequestHandler, TCPServer
from typing import Any

import pytest

from gateway.commands.status import ask
from gateway.health import MOST_AT_ONCE, Health
from gateway.metrics import exposition
from gateway.vitals import Vitals
from ingest.ledger import read_ledger
from ingest.standing import in_use
from tests.living import HOUSE, Gateway, Publisher, gateway, until
from tests.parts import free_port, mosquitto

CHANNELS = """channel,medium,place,quantity,unit,period_s
w1.heart_rate,wristband,person-1,heart_rate,/min,10
w2.heart_rate,wristband,person-2,heart_rate,/min,10
"""
SAMPLE = re.compile(
    r'^(?P<name>watchline_[a-z0-9_]+)(\{(?P<labels>([a-z]+="([^"\\\n]|\\["\\n])*",?)+)\})? (?P<value>\S+)$'
)


def write(folder: Path, broker_port: int, port: int | None) -> None:
    (folder / "channels.csv").write_text(CHANNELS)
    metrics = "" if port is None else f"[metrics]\nport = {port}\n"
    (folder / "gateway.toml").write_text(
        '[site]\nid = "east"\nname = "East"\nchannels = "channels.csv"\n'
        f'{metrics}[archive]\nfolder = "archive"\n'
        f'[[source]]\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {broker_port}\n'
    )


def watchline(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli", *words]
    return subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=60)


def fetched(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def samples(text: str) -> dict[str, float]:
    """Every sample by name and labels; fails on a line that is neither a sample nor a comment."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            sample = SAMPLE.match(line)
            assert sample, line
            found[line.rpartition(" ")[0]] = float(sample["value"])
    return found


@contextlib.contextmanager
def living(folder: Path, metrics: bool = True) -> Iterator[tuple[Gateway, Publisher, int]]:
    port = free_port()
    with mosquitto(folder / "broker") as broker, gateway(folder) as one:
        write(folder, broker.port, port if metrics else None)
        one.start()
        one.ready()
        publisher = Publisher(broker.port, "east")
        try:
            yield one, publisher, port
        finally:
            publisher.close()


def test_a_gateway_tells_what_it_does_and_then_that_it_is_gone(tmp_path: Path) -> None:
    settings = str(tmp_path / "gateway.toml")
    with living(tmp_path) as (one, publisher, port):
        publisher.send("w1", {"heart_rate": 70})
        publisher.send("w1", {"pulse": 70, "heart_rate": 71})
        publisher.send_raw("w9", '{"v": {"heart_rate": 7}}')
        publisher.settled()
        until(lambda: read_ledger(one.data).durable == 2)
        until(lambda: fetched(port, "/healthz") == (200, "ok\n"))

        found = samples(fetched(port, "/metrics")[1])
        assert found['watchline_lane_durable_total{lane="w1"}'] == 2
        assert found['watchline_lane_dropped_total{lane="w1",reason="unknown point"}'] == 1
        assert found['watchline_lane_undecodable_messages_total{lane="w9",reason="unknown device"}'] == 1
        assert found['watchline_courier_pending_readings{courier="archive"}'] == 2
        assert found['watchline_courier_pending_age_seconds{courier="archive"}'] >= 0
        assert (
            found["watchline_well"]
            == found["watchline_clock_good"]
            == found["watchline_ledger_balanced"]
            == 1
        )
        assert found["watchline_storage_failed"] == 0
        assert found['watchline_alarms{grade="P1"}'] == 0
        assert found['watchline_epochs_total{reason="start"}'] == 1
        assert found["watchline_memory_bytes"] > 1 << 20
        assert 0 <= found['watchline_tick_lateness_seconds{quantile="0.99"}'] < 60
        assert [n for name, n in found.items() if name.startswith("watchline_source_up")] == [1]

        said = watchline("status", settings)
        assert said.returncode == 0, said.stderr
        assert "east (East): runs, and is well" in said.stdout
        report = json.loads(watchline("status", settings, "--json").stdout)
        assert report["live"]["sources"]
        assert report["ledger"]["total"]["durable"] == 2
        assert in_use(one.data)
        assert fetched(port, "/else")[0] == 404
        assert one.stop() == 0

    assert not in_use(tmp_path / "data")
    said = watchline("status", settings)
    assert said.returncode == 1
    assert "does not run" in said.stdout
    assert json.loads(watchline("status", settings, "--json").stdout)["live"] is None


def test_a_gateway_that_stands_still_is_not_well() -> None:
    vitals = Vitals()
    health = Health("127.0.0.1", 0, lambda: vitals.trouble, lambda: None)  # type: ignore[arg-type, return-value]
    health.start()
    try:
        assert fetched(health.port, "/healthz") == (503, "starting: no tick yet\n")
        vitals.ticked(0.1, 5)
        assert fetched(health.port, "/healthz") == (200, "ok\n")
        vitals.last_tick_s -= 12.0
        assert fetched(health.port, "/healthz") == (503, "no tick for 12 s\n")
        assert fetched(health.port, "/metrics")[0] == 500, "a bug in one page is its own"
    finally:
        health.stop()


def test_without_metrics_nothing_listens_and_the_journal_answers(tmp_path: Path) -> None:
    with living(tmp_path, metrics=False) as (_, _, port):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), 1)
        said = watchline("status", str(tmp_path / "gateway.toml"))
        assert said.returncode == 0, said.stderr
        assert "it runs, and is not asked: it has no [metrics] table" in said.stdout


def test_whoever_else_listens_there_is_not_taken_for_the_gateway() -> None:
    class Stranger(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

    with TCPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert ask("127.0.0.1", server.server_address[1], "east") is None


def test_the_ledger_needs_no_secrets(tmp_path: Path) -> None:
    with living(tmp_path, metrics=False):
        settings = tmp_path / "gateway.toml"
        secret = (
            '[influxdb]\nurl = "http://127.0.0.1:1"\nbucket = "b"\ntoken = { env = "NOT_SET_IN_A_SHELL" }\n'
        )
        settings.write_text(settings.read_text() + secret)
        said = watchline("ledger", str(settings))

    assert said.returncode == 0, said.stderr
    assert "balanced" in said.stdout


def test_clients_that_dawdle_keep_nobody_else_out_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.health._Request.timeout", 0.3)
    health = Health("127.0.0.1", 0, lambda: "", lambda: None)  # type: ignore[arg-type, return-value]
    health.start()
    try:
        idle = [socket.create_connection(("127.0.0.1", health.port)) for _ in range(2 * MOST_AT_ONCE)]
        until(lambda: _is_well(health.port), 20)
        for one in idle:
            one.close()
    finally:
        health.stop()


def _is_well(port: int) -> bool:
    with contextlib.suppress(OSError):
        return fetched(port, "/healthz")[0] == 200
    return False


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        write(tmp_path, free_port(), taken.getsockname()[1])
        said = watchline("run", str(tmp_path / "gateway.toml"))
    assert said.returncode == 2
    assert "choose another port" in said.stderr


def test_names_from_outside_break_no_line_of_the_exposition(tmp_path: Path) -> None:
    nasty = 'a"b\\c\nd'
    lanes: dict[str, Any] = {
        nasty: {"received": 1, "durable": 1, "duplicate": 0, "dropped": {nasty: 2}, "undecodable": {}}
    }
    report: Any = {
        "well": False,
        "journal": {"bytes": 1, "dead_letters": 0},
        "ledger": {"lanes": lanes, "couriers": {}, "journal": {}, "balanced": True},
        "couriers": {},
        "receivers": {},
        "live": None,
    }
    found = samples(exposition(report))
    assert found['watchline_lane_received_total{lane="a\\"b\\\\c\\nd"}'] == 1
    assert found["watchline_well"] == 0
