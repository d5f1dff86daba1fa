"""Case: from an injected burst to 结案 through the API, with everything killed between every two steps."""

import contextlib
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alerts.centre.accounts import add_token
from config.routing import FILE
from simulators.rhythms import demand
from tests.alerts.centre.people.district import bring, credit_code, settle
from tests.alerts.centre.world import Answer, Centre, centre
from tests.living import SECOND_NS, WAIT_S, Gateway, StubReceiver, Town, gateway, stub_receiver, town, until

SITE = "east"
PLACE = "water.centre.market"
GRID = "510108003002-01"
SLOW = "acknowledge_s = 900\narrive_s = 7200\nclimb_s = [1800, 3600, 7200]\nrepeat_s = 1800"  # of a P3
QUICK = "acknowledge_s = 2\narrive_s = 12\nclimb_s = [3, 6, 60]\nrepeat_s = 5"
PEOPLE = '[people]\ndirectory = "people.sqlite"\ndesk = "hub"\nlast = "chief"\nrouting = "routing.toml"\n'
STEPS = ("acknowledged", "filed", "dispatched", "engaged", "started", "reported", "verifying", "closed")
ORDER = {"to": "water company, crew 3", "limit": "4 working hours"}


@dataclass
class World:
    """A town, its gateway and its centre, and what was done to them."""

    town: Town
    gateway: Gateway
    centre: Centre
    token: str
    beside_gateway: StubReceiver
    beside_centre: StubReceiver
    key: str = ""
    kills: int = 0
    down_ns: list[tuple[int, int]] = field(default_factory=list)  # when the centre was away

    def kill(self) -> None:
        """SIGKILL to both; the centre answers again when this returns, the gateway is starting."""
        assert self.centre.server is not None
        self.kills += 1
        gone_ns = time.time_ns()
        self.centre.server.kill()
        self.gateway.kill()
        self.gateway.start()
        self.centre.server.start()
        self.down_ns.append((gone_ns, time.time_ns()))

    def ask(self, method: str = "GET", act: str = "", **form: str) -> Answer:
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        path = f"/api/v1/incidents/{self.key}" + (f"/{act}" if act else "")
        return self.centre.request(method, path, json.dumps(form).encode() if form else None, headers)

    def seen(self) -> dict[str, Any]:
        answer = self.ask()
        assert answer.status == 200, answer.text
        found: dict[str, Any] = answer.json
        return found

    def act(self, act: str, **form: str) -> dict[str, Any]:
        """One step by the API, on the newest picture, and both are killed right after its answer."""
        answer = self.ask("POST", act, seen=self.seen()["seen"], **form)
        assert answer.status == 200, (act, answer.text)
        self.kill()
        return self.seen()

    def refused(self, act: str, **form: str) -> list[str]:
        """What the case still waits for, as a step is refused."""
        answer = self.ask("POST", act, seen=self.seen()["seen"], **form)
        assert answer.status == 409, answer.text
        waiting: list[str] = answer.json["waiting_for"]
        return waiting

    def facts(self, pattern: str) -> list[tuple[int, str, dict[str, Any]]]:
        """(received, id, data) of the facts of a kind, beside the running centre."""
        path = self.centre.folder / "state" / "casebook.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as book:
            rows = book.execute(
                "SELECT received_ns, id, data FROM fact WHERE type LIKE ? ORDER BY number", (pattern,)
            )
            return [(at_ns, id, json.loads(data)) for at_ns, id, data in rows]

    def calls(self) -> list[tuple[int, str, dict[str, Any]]]:
        return self.facts("city.linkage.case.summoned.v1")

    def wait_for_calls(self, many: int) -> None:
        until(lambda: len(self.calls()) >= many)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    here = tmp_path / "centre"
    here.mkdir()
    directory = settle(here / "people.sqlite", 60)
    bring(directory, "assets", [{"asset": PLACE, "medium": "water", "grid": GRID, "owner": credit_code(1)}])
    routing = FILE.read_text("utf-8")
    assert SLOW in routing
    (here / "routing.toml").write_text(routing.replace(SLOW, QUICK))
    with (
        town(tmp_path / "town", site=SITE) as place,
        stub_receiver(tmp_path / "beside-gateway") as beside_gateway,
        stub_receiver(tmp_path / "beside-centre") as beside_centre,
        centre(here, gateways=(SITE,), heartbeat_s=60.0, verify_s=3.0, users={"wang": "staff"},
               extra=PEOPLE + beside_centre.notifier) as there,
        gateway(tmp_path / "gateway") as one,
    ):  # fmt: skip
        key = there.folder / f"{SITE}.key"
        up = f'[centre]\nurl = "{there.url}"\nsecret = {{ file = "{key}" }}\nheartbeat_s = 0.5\n'
        place.write_gateway(one.folder, more=beside_gateway.notifier + up)
        token = add_token(here / "state" / "casebook.db", "wang")
        one.start()
        one.ready()
        yield World(place, one, there, token, beside_gateway, beside_centre)


