"""Kills: a town's gateway is killed at seeded moments while readings flow, alarms sound and staff act.

One story is up to forty lives of one gateway, each ended by SIGKILL, and a tidy end. What must hold of it
afterwards stands in CHECKS, each of which says in words what does not.
"""

import contextlib
import json
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.channels import Channel
from config.lists import time_ns
from tests.alerts.centre.world import Centre, Person, centre
from tests.living import (
    HOUSE,
    Beat,
    Gateway,
    Publisher,
    StubReceiver,
    Town,
    gateway,
    plain_differences,
    replayed,
    stub_receiver,
    town,
    until,
)
from tests.rig.oracle import archived, in_journal, troubles
from tests.rig.recovery import stopped
from tests.rig.site import EVERY_S, SITE, Feed, counters, probes
from tests.rig.verdict import Trial

KILLS = 40  # in one story
PLAYED = (("gas.north.well", "well_gas"), ("power.centre.market", "voltage_sag"), ("band.c31", "fall"))
LONGEST_S = 1.5  # of a life, counted from its start or from its first tick


@dataclass(frozen=True)
class Life:
    """One life of the gateway: how long it is, and what goes wrong when."""

    seconds: float
    watches: bool  # counted from its first tick
    trouble: str  # gas, sos or nothing
    when: str  # before the kill by a while, right before it, or right after it


def lives(seed: int, count: int = KILLS) -> list[Life]:
    """The same seed gives the same moments."""
    chance = random.Random(seed)
    return [
        Life(
            chance.uniform(0.0, LONGEST_S),
            chance.random() < 0.5,
            chance.choice(("gas", "gas", "sos", "nothing")),
            chance.choice(("early", "last", "dead")),
        )
        for _ in range(count)
    ]


@dataclass
class Story:
    """What is left once it is over."""

    gateway: Gateway
    receiver: StubReceiver
    centre: Centre
    lives: list[Life]
    numbers: int
    folder: Path
    stopped: int  # exit code
    caught_up_ns: int  # everything told before this moment had reached both receivers

    def ledger(self) -> dict[str, Any]:
        """As `watchline ledger --json` tells it."""
        command = [sys.executable, "-m", "gateway.cli", "ledger", str(self.gateway.settings), "--json"]
        done = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@contextlib.contextmanager
def story(folder: Path, seed: int, kills: int = KILLS) -> Iterator[Story]:
    """Tell it; its parts run until the end of the `with`."""
    plan = lives(seed, kills)
    calls = [Channel(f"call-{n}.sos", "wristband", f"person-{n}", "sos", "1", 60.0) for n in range(kills)]
    (folder / "centre").mkdir(parents=True)
    with (
        town(folder / "town", site=SITE) as place,
        stub_receiver(folder / "receiver", forgetful=7) as receiver,
        centre(folder / "centre", gateways=(SITE,), heartbeat_s=1.0, users={"li.wei": "staff"}) as there,
        gateway(folder / "gateway") as one,
        contextlib.closing(Publisher(place.broker.port, SITE)) as publisher,
    ):
        extra = [*counters(), *probes(kills), *calls]
        place.write_gateway(one.folder, extra, _settings(receiver, there), "snapshot_every_s = 4")
        feed = Feed(publisher, kills)
        one.start()
        one.ready()
        _play(place)
        with Beat(EVERY_S, feed.step):
            _live_and_die(one, feed, there, plan)
        publisher.settled()
        until(lambda: len(in_journal(one.data)) >= feed.numbers, 60.0)
        until(lambda: _heard_everywhere(one, receiver, there))
        caught_up_ns = time.time_ns()
        code = stopped(one)
        yield Story(one, receiver, there, plan, feed.numbers, folder, code, caught_up_ns)


def _settings(receiver: StubReceiver, there: Centre) -> str:
    key = there.folder / f"{SITE}.key"
    return (
        f'[archive]\nfolder = "archive"\n{receiver.notifier}'
        f'[centre]\nurl = "{there.url}"\nsecret = {{ file = "{key}" }}\nheartbeat_s = 1\n'
    )


