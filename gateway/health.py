"""Health: a small web server that tells how the gateway is doing; a thread of its own, off by default.

`/healthz` is 200 only while ticks progress and the journal can be written, else 503 and why; `/metrics` is
for Prometheus; `/status` is what `watchline status` shows. It only ever tells, and knows no secrets.
"""

import json
import logging
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

from config.errors import SettingsError
from gateway.metrics import CONTENT_TYPE, exposition
from gateway.report import Report

log = logging.getLogger(__name__)

PATIENCE_S = 5.0  # for a client that does not finish its request, or does not read
MOST_AT_ONCE = 8  # requests served at a time; more are hung up on

Page = tuple[int, str, str]  # status, content type, body


class Health:
    """Listens from the beginning; serves from `start` to `stop`. SettingsError where it cannot listen."""

    def __init__(
        self, host: str, port: int, trouble: Callable[[], str], report: Callable[[], Report]
    ) -> None:
        self._trouble = trouble
        self._report = report
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        try:
            self._server = _Server(host, port, self)
        except OSError as error:
            raise SettingsError(
                f"metrics: cannot listen on {host}:{port}: {error.strerror or error}; choose another port"
            ) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def page(self, path: str) -> Page:
        """What there is at a path; a bug in one page is that page's own."""
        try:
            return self._page(path)
        except Exception:
            log.exception("%s", path)
            return 500, "text/plain; charset=utf-8", "this page has a bug; see the log\n"

    def _page(self, path: str) -> Page:
        plain = "text/plain; charset=utf-8"
        if path == "/healthz":
            trouble = self._trouble()
            return (503, plain, f"{trouble}\n") if trouble else (200, plain, "ok\n")
        if path == "/metrics":
            return 200, CONTENT_TYPE, exposition(self._report())
        if path == "/status":
            return 200, "application/json", json.dumps(self._report(), ensure_ascii=False) + "\n"
        return 404, plain, "there is /healthz, /metrics and /status\n"

    def enter(self) -> bool:
        return self._places.acquire(blocking=False)

    def leave(self) -> None:
        self._places.release()


class _Server(socketserver.ThreadingTCPServer):
    """Not http.server's own, which asks the name service for the host's name before it listens."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, health: Health) -> None:
        if ":" in host:
            import socket

            self.address_family = socket.AF_INET6
        self.health = health
        super().__init__((host, port), _Request)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self.health.enter():
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.health.leave()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a client went away", exc_info=True)


class _Request(BaseHTTPRequestHandler):
    timeout: ClassVar[float] = PATIENCE_S
    server: _Server
    server_version = "watchline"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        status, kind, text = self.server.health.page(self.path.partition("?")[0])
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)
