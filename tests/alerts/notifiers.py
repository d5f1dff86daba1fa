"""Notifiers: what their tests share: a change as a gateway tells it, and a receiver of any POST."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from alerts.notifiers.base import CloudEvent
from tests.alerts.centre.world import Story

SOURCE = "urn:watchline:north"
LOCATION = {"lat": 30.66, "lon": 104.12, "datum": "WGS84"}


def burst(**given: Any) -> Story:
    return Story(SOURCE, "water.main-7", {"extra": {"location": LOCATION}, **given})


def fall() -> Story:
    because = "Fall: a hard impact, then stillness."
    return Story(
        SOURCE, "person-7", {"medium": "wristband", "kind": "fall", "channel": None, "because": because}
    )


def sent(event: dict[str, Any], **also: Any) -> CloudEvent:
    """As a delivery hands it over."""
    data = event["data"]
    times = {**data["t"], "sent": "2026-11-24T02:14:08.250Z"}
    return {**event, "data": {**data, **also, "t": times}}


def contacts(folder: Path, **addresses: str) -> Path:
    path = folder / "contacts.toml"
    path.write_text("".join(f'{id} = "{address}"\n' for id, address in addresses.items()))
    path.chmod(0o600)
    return path


@dataclass
class Posts:
    """What came by POST: path, headers in lower case, body."""

    url: str
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    status: int = 202

    @property
    def json(self) -> list[Any]:
        return [json.loads(body) for _, _, body in self.got]


@contextlib.contextmanager
def posts(port: int = 0) -> Iterator[Posts]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            there.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(there.status)
            self.send_header("content-length", "0")
            self.end_headers()

        do_PUT = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    there = Posts(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
