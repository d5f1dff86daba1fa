"""Stage: all that a demonstration needs around the gateway: broker, devices, wristbands, linkage centre."""

import base64
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from config.errors import DeliveryFailed

SITE = "demo"
ACCOUNT = "demo"
PERIOD_S = 15.0
HEARTBEAT_S = 5.0
START_S = 30.0  # longest that a process may take until it answers

CENTRE_TOML = """\
[listen]
port = {port}

[store]
path = "casebook.sqlite"

[[gateway]]
id = "{site}"
secret = {{ file = "secret" }}
heartbeat_s = {heartbeat_s}
"""
GATEWAY_TOML = """
[archive]
folder = "../archive"

[centre]
url = "http://127.0.0.1:{port}"
secret = {{ file = "../secret" }}
heartbeat_s = {heartbeat_s}
"""


class Stage:
    """A folder, free ports, a fresh secret and password, and the processes; closed in the reverse order."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.site = folder / "site"
        self.script = folder / "script.json"
        self.password = secrets.token_urlsafe(9)
        self.centre_port, self.modbus_port, self.mqtt_port = _free_ports(3)
        self.casebook = folder / "casebook.sqlite"
        self.page = f"http://127.0.0.1:{self.centre_port}/"
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "Stage":
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def raise_centre(self) -> None:
        """The linkage centre with one account; returns when its page answers."""
        from alerts.centre.accounts import add_account

        secret = self.folder / "secret"
        _write_private(secret, "whsec_" + base64.b64encode(os.urandom(24)).decode())
        settings = self.folder / "centre.toml"
        settings.write_text(
            CENTRE_TOML.format(port=self.centre_port, site=SITE, heartbeat_s=HEARTBEAT_S), encoding="utf-8"
        )
        add_account(self.casebook, ACCOUNT, "administrator", self.password)
        centre = self._start("centre", "gateway.cli", "centre", str(settings))
        _wait_for_port(self.centre_port, centre, self.folder / "centre.log")

    def raise_field(self) -> None:
        """Broker, Modbus devices and wristbands, all as they are on a calm day."""
        from iotcore import Broker

        self._run(
            "simulators.district", "--out", str(self.site), "--period", str(PERIOD_S), "--site", SITE,
            "--modbus-port", str(self.modbus_port), "--mqtt-port", str(self.mqtt_port),
        )  # fmt: skip
        with (self.site / "gateway.toml").open("a", encoding="utf-8") as settings:
            settings.write(GATEWAY_TOML.format(port=self.centre_port, heartbeat_s=HEARTBEAT_S))
        self.inject([])
        self._open.enter_context(Broker(port=self.mqtt_port, listen="127.0.0.1"))
        common = ("--script", str(self.script), "--seed", str(self.seed), "--with-stdin")
        devices = self._start("devices", "simulators.modbus_site", str(self.site), *common)
        _wait_for_port(self.modbus_port, devices, self.folder / "devices.log")
        broker = f"127.0.0.1:{self.mqtt_port}"
        self._start("wristbands", "simulators.wristbands", str(self.site), "--broker", broker, *common)

    def record_past(self, days: float) -> Path:
        """What this site's sensors would have shown until now, as a recording."""
        start = datetime.fromtimestamp(time.time() - days * 86400, UTC).replace(microsecond=0)
        past = self.folder / "past"
        self._run(
            "simulators.record", "--site", str(self.site), "--seed", str(self.seed), "--days", str(days),
            "--start", start.isoformat(), "--out", str(past),
        )  # fmt: skip
        return past / "readings.parquet"

    def raise_gateway(self) -> None:
        """The gateway; returns when its first tick is committed (it says READY as it would to systemd)."""
        with _readiness(self.folder / "ready") as (address, ready):
            gateway = self._start(
                "gateway", "gateway.cli", "run", str(self.site / "gateway.toml"), NOTIFY_SOCKET=address
            )
            deadline = time.monotonic() + START_S
            while not ready():
                if gateway.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the gateway did not start:\n{_log(self.folder / 'gateway.log')}")

    @contextlib.contextmanager
    def learning(self, channels: int) -> Iterator[None]:
        """Heartbeats that say that the gateway is still learning, while it is."""
        from alerts.notifiers.base import Home
        from alerts.notifiers.centre import Centre
        from config.load import read_gateway

        told = read_gateway(self.site / "gateway.toml").centre
        if told is None:
            raise RuntimeError("the demo's gateway has a centre")
        status = {"site": SITE, "channels": channels, "learning": True}
        centre, done = Centre(told.url, told.secret, told.heartbeat_s), threading.Event()
        centre.join(Home(SITE, lambda: status, lambda command: None))

        def beat() -> None:
            while not done.is_set():
                with contextlib.suppress(DeliveryFailed):
                    centre.notify([])
                done.wait(HEARTBEAT_S)
            centre.close()

        heart = threading.Thread(target=beat, name="heartbeat")
        heart.start()
        try:
            yield
        finally:
            done.set()
            heart.join()

    def inject(self, events: Sequence[dict[str, Any]]) -> None:
        """Tell devices and wristbands what is going to happen; they look at this file every second."""
        fresh = self.script.with_suffix(".new")
        fresh.write_text(json.dumps(events), encoding="utf-8")
        fresh.replace(self.script)

    def _start(self, name: str, module: str, *words: str, **environment: str) -> "subprocess.Popen[bytes]":
        log = self._open.enter_context((self.folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *words],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | environment,
            start_new_session=True,  # Ctrl-C is ours: we end them in the right order
        )
        self._open.callback(_end, process)
        return process

    def _run(self, module: str, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module, *words],
            capture_output=True,
            text=True,
            start_new_session=True,  # a Ctrl-C at the terminal is for the demo alone
        )
        if done.returncode:
            raise RuntimeError(f"{module} failed:\n{done.stderr or done.stdout}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait_for_port(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"nothing answers on port {port}:\n{_log(log)}")
        time.sleep(0.05)


def _log(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")[-2000:]


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


@contextlib.contextmanager
def _readiness(path: Path) -> Iterator[tuple[str, Any]]:
    """A socket as systemd's NOTIFY_SOCKET, and a function that waits a moment and tells if READY came."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(0.1)

        def ready() -> bool:
            try:
                return b"READY=1" in listener.recv(256)
            except TimeoutError:
                return False

        yield str(path), ready
