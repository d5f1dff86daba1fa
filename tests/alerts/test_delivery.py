"""Delivery: at least once, to real HTTP servers that answer 500, 429, nonsense, or nothing at all."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alerts.delivery import Delivery
from alerts.notifiers.base import Home, Notifier
from alerts.notifiers.centre import Centre
from alerts.notifiers.webhook import Webhook
from config.secrets import Secret
from ingest.ticks import Command
from tests.alerts.receiver import SECRET, Got, Receiver, Reply, as_the_centre_would, receiver, until
from tests.alerts.test_outbox import events, life
from tests.ingest.world import Life

Setting = tuple[Life, Receiver, Delivery]


@contextlib.contextmanager
def telling(
    folder: Path, answer: Callable[[Got], Reply], build: Callable[[str], Notifier] | None = None
) -> Iterator[tuple[Life, Receiver, Delivery, list[Command]]]:
    commands: list[Command] = []
    with life(folder) as one, receiver(answer) as there:
        notifier = (build or webhook)(there.url)
        home = Home("north", lambda: {"open_alarms": []}, commands.append)
        delivery = Delivery(one.storage, notifier, "hook", home, first_wait_s=0.05)
        delivery.register()
        delivery.start()
        try:
            yield one, there, delivery, commands
        finally:
            there.over.set()
            delivery.stop()


def webhook(url: str) -> Webhook:
    return Webhook(url, Secret(SECRET), timeout_s=0.3)


def centre(url: str) -> Centre:
    return Centre(url, Secret(SECRET), heartbeat_s=60.0, timeout_s=0.5)


def in_turn(*replies: Reply) -> Callable[[Got], Reply]:
    """These answers, then 200 for ever."""
    left = list(replies)
    return lambda got: left.pop(0) if left else Reply()


def refused(one: Life) -> list[tuple[str, str]]:
    with contextlib.closing(one.storage.reader()) as reader:
        return reader.execute("SELECT event_id, reason FROM delivery_refused ORDER BY id").fetchall()


def test_a_change_arrives_signed_with_its_own_id_and_the_time_of_sending(tmp_path: Path) -> None:
    with telling(tmp_path, in_turn()) as (one, there, _, _):
        one.tick(changes=events(["P2"]))

        assert there.wait_for(1) == ["a0-1"]
        (got,) = there.got
        assert got.headers["webhook-id"] == "a0-1"
        assert got.headers["content-type"].startswith("application/cloudevents+json")
        assert got.events[0]["data"]["t"]["sent"].endswith("Z")


@pytest.mark.parametrize("status", [500, 503, 429, 408, 425, 301, 401, 403, 404])
def test_a_receiver_in_trouble_is_asked_again_and_the_repeat_keeps_its_id(
    tmp_path: Path, status: int
) -> None:
    with telling(tmp_path, in_turn(Reply(status))) as (one, there, delivery, _):
        if status in (301, 401, 403, 404):  # a setting has to be changed: patience, but the change is kept
            one.tick(changes=events(["P2"]))
            until(lambda: delivery.trouble)
            assert str(status) in delivery.trouble
            assert refused(one) == []
            return
        one.tick(changes=events(["P2", "P3"]))

        assert there.wait_for(2) == ["a0-1", "a1-1"]
        assert [got.headers["webhook-id"] for got in there.got] == ["a0-1", "a0-1", "a1-1"]
        until(lambda: not delivery.trouble)


def test_a_redirect_leads_nowhere_and_the_change_waits(tmp_path: Path) -> None:
    with receiver() as elsewhere:
        moved = Reply(307, headers={"location": f"{elsewhere.url}/latest/meta-data"})
        with telling(tmp_path, lambda got: moved) as (one, there, delivery, _):
            one.tick(changes=events(["P1"]))
            until(lambda: "307" in delivery.trouble)

            assert len(there.got) == 1
            assert elsewhere.got == []
            assert refused(one) == []


def test_a_receiver_that_says_when_to_come_back_is_not_asked_before(tmp_path: Path) -> None:
    with telling(tmp_path, in_turn(Reply(429, headers={"retry-after": "1"}))) as (one, there, _, _):
        start = time.monotonic()
        one.tick(changes=events(["P2"]))
        there.wait_for(1)

        assert time.monotonic() - start >= 1.0


def test_a_receiver_that_never_answers_costs_one_time_out_and_loses_nothing(tmp_path: Path) -> None:
    with telling(tmp_path, in_turn(Reply(hang=True))) as (one, there, delivery, _):
        one.tick(changes=events(["P2"]))
        until(lambda: "does not answer" in delivery.trouble)

        assert there.wait_for(1) == ["a0-1"]


def test_nobody_at_home_is_waited_out(tmp_path: Path) -> None:
    with receiver() as gone:
        url = gone.url
    with telling(tmp_path, in_turn(), lambda _: webhook(url)) as (one, _, delivery, _):
        one.tick(changes=events(["P1"]))
        until(lambda: delivery.failures >= 3)

        assert "does not answer" in delivery.trouble
        assert "refused" in delivery.trouble


def test_a_message_refused_for_good_is_put_aside_and_the_next_goes_on(tmp_path: Path) -> None:
    with telling(tmp_path, in_turn(Reply(422, b"no such\n kind"))) as (one, there, delivery, _):
        one.tick(changes=events(["P2", "P3"]))

        assert there.wait_for(1) == ["a1-1"]
        until(lambda: refused(one))
        assert refused(one) == [("a0-1", "webhook (127.0.0.1) answered 422: no such kind")]
        assert delivery.refused == 1


def test_of_a_refused_batch_only_the_culprit_is_put_aside(tmp_path: Path) -> None:
    def dislikes_a5(got: Got) -> Reply:
        return Reply(400 if "a5-1" in {event["id"] for event in got.events} else 200)

    with telling(tmp_path, dislikes_a5, lambda url: Webhook(url, Secret(SECRET), batch=True)) as (
        one,
        there,
        _,
        _,
    ):
        one.tick(changes=events(["P3"] * 12))

        assert sorted(there.wait_for(11)) == sorted(f"a{n}-1" for n in range(12) if n != 5)
        until(lambda: refused(one))
        assert [event_id for event_id, _ in refused(one)] == ["a5-1"]


def test_told_only_leaves_out_what_people_are_not_told(tmp_path: Path) -> None:
    changes = events(["P2", "P2"])
    changes[0]["data"]["notify"] = False
    with telling(tmp_path, in_turn(), lambda url: Webhook(url, Secret(SECRET), told_only=True)) as (
        one,
        there,
        _,
        _,
    ):
        one.tick(changes=changes)

        assert there.wait_for(1) == ["a1-1"]


def test_what_was_told_is_not_told_again_after_a_tidy_restart(tmp_path: Path) -> None:
    with telling(tmp_path, in_turn()) as (one, there, _, _):
        one.tick(changes=events(["P2", "P1"]))
        there.wait_for(2)
    with telling(tmp_path, in_turn()) as (one, there, _, _):
        one.hands.wind(60.0)
        one.tick(changes=events(["P3"], start=9))

        assert there.wait_for(1) == ["a9-1"]


# --- the centre ---


def test_the_centre_gets_changes_and_a_heartbeat_in_one_batch(tmp_path: Path) -> None:
    with telling(tmp_path, as_the_centre_would(), centre) as (one, there, _, _):
        one.tick(changes=events(["P3", "P1"]))
        until(lambda: len([id for id in there.ids if id.startswith("a")]) == 2)

        assert {got.path for got in there.got} == {"/api/v1/changes"}
        assert {got.headers["watchline-gateway"] for got in there.got} == {"north"}
        assert {got.headers["content-type"] for got in there.got} == {"application/cloudevents-batch+json"}
        beats = [event for event in there.events if event["type"].endswith("heartbeat.v1")]
        assert [beat["source"] for beat in beats] == ["urn:watchline:north"]
        assert beats[0]["data"] == {"open_alarms": []}


def test_heartbeats_go_on_although_nothing_happens(tmp_path: Path) -> None:
    with telling(
        tmp_path, as_the_centre_would(), lambda url: Centre(url, Secret(SECRET), heartbeat_s=0.05)
    ) as (_, there, _, _):
        assert len(set(there.wait_for(3))) >= 3


def test_signed_commands_reach_the_gateway(tmp_path: Path) -> None:
    order = {
        "id": "c1",
        "kind": "ack",
        "actor": "li.wei",
        "issued": "2026-01-05T02:00:00Z",
        "body": {"alert_id": "a"},
    }
    with telling(tmp_path, as_the_centre_would([order]), centre) as (_, _, _, commands):
        until(lambda: commands)

        assert commands[0] == Command("c1", "ack", {"alert_id": "a"}, "li.wei", 1_767_578_400 * 10**9)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda reply, got: Reply(200, reply.body),
        lambda reply, got: Reply(200, reply.body.replace(b"c1", b"c2"), reply.headers),
        lambda reply, got: as_the_centre_would(secret="whsec_" + "A" * 32)(got),
        lambda reply, got: Reply(200, b"<html>please log in</html>"),
        lambda reply, got: Reply(200, b"x" * (5 * 2**20), reply.headers),
        lambda reply, got: as_the_centre_would()(Got("", {**got.headers, "webhook-id": "another"}, got.body)),
    ],
    ids=["unsigned", "changed", "wrong secret", "captive portal", "huge", "answer to another message"],
)
def test_an_answer_that_is_not_the_centres_stores_nothing_and_commands_nothing(
    tmp_path: Path, spoil: Callable[[Reply, Got], Reply]
) -> None:
    order = {"id": "c1", "kind": "ack", "actor": "x", "issued": "2026-01-05T02:00:00Z", "body": {}}
    honest = as_the_centre_would([order])
    turns = Counter[str]()

    def answer(got: Got) -> Reply:
        turns["n"] += 1
        return spoil(honest(got), got) if turns["n"] <= 3 else as_the_centre_would()(got)

    with telling(tmp_path, answer, centre) as (one, there, delivery, commands):
        one.tick(changes=events(["P1"]))
        until(lambda: delivery.trouble)
        until(lambda: delivery.delivered == 1)

        assert turns["n"] >= 4
        assert commands == []
        assert there.ids.count("a0-1") >= 2, "it was sent again, since nobody had confirmed it"


def test_what_the_centre_did_not_store_is_sent_again(tmp_path: Path) -> None:
    turns = Counter[str]()

    def forgetful(got: Got) -> Reply:
        turns["n"] += 1
        if turns["n"] > 2:
            return as_the_centre_would()(got)
        kept = json.dumps([event for event in got.events if event["id"] != "a1-1"]).encode()
        return as_the_centre_would()(Got(got.path, got.headers, kept))

    with telling(tmp_path, forgetful, centre) as (one, _, delivery, _):
        one.tick(changes=events(["P2", "P2", "P2"]))

        until(lambda: delivery.delivered == 3)


# --- the process dies ---


def test_a_sender_killed_at_any_moment_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    chance = random.Random(5)
    with receiver(lambda got: Reply(hold_s=chance.choice([0.0, 0.0, 0.01]))) as there:
        committed: set[str] = set()
        for life_number in range(5):
            command = [
                sys.executable,
                "-m",
                "tests.alerts.sender_process",
                str(tmp_path),
                there.url,
                str(life_number),
            ]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.05, 0.4))
            os.kill(process.pid, signal.SIGKILL)
            committed |= set(process.stdout.read().split())
            process.wait()
        with subprocess.Popen(
            [sys.executable, "-m", "tests.alerts.sender_process", str(tmp_path), there.url, "rest"],
            stdout=subprocess.PIPE,
        ) as last:
            until(lambda: committed <= set(there.ids))
            last.terminate()

    assert len(committed) > 20
    repeats = sum(count - 1 for count in Counter(there.ids).values())
    assert repeats < len(there.ids)
