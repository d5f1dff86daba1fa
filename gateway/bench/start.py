"""Start: how long until the first device is asked, beside importing what that cannot do without."""

import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gateway.bench.core import house
from gateway.bench.figures import Effort, Figure

BARE = "import numpy, pymodbus.client, paho.mqtt.client; print(flush=True)"
RUN = "import sys; from gateway.cli import main; sys.exit(main(sys.argv[1:]))"
WAIT_S = 60.0
Environment = Mapping[str, str]
SETTINGS = """[site]
id = "bench"
name = "bench"
channels = "channels.csv"
data = "data"

[[source]]
kind = "modbus"
host = "127.0.0.1"
port = {port}
place = "riser"
profile = "gas_rtu"
"""
CHANNELS = """channel,medium,place,quantity,unit,period_s
riser.pressure,gas,riser,pressure,kPa,1
riser.ch4,gas,riser,ch4,%{LEL},1
"""


def start(effort: Effort) -> Iterator[Figure]:
    """`watchline run` until a device sees the first request, in pairs with the bare imports.

    The first pair is left out: it compiles modules to bytecode, which an installation has done already.
    """
    with socket.create_server(("127.0.0.1", 0)) as device:
        device.settimeout(WAIT_S)
        folder = effort.folder / "start"
        folder.mkdir()
        settings = folder / "gateway.toml"
        settings.write_text(SETTINGS.format(port=device.getsockname()[1]), encoding="utf-8")
        (folder / "channels.csv").write_text(CHANNELS, encoding="utf-8")
        env = {**house(), "PYTHONPYCACHEPREFIX": str(effort.folder / "compiled")}  # as installed
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        _first_poll_ms(settings, device, env)
        _imports_ms(env)
        pairs = [(_first_poll_ms(settings, device, env), _imports_ms(env)) for _ in range(effort.of(9, 3))]
    polls, imports = (statistics.median(column) for column in zip(*pairs))
    ratio = statistics.median(poll / bare for poll, bare in pairs)
    yield Figure(
        "start",
        "to the first poll",
        polls,
        "ms",
        imports,
        "import of numpy, pymodbus, paho",
        goal="ratio at most 1.5",
        note=f"median of the ratios of {len(pairs)} pairs: {ratio:.2f}",
    )


def _first_poll_ms(settings: Path, device: socket.socket, env: Environment) -> float:
    begin = time.perf_counter()
    gateway = _child([RUN, "run", str(settings)], env)
    try:
        connection, _ = device.accept()
        with connection:
            connection.settimeout(WAIT_S)
            connection.recv(1)
            return (time.perf_counter() - begin) * 1000
    finally:
        gateway.kill()
        gateway.communicate()


def _imports_ms(env: Environment) -> float:
    begin = time.perf_counter()
    child = _child([BARE], env)
    assert child.stdout is not None
    child.stdout.readline()
    took_ms = (time.perf_counter() - begin) * 1000
    child.communicate()
    return took_ms


def _child(arguments: Sequence[str], env: Environment) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
