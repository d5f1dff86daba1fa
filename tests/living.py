"""Living: a whole site of real parts, each in a process of its own: broker, devices, gateway, receiver."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from alerts.signing import new_secret
from config.channels import Channel, ChannelTable
from config.lists import time_ns
from ingest.ledger import Ledger, read_ledger
from simulators.district import District, demo_district
from simulators.scenarios import rfc3339
from tests.parts import Server, free_port, mosquitto, running
from tests.simulators.processes import simulator

HOUSE = Path(__file__).resolve().parents[1]
SECOND_NS = 1_000_000_000
BROKER = "max_inflight_messages 1000\nmax_queued_messages 0"
PROOF = "city.linkage.node.proof.v1"  # a sample that the centre answers, and keeps no fact of
WAIT_S = float(os.environ.get("WATCHLINE_WAIT_S", 60.0))  # generous: the machine may be busy


class Gateway:
    """`watchline run` in a process of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "gateway.toml"
        self.log = folder / "gateway.log"
        self.lives = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        self.lives += 1
        with self.log.open("ab") as log:
            log.write(f"--- life {self.lives}\n".encode())
            log.flush()
            command = [sys.executable, "-m", "gateway.cli", "run", str(self.settings)]
            self.process = subprocess.Popen(command, cwd=HOUSE, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL. It must have been alive: a gateway that died by itself fails the test."""
        assert self.process is not None
        assert self.process.poll() is None, self.said()
        self.process.kill()
        self.process.wait()

    def stop(self, within_s: float = WAIT_S) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within_s)

    def hold_up(self, seconds: float) -> None:
        """SIGSTOP for a while, as a machine does that is far too busy."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def said(self) -> str:
        """What this life has said so far."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return text.rpartition("--- life")[2]

    def wait_for(self, text: str, seconds: float = WAIT_S) -> None:
        """Until this life's log says so."""
        until(lambda: text in self.said() or (self.process is not None and not self.alive()), seconds)
        assert text in self.said(), self.said()

    def ready(self) -> None:
        """Until its first tick is committed."""
        self.wait_for("watching ")

    def ledger(self) -> Ledger:
        return read_ledger(self.data)

    def rows(self, sql: str, *given: Any) -> list[Any]:
        """Rows of its journal, read beside it."""
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/journal.sqlite?mode=ro", uri=True)) as db:
            return db.execute(sql, given).fetchall()

    def told(self) -> list[dict[str, Any]]:
        """Every alert change and confirmation that its outbox holds, in order; no proof of life."""
        events = [json.loads(event) for (event,) in self.rows("SELECT event FROM outbox ORDER BY id")]
        return [event for event in events if event["type"] != PROOF]

    def alerts(self) -> list[dict[str, Any]]:
        return [event for event in self.told() if event["type"].startswith("city.linkage.alert.")]

    def raised(self, **members: str) -> list[dict[str, Any]]:
        """Raised alerts whose data has these members."""
        return [
            event
            for event in self.alerts()
            if event["type"] == "city.linkage.alert.raised.v1"
            and all(event["data"].get(name) == value for name, value in members.items())
        ]


@contextlib.contextmanager
def gateway(folder: Path) -> Iterator[Gateway]:
    """Not started yet; killed at the end if it still runs."""
    one = Gateway(folder)
    try:
        yield one
    finally:
        if one.process is not None and one.process.poll() is None:
            one.process.kill()
            one.process.wait()


class Publisher:
    """A client that publishes at QoS 1 and knows what the broker has taken."""

    def __init__(self, port: int, site: str) -> None:
        self.site = site
        self.sent = 0
        self._taken = 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"publisher-{port}")
        self._client.max_inflight_messages_set(500)
        self._client.on_publish = self._on_publish
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_publish(self, *_: Any) -> None:
        self._taken += 1

    def send(self, device: str, values: Mapping[str, float], time_ns: int | None = None) -> None:
        """One message of the built-in mapping."""
        moment = datetime.fromtimestamp((time_ns or time.time_ns()) // 1000 / 1e6, UTC).isoformat()
        self.send_raw(device, json.dumps({"t": moment, "v": dict(values)}))

    def send_raw(self, device: str, payload: str | bytes) -> None:
        self.sent += 1
        self._client.publish(f"watchline/v1/{self.site}/{device}/readings", payload, qos=1)

    def settled(self) -> None:
        """Until the broker has taken all of it."""
        until(lambda: self._taken == self.sent)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Beat:
    """Calls something again and again in a thread until the end of a `with`; its error fails the test."""

    def __init__(self, every_s: float, step: Any) -> None:
        self._every_s, self._step = every_s, step
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Beat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._every_s):
                self._step()
        except BaseException as error:
            self._error = error


