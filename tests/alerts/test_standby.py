"""Standing in: a receiver tells what another could not, says so to the centre, and marks repeats."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from alerts.delivery import Delivery
from alerts.notifiers.base import CloudEvent, Home, Notifier
from alerts.standby import Standby
from config.errors import DeliveryFailed
from tests.alerts.receiver import until
from tests.alerts.test_outbox import events, life
from tests.ingest.world import Life

AFTER_S = {"P1": 60.0, "P2": 300.0, "P3": 900.0}


@dataclass
class Ear(Notifier):
    """Hears what it is told, or fails as it is told."""

    failing: str = ""
    unsent: bool = False
    heard: list[CloudEvent] = field(default_factory=list)
    for_people: ClassVar[bool] = True

    def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
        if self.failing:
            raise DeliveryFailed(self.failing, unsent=self.unsent)
        self.heard += changes
        return None

    def called(self) -> Sequence[str]:
        return ["wang"]

    @property
    def ids(self) -> list[str]:
        return [str(change["id"]) for change in self.heard]


class Centre(Ear):
    """Wants to hear everything."""

    def wants(self, change: CloudEvent) -> bool:
        return True


@contextlib.contextmanager
def two(one: Life, first: Ear, second: Ear) -> Iterator[tuple[Delivery, Delivery]]:
    """`second` stands in for `first`."""
    home = Home("north", dict, lambda command: None)
    now = one.clock.now_ns
    deliveries = (
        Delivery(one.storage, first, "centre", home, first_wait_s=0.05, clock=now),
        Delivery(one.storage, second, "sms", home, standby=Standby("centre", AFTER_S), clock=now),
    )
    for delivery in deliveries:
        delivery.register()
    for delivery in deliveries:
        delivery.start()
    try:
        yield deliveries
    finally:
        for delivery in deliveries:
            delivery.stop()


def test_while_the_first_confirms_the_second_says_nothing(tmp_path: Path) -> None:
    first, second = Ear(), Ear()
    with life(tmp_path) as one, two(one, first, second):
        one.tick(changes=events(["P1", "P2"]))
        until(lambda: len(first.heard) == 2)
        one.hands.wind(3600.0)
        one.tick()
        one.tick(changes=events(["P1"], start=5))
        until(lambda: len(first.heard) == 3)

    assert second.heard == []


def test_what_the_first_has_not_confirmed_in_time_is_told_by_the_second_graver_ones_sooner(
    tmp_path: Path,
) -> None:
    first, second = Centre("the centre is away"), Ear()
    with life(tmp_path) as one, two(one, first, second):
        one.tick(changes=events(["P1", "P2", "P3", "P4"]))
        one.hands.wind(59.0)
        one.tick()
        assert second.heard == []

        one.hands.wind(2.0)
        one.tick()
        until(lambda: second.ids == ["a0-1"])
        one.hands.wind(300.0)
        one.tick()
        until(lambda: second.ids == ["a0-1", "a1-1"])

        first.failing = ""  # the centre is back, hears everything once, and what was done without it
        until(lambda: len(first.heard) == 6)
        calls = [change for change in first.heard if change["type"].endswith("called.v1")]
        assert [(c["data"]["change"], c["data"]["actor"], c["data"]["called"]) for c in calls] == [
            ("a0-1", "sms", ["wang"]),
            ("a1-1", "sms", ["wang"]),
        ]
        one.hands.wind(3600.0)
        one.tick()
        one.tick(changes=events(["P3"], start=9))
        until(lambda: "a9-1" in first.ids)

    assert second.ids == ["a0-1", "a1-1"], "P3 was confirmed after all, and P4 is nobody's to call for"


def test_what_the_first_refused_for_good_is_told_by_the_second_at_its_time(tmp_path: Path) -> None:
    class Picky(Ear):
        def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
            raise DeliveryFailed("no such kind", permanent=True)

    second = Ear()
    with life(tmp_path) as one, two(one, Picky(), second) as (primary, _):
        one.tick(changes=events(["P1"]))
        until(lambda: primary.refused == 1)
        one.hands.wind(61.0)
        one.tick()
        until(lambda: second.ids == ["a0-1"])


def repeated(ear: Ear) -> list[bool]:
    return [bool(change["data"].get("repeat")) for change in ear.heard]


def test_a_lost_reply_costs_a_person_one_repeat_that_is_marked(tmp_path: Path) -> None:
    class Mumbling(Ear):
        def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
            self.heard += changes
            if len(self.heard) == 1:
                raise DeliveryFailed("no answer")  # it was told, and we cannot know
            return None

    ear = Mumbling()
    with life(tmp_path) as one:
        delivery = Delivery(one.storage, ear, "sms", Home("north", dict, print), first_wait_s=0.05)
        delivery.register()
        delivery.start()
        one.tick(changes=events(["P2", "P3"]))
        until(lambda: delivery.delivered == 2)
        delivery.stop()

    assert ear.ids == ["a0-1", "a0-1", "a1-1"]
    assert repeated(ear) == [False, True, False]
    assert delivery.repeats == 1


def test_what_surely_reached_nobody_is_no_repeat(tmp_path: Path) -> None:
    ear = Ear("connection refused", unsent=True)
    with life(tmp_path) as one:
        delivery = Delivery(one.storage, ear, "sms", Home("north", dict, print), first_wait_s=0.05)
        delivery.register()
        delivery.start()
        one.tick(changes=events(["P2"]))
        until(lambda: delivery.failures >= 2)
        ear.failing = ""
        until(lambda: delivery.delivered == 1)
        delivery.stop()

    assert repeated(ear) == [False]


def test_each_kill_costs_at_most_one_repeat_and_each_repeat_is_marked(tmp_path: Path) -> None:
    """A process is killed right after it told a person, before it could note that it had."""
    log = tmp_path / "told.jsonl"
    log.touch()

    def told() -> list[tuple[str, bool]]:
        return [tuple(json.loads(line)) for line in log.read_text().splitlines()]

    kills = 3
    for number in range(kills + 1):
        last = "last" if number == kills else "dies"
        command = [sys.executable, "-m", "tests.alerts.person_process", str(tmp_path), str(number), last]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            if last == "last":
                assert process.stdout.readline() == "all told\n"
                process.terminate()
            else:
                assert process.stdout.readline() == "told\n"
                os.kill(process.pid, signal.SIGKILL)

    ids = [id for id, _ in told()]
    assert len(set(ids)) == kills + 1, "nothing is lost"
    assert len(ids) - len(set(ids)) <= kills
    for place, (id, repeat) in enumerate(told()):
        assert repeat == (id in ids[:place]), "a repeat is marked, and nothing else is"


def test_a_receiver_that_hangs_for_an_hour_is_said_to_and_the_others_go_on(tmp_path: Path) -> None:

    gate = threading.Event()

    class Hanging(Ear):
        def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
            gate.wait(60.0)
            return super().notify(changes)

    first, second = Hanging(), Ear()
    with life(tmp_path) as one, two(one, first, second) as (primary, _):
        one.tick(changes=events(["P1"]))
        until(lambda: primary._busy_since_s is not None)
        assert primary._busy_since_s is not None
        primary._busy_since_s -= 3600.0
        assert "said nothing for 3600 s" in primary.trouble
        one.hands.wind(3600.0)
        one.tick()
        until(lambda: second.ids == ["a0-1"])
        one.tick(changes=events(["P2"], start=3))

        gate.set()
        until(lambda: {"a0-1", "a3-1"} <= set(first.ids))
