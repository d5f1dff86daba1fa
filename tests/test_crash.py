"""Crash: a gateway killed at twenty seeded moments while readings flow; nothing is lost or told otherwise."""

import contextlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from config.channels import Channel
from config.lists import time_ns
from ingest.journal import listed, open_reader, stored_arrivals
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

SEED = int(os.environ.get("WATCHLINE_SEED", "20"))
KILLS = 20
SITE = "east"
COUNTERS = 4
EXPLOSIVE = 60.0  # %LEL, beyond both levels


@dataclass(frozen=True)
class Life:
    """One life of the gateway: how long it is, and what goes wrong when."""

    seconds: float
    trouble: str  # gas, sos or nothing
    when: str  # before the kill by a while, right before it, or right after it


def lives(seed: int, count: int = KILLS) -> list[Life]:
    """The same seed gives the same moments."""
    chance = random.Random(seed)
    return [
        Life(
            chance.uniform(0.3, 3.0),
            chance.choice(("gas", "gas", "sos", "nothing")),
            chance.choice(("early", "last", "dead")),
        )
        for _ in range(count)
    ]


EXTRA = [
    *(Channel(f"counter-{n}.flow", "water", f"counter.{n}", "flow", "m3/h", 1.0) for n in range(COUNTERS)),
    *(Channel(f"probe-{n}.ch4", "gas", f"probe.{n}", "ch4", "%{LEL}", 1.0) for n in range(KILLS)),
    *(Channel(f"call-{n}.sos", "wristband", f"person-{n}", "sos", "1", 60.0) for n in range(KILLS)),
]


