"""The API: a program walks a case through all seven steps; who has no token learns nothing."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from alerts.centre.accounts import add_token
from config.errors import SettingsError
from tests.alerts.centre.world import Answer, Centre, centre, hidden, until

HANDED_OVER = {"to": "water company, crew 3", "limit": "4 working hours"}
LOOP: list[tuple[str, dict[str, str]]] = [
    ("acknowledged", {}),
    ("filed", {"note": "by the book"}),
    ("dispatched", HANDED_OVER),
    ("returned", {"reason": "not ours"}),
    ("dispatched", HANDED_OVER),
    ("engaged", {}),
    ("started", {}),
    ("reported", {"outcome": "real", "note": "pipe mended"}),
    ("verifying", {}),
    ("reworked", {"reason": "still wet"}),
    ("reported", {"outcome": "real", "note": "mended again"}),
    ("verifying", {}),
]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    folder = tmp_path_factory.mktemp("city")
    with centre(folder, verify_s=0.5, users={"robot": "staff", "leaver": "staff"}) as there:
        yield there


class Program:
    """A program with a token."""

    def __init__(self, city: Centre, account: str = "robot") -> None:
        self.city = city
        self.token = add_token(city.folder / "state" / "casebook.db", account)

    def ask(self, path: str) -> Answer:
        return self.city.request("GET", path, None, {"authorization": f"Bearer {self.token}"})

    def post(self, key: str, act: str, body: Any, once: str = "") -> Answer:
        headers = {"authorization": f"Bearer {self.token}", "idempotency-key": once or secrets.token_hex(8)}
        return self.city.request("POST", f"/api/v1/incidents/{key}/{act}", json.dumps(body).encode(), headers)

    def act(self, key: str, act: str, once: str = "", **form: str) -> Answer:
        seen = self.ask(f"/api/v1/incidents/{key}").json["seen"]
        return self.post(key, act, {"seen": seen, **form}, once)


def test_a_program_walks_a_case_through_all_steps_and_cannot_close_it_too_early(city: Centre) -> None:
    gateway, robot = city.gateway(), Program(city)
    story = gateway.alarm("water.api")
    gateway.tell(gateway.heartbeat(), story.raised())
    assert story.key in [one["incident"] for one in robot.ask("/api/v1/incidents").json["incidents"]]

    for act, form in LOOP:
        answer = robot.act(story.key, act, **form)
        assert answer.status == 200, answer.text
        early = robot.act(story.key, "closed")
        assert early.status == 409, "the signal is still out of band"
    assert early.json["waiting_for"] == ["signal"]

    gateway.tell(story.cleared())
    until(lambda: robot.ask(f"/api/v1/incidents/{story.key}").json["waiting_for"] == [])
    assert robot.act(story.key, "closed").json["stage"] == "closed"
    assert robot.act(story.key, "evaluated", score="4").json["stage"] == "evaluated"
    acts = [line["what"] for line in robot.ask(f"/api/v1/incidents/{story.key}").json["timeline"]]
    assert acts[0] == "evaluated"
    assert "handling" not in robot.ask("/api/v1/incidents").text


def test_the_same_key_acts_once(city: Centre) -> None:
    gateway, robot = city.gateway(), Program(city)
    story = gateway.alarm("water.once")
    gateway.tell(story.raised())
    body = {"seen": robot.ask(f"/api/v1/incidents/{story.key}").json["seen"], "note": "hello"}

    assert [robot.post(story.key, "noted", body, "a1b2c3d4e5").status for _ in range(3)] == [200] * 3

    timeline = robot.ask(f"/api/v1/incidents/{story.key}").json["timeline"]
    assert [line["what"] for line in timeline].count("noted") == 1


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", "Basic cm9ib3Q6eA=="])
def test_without_a_good_token_nothing_is_told_or_done(city: Centre, given: str) -> None:
    headers = {"authorization": given} if given else {}
    for method, path in (("GET", "/api/v1/incidents"), ("POST", "/api/v1/incidents/gw-1/x/closed")):
        assert city.request(method, path, b"{}" if method == "POST" else None, headers).status == 401


def test_the_token_of_a_disabled_account_opens_nothing(city: Centre) -> None:
    leaver = Program(city, "leaver")
    assert leaver.ask("/api/v1/incidents").status == 200
    city.add_user("zhao", "administrator")
    boss = city.person("zhao")
    boss.see("/administration")
    form = {"form_token": hidden(boss.see("/"), "form_token"), "account": "leaver", "disabled": "1"}
    assert boss.request("POST", "/administration/accounts", form).status == 303

    assert leaver.ask("/api/v1/incidents").status == 401


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"[1]", 400, "bad_content"),
        (b'{"to": 1}', 400, "bad_content"),
        (b"\xff", 400, "bad_content"),
        (b'{"x": "' + b"x" * 70_000 + b'"}', 413, "too_large"),
        (b"{}", 409, "grew_worse"),
        (b'{"seen": "999999999", "to": "a street"}', 409, "wrong_stage"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    city: Centre, body: bytes, status: int, error: str
) -> None:
    gateway, robot = city.gateway(), Program(city)
    story = gateway.alarm("water.refusals")
    gateway.tell(story.raised(notify=False))
    path = f"/api/v1/incidents/{story.key}/dispatched"

    answer = city.request("POST", path, body, {"authorization": f"Bearer {robot.token}"})

    assert (answer.status, answer.json["error"]) == (status, error)
    assert answer.json["text"]


def test_a_token_needs_an_account(city: Centre) -> None:
    with pytest.raises(SettingsError, match="nobody"):
        add_token(city.folder / "state" / "casebook.db", "nobody")
