"""World: a real centre in a process of its own, gateways that sign what they say, and people who log in."""

import contextlib
import http.client
import json
import re
import secrets
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alerts.alert import AlertChange, short_hash
from alerts.centre.accounts import add_account
from alerts.centre.events import STAFF_SOURCE, Fact
from alerts.signing import new_secret, sign, verify
from tests.parts import Server, free_port, running

PASSWORD = "correct horse battery"
SECOND_NS = 1_000_000_000


@dataclass
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Centre:
    """A centre that runs, and the ways in."""

    folder: Path
    port: int
    secrets: dict[str, str]
    server: Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> Path:
        return self.folder / "centre.toml"

    def gateway(self, id: str = "gw-1") -> "Gateway":
        return Gateway(self, id, self.secrets[id])

    def add_user(
        self, name: str, role: str = "staff", password: str = PASSWORD
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gateway.cli", "centre", str(self.settings)]
        return subprocess.run(
            [*command, "--add-user", name, "--role", role],
            input=password + "\n",
            capture_output=True,
            text=True,
            timeout=60,
        )

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            lowered = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, lowered, response.read())
        finally:
            connection.close()

    def person(self, name: str, password: str = PASSWORD) -> "Person":
        person = Person(self)
        assert person.log_in(name, password).status == 303
        return person