class Feed:
    """Numbered readings without end, probes that show clean air until told otherwise, and people who call."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.numbers = 0
        self.methane = [1.0] * KILLS
        self._probed_s = 0.0

    def step(self) -> None:
        for counter in range(COUNTERS):
            self.publisher.send(f"counter-{counter}", {"flow": float(self.numbers)})
            self.numbers += 1
        if time.monotonic() - self._probed_s >= 1.0:
            self._probed_s = time.monotonic()
            for probe, level in enumerate(self.methane):
                self.publisher.send(f"probe-{probe}", {"ch4": level})

    def cause(self, life: Life, number: int) -> None:
        if life.trouble == "gas":
            self.methane[number] = EXPLOSIVE
            self.publisher.send(f"probe-{number}", {"ch4": EXPLOSIVE})
        elif life.trouble == "sos":
            self.publisher.send(f"call-{number}", {"sos": 1.0})


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

    def recorded(self) -> list[tuple[str, float]]:
        """(channel, value) of every reading in the archive."""
        files = sorted((self.gateway.folder / "archive").glob("*.parquet"))
        tables = [pq.read_table(file, columns=["channel", "value"]) for file in files]
        return [
            (channel, value)
            for table in tables
            for channel, value in zip(table["channel"].to_pylist(), table["value"].to_pylist())
        ]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("crash")
    (folder / "centre").mkdir()
    with (
        town(folder / "town", site=SITE) as place,
        stub_receiver(folder / "receiver", forgetful=7) as receiver,
        centre(folder / "centre", gateways=(SITE,), heartbeat_s=1.0, users={"li.wei": "staff"}) as there,
        gateway(folder / "gateway") as one,
        contextlib.closing(Publisher(place.broker.port, SITE)) as publisher,
    ):
        place.write_gateway(one.folder, EXTRA, settings(receiver, there), "snapshot_every_s = 4")
        feed = Feed(publisher)
        one.start()
        one.ready()
        play(place)
        with Beat(0.02, feed.step):
            live_and_die(one, feed, there)
        publisher.settled()
        until(lambda: numbered(one) >= feed.numbers, 60.0)
        until(lambda: heard_everywhere(one, receiver, there))
        caught_up_ns = time.time_ns()
        stopped = one.stop()
        yield Story(one, receiver, there, lives(SEED), feed.numbers, folder, stopped, caught_up_ns)


def settings(receiver: StubReceiver, there: Centre) -> str:
    key = there.folder / f"{SITE}.key"
    return (
        f'[archive]\nfolder = "archive"\n{receiver.notifier}'
        f'[centre]\nurl = "{there.url}"\nsecret = {{ file = "{key}" }}\nheartbeat_s = 1\n'
    )


def play(place: Town) -> None:
    """What the simulated district does meanwhile, over real Modbus and MQTT."""
    place.play("third_party_damage", 4, 40, place="gas.north.well", size=85)
    place.play("voltage_sag", 12, 5, place="power.centre.market", size=0.5)
    place.play("fall", 20, 300, place="band.c31", size=4.5)


def live_and_die(one: Gateway, feed: Feed, there: Centre) -> None:
    """Twenty lives, each ended by SIGKILL; a last one is held up. In the middle somebody acknowledges."""
    person = there.person("li.wei")
    for number, life in enumerate(lives(SEED)):
        if number:
            one.start()
        if life.when == "early":
            feed.cause(life, number)
        time.sleep(life.seconds)
        if life.when == "last":
            feed.cause(life, number)
            time.sleep(0.05)
        one.kill()
        if life.when == "dead":
            feed.cause(life, number)
        if number == KILLS // 2:
            acknowledge(person, one.raised(kind="well_gas")[0]["data"]["incident"])
    one.start()
    one.ready()
    one.hold_up(3.5)
    time.sleep(2.0)


def acknowledge(person: Person, incident: str) -> None:
    until(lambda: incident in person.see())
    assert person.act(f"{SITE}/{incident}", "acknowledged").status == 303


def numbered(one: Gateway) -> int:
    """How many numbered readings the journal holds."""
    with contextlib.closing(open_reader(one.data)) as connection:
        ids = listed(connection).id
        counted = {number for number, id in enumerate(ids) if id.startswith("counter-")}
        return sum(
            int(sum(channel in counted for channel in batch.channel.tolist()))
            for *_, batch in stored_arrivals(connection, 0, 1 << 60)
            if batch is not None
        )


def facts(there: Centre) -> Counter[str]:
    """How often the casebook holds each event of the gateway."""
    path = there.folder / "state" / "casebook.db"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return Counter(
            id for (id,) in db.execute("SELECT id FROM fact WHERE source = ?", (f"urn:watchline:{SITE}",))
        )


def heard_everywhere(one: Gateway, receiver: StubReceiver, there: Centre) -> bool:
    told = {event["id"] for event in one.told()}
    alerts = {event["id"] for event in one.alerts()}
    return alerts <= {event["id"] for event in receiver.got()} and told <= set(facts(there))


def test_one_seed_gives_the_same_moments() -> None:
    assert lives(SEED) == lives(SEED)
    assert lives(SEED) != lives(SEED + 1)
    assert len({life.when for life in lives(SEED)}) == 3
    assert {"gas", "sos"} <= {life.trouble for life in lives(SEED)}


def test_it_was_killed_twenty_times_and_stopped_once(story: Story) -> None:
    assert story.gateway.lives == KILLS + 1
    assert story.stopped == 0, story.gateway.said()
    starts = story.gateway.rows("SELECT count(*) FROM ticks WHERE epoch LIKE '%\"start\"%'")[0][0]
    assert starts >= KILLS // 3, "most lives were over before their first tick"
    print(f"{starts} of {KILLS + 1} lives had a first tick")


def test_every_published_reading_is_in_the_archive_exactly_once(story: Story) -> None:
    held = Counter(value for channel, value in story.recorded() if channel.startswith("counter-"))

    assert [number for number in range(story.numbers) if held[float(number)] != 1] == []
    assert len(held) == story.numbers


def test_the_ledger_balances(story: Story) -> None:
    command = [sys.executable, "-m", "gateway.cli", "ledger", str(story.gateway.settings), "--json"]
    done = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=60)
    ledger = json.loads(done.stdout)

    assert done.returncode == 0, done.stderr
    assert ledger["balanced"]
    assert ledger["total"]["dropped"] == {}
    assert ledger["total"]["undecodable"] == {}
    assert ledger["couriers"]["archive"]["stored"] == len(story.recorded())


def test_every_incident_was_raised_once_whatever_died_meanwhile(story: Story) -> None:
    for number, life in enumerate(story.lives):
        if life.trouble == "gas":
            raised = story.gateway.raised(place=f"probe.{number}", kind="well_gas")
            assert raised, f"life {number}: {life}"
            assert len({event["data"]["alert_id"] for event in raised}) == len(raised)
        elif life.trouble == "sos":
            assert len(story.gateway.raised(place=f"person-{number}", kind="sos")) == 1, f"life {number}"
    assert story.gateway.raised(place="gas.north.well", kind="well_gas")
    assert story.gateway.raised(place="power.centre.market", kind="voltage_sag")
    assert story.gateway.raised(place="band.c31", kind="fall")


def test_receivers_got_every_alert_and_those_that_know_ids_show_each_once(story: Story) -> None:
    before = [event for event in story.gateway.told() if told_ns(event) < story.caught_up_ns]
    alerts = {event["id"] for event in before if event["type"].startswith("city.linkage.alert.")}
    posts = Counter(event["id"] for event in story.receiver.got())
    known = facts(story.centre)

    assert alerts <= posts.keys()
    assert max(posts.values()) > 1, "the receiver that forgets to say yes should have been told again"
    assert {event["id"] for event in before} <= known.keys()
    assert set(known.values()) == {1}
    by_id = {event["id"]: without_sent(event) for event in story.gateway.alerts()}
    assert all(without_sent(event) == by_id[event["id"]] for event in story.receiver.got())


def test_what_staff_decided_was_carried_out_once(story: Story) -> None:
    acknowledged = [e for e in story.gateway.alerts() if e["data"].get("actor") == "li.wei"]
    confirmed = [e for e in story.gateway.told() if e["type"] == "city.linkage.command.confirmed.v1"]

    assert {event["type"] for event in acknowledged} == {"city.linkage.alert.acknowledged.v1"}
    assert [event["data"]["result"] for event in confirmed] == ["applied"] * len(confirmed)
    assert len({event["data"]["command"] for event in confirmed}) == len(confirmed) > 0


def test_a_replay_says_what_the_lives_said(story: Story) -> None:
    archive = story.gateway.folder / "archive"
    replay = replayed(archive, story.gateway.folder, story.folder / "alerts.jsonl")

    assert plain_differences(story.gateway.alerts(), replay) == []


def told_ns(event: dict[str, Any]) -> int:
    """When the gateway concluded it."""
    return time_ns(event["time"])


def without_sent(event: dict[str, Any]) -> dict[str, Any]:
    data = event["data"]
    return {**event, "data": {**data, "t": {name: t for name, t in data["t"].items() if name != "sent"}}}
