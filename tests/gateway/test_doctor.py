"""The doctor finds what would lose readings, let strangers in or keep alerts from people."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, TCPServer
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from config.load import read_site
from gateway.doctor import books, machine, reach, security
from gateway.doctor import broker as broker_doctor
from gateway.doctor.complaint import Complaint, is_here
from gateway.metrics import exposition
from gateway.report import from_journal
from gateway.sources.mqtt import Mqtt
from ingest.journal import FILE_NAME
from tests.gateway.modbus_devices import device
from tests.ingest.world import living, site
from tests.living import HOUSE, until
from tests.parts import Influx, binary, free_port, influxdb, mosquitto

DEFAULT = "max_queued_messages 1000\nmax_inflight_messages 20"  # what mosquitto does without settings
GOOD = "max_queued_messages 0\nmax_inflight_messages 1000"


def told(complaints: Sequence[Complaint], level: str) -> str:
    return "\n".join(f"{c.about}: {c.says} ({c.do})" for c in complaints if c.level == level)


def broker(port: int, trial: bool = True, **options: Any) -> list[Complaint]:
    source = Mqtt(host=options.pop("host", "127.0.0.1"), port=port, **options)
    return list(broker_doctor.examine(source, "east", trial=trial))


def test_a_broker_with_default_limits_is_found_out_and_told_what_to_set(tmp_path: Path) -> None:
    with mosquitto(tmp_path, DEFAULT) as server:
        found = broker(server.port)
        assert "it keeps only 1,000 messages while a client is away" in told(found, "problem")
        assert "max_queued_messages 0, max_inflight_messages 1000, persistence true" in told(found, "problem")
        assert "it sends 20 messages before it waits" in told(found, "advice")
        until(lambda: sessions(server.port) == 0)


def test_a_broker_with_good_limits_is_left_in_peace(tmp_path: Path) -> None:
    with mosquitto(tmp_path, GOOD) as server:
        found = broker(server.port)
    assert not told(found, "problem")
    assert "keeps 1,100 messages and more" in told(found, "fine")
    assert "mosquitto version" in told(found, "fine")
    assert "without user or certificate" in told(found, "advice"), "on the loopback address it is only advice"


def test_what_a_broker_has_dropped_it_is_asked_for(tmp_path: Path) -> None:
    with mosquitto(tmp_path, f"{DEFAULT}\nsys_interval 1") as server:
        broker(server.port)  # its own trial costs 100 messages
        until(lambda: "it has dropped 100 messages" in told(broker(server.port, trial=False), "problem"))


def test_a_broker_that_lets_only_some_write_cannot_be_tried_and_that_is_said(tmp_path: Path) -> None:
    access = tmp_path / "access"
    access.write_text("topic read watchline/v1/#\n")
    access.chmod(0o600)
    with mosquitto(tmp_path / "broker", f"{DEFAULT}\nacl_file {access}") as server:
        found = broker(server.port)
    assert "what it keeps could not be tried" in told(found, "fine")
    assert "does not say on $SYS" in told(found, "fine")


def test_a_broker_that_refuses_us_or_is_not_there(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run([binary("mosquitto_passwd"), "-b", passwords, "ingest", "right"], check=True)
    with mosquitto(tmp_path / "broker", f"allow_anonymous false\npassword_file {passwords}") as server:
        assert "refuses a client without a user name" in told(broker(server.port), "problem")
    assert "no connection (Connection refused)" in told(broker(free_port()), "problem")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert "said nothing" in told(broker(mute.getsockname()[1]), "problem")


def test_plain_mqtt_beyond_this_machine_is_a_problem() -> None:
    found = broker(free_port(), host="127.0.0.2", username="ingest")
    assert "unencrypted" not in told(found, "problem")
    source = Mqtt(host="192.0.2.1", username="ingest")
    first = next(broker_doctor.examine(source, "east", trial=False))
    assert "the password and every reading cross the network unencrypted" in first.says
    assert [is_here(host) for host in ("localhost", "::1", "127.9.9.9", "10.0.0.1", "broker")] == [
        1,
        1,
        1,
        0,
        0,
    ]


def sessions(port: int) -> int:
    """Sessions of the doctor that a broker still keeps: none may be left behind."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    got: list[int] = []
    client.on_message = lambda _client, _data, message: got.append(int(message.payload))
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe("$SYS/broker/clients/disconnected")
    until(lambda: got)
    client.disconnect()
    client.loop_stop()
    return got[-1]


CHANNELS = """channel,medium,place,quantity,unit,period_s
gas.block3.riser.pressure,gas,gas.block3.riser,pressure,kPa,1
w1.heart_rate,wristband,person-1,heart_rate,/min,10
"""


def written(folder: Path, more: str = "") -> Path:
    (folder / "channels.csv").write_text(CHANNELS)
    (folder / "gateway.toml").write_text(f'[site]\nid = "east"\nchannels = "channels.csv"\n{more}')
    return folder / "gateway.toml"


def doctor(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli", "doctor", str(path), *words]
    return subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=60)


