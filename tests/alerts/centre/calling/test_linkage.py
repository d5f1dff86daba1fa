"""1+N and the dual centre for real: partners hear, answer and report; whoever has an area stays in it."""

import http.client
import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.signing import new_secret, sign, verify
from tests.alerts.centre.people.district import bring, credit_code, settle
from tests.alerts.centre.world import Answer, Centre, Person, centre, hidden, until

GRID = "510108003002-01"


class Partner:
    """A partner centre: takes signed calls, and says how far it is."""

    def __init__(self, organisation: str) -> None:
        self.organisation = organisation
        self.secret = new_secret()
        self.heard: list[dict[str, Any]] = []
        self.number = 0
        partner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                verify(partner.secret, dict(self.headers), body, int(time.time()))
                partner.heard.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def settings(self, folder: Path) -> str:
        key = folder / f"{self.organisation}.key"
        key.write_text(self.secret)
        key.chmod(0o600)
        return (
            f'[[notifier]]\nkind = "partner"\nname = "{self.organisation}"\nprivate_network = true\n'
            f'organisation = "{self.organisation}"\nsecret = {{ file = "{key.name}" }}\n'
            f'url = "http://127.0.0.1:{self.server.server_port}/"\n'
        )

    def say(self, there: Centre, type: str, *, secret: str = "", at_s: int = 0, **data: Any) -> Answer:
        self.number += 1
        event = {"id": f"{self.organisation}-{self.number}", "type": f"city.linkage.{type}.v1", "data": data}
        body = json.dumps([event]).encode()
        headers = sign(secret or self.secret, f"m-{self.number}", at_s or int(time.time()), body)
        return there.request("POST", f"/api/v1/partners/{self.organisation}", body, headers)


class Listening:
    """An open page: the incidents whose changes it was told of so far."""

    def __init__(self, there: Centre, person: Person) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", there.port, timeout=60)
        cookie = "; ".join(f"{name}={value}" for name, value in person.cookies.items())
        self._connection.request("GET", "/events", headers={"cookie": cookie})
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200
        self._answer.readline()
        self._heard: set[str] = set()
        threading.Thread(target=self._listen, daemon=True).start()

    def heard(self) -> set[str]:
        return set(self._heard)

    def _listen(self) -> None:
        while line := self._answer.readline():
            name, _, value = line.decode().strip().partition(": ")
            if name == "data" and value.startswith("["):
                self._heard |= set(json.loads(value))


class City:
    """A centre with two partners and three programs that carry tokens."""

    def __init__(self, there: Centre, partners: dict[str, Partner], tokens: dict[str, str]) -> None:
        self.there = there
        self.police, self.water = partners["police-110"], partners["water-company"]
        self.tokens = tokens

    def ask(self, who: str, method: str, path: str, body: Any = None) -> Answer:
        headers = {"authorization": f"Bearer {self.tokens[who]}"}
        sent = None if body is None else json.dumps(body).encode()
        return self.there.request(method, f"/api/v1/{path}", sent, headers)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("linkage")
    directory = settle(folder / "people.sqlite", 200)
    bring(
        directory,
        "assets",
        [{"asset": "water.west", "medium": "water", "grid": GRID, "owner": credit_code(1)}],
    )
    partners = {name: Partner(name) for name in ("police-110", "water-company")}
    people = '[people]\ndirectory = "people.sqlite"\ndesk = "hub"\nlast = "chief"\n'
    extra = people + "".join(partner.settings(folder) for partner in partners.values())
    with centre(folder, users={"wang": "administrator", "hotline": "staff"}, extra=extra) as there:
        command = [sys.executable, "-m", "gateway.cli", "centre", str(there.settings)]

        def run(*words: str) -> str:
            done = subprocess.run([*command, *words], input="correct horse battery\n", capture_output=True,
                                  text=True, timeout=60, check=True)  # fmt: skip
            return done.stdout.strip().splitlines()[-1]

        run("--add-user", "lane", "--area", "510108003002")
        tokens = {name: run("--add-token", name) for name in ("wang", "hotline", "lane")}
        yield City(there, partners, tokens)
    for partner in partners.values():
        partner.server.shutdown()