def test_a_burst_goes_all_the_way_to_its_closing_although_everything_is_killed_between_every_two_steps(
    world: World,
) -> None:
    world.town.play("burst", 0.0, 3600.0, place=PLACE, size=burst_of_the_hour())
    world.kill()  # while the pressure falls
    raised = until(lambda: world.gateway.raised(medium="water"))
    world.key = f"{SITE}/{raised[0]['data']['incident']}"
    world.kill()  # committed; whether it was told, nobody knows
    until(lambda: world.ask().status == 200)
    _it_is_called_about(world)
    _people_take_it_and_go(world)
    _it_is_verified_and_closed(world)
    _one_cause_was_one_incident(world)
    _every_call_came_in_time_and_none_twice(world)
    _nobody_heard_more_than_one_repeat_a_kill(world)


def burst_of_the_hour() -> float:
    """So large that the mains carry the same at each hour, and the pressure falls as far: to a P3."""
    return 3.8 - float(demand("water", np.array([time.time()]))[0])


def _it_is_called_about(world: World) -> None:
    """The first call, the next one because nobody answers, and one more; each across a kill."""
    for many in (1, 2, 3):
        world.wait_for_calls(many)
        world.kill()


def _people_take_it_and_go(world: World) -> None:
    """受理, 立案, 派遣, and, since nobody arrives in time, one more call; 接单, 处置."""
    assert world.act("acknowledged")["stage"] == "accepted"
    until(lambda: [e for e in world.gateway.alerts() if e["type"] == "city.linkage.alert.acknowledged.v1"])
    assert world.act("filed")["stage"] == "registered"
    dispatched = world.act("dispatched", **ORDER)
    assert (dispatched["stage"], dispatched["assigned"]) == ("dispatched", ORDER["to"])
    assert dispatched["due"] is not None
    made = len(world.calls())
    world.wait_for_calls(made + 1)
    world.kill()
    assert world.act("engaged")["stage"] == "engaged"
    assert world.act("started")["stage"] == "handling"


def _it_is_verified_and_closed(world: World) -> None:
    """反馈 alone does not close it, nor does a signal that came back; 核查 needs both, and its window."""
    calls = len(world.calls())
    assert world.act("reported", outcome="real", note="pipe torn, valve 14 closed")["stage"] == "feedback"
    assert world.act("verifying")["stage"] == "verifying"
    assert world.refused("closed") == ["signal"]
    world.town.end("burst")
    until(lambda: world.seen()["waiting_for"] in (["window"], []))
    world.kill()  # in the window, or right behind it
    assert world.seen()["stage"] == "verifying", "a signal that returned has closed nothing"
    until(lambda: not world.seen()["waiting_for"])
    assert world.act("closed", note="pressure is back")["stage"] == "closed"
    assert world.act("evaluated", score="5")["stage"] == "evaluated"
    assert len(world.calls()) == calls, "nobody is called once somebody is there"


def _one_cause_was_one_incident(world: World) -> None:
    incidents = {event["data"]["incident"] for event in world.gateway.raised(medium="water")}
    assert {f"{SITE}/{one}" for one in incidents} == {world.key}
    done = Counter(line["what"] for line in world.seen()["timeline"] if line["who"] == "wang")
    assert all(done[step] == 1 for step in STEPS if step != "acknowledged"), done


def _every_call_came_in_time_and_none_twice(world: World) -> None:
    """First at once, then each step of the ladder when its time had come, or at the restart behind it."""
    calls = world.calls()
    (armed_ns, _, _) = world.facts("city.linkage.alert.raised.v1")[0]
    assert calls[0][2]["why"] == "first"
    assert len({id for _, id, _ in calls}) == len(calls)
    for (at_ns, _, body), after_s in zip(calls, (0.0, 3.0)):
        due_ns = armed_ns + int(after_s * SECOND_NS)
        up_ns = max([up for down, up in world.down_ns if down <= due_ns <= up], default=due_ns)
        assert due_ns <= at_ns <= up_ns + int(WAIT_S * SECOND_NS), body


def _nobody_heard_more_than_one_repeat_a_kill(world: World) -> None:
    told = {id for pattern in ("city.linkage.alert.%", "city.linkage.case.summoned.v1")
            for _, id, _ in world.facts(pattern)}  # fmt: skip
    until(lambda: told <= {event["id"] for event in world.beside_centre.got()})
    raised = {event["id"] for event in world.gateway.alerts()}
    until(lambda: raised <= {event["id"] for event in world.beside_gateway.got()})
    for receiver in (world.beside_centre, world.beside_gateway):
        heard = Counter(event["id"] for event in receiver.got())
        repeats = heard.total() - len(heard)
        assert repeats <= world.kills, [id for id, many in heard.items() if many > 1]
