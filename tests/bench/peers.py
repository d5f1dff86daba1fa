"""Bench beside peers: MQTT at QoS 1 to a stored point, the bridges in turn.

Run as `python -m tests.bench.peers --peers DIR`. DIR holds the peers' scripts (a_hand.py: paho, json, Point,
WriteApi batching, as the manual shows; nodered.py: a flow that batches 5,000 points). Node-RED takes
part where NODERED names the folder into which npm has installed node-red and node-red-contrib-influxdb. Each
bridge, a process, gets the same readings of 5,000 sensors, flat out, from a broker with an unlimited queue;
InfluxDB must hold all of them at the end. What is counted is the CPU of the bridge's processes alone, as the
system counts it (10 ms).
"""

import argparse
import contextlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gateway.bench.servers import UNLIMITED, ask, broker, free_port, store, until
from tests.parts import binary

SENSORS = 5_000
WARM = 5_000  # readings before the measured ones: what is loaded and connected once is not counted
READINGS = 60_000
KINDS = {"gas": ("pressure", "kPa"), "water": ("pressure", "kPa"), "power": ("voltage", "V")}
GOALS = {"hand-written bridge": 0.45, "Node-RED": 0.75}
OURS = "watchline"
COUNTS = {OURS: 'SELECT count(value) FROM "bench"."autogen"./.*/'}
THEIR_COUNT = 'SELECT count(v) FROM "perf"."autogen"./.*/'
HOUSE = Path(__file__).resolve().parents[2]
ALL_S = 120.0
Start = Callable[[Path, int, int], contextlib.AbstractContextManager[int]]  # folder, broker, store; the pid


class Scripts:
    """The peers' folder; their ports are counted from one base."""

    def __init__(self, folder: Path, work: Path) -> None:
        base = free_port() // 2 + 2_000
        os.environ |= {"PERF_BASE": str(base), "PERF_WORK": str(work)}
        sys.path.insert(0, str(folder))
        self.folder = folder
        self.common: Any = importlib.import_module("common")
        self.broker, self.store = self.common.MQ, self.common.VM

    @contextlib.contextmanager
    def hand(self, folder: Path, broker: int, store: int) -> Iterator[int]:
        command = [sys.executable, str(self.folder / "a_hand.py"), "batch", "1", str(store)]
        with _process(command, folder / "hand.log") as process:
            until(lambda: "ready" in (folder / "hand.log").read_text())
            yield process.pid

    @contextlib.contextmanager
    def nodered(self, folder: Path, broker: int, store: int) -> Iterator[int]:
        server = importlib.import_module("nodered").start(1, "vm")
        try:
            yield server.pid
        finally:
            server.stop()


@contextlib.contextmanager
def watchline(folder: Path, broker: int, store: int) -> Iterator[int]:
    """The whole gateway: every channel is judged too, each second a tick."""
    rows = ["channel,medium,place,quantity,unit,period_s"]
    for number in range(SENSORS):
        kind = list(KINDS)[number % 3]
        name = f"{kind}-{number:05d}"
        rows.append(f"{name}.v,{kind},{name},{','.join(KINDS[kind])},1")
    (folder / "channels.csv").write_text("\n".join(rows) + "\n")
    settings = folder / "gateway.toml"
    settings.write_text(
        '[site]\nid = "bench"\ntimezone = "UTC"\nchannels = "channels.csv"\ndata = "data"\n'
        f'[[source]]\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {broker}\n'
        f'[influxdb]\nurl = "http://127.0.0.1:{store}"\nbucket = "bench"\n'
    )
    log = folder / "watchline.log"
    with _process([sys.executable, "-m", "gateway.cli", "run", str(settings)], log) as process:
        until(lambda: " is read" in log.read_text() or process.poll() is not None)
        if process.poll() is not None:
            raise RuntimeError(log.read_text())
        time.sleep(3.0)  # what is loaded after the first tick
        yield process.pid


@contextlib.contextmanager
def _process(command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=HOUSE, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def cost(scripts: Scripts, name: str, start: Start, folder: Path, readings: int) -> float:
    """CPU microseconds a reading until all are stored."""
    folder.mkdir()
    total = WARM + readings
    first_ms = time.time_ns() // 1_000_000 - total // SENSORS * 1_000
    messages = [
        _ours(*reading) if name == OURS else _theirs(*reading)
        for reading in scripts.common.readings(total, SENSORS, first_ms)
    ]
    cpu_s: Callable[[int], float] = scripts.common.cpu_tree  # of a process and its children
    count = COUNTS.get(name, THEIR_COUNT)
    with (
        broker(binary("mosquitto"), folder, UNLIMITED, scripts.broker) as port,
        store(binary("influxd"), binary("nginx"), folder / "store", scripts.store) as url,
    ):
        ask(url, 'CREATE DATABASE "perf"')
        with start(folder, port, scripts.store) as pid:
            scripts.common.publish(messages[:WARM], 1, port)
            until(lambda: _stored(url, count) >= WARM, 0.5, ALL_S)
            time.sleep(2.0)
            begin_s = cpu_s(pid)
            scripts.common.publish(messages[WARM:], 1, port)
            until(lambda: _stored(url, count) >= total, 0.5, ALL_S)
            return (cpu_s(pid) - begin_s) / readings * 1e6


def _theirs(kind: str, id: str, time_ms: int, value: float) -> tuple[str, bytes]:
    payload = f'{{"id":"{id}","k":"{kind}","t":{time_ms},"v":{value}}}'
    return f"city/{kind}/{id}", payload.encode()


def _ours(kind: str, id: str, time_ms: int, value: float) -> tuple[str, bytes]:
    return f"watchline/v1/bench/{id}/readings", f'{{"t":{time_ms},"v":{{"v":{value}}}}}'.encode()


def _stored(url: str, query: str) -> int:
    (result,) = json.loads(ask(url, query))["results"]
    return sum(series["values"][0][1] for series in result.get("series", []))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, required=True, help="folder of the peers' scripts")
    parser.add_argument("--readings", type=int, default=READINGS)
    parser.add_argument("--rounds", type=int, default=3, help="the bridges take turns; medians are shown")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="watchline-bench-") as name:
        folder = Path(name)
        scripts = Scripts(args.peers.resolve(), folder)
        bridges: dict[str, Start] = {OURS: watchline, "hand-written bridge": scripts.hand}
        if os.environ.get("NODERED"):
            bridges["Node-RED"] = scripts.nodered
        costs: dict[str, list[float]] = {bridge: [] for bridge in bridges}
        for number in range(args.rounds):
            for bridge, start in bridges.items():
                place = folder / f"{start.__name__}-{number}"
                costs[bridge].append(cost(scripts, bridge, start, place, args.readings))
                print(f"round {number + 1}: {bridge} {costs[bridge][-1]:.1f} us a reading", flush=True)
    middle = {bridge: statistics.median(each) for bridge, each in costs.items()}
    for bridge, us in middle.items():
        beside = f"ours {middle[OURS] / us:.2f} x, goal {GOALS[bridge]} x" if bridge in GOALS else ""
        print(f"{bridge:22} {us:8.1f} us a reading to a stored point  {beside}")
    if "Node-RED" not in bridges:
        print("Node-RED: not measured; NODERED names no folder")


if __name__ == "__main__":
    main()