def test_an_owner_is_called_answers_and_its_status_flows_back_into_the_case(city: City) -> None:
    story = city.there.gateway().alarm("water.west.main-7", grade="P2", kind="burst")
    city.there.gateway().tell(story.raised())

    until(lambda: city.water.heard, 60)
    call = city.water.heard[0]
    assert call["type"] == "city.linkage.alert.escalated.v1"
    assert [one["org"] for one in call["data"]["to"]] == ["water-company"], "nobody else's numbers"
    case = call["data"]["case"]
    accepted = city.water.say(city.there, "status", case=case, status="accepted")
    arrived = city.water.say(city.there, "status", case=case, status="arrived")
    done = city.water.say(city.there, "status", case=case, status="done", outcome="real", note="valve closed")

    stages = [answer.json["results"][0].get("stage") for answer in (accepted, arrived, done)]
    assert stages == ["engaged", "handling", "feedback"], [
        answer.text for answer in (accepted, arrived, done)
    ]
    verify(city.water.secret, done.headers, done.body, int(time.time()))
    seen = city.ask("wang", "GET", f"incidents/{case}").json
    assert [line["who"] for line in seen["timeline"] if line["what"] == "reported"] == ["water-company"]
    assert seen["assigned"] == "water-company"


def test_police_matters_go_to_110_and_what_110_hands_over_is_taken_and_counted(city: City) -> None:
    before = city.ask("wang", "GET", "linkage").json
    violence = {"id": "h-1", "channel": "hotline", "category": "violence", "place": GRID, "text": "shouting"}
    taken = city.ask("hotline", "POST", "reports", violence).json
    until(lambda: [call for call in city.police.heard if call["data"]["case"] == taken["incident"]], 60)
    over = city.police.say(city.there, "report", id="110-7", channel="110", category="street", place=GRID)
    unknown = city.ask("hotline", "POST", "reports", {**violence, "id": "h-2", "category": "ufo"}).json

    assert taken["police"] is True
    assert unknown["flagged"] is True
    assert over.json["results"][0]["incident"].startswith("centre/")
    after = city.ask("wang", "GET", "linkage").json
    new = {name: after[name] - before[name] for name in after if name != "by_channel"}
    assert new == {
        "reports": 3, "merged_with_sensors": 0, "police_matters": 1, "handed_to_110": 1,
        "handed_to_110_from_sensors": 0, "taken_over_from_110": 1, "flagged_unknown": 1,
        "flagged_unknown_of_sensors": 0,
    }  # fmt: skip


def test_forged_stale_and_strange_words_of_partners_change_nothing(city: City) -> None:
    story = city.there.gateway("gw-2").alarm("water.other", grade="P3", medium="power", kind="overload")
    city.there.gateway("gw-2").tell(story.raised())
    case: dict[str, Any] = {"case": story.key, "status": "accepted"}

    forged = city.police.say(city.there, "status", secret=new_secret(), **case)
    stale = city.police.say(city.there, "status", at_s=1_000_000_000, **case)
    not_theirs = city.police.say(city.there, "status", **case)
    strange = city.police.say(city.there, "status", case=story.key, status="bored")
    other = city.police.say(city.there, "nonsense")
    broken = city.there.request("POST", "/api/v1/partners/police-110", b"{", {})
    stranger = city.there.request("POST", "/api/v1/partners/nobody", b"[]", {})

    assert [one.status for one in (forged, stale, broken, stranger)] == [401] * 4
    assert "no_such_incident" in not_theirs.json["results"][0]["error"]
    assert "unknown_status" in strange.json["results"][0]["error"]
    assert "type: must be" in other.json["results"][0]["error"]
    assert city.ask("wang", "GET", f"incidents/{story.key}").json["stage"] == "received"


def test_a_community_user_sees_the_people_of_the_community_and_of_no_other(city: City) -> None:
    own = city.ask("lane", "GET", "people?org=510108003002-01")
    other = city.ask("lane", "GET", "people?org=510108004001-01")
    whole = city.ask("lane", "GET", "people?org=510108003")
    rota = city.ask("lane", "GET", "rotas/hub")
    all_of_it = city.ask("wang", "GET", "people?org=510108004001-01&role=volunteer")
    nobody = city.there.request("GET", "/api/v1/people?org=hub", None, {"authorization": "Bearer x"})

    assert own.status == 200
    assert {one["org"] for one in own.json["people"]} == {"510108003002-01"}
    assert [other.status, whole.status, rota.status, nobody.status] == [403, 403, 403, 401]
    assert other.json["error"] == "your account is kept to 510108003002; 510108004001-01 lies outside of it"
    assert "people" not in other.json
    assert {one["role"] for one in all_of_it.json["people"]} == {"volunteer"}
    page = city.there.person("wang").see("/administration?lang=en")
    assert "people of 510108004001-01: outside 510108003002" in page, "the refusal is on the record"


