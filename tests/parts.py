"""Parts: the real servers that tests run against, on free loopback ports, stopped by their own pid."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gateway.bench.servers import free_port as free_port

APT_LINE = (
    "apt-get install -y --no-install-recommends"
    " mosquitto mosquitto-clients influxdb nginx-light mbpoll strace prometheus-alertmanager"
    " chromium fonts-noto-cjk"
)
START_S = 60.0  # generous: the machine may be busy


def binary(name: str) -> str:
    """The path of a server's program; a missing one fails the test with what to install."""
    found = shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise RuntimeError(f"{name} is not installed; install the servers that tests need:\n  {APT_LINE}")
    return found


class Server:
    """A program that listens on a port; can be stopped, killed and started again in the middle of a test."""

    def __init__(self, cmd: Sequence[str | Path], port: int, log: Path) -> None:
        self.cmd = [str(part) for part in cmd]
        self.port = port
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens; RuntimeError with its log when it does not."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(self.cmd, stdout=out, stderr=subprocess.STDOUT)
        end = time.monotonic() + START_S
        while True:
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"{self.cmd[0]} did not start:\n{self.log.read_text(errors='replace')}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
                return
            time.sleep(0.02)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after 10 s."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def kill(self) -> None:
        """SIGKILL: nothing is said goodbye to."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        """SIGSTOP: it keeps its sockets and answers nothing, until `resume`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def running(cmd: Sequence[str | Path], port: int, log: Path) -> Iterator[Server]:
    """A server for the time of a `with`."""
    server = Server(cmd, port, Path(log))
    server.start()
    try:
        yield server
    finally:
        if server.process is not None:
            server.resume()
        server.stop()


@contextlib.contextmanager
def mosquitto(folder: Path, extra_conf: str = "", *, port: int | None = None) -> Iterator[Server]:
    """A broker with persistence; `extra_conf` lines come last, and replace the same key of the defaults."""
    program = binary("mosquitto")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    defaults = {
        "user": "root",
        "allow_anonymous": "true",
        "max_queued_messages": "0",
        "max_inflight_messages": "100",
        "persistence": "true",
        "persistence_location": f"{folder}/",
        "autosave_interval": "1",
    }
    given = {line.split()[0] for line in extra_conf.splitlines() if line.strip()}
    lines = [f"{key} {value}" for key, value in defaults.items() if key not in given]
    config = folder / "mosquitto.conf"
    config.write_text("\n".join([f"listener {port} 127.0.0.1", *lines, extra_conf, ""]))
    with running([program, "-c", config], port, folder / "mosquitto.log") as server:
        yield server


class Influx:
    """InfluxDB 1.x behind nginx: `url` takes v2 writes (bucket = database or database/policy)."""

    def __init__(self, url: str, engine: Server) -> None:
        self.url = url
        self.engine = engine  # influxd itself: stop, kill or start it while nginx stays up (then 502)

    def query(self, q: str, db: str = "") -> list[dict[str, Any]]:
        """Rows of an InfluxQL query, times in ns, tags of a GROUP BY included; RuntimeError on its error."""
        form = urllib.parse.urlencode({"q": q, "db": db, "epoch": "ns"}).encode()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.engine.port}/query", form, 20) as answer:
                body = json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from error
        rows = []
        for result in body["results"]:
            if "error" in result:
                raise RuntimeError(result["error"])
            for series in result.get("series", []):
                tags = series.get("tags", {})
                rows += [{**tags, **dict(zip(series["columns"], row))} for row in series.get("values", [])]
        return rows

    def create(self, database: str, duration: str = "INF") -> None:
        """A database (a "bucket"), points older than `duration` refused (such as 30d)."""
        self.query(f'CREATE DATABASE "{database}" WITH DURATION {duration} REPLICATION 1 NAME "autogen"')


@contextlib.contextmanager
def influxdb(folder: Path, *databases: str) -> Iterator[Influx]:
    """influxd and the nginx that translates v2 writes; `databases` are created (default: `sensors`)."""
    influxd, nginx = binary("influxd"), binary("nginx")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    engine_port, rpc_port, port = free_port(), free_port(), free_port()
    config = folder / "influxdb.conf"
    config.write_text(
        INFLUXD_CONF.replace("RPC", str(rpc_port))
        .replace("API", str(engine_port))
        .replace("DIR", str(folder))
    )
    proxy = folder / "nginx.conf"
    proxy.write_text(
        NGINX_CONF.replace("USER", "user root;" if os.getuid() == 0 else "")
        .replace("API", str(engine_port))
        .replace("PORT", str(port))
        .replace("DIR", str(folder))
    )
    with (
        running([influxd, "-config", config], engine_port, folder / "influxd.log") as engine,
        running([nginx, "-c", proxy, "-p", folder], port, folder / "nginx.log"),
    ):
        influx = Influx(f"http://127.0.0.1:{port}", engine)
        for database in databases or ("sensors",):
            influx.create(database)
        yield influx


INFLUXD_CONF = """
reporting-disabled = true
bind-address = "127.0.0.1:RPC"
[meta]
dir = "DIR/meta"
[data]
dir = "DIR/data"
wal-dir = "DIR/wal"
query-log-enabled = false
[http]
bind-address = "127.0.0.1:API"
log-enabled = false
[monitor]
store-enabled = false
"""

NGINX_CONF = """
daemon off; worker_processes 1; USER pid DIR/nginx.pid; error_log DIR/error.log;
events { worker_connections 256; }
http {
  access_log off; client_max_body_size 32m;
  client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f;
  uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
  map $arg_precision $prec { default ns; us u; ms ms; s s; }
  map $arg_bucket $db { default $arg_bucket; ~^(?<a>[^/%]+)(/|%2F)(?<b>.+)$ $a; }
  map $arg_bucket $rp { default ""; ~^(?<c>[^/%]+)(/|%2F)(?<d>.+)$ "&rp=$d"; }
  server {
    listen 127.0.0.1:PORT;
    location = /api/v2/write {
      rewrite ^ /write?db=$db&precision=$prec$rp? break; proxy_pass http://127.0.0.1:API;
    }
    location = /health {
      default_type application/json;
      return 200 '{"name":"influxdb","message":"ready","status":"pass","version":"1.6.7"}';
    }
    location / { proxy_pass http://127.0.0.1:API; }
  }
}
"""


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Every row of a Parquet file; times as whole nanoseconds, which Python's own datetime cannot hold."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    for number, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            table = table.set_column(number, column.name, table[number].cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