def _play(place: Town) -> None:
    """What the simulated district does meanwhile, over real Modbus and MQTT."""
    place.play("third_party_damage", 4, 40, place="gas.north.well", size=85)
    place.play("voltage_sag", 12, 5, place="power.centre.market", size=0.5)
    place.play("fall", 20, 300, place="band.c31", size=4.5)


def _live_and_die(one: Gateway, feed: Feed, there: Centre, plan: list[Life]) -> None:
    """Lives ended by SIGKILL, and the start of the last one; in the middle somebody acknowledges."""
    person = there.person("li.wei")
    for number, life in enumerate(plan):
        if number:
            one.start()
        if life.watches:
            one.ready()
        if life.when == "early":
            _cause(feed, life, number)
        time.sleep(life.seconds)
        if life.when == "last":
            _cause(feed, life, number)
            time.sleep(0.05)
        if number == len(plan) // 2:
            _acknowledge(person, one)
        one.kill()
        if life.when == "dead":
            _cause(feed, life, number)
    one.start()
    one.ready()
    time.sleep(3.0)
    with contextlib.suppress(AssertionError):  # a check says what is missing
        until(lambda: all(one.raised(place=place, kind=kind) for place, kind in PLAYED))


def _cause(feed: Feed, life: Life, number: int) -> None:
    if life.trouble == "gas":
        feed.leak(number)
    elif life.trouble == "sos":
        feed.publisher.send(f"call-{number}", {"sos": 1.0})


def _acknowledge(person: Person, one: Gateway) -> None:
    """This life goes on until something was raised that staff can acknowledge."""
    incident = until(lambda: one.raised(kind="well_gas"))[0]["data"]["incident"]
    until(lambda: incident in person.see())
    assert person.act(f"{SITE}/{incident}", "acknowledged").status == 303


def facts(there: Centre) -> Counter[str]:
    """How often the casebook holds each event of the gateway."""
    path = there.folder / "state" / "casebook.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return Counter(
            id for (id,) in db.execute("SELECT id FROM fact WHERE source = ?", (f"urn:watchline:{SITE}",))
        )


def _heard_everywhere(one: Gateway, receiver: StubReceiver, there: Centre) -> bool:
    told = {event["id"] for event in one.told()}
    alerts = {event["id"] for event in one.alerts()}
    return alerts <= {event["id"] for event in receiver.got()} and told <= set(facts(there))


def it_was_killed_each_time_and_then_stopped(story: Story) -> list[str]:
    found = []
    if story.gateway.lives <= len(story.lives):
        found.append(f"{story.gateway.lives} lives, where {len(story.lives)} were to be ended")
    if story.stopped:
        found.append(f"the last life ended with {story.stopped}: {story.gateway.said()}")
    starts = story.gateway.rows("SELECT count(*) FROM ticks WHERE epoch LIKE '%\"start\"%'")[0][0]
    if starts < len(story.lives) // 4:
        found.append(f"only {starts} of {story.gateway.lives} lives had a first tick: nothing was hurt")
    return found


def every_published_reading_is_in_the_archive_exactly_once(story: Story) -> list[str]:
    return troubles(story.gateway.folder, range(story.numbers), (e["id"] for e in story.receiver.got()))


def the_ledger_balances(story: Story) -> list[str]:
    ledger = story.ledger()
    wrong = [] if ledger["balanced"] else ["the ledger does not balance"]
    wrong += [f"readings dropped, {what}: {n}" for what, n in ledger["total"]["dropped"].items()]
    wrong += [f"undecodable messages: {what}" for what in ledger["total"]["undecodable"]]
    stored, held = ledger["couriers"]["archive"]["stored"], sum(1 for _ in archived(_archive(story)))
    return wrong if stored == held else [*wrong, f"stored {stored}, held {held}"]


