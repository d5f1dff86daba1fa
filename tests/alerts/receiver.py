"""Receiver: a real HTTP server that plays a webhook's far side: it keeps what it got and answers as told."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from alerts.signing import sign, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECOND_NS = 10**9


@dataclass
class Got:
    """One POST."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        content = json.loads(self.body)
        return content if isinstance(content, list) else [content]


@dataclass
class Reply:
    """One answer; `hold_s` before it, `hang` = never."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hold_s: float = 0.0
    hang: bool = False


@dataclass
class Receiver:
    """`answer` decides the reply to each POST; what got a 2xx is in `events`."""

    url: str
    answer: Callable[[Got], Reply] = lambda got: Reply()
    got: list[Got] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.events]

    def wait_for(self, count: int, seconds: float = 20.0) -> list[str]:
        """The ids that were taken, once there are so many."""
        until(lambda: len(self.events) >= count, seconds)
        return self.ids


def until(holds: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until it holds; AssertionError when it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def as_the_centre_would(
    commands: list[dict[str, Any]] | None = None, secret: str = SECRET
) -> Callable[[Got], Reply]:
    """A signed answer that stores everything and carries commands."""

    def answer(got: Got) -> Reply:
        stored = [event["id"] for event in got.events]
        body = json.dumps({"stored": stored, "commands": commands or []}).encode()
        return Reply(200, body, sign(secret, got.headers["webhook-id"], int(time.time()), body))

    return answer


@contextlib.contextmanager
def receiver(answer: Callable[[Got], Reply] | None = None) -> Iterator[Receiver]:
    """A receiver on a free port; every POST must carry a valid signature."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            verify(SECRET, headers, body, int(time.time()))
            got = Got(self.path, headers, body)
            there.got.append(got)
            reply = there.answer(got)
            there.over.wait(60.0 if reply.hang else reply.hold_s)
            if 200 <= reply.status < 300:
                there.events += got.events
            with contextlib.suppress(ConnectionError):
                self.send_response(reply.status)
                for name, value in {**reply.headers, "content-length": str(len(reply.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    there = Receiver(f"http://127.0.0.1:{server.server_port}")
    if answer is not None:
        there.answer = answer
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield there
    finally:
        there.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
