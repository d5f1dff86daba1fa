"""Servers: the broker and the store that the bench measures against, on free ports of this machine."""

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

PLACES = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
WAIT_S = 60.0
FIRST_PORT, PORTS = 10_000, 20_000
BUCKET = "bench"
UNLIMITED = "max_queued_messages 0\nmax_inflight_messages 1000\n"

INFLUXD = """reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[http]
bind-address = "127.0.0.1:{api}"
log-enabled = false
[monitor]
store-enabled = false
"""

NGINX = """daemon off; worker_processes 1; {user} pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_max_body_size 32m;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  map $arg_precision $unit {{ default ns; us u; ms ms; s s; }}
  server {{
    listen 127.0.0.1:{port};
    location = /api/v2/write {{
      rewrite ^ /write?db=$arg_bucket&precision=$unit? break; proxy_pass http://127.0.0.1:{api};
    }}
    location / {{ proxy_pass http://127.0.0.1:{api}; }}
  }}
}}
"""


_next_port = itertools.count(os.getpid() * 101)


def installed(name: str) -> str | None:
    """The path of a server's program; None where it is not installed."""
    return shutil.which(name, path=PLACES)


@contextlib.contextmanager
def broker(program: str, folder: Path, limits: str = UNLIMITED, port: int = 0) -> Iterator[int]:
    """mosquitto for the time of a `with`; its port."""
    port = port or free_port()
    conf = folder / f"mosquitto-{port}.conf"
    me = f"user {_me()}\n" if os.getuid() == 0 else ""
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n{me}{limits}")
    with _running([program, "-c", str(conf)], port):
        yield port


@contextlib.contextmanager
def store(influxd: str, nginx: str, folder: Path, port: int = 0) -> Iterator[str]:
    """InfluxDB 1.x with an empty bucket `bench`, behind an nginx that takes v2 writes; its address."""
    folder.mkdir()
    rpc, api, port = free_port(), free_port(), port or free_port()
    user = "user root;" if os.getuid() == 0 else ""
    engine, proxy = folder / "influxdb.conf", folder / "nginx.conf"
    engine.write_text(INFLUXD.format(rpc=rpc, api=api, folder=folder))
    proxy.write_text(NGINX.format(user=user, folder=folder, port=port, api=api))
    with (
        _running([influxd, "-config", str(engine)], api),
        _running([nginx, "-c", str(proxy), "-p", str(folder)], port),
    ):
        url = f"http://127.0.0.1:{port}"
        ask(url, f'CREATE DATABASE "{BUCKET}"')
        yield url


def ask(url: str, query: str) -> bytes:
    """The answer of InfluxDB 1.x, as JSON text."""
    form = urllib.parse.urlencode({"q": query, "db": BUCKET}).encode()
    with urllib.request.urlopen(f"{url}/query", form, WAIT_S) as answer:
        body: bytes = answer.read()
    return body


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago, and that no client is given by the kernel.

    Each process looks elsewhere: two that look at the same time must not find the same one.
    """
    for _ in range(PORTS):
        port = FIRST_PORT + next(_next_port) % PORTS
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("every port of 127.0.0.1 is taken")


def until(true: Callable[[], bool], every_s: float = 0.005, at_most_s: float = WAIT_S) -> None:
    """Wait for something; TimeoutError where it does not come."""
    end_s = time.monotonic() + at_most_s
    while not true():
        if time.monotonic() > end_s:
            raise TimeoutError(f"nothing came of it within {at_most_s:g} s; is the machine overloaded?")
        time.sleep(every_s)


@contextlib.contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: _answers(port) or process.poll() is not None)
        if process.poll() is not None:
            raise RuntimeError(f"{' '.join(command)} does not start; run it by itself to see why")
        yield
    finally:
        process.terminate()
        process.wait(WAIT_S)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False


def _me() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name