def every_incident_was_raised_once_whatever_died_meanwhile(story: Story) -> list[str]:
    found = []
    for number, life in enumerate(story.lives):
        gas = story.gateway.raised(place=f"probe.{number}", kind="well_gas")
        if life.trouble == "gas" and not gas:
            found.append(f"life {number}, {life}: no gas alarm")
        if len({event["data"]["alert_id"] for event in gas}) != len(gas):
            found.append(f"life {number}, {life}: the same gas alarm was raised twice")
        calls = len(story.gateway.raised(place=f"person-{number}", kind="sos"))
        if calls != (life.trouble == "sos"):
            found.append(f"life {number}, {life}: {calls} calls for help")
    return found + [
        f"no {kind} at {place}" for place, kind in PLAYED if not story.gateway.raised(place=place, kind=kind)
    ]


def receivers_got_every_alert_and_those_that_know_ids_show_each_once(story: Story) -> list[str]:
    before = [event for event in story.gateway.told() if time_ns(event["time"]) < story.caught_up_ns]
    alerts = {event["id"] for event in before if event["type"].startswith("city.linkage.alert.")}
    posts = Counter(event["id"] for event in story.receiver.got())
    known = facts(story.centre)
    by_id = {event["id"]: _without_sent(event) for event in story.gateway.alerts()}
    checks = {
        "an alert never reached the webhook": alerts <= posts.keys(),
        "the receiver that forgets to say yes was not told again": max(posts.values()) > 1,
        "something never reached the centre": {event["id"] for event in before} <= known.keys(),
        "the centre holds something twice": set(known.values()) == {1},
        "a repeat said something else": all(
            _without_sent(event) == by_id.get(event["id"]) for event in story.receiver.got()
        ),
    }
    return [trouble for trouble, holds in checks.items() if not holds]


def what_staff_decided_was_carried_out_once(story: Story) -> list[str]:
    acknowledged = {e["type"] for e in story.gateway.alerts() if e["data"].get("actor") == "li.wei"}
    confirmed = [e for e in story.gateway.told() if e["type"] == "city.linkage.command.confirmed.v1"]
    checks = {
        f"the acknowledgement came out as {acknowledged}": acknowledged
        == {"city.linkage.alert.acknowledged.v1"},
        "a command was refused": {event["data"]["result"] for event in confirmed} == {"applied"},
        "a command was confirmed twice": len({e["data"]["command"] for e in confirmed}) == len(confirmed),
    }
    return [trouble for trouble, holds in checks.items() if not holds]


def a_replay_says_what_the_lives_said(story: Story) -> list[str]:
    replay = replayed(_archive(story), story.gateway.folder, story.folder / "alerts.jsonl")
    return plain_differences(story.gateway.alerts(), replay)


Check = Callable[[Story], list[str]]
CHECKS: tuple[Check, ...] = (
    it_was_killed_each_time_and_then_stopped,
    every_published_reading_is_in_the_archive_exactly_once,
    the_ledger_balances,
    every_incident_was_raised_once_whatever_died_meanwhile,
    receivers_got_every_alert_and_those_that_know_ids_show_each_once,
    what_staff_decided_was_carried_out_once,
    a_replay_says_what_the_lives_said,
)


def trials(folder: Path, seed: int, count: int) -> Iterator[Trial]:
    """Stories of forty kills and the rest, one after another; a story that fails is told of its last kill."""
    number = 0
    while count > 0:
        kills = min(count, KILLS)
        place, count = folder / f"kills-{seed + number}", count - kills
        again = f"python -m tests.rig --only kills --seed {seed + number} --count {kills}"
        found = _told(place, seed + number, kills)
        for kill in range(kills):
            last = kill + 1 == kills
            yield Trial("kill", seed + number, tuple(found) if last else (), again)
        number += 1


def _told(folder: Path, seed: int, kills: int) -> list[str]:
    try:
        with story(folder, seed, kills) as told:
            return [f"{check.__name__.replace('_', ' ')}: {t}" for check in CHECKS for t in check(told)]
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]


def _archive(story: Story) -> Path:
    return story.gateway.folder / "archive"


def _without_sent(event: dict[str, Any]) -> dict[str, Any]:
    data = event["data"]
    return {**event, "data": {**data, "t": {name: t for name, t in data["t"].items() if name != "sent"}}}