def test_files_that_others_may_read_or_change(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.chmod(0o666)
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    found = list(security.examine(path, read_site(path)))
    assert f"chmod go-w {path}" in told(found, "problem")
    assert f"chmod -R o-rwx {tmp_path}/data" in told(found, "problem")

    path.chmod(0o640)
    (tmp_path / "data").chmod(0o750)
    assert not told(list(security.examine(path, read_site(path))), "problem")


def test_what_crosses_the_network_in_the_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t")
    more = '[influxdb]\nurl = "http://10.0.0.3:8086"\nbucket = "b"\ntoken = { env = "TOKEN" }\n'
    path = written(tmp_path, f'{more}[metrics]\nhost = "0.0.0.0"\n')
    problems = told(list(security.examine(path, read_site(path))), "problem")
    assert "the token and every reading cross the network unencrypted to 10.0.0.3:8086" in problems
    assert "may read how this gateway is" in problems


def test_disk_and_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site_files = read_site(written(tmp_path))
    found = list(machine.examine(site_files))
    assert "free for the journal" in told(found, "fine")
    assert machine.is_synchronised() in (True, False, None)
    monkeypatch.setattr(machine, "LEAST_FREE", 1 << 60)
    assert "make room: a full disk stops the gateway" in told(list(machine.examine(site_files)), "problem")
    assert "it shows 1970-01-02" in told(list(machine.examine_clock(86_400 * 10**9)), "problem")


def test_devices_are_read_once_and_silent_ones_named(tmp_path: Path) -> None:
    with device(tmp_path) as live:
        sources = "".join(
            f'[[source]]\nkind = "modbus"\nhost = "127.0.0.1"\nport = {port}\nplace = "{place}"\n'
            f'profile = "{live_profile(tmp_path)}"\n'
            for port, place in ((live.port, "gas.block3.riser"), (free_port(), "gas.block3.riser"))
        )
        site_files = read_site(written(tmp_path, sources))
        found = list(reach.examine(site_files, running=False))
        assert "1 of 2 answer" in told(found, "fine")
        assert "no connection within" in told(found, "problem")
        found = list(reach.examine(site_files, running=True))
        assert "2 are read by the running gateway" in told(found, "fine")


def live_profile(folder: Path) -> str:
    path = folder / "meter.toml"
    path.write_text(
        'title = "meter"\nprotocol = "modbus"\naddress_base = 0\n'
        '[[point]]\nname = "pressure"\nquantity = "pressure"\nunit = "kPa"\naddress = 0\ntype = "uint16"\n'
    )
    return "./meter.toml"


def influx_of(server: Influx, bucket: str) -> str:
    return f'[influxdb]\nurl = "{server.url}"\nbucket = "{bucket}"\n'


def test_influxdb_is_asked_without_writing(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    with influxdb(tmp_path / "influx") as server:
        path = written(tmp_path / "site", influx_of(server, "sensors"))
        assert 'takes bucket "sensors"' in told(list(reach.examine(read_site(path), running=False)), "fine")
        assert server.query("SHOW MEASUREMENTS", "sensors") == []
        server.engine.stop()
        assert "answers 502" in told(list(reach.examine(read_site(path), running=False)), "problem")
    assert "cannot be reached" in told(list(reach.examine(read_site(path), running=False)), "problem")


def test_a_journal_that_was_damaged_is_remembered(tmp_path: Path) -> None:
    path = written(tmp_path)
    data = read_site(path).settings.site.data
    with living(data, site()) as life:
        life.hear([0, 1], [5.0, 6.0])
        life.tick()
    content = (data / FILE_NAME).read_bytes()
    (data / FILE_NAME).write_bytes(content[:100] + bytes(len(content) - 100))
    with living(data, site(), life.hands) as life:
        life.tick()

    assert "found damaged 1 time" in told(list(books.examine(read_site(path))), "problem")
    noted = 'watchline_journal_noted_total{what="damaged files put aside"} 1.0'
    assert noted in exposition(from_journal(data, "east", "East"))


class Skewed(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def date_time_string(self, timestamp: float | None = None) -> str:
        return "Thu, 09 Oct 2025 12:00:00 GMT"

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_a_centre_whose_clock_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz")
    server = HTTPServer(("127.0.0.1", 0), Skewed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    centre = f'[centre]\nurl = "http://127.0.0.1:{server.server_address[1]}"\nsecret = {{ env = "SECRET" }}\n'
    try:
        found = list(reach.examine(read_site(written(tmp_path, centre)), running=False))
    finally:
        server.shutdown()
        server.server_close()
    assert "its clock and ours differ by" in told(found, "problem")
    assert "answers" in told(found, "fine")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nlog in", "answers 200 to a write"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (b"", "cannot be reached"),
    ],
)
def test_what_is_no_influxdb_is_said_to_be_none(tmp_path: Path, answer: bytes, said: str) -> None:
    class Stranger(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(answer)

    with TCPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        path = written(tmp_path, f'[influxdb]\nurl = "{url}"\nbucket = "sensors"\n')
        assert said in told(list(reach.examine(read_site(path), running=False)), "problem")


def test_the_command_says_all_of_it_and_exits_1_where_something_is_wrong(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker", f"{DEFAULT}\nsys_interval 0") as server:  # no news of drops
        source = f'[[source]]\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {server.port}\n'
        path = written(tmp_path, f'{source}[archive]\nfolder = "archive"\n')
        path.chmod(0o640)
        (tmp_path / "channels.csv").chmod(0o640)
        with living(tmp_path / "data", site()) as life:
            life.hear([0], [1.0])
            life.storage.drop("w9", 7, "unknown point")
            life.tick()
        (tmp_path / "data").chmod(0o700)
        said = doctor(path)
        assert said.returncode == 1, said.stderr
        assert "PROBLEM  MQTT broker" in said.stdout
        assert "7 readings were dropped: unknown point" in said.stdout
        said = doctor(path, "--json", "--no-trial")
        report = json.loads(said.stdout)
        assert (said.returncode, report["ok"]) == (0, True), said.stdout
    assert doctor(tmp_path / "none.toml").returncode == 2