@dataclass
class Town:
    """A simulated district that runs: a broker, Modbus devices, wristbands, and what they shall play."""

    folder: Path
    district: District
    site: str
    broker: Server
    modbus_port: int
    _events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def script(self) -> Path:
        return self.folder / "script.json"

    def play(self, kind: str, in_s: float, seconds: float, **given: Any) -> None:
        """An event of the simulators, some seconds from now."""
        start = rfc3339(time.time_ns() + int(in_s * SECOND_NS))
        self._events.append({"kind": kind, "start": start, "seconds": seconds, **given})
        self._write_script()

    def end(self, kind: str) -> None:
        """What was played of that kind is over now: somebody has closed the valve."""
        for event in self._events:
            if event["kind"] == kind:
                event["seconds"] = (time.time_ns() - time_ns(event["start"])) / SECOND_NS
        self._write_script()

    def _write_script(self) -> None:
        part = self.script.with_suffix(".part")
        part.write_text(json.dumps(self._events))
        part.replace(self.script)

    def write_gateway(
        self, folder: Path, extra: Sequence[Channel] = (), more: str = "", in_site: str = ""
    ) -> None:
        """The files of a gateway that reads this town, and the `extra` channels beside it."""
        channels = ChannelTable([*self.district.channels.channels, *extra])
        district = District(channels, self.district.links, self.district.devices)
        port = self.broker.port
        district.write(folder, site=self.site, modbus_port=self.modbus_port, mqtt_port=port, more=more)
        settings = folder / "gateway.toml"
        settings.write_text(settings.read_text().replace("[site]\n", f"[site]\n{in_site}\n", 1))


@contextlib.contextmanager
def town(folder: Path, *, period_s: float = 1.0, site: str = "east", seed: int = 7) -> Iterator[Town]:
    """A town in its own processes for the time of a `with`."""
    folder.mkdir(parents=True)
    district = demo_district(period_s)
    with mosquitto(folder / "broker", BROKER) as broker:
        district.write(folder, site=site, modbus_port=free_port(), mqtt_port=broker.port)
        script = folder / "script.json"
        script.write_text("[]")
        common = ("--script", str(script), "--seed", str(seed))
        with (
            simulator("modbus_site", folder, "--port", "0", *common) as devices,
            simulator("wristbands", folder, "--broker", f"127.0.0.1:{broker.port}", *common),
        ):
            yield Town(folder, district, site, broker, devices.ready["port"])


class StubReceiver:
    """A webhook's far side in a process of its own; every POST is on its disk before it is answered."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}/alerts"

    @property
    def secret_file(self) -> Path:
        return self.folder / "secret"

    @property
    def notifier(self) -> str:
        """What gateway.toml says of it."""
        secret = f'secret = {{ file = "{self.secret_file}" }}'
        return f'[[notifier]]\nkind = "webhook"\nurl = "{self.url}"\n{secret}\n'

    def got(self) -> list[dict[str, Any]]:
        """The events as they came, repeats included."""
        path = self.folder / "got.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@contextlib.contextmanager
def stub_receiver(folder: Path, *, forgetful: int = 0) -> Iterator[StubReceiver]:
    """`forgetful`: every so many POSTs it keeps the event, and answers 503 all the same."""
    folder.mkdir(parents=True)
    stub = StubReceiver(folder, free_port())
    stub.secret_file.write_text(new_secret())
    stub.secret_file.chmod(0o600)
    port = int(stub.url.rpartition(":")[2].partition("/")[0])
    command = [sys.executable, "-m", "tests.stub_receiver", str(folder), str(port), str(forgetful)]
    with running(command, port, folder / "receiver.log"):
        yield stub


def replayed(archive: Path, gateway_folder: Path, out: Path, *more: str) -> list[dict[str, Any]]:
    """What `watchline replay` says of an archive, with the settings of the gateway that wrote it."""
    command = [
        *(sys.executable, "-m", "gateway.cli", "replay", str(archive), "--alerts", str(out)),
        *("--channels", str(gateway_folder / "channels.csv"), "--links", str(gateway_folder / "links.csv")),
        *("--settings", str(gateway_folder / "gateway.toml"), *more),
    ]
    done = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def plain_differences(live: Sequence[Mapping[str, Any]], replay: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where two lists of alert changes part, in words that help to find out why; empty where they agree."""
    told = [f"live {len(live)} changes, replay {len(replay)}" for _ in [0] if len(live) != len(replay)]
    for number, (one, other) in enumerate(zip(live, replay)):
        if one != other:
            told.append(f"change {number}:\n  live   {_brief(one)}\n  replay {_brief(other)}")
            told += [f"    {where}: {a!r} != {b!r}" for where, a, b in _unequal(one, other)]
            if len(told) > 40:
                break
    for event in [*live[len(replay) :], *replay[len(live) :]][:10]:
        told.append(f"only one has {_brief(event)}")
    return told


def _brief(event: Mapping[str, Any]) -> str:
    data = event["data"]
    where = data.get("channel") or data["place"]
    return (
        f"{data['t']['detected']} {event['type'][19:-3]} {data['kind']} {where} {data['grade']} {event['id']}"
    )


def _unequal(one: Any, other: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in sorted({*one, *other}):
            yield from _unequal(one.get(name), other.get(name), f"{where}.{name}")
    elif one != other:
        yield where, one, other


def until(holds: Any, seconds: float = WAIT_S) -> Any:
    """Wait until it holds; what it returned then. AssertionError when it does not in time."""
    end = time.monotonic() + seconds
    while not (result := holds()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return result