@dataclass
class Gateway:
    """A gateway, as far as the centre can see one."""

    centre: Centre
    id: str
    secret: str

    @property
    def source(self) -> str:
        return f"urn:watchline:{self.id}"

    def post(
        self,
        events: Sequence[Mapping[str, Any]] | bytes,
        *,
        message_id: str | None = None,
        now_s: int | None = None,
        secret: str | None = None,
        site: str | None = None,
    ) -> Answer:
        """One signed POST; every part of it can be wrong on purpose."""
        body = events if isinstance(events, bytes) else json.dumps(list(events)).encode()
        headers = self.headers(body, message_id=message_id, now_s=now_s, secret=secret, site=site)
        return self.centre.request("POST", "/api/v1/changes", body, headers)

    def headers(
        self,
        body: bytes,
        *,
        message_id: str | None = None,
        now_s: int | None = None,
        secret: str | None = None,
        site: str | None = None,
    ) -> dict[str, str]:
        moment = int(time.time()) if now_s is None else now_s
        signed = sign(secret or self.secret, message_id or secrets.token_hex(8), moment, body)
        kind = {"content-type": "application/cloudevents-batch+json", "watchline-gateway": site or self.id}
        return {**signed, **kind}

    def tell(self, *events: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Post what must be taken; the commands of the answer, whose signature is checked."""
        answer = self.post(events)
        assert answer.status == 200, answer.text
        verify(self.secret, answer.headers, answer.body, int(time.time()))
        assert set(answer.json["stored"]) == {event["id"] for event in events}
        commands: list[dict[str, Any]] = answer.json["commands"]
        return commands

    def heartbeat(self, **data: Any) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": f"heartbeat-{secrets.token_hex(6)}",
            "source": self.source,
            "type": "city.linkage.node.heartbeat.v1",
            "data": data,
        }

    def confirm(self, command: str, result: str = "applied", reason: str = "") -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": f"confirmed-{command}",
            "source": self.source,
            "type": "city.linkage.command.confirmed.v1",
            "data": {"command": command, "result": result, "reason": reason},
        }

    def alarm(self, place: str = "water.west.main-7", **given: Any) -> "Story":
        return Story(self.source, place, given)


@dataclass
class Story:
    """The life of one alarm, change by change."""

    source: str
    place: str
    given: dict[str, Any] = field(default_factory=dict)
    seq: int = 0

    @property
    def alert_id(self) -> str:
        return short_hash("alert", self.source, self.place)

    @property
    def incident(self) -> str:
        return str(self.given.get("incident", short_hash(self.alert_id)))

    @property
    def key(self) -> str:
        return f"{self.source.removeprefix('urn:watchline:')}/{self.incident}"

    def change(self, type: str, state: str, **given: Any) -> dict[str, Any]:
        """The next change of this alarm as a CloudEvent."""
        self.seq += 1
        now_ns = time.time_ns()
        members: dict[str, Any] = {
            "grade": "P2",
            "tier": "district",
            "kind": "burst",
            "rule": "jump",
            "medium": "water",
            "channel": f"{self.place}.pressure",
            "event_ns": now_ns - 2 * SECOND_NS,
            "detected_ns": now_ns,
            "because": "Pressure fell by 92 kPa within 4 s, far below what this hour is used to.",
            "notify": type in ("raised", "escalated"),
            "warmup": False,
            **self.given,
            **given,
        }
        return AlertChange(
            type=type,
            alert_id=self.alert_id,
            seq=self.seq,
            fingerprint=short_hash("fingerprint", self.place),
            occurrence=1,
            state=state,
            place=self.place,
            **{"incident": self.incident, **members},
        ).cloud_event(self.source)

    def raised(self, **given: Any) -> dict[str, Any]:
        return self.change("raised", "ACTIVE_UNACK", **given)

    def cleared(self, **given: Any) -> dict[str, Any]:
        return self.change("cleared", "NORMAL", **given)


@dataclass
class Person:
    """Somebody with a browser that keeps cookies and fills in forms."""

    centre: Centre
    cookies: dict[str, str] = field(default_factory=dict)

    def request(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = {
            "cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            **(headers or {}),
        }
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form).encode()
            sent["content-type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection("127.0.0.1", self.centre.port, timeout=30)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            for header in response.headers.get_all("set-cookie") or []:
                name, _, rest = header.partition("=")
                self.cookies[name] = rest.partition(";")[0].strip('"')
            lowered = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, lowered, response.read())
        finally:
            connection.close()

    def see(self, path: str = "/") -> str:
        answer = self.request("GET", path)
        assert answer.status == 200, (answer.status, answer.headers.get("location"), answer.text[:300])
        return answer.text

    def log_in(self, name: str, password: str = PASSWORD) -> Answer:
        token = hidden(self.request("GET", "/login").text, "form_token")
        return self.request("POST", "/login", {"form_token": token, "name": name, "password": password})

    def act(self, key: str, act: str, **given: str) -> Answer:
        """Fill in one of the forms of an incident's page."""
        page = self.see(f"/incidents/{key}")
        form = {name: hidden(page, name) for name in ("form_token", "once", "seen")}
        return self.request("POST", f"/incidents/{key}/{act}", {**form, **given})


def hidden(page: str, name: str) -> str:
    """The value of a hidden field; form_token of the logout form is as good as any."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    if found is None and name in ("once", "seen"):
        return {"once": secrets.token_hex(12), "seen": "999999999"}[name]
    assert found, f"no field {name} in the page"
    return found[1]


@contextlib.contextmanager
def centre(
    folder: Path,
    *,
    gateways: Sequence[str] = ("gw-1", "gw-2"),
    heartbeat_s: float = 60.0,
    verify_s: float = 1800.0,
    users: Mapping[str, str] | None = None,
    extra: str = "",
) -> Iterator[Centre]:
    """A centre that runs for the time of a `with`; `users` are roles by name, `extra` more settings."""
    port = free_port()
    known = {id: new_secret() for id in gateways}
    lines = [
        f'[listen]\nport = {port}\n[store]\npath = "state/casebook.db"\n[cases]\nverify_s = {verify_s}\n'
    ]
    for id, secret in known.items():
        key = folder / f"{id}.key"
        key.write_text(secret)
        key.chmod(0o600)
        lines.append(
            f'[[gateway]]\nid = "{id}"\nsecret = {{ file = "{id}.key" }}\nheartbeat_s = {heartbeat_s}\n'
        )
    there = Centre(folder, port, known)
    there.settings.write_text("".join([*lines, extra]))
    for name, role in (users or {}).items():
        add_account(folder / "state" / "casebook.db", name, role, PASSWORD)
    command: list[str | Path] = [sys.executable, "-m", "gateway.cli", "centre", there.settings]
    with running(command, port, folder / "centre.log") as server:
        there.server = server
        yield there


def until(true: Any, seconds: float = 20.0) -> Any:
    """Wait until `true()` is; what it returned then."""
    end = time.monotonic() + seconds
    while True:
        result = true()
        if result:
            return result
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def fact(event: Mapping[str, Any], number: int, received_ns: int) -> Fact:
    """An event as the casebook holds it, without a casebook."""
    site = event["source"].removeprefix("urn:watchline:")
    incident = f"{site}/{event['data']['incident']}" if "incident" in event["data"] else ""
    data = json.dumps(event["data"]).encode()
    return Fact(number, received_ns, event["source"], event["id"], event["type"], incident, data)


def done(key: str, kind: str, number: int, at_ns: int, **body: Any) -> Fact:
    """What a member of staff did, as the casebook holds it."""
    data = json.dumps({"actor": "wang", "commands": [], **body}).encode()
    return Fact(number, at_ns, STAFF_SOURCE, f"act-{number}", f"city.linkage.case.{kind}.v1", key, data)
