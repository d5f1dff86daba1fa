"""Both ends for real: a gateway's own notifier reports to the centre, which tells its own receivers."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.centre import casebook as book
from alerts.notifiers.base import Home
from alerts.notifiers.centre import Centre as Reporter
from alerts.signing import new_secret
from config.secrets import Secret
from ingest.ticks import Command
from tests.alerts.centre.world import centre, until


class Receiver:
    """Somebody's webhook; refuses while `busy`."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.busy = False
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if not receiver.busy:
                    receiver.heard += body if isinstance(body, list) else [body]
                self.send_response(503 if receiver.busy else 204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.heard]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    there = Receiver()
    yield there
    there.server.shutdown()


def test_a_gateways_own_notifier_reports_and_brings_the_commands_home(tmp_path: Path) -> None:
    with centre(tmp_path, users={"wang": "staff"}) as there:
        gateway = there.gateway()
        story = gateway.alarm()
        brought: list[Command] = []
        status = {"learning": False, "name": "东片区", "trouble": {"modbus-3": "no answer"}, "channels": 12}
        reporter = Reporter(there.url, Secret(gateway.secret))
        reporter.join(Home("gw-1", lambda: status, brought.append))
        change = story.raised()

        assert change["id"] in set(reporter.notify([change]) or ())
        person = there.person("wang")
        page = person.see()
        assert "东片区" in page
        assert "modbus-3: no answer" in page
        assert person.act(story.key, "acknowledged").status == 303

        reporter.notify([])
        assert [(one.kind, one.actor, dict(one.body)) for one in brought] == [
            ("ack", "wang", {"incident": story.incident})
        ]
        assert brought[0].issued_ns > 0
        reporter.notify([gateway.confirm(brought[0].id)])
        reporter.notify([])
        assert len(brought) == 1
        reporter.close()


def test_the_centres_receivers_hear_every_change_once_although_they_were_away(
    tmp_path: Path, receiver: Receiver
) -> None:
    key = tmp_path / "hook.key"
    key.write_text(new_secret())
    key.chmod(0o600)
    port = receiver.server.server_address[1]
    url = f"http://127.0.0.1:{port}/hook"
    notifier = f'[[notifier]]\nkind = "webhook"\nurl = "{url}"\nsecret = {{ file = "hook.key" }}\n'
    with centre(tmp_path, extra=notifier) as there:
        gateway = there.gateway()
        first = gateway.alarm("water.a")
        gateway.tell(first.raised())
        until(lambda: receiver.ids == [f"{first.alert_id}-1"])

        receiver.busy = True
        second = gateway.alarm("water.b")
        gateway.tell(second.raised(), gateway.heartbeat())
        assert there.server is not None
        there.server.kill()
        receiver.busy = False
        there.server.start()

        until(lambda: len(receiver.heard) >= 2)
        assert receiver.ids == [f"{first.alert_id}-1", f"{second.alert_id}-1"]
        assert receiver.heard[1]["source"] == gateway.source
        assert receiver.heard[1]["data"]["place"] == "water.b"


def test_without_receivers_nothing_is_put_aside_for_them(tmp_path: Path) -> None:
    with centre(tmp_path) as there:
        gateway = there.gateway()
        gateway.tell(gateway.alarm().raised())

    casebook = book.Casebook(tmp_path / "state" / "casebook.db")
    with casebook.reading() as connection:
        assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM fact").fetchone() == (1,)
