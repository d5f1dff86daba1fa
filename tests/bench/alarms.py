"""Bench of a flood of alarms: 10,000 detections in one second, beside Alertmanager with as many alerts.

    python -m tests.bench.alarms

A made-up district of 225 causes: 200 water zones whose pressure fails, forty places each along a pipe,
and 25 gas zones in which methane passes both levels at forty places. All turn in one tick, which is
judged, committed and told to a webhook in another process. Alertmanager (where prometheus-alertmanager
is installed) is then given 10,000 alerts of the same 225 groups, group_wait 0, and tells the same
listener; it keeps them in memory only.
"""

import argparse
import json
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from alerts.alert import AlertChange
from alerts.delivery import Delivery
from alerts.notifiers.base import Home
from alerts.notifiers.webhook import Webhook
from alerts.signing import new_secret
from config.channels import Channel, ChannelTable, Link
from config.secrets import Secret
from gateway.bench.site import MONDAY_NS, SECOND_NS
from gateway.watch import Watch, build_watch
from ingest.readings import ReadingBatch
from ingest.storage import Storage
from ingest.ticks import Tick
from ingest.wallclock import WallClock
from tests.parts import free_port, running

WATER, GAS, PLACES = 200, 25, 40
CALM_S, HOLD_S = 120, 15  # seconds of calm; the on-delay of a pressure's limit, so that all turn in one tick
PATIENCE_S = 120.0


def site() -> tuple[ChannelTable, list[Link]]:
    """Zones of forty places, each fed by the one before."""
    channels, links = [], []
    for zone in range(WATER + GAS):
        for number in range(PLACES):
            place, where = f"z{zone}.p{number}", f"zone{zone}"
            if zone < WATER:
                id = f"water.{place}.pressure"
                channels.append(
                    Channel(id, "water", place, "pressure", "kPa", 1.0, nominal=300.0, zone=where)
                )
            else:
                channels.append(Channel(f"gas.{place}.ch4", "gas", place, "ch4", "%{LEL}", 1.0, zone=where))
            if number:
                links.append(Link(f"z{zone}.p{number - 1}", place, "pipe"))
    return ChannelTable(channels), links


class Gateway:
    """Watch, storage and a webhook's sender, ticked by hand."""

    def __init__(self, folder: Path, url: str) -> None:
        self.table, links = site()
        self.watch: Watch = build_watch(self.table, links=links)
        self.storage = Storage(folder, self.table, WallClock(lambda: MONDAY_NS, lambda: 0))
        self.storage.open()
        self.storage.start()
        told = Webhook(url, Secret(new_secret()), batch=True)
        self.sender = Delivery(self.storage, told, "far", Home("bench", dict, lambda command: None))
        self.sender.register()
        self.sender.start()

    def tick(self, second: int, water: float, gas: float) -> list[AlertChange]:
        now_ns = MONDAY_NS + second * SECOND_NS
        is_gas = np.arange(len(self.table)) >= WATER * PLACES
        values = np.where(is_gas, gas, water)
        readings = ReadingBatch.of(np.arange(len(self.table), dtype=np.int32), now_ns, values)
        self.storage.close_tick(now_ns)
        tick = Tick(now_ns, readings)
        changes = self.watch.step(tick)
        self.storage.commit_tick(tick, [change.cloud_event("urn:watchline:bench") for change in changes])
        return changes


def flood(folder: Path, url: str, heard: "Heard") -> None:
    gateway = Gateway(folder / "gateway", url)
    before: list[AlertChange] = []
    for second in range(1, CALM_S + HOLD_S):
        before += gateway.tick(second, 300.0 if second < CALM_S else 20.0, 1.0)
    begin_s, cpu_s = time.time(), time.process_time()
    changes = gateway.tick(CALM_S + HOLD_S, 20.0, 80.0)
    committed_s, cpu_s = time.time() - begin_s, time.process_time() - cpu_s
    raised = {change.alert_id for change in changes if change.type == "raised"}
    posts = heard.until(len(before) + len(changes))
    gateway.sender.stop()
    gateway.storage.stop()
    with closing(sqlite3.connect(next((folder / "gateway").glob("*.sqlite")))) as book:
        (durable,) = book.execute("SELECT count(*) FROM outbox").fetchone()
    incidents = {change.incident for change in changes}
    critical = {change.id for change in changes if change.grade == "P1"}
    lost = len(critical) - sum(post["critical"] for post in posts)
    print(
        f"watchline     {len(raised):6,} detections in a tick,"
        f" {WATER + GAS} causes, {len(incidents)} incidents"
    )
    print(
        f"  judged, committed and synced after {committed_s:5.2f} s,"
        f" CPU {cpu_s / len(changes) * 1e6:.0f} us a change"
    )
    print(f"  first P1 at the receiver after     {heard.first_critical_s(begin_s):5.2f} s, all after "
          f"{posts[-1]['at'] - begin_s:.2f} s, P1 lost: {max(lost, 0)} of {len(critical)}")  # fmt: skip
    print(f"  durable {durable:,} of {len(before) + len(changes):,}; "
          f"RSS at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")  # fmt: skip