def test_a_community_user_sees_the_incidents_of_the_community_and_of_no_other(city: City) -> None:
    gateway = city.there.gateway()
    own = gateway.alarm("water.west.pump", grade="P3", kind="low_pressure")
    other = gateway.alarm("510108004001-01", grade="P3", kind="low_pressure")
    nowhere = gateway.alarm("place.unknown", grade="P3", kind="low_pressure")
    person = city.there.person("lane")
    stream = Listening(city.there, person)
    gateway.tell(own.raised(), other.raised(), nowhere.raised())

    listed = {one["incident"] for one in city.ask("lane", "GET", "incidents").json["incidents"]}
    assert own.key in listed
    assert not listed & {other.key, nowhere.key}
    assert {own.key, other.key, nowhere.key} <= {
        one["incident"] for one in city.ask("wang", "GET", "incidents").json["incidents"]
    }
    assert city.ask("lane", "GET", f"incidents/{own.key}").status == 200
    acts = ("", "/evidence", "/acknowledged")
    for key in (other.key, nowhere.key):
        asked = [city.ask("lane", "POST" if "ack" in act else "GET", f"incidents/{key}{act}") for act in acts]
        assert [answer.status for answer in asked] == [403] * 3
        assert (
            asked[0].json["text"] == "your account is kept to 510108003002; this incident lies outside of it"
        )
        pages = [person.request("GET", f"/incidents/{key}{act}").status for act in acts[:2]]
        assert pages == [403, 403]
    board = person.see()
    assert own.key in board
    assert other.key not in board
    assert city.ask("wang", "GET", f"incidents/{other.key}").json["stage"] == "received", "nothing was done"
    until(lambda: own.key in stream.heard(), 60)
    assert not {other.key, nowhere.key} & stream.heard()
    audit = city.there.person("wang").see("/administration?lang=en")
    assert f"{other.key}: outside 510108003002" in audit, "the refusal is on the record"


def test_an_administrator_is_kept_to_no_area(city: City) -> None:
    command = [sys.executable, "-m", "gateway.cli", "centre", str(city.there.settings)]
    words = ("--add-user", "zhao", "--role", "administrator", "--area", "510108003002")
    done = subprocess.run([*command, *words], input="correct horse battery\n", capture_output=True,
                          text=True, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 2
    assert "--area goes with staff alone" in done.stderr


def test_a_change_of_the_rota_counts_at_once_and_a_wrong_one_is_refused(city: City) -> None:
    before = city.ask("wang", "GET", "rotas/hub").json
    whole = {"person": "chief", "start": "2020-01-01T00:00:00+08:00", "end": "2090-01-01T00:00:00+08:00"}

    made = city.ask("wang", "POST", "rotas/hub/changes", whole)
    after = city.ask("wang", "GET", "rotas/hub").json
    wrong = [
        city.ask("wang", "POST", "rotas/hub/changes", {**whole, **bad}).status
        for bad in (
            {"person": "nobody"},
            {"end": "2019-01-01T00:00:00+08:00"},
            {"start": "2026-01-01T00:00:00"},
        )
    ]

    assert before["gaps"] == []
    assert made.status == 200, made.text
    assert [turn["person"] for turn in after["now"] if turn["post"] == "primary"] == ["chief"]
    assert after["gaps"] == []
    assert wrong == [400, 400, 400]


def test_a_report_and_a_round_that_cannot_be_taken_say_why(city: City) -> None:
    report = city.ask("hotline", "POST", "reports", {"id": "x", "channel": "app", "category": "fire"})
    round = city.ask("hotline", "POST", "rounds/nowhere/done", {})

    assert (report.status, round.status) == (400, 400)
    assert report.json["error"].startswith("place: missing")
    assert round.json["error"].startswith("round: there is no round")


def test_staff_take_down_a_report_on_the_page_and_see_what_became_of_it(city: City) -> None:
    person = city.there.person("wang")
    page = person.see("/reports/new?lang=en")
    assert "/reports/new" in person.see("/")
    form = {
        "form_token": hidden(page, "form_token"),
        "once": hidden(page, "once"),
        "channel": "walk_in",
        "category": "street",
        "place": GRID,
        "text": "<script>alert(1)</script> a tree has fallen",
    }

    taken = person.request("POST", "/reports/new", form)
    again = person.request("POST", "/reports/new", form)
    bad = person.request("POST", "/reports/new", {**form, "once": "b" * 24, "place": ""})
    forged = person.request("POST", "/reports/new", {**form, "form_token": "x"})

    assert taken.status == again.status == 303
    assert taken.headers["location"] == again.headers["location"]
    seen = person.see(taken.headers["location"])
    assert "&lt;script&gt;" in seen
    assert "<script>alert" not in seen
    assert (bad.status, forged.status) == (400, 403)
    assert "place: missing" in bad.text
    assert "a tree has fallen" in bad.text, "what was written is not lost"
