"""Stub receiver: a webhook's far side that writes every POST to disk, synced, before it answers."""

import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from alerts.signing import verify


def main(folder: Path, port: int, forgetful: int) -> None:
    """Serve until killed. Each `forgetful`th POST is kept and answered with 503, so that it comes again."""
    secret = (folder / "secret").read_text().strip()
    kept = os.open(folder / "got.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    posts = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            nonlocal posts
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            verify(secret, headers, body, int(time.time()))
            os.write(kept, body + b"\n")
            os.fsync(kept)
            posts += 1
            self.send_response(503 if forgetful and posts % forgetful == 0 else 204)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
