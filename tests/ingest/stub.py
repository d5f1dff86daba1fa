"""Stub: an HTTP server that answers as it is told, for what the real InfluxDB 1.x cannot be made to say."""

import contextlib
import gzip
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Stub:
    """`answers` are used up one by one: (status, headers, body), or None for half an answer; then 204."""

    url: str = ""
    answers: list[Answer | None] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)  # of every write that was answered 204
    tokens: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # lines of every write
    refuse: Callable[[list[str]], str | bool] | None = None  # a complaint about these lines; 400

    @property
    def posts(self) -> int:
        return len(self.sizes)


@contextlib.contextmanager
def stub(*answers: Answer | None) -> Iterator[Stub]:
    told = Stub(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            told.tokens.append(self.headers["Authorization"])
            lines = body.decode().splitlines()
            told.sizes.append(len(lines))
            complaint = told.refuse(lines) if told.refuse else ""
            usual: Answer = (400, {}, str(complaint).encode()) if complaint else (204, {}, b"")
            answer = told.answers.pop(0) if told.answers else usual
            if answer is None:
                self.wfile.write(b'HTTP/1.1 400 Bad Request\r\nContent-Length: 500\r\n\r\n{"error":"part')
                self.close_connection = True
                return
            status, headers, text = answer
            if status == 204:
                told.lines += lines
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