def alertmanager(folder: Path, url: str, heard: "Heard") -> None:
    binary = shutil.which("prometheus-alertmanager")
    if binary is None:
        print("alertmanager  is not installed here (package prometheus-alertmanager): left out")
        return
    settings = folder / "am.yml"
    settings.write_text(
        "route: {receiver: far, group_by: [incident], group_wait: 0s, group_interval: 1s}\n"
        f"receivers: [{{name: far, webhook_configs: [{{url: '{url}', max_alerts: 0}}]}}]\n"
    )
    port = free_port()
    where = [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    command = [binary, f"--config.file={settings}", f"--storage.path={folder / 'am'}", *where]
    count = (WATER + 2 * GAS) * PLACES
    alerts = [_alert(number) for number in range(count)]
    with running(command, port, folder / "am.log") as server:
        begin_s = time.time()
        for first in range(0, count, 1000):
            body = json.dumps(alerts[first : first + 1000]).encode()
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/api/v2/alerts", body, {"content-type": "application/json"}
            )
            urllib.request.urlopen(request, timeout=30).close()
        taken_s = time.time() - begin_s
        posts = heard.until(count)
        assert server.process is not None
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        rss_mb = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    print(f"alertmanager  {count:6,} alerts in {WATER + GAS} groups, group_wait 0 s")
    print(f"  taken, not durable, after          {taken_s:5.2f} s")
    print(f"  first P1 at the receiver after     {heard.first_critical_s(begin_s):5.2f} s, all after "
          f"{posts[-1]['at'] - begin_s:.2f} s; RSS at most {rss_mb:.0f} MB")  # fmt: skip


def _alert(number: int) -> dict[str, Any]:
    """Alerts of the same grouping; those of gas are critical."""
    incident = (
        number // PLACES if number < WATER * PLACES else WATER + (number - WATER * PLACES) // (2 * PLACES)
    )
    labels = {"alertname": f"a{number}", "incident": str(incident)}
    return {
        "labels": {**labels, "severity": "P1" if incident >= WATER else "P2"},
        "annotations": {"because": "x" * 120},
    }


class Heard:
    """What the listener wrote down: a line a POST with `at`, `count` and `critical`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def posts(self) -> list[dict[str, Any]]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [json.loads(line) for line in lines]

    def until(self, count: int) -> Sequence[dict[str, Any]]:
        """All POSTs, once they held so many; what came by then, where they never do."""
        end_s = time.monotonic() + PATIENCE_S
        while sum(post["count"] for post in self.posts()) < count and time.monotonic() < end_s:
            time.sleep(0.1)
        return self.posts()

    def first_critical_s(self, begin_s: float) -> float:
        return min((post["at"] - begin_s for post in self.posts() if post["critical"]), default=float("nan"))


def listen(port: int, path: Path) -> None:
    """Take every POST of either side, and note when it came and what was in it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            at = time.time()
            alerts = body if isinstance(body, list) else body["alerts"]
            grades = [one["data"]["grade"] if "data" in one else one["labels"]["severity"] for one in alerts]
            line = {"at": at, "count": len(alerts), "critical": grades.count("P1")}
            with path.open("a") as file:
                file.write(json.dumps(line) + "\n")
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


@contextmanager
def listener(folder: Path) -> Iterator[tuple[str, Heard]]:
    """A listener in a process of its own."""
    port, path = free_port(), folder / "heard.jsonl"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.bench.alarms", "--listen", str(port), str(path)]
    with running(command, port, folder / "listener.log"):
        yield f"http://127.0.0.1:{port}/", Heard(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--listen", nargs=2, metavar=("PORT", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.listen:
        listen(int(args.listen[0]), Path(args.listen[1]))
        return
    for name, run in (("ours", flood), ("theirs", alertmanager)):
        with tempfile.TemporaryDirectory() as place, listener(Path(place) / name) as (url, heard):
            run(Path(place), url, heard)


if __name__ == "__main__":
    main()
