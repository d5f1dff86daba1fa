"""Stop: a gateway ends within seconds, whether its far places take readings, are away, or never answer."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.signing import new_secret
from config.channels import Channel
from tests.living import Publisher, gateway
from tests.parts import free_port, influxdb, mosquitto

WITHIN_S = 20.0  # it takes some three; the machine may be busy
CHANNELS = [Channel(f"meter-{n}.flow", "water", f"meter.{n}", "flow", "m3/h", 1.0) for n in range(3)]


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """The address of somebody who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextlib.contextmanager
def place(kind: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Addresses of an InfluxDB and of a centre."""
    if kind == "there":
        with influxdb(folder) as server:
            yield server.url, f"http://127.0.0.1:{free_port()}"
    elif kind == "away":
        yield f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    else:
        with silent() as influx, silent() as centre:
            yield influx, centre


@pytest.mark.parametrize("kind", ["there", "away", "silent"])
def test_a_gateway_ends_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("CENTRE_SECRET", new_secret())
    with (
        place(kind, tmp_path / "influx") as (influx, centre),
        mosquitto(tmp_path / "broker") as broker,
        gateway(tmp_path) as one,
        contextlib.closing(Publisher(broker.port, "east")) as publisher,
    ):
        _settings(tmp_path, broker.port, influx, centre)
        one.start()
        one.ready()
        for value in range(5):
            for meter in range(3):
                publisher.send(f"meter-{meter}", {"flow": float(value)})
            time.sleep(0.3)

        assert one.stop(WITHIN_S) == 0

        assert "Traceback" not in one.said()
        ledger = one.ledger()
    assert ledger.balanced
    assert ledger.couriers["archive"].pending == 0
    assert (ledger.couriers["influxdb"].pending == 0) == (kind == "there")


def _settings(folder: Path, broker: int, influx: str, centre: str) -> None:
    lines = ["channel,medium,place,quantity,unit,period_s"]
    lines += [f"{c.id},{c.medium},{c.place},{c.quantity},{c.unit},{c.period_s}" for c in CHANNELS]
    (folder / "channels.csv").write_text("\n".join(lines) + "\n")
    (folder / "gateway.toml").write_text(
        f'[site]\nid = "east"\nchannels = "channels.csv"\n'
        f'[[source]]\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {broker}\n'
        f'[influxdb]\nurl = "{influx}"\nbucket = "sensors"\n'
        f'[archive]\nfolder = "archive"\n'
        f'[centre]\nurl = "{centre}"\nsecret = {{ env = "CENTRE_SECRET" }}\nheartbeat_s = 1\n'
    )
