"""Time in a real process: a clock that steps, a box that wakes up in 1970, summer time, wrong devices.

The test sets the wall clock of the gateway's process; the broker, the devices and the test itself keep the
machine's own time.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.living import HOUSE, SECOND_NS, Gateway, Publisher, replayed, until
from tests.parts import mosquitto

# Python runs a module of this name before anything else. (Preloading libfaketime did the same for C, but its
# locks now and then hung a process of many threads for ever.)
SITE = """
import datetime, pathlib, threading, time, time_machine

hands = pathlib.Path(HANDS)
true_s, monotonic_s = time.time(), time.monotonic()
clock = time_machine.travel(true_s, tick=True).start()

def set_to(text):
    if text.startswith("@"):
        clock.move_to(datetime.datetime.fromisoformat(text[1:] + "+00:00"))
    else:
        clock.move_to(true_s + time.monotonic() - monotonic_s + float(text))

def follow(said):
    while True:
        time.sleep(0.02)
        if (text := hands.read_text().strip()) != said:
            set_to(text)
            said = text

said = hands.read_text().strip()
set_to(said)
threading.Thread(target=follow, args=[said], daemon=True).start()
"""
BROKER = "max_inflight_messages 1000\nmax_queued_messages 0"
CHANNELS = """channel,medium,place,quantity,unit,period_s
probe-1.ch4,gas,well.1,ch4,%{LEL},1
probe-2.ch4,gas,well.2,ch4,%{LEL},1
probe-3.ch4,gas,well.3,ch4,%{LEL},1
call-1.sos,wristband,person-1,sos,1,60
call-1.heart_rate,wristband,person-1,heart_rate,/min,10
"""
SETTINGS = """
[site]
id = "east"
timezone = "Europe/Berlin"
channels = "channels.csv"
snapshot_every_s = 3

[[source]]
kind = "mqtt"
host = "127.0.0.1"
port = PORT

[archive]
folder = "archive"

# The default waits ten minutes.
[[watching]]
kind = "clock"
channels = "*"
window_s = 1.0
lasts_s = 3.0
"""


class Faked(Gateway):
    """A gateway whose wall clock the test sets; its monotonic clock is the machine's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.hands = folder / "hands"
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(SITE.replace("HANDS", repr(str(self.hands))))

    def set_clock(self, text: str) -> None:
        """`+3600` is an hour ahead; `@2026-03-29 00:59:50` begins there, in UTC, when the process starts."""
        part = self.hands.with_suffix(".part")
        part.write_text(text + "\n")
        part.replace(self.hands)

    def start(self) -> None:
        self.lives += 1
        env = os.environ | {"PYTHONPATH": str(self.folder / "site"), "TZ": "UTC"}
        with self.log.open("ab") as log:
            log.write(f"--- life {self.lives}\n".encode())
            log.flush()
            command = [sys.executable, "-m", "gateway.cli", "run", str(self.settings)]
            self.process = subprocess.Popen(command, cwd=HOUSE, stdout=log, stderr=log, env=env)

    def epochs(self) -> list[dict[str, Any]]:
        return [
            json.loads(e) for (e,) in self.rows("SELECT epoch FROM ticks WHERE epoch NOT NULL ORDER BY id")
        ]

    def ticks(self) -> list[int]:
        """Whole seconds of stream time, as committed."""
        return [ns // SECOND_NS for (ns,) in self.rows("SELECT now_ns FROM ticks ORDER BY id")]


@contextlib.contextmanager
def living(folder: Path) -> Iterator[tuple[Faked, Publisher]]:
    """A gateway, not yet started, and a publisher for its broker."""
    one = Faked(folder)
    with (
        mosquitto(folder / "broker", BROKER) as broker,
        contextlib.closing(Publisher(broker.port, "east")) as publisher,
    ):
        (folder / "channels.csv").write_text(CHANNELS)
        one.settings.write_text(SETTINGS.replace("PORT", str(broker.port)))
        one.set_clock("+0")
        try:
            yield one, publisher
        finally:
            if one.alive() and one.process is not None:
                one.process.kill()
                one.process.wait()


def breathe(publisher: Publisher, seconds: float) -> None:
    """Readings without a time of their own, ten a second."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        publisher.send_raw("probe-1", json.dumps({"v": {"ch4": 3.0 + time.monotonic() % 1}}))
        time.sleep(0.1)


def test_a_clock_that_steps_an_hour_ahead_and_back_loses_nothing_and_alarms_nobody(tmp_path: Path) -> None:
    with living(tmp_path) as (one, publisher):
        one.start()
        one.ready()
        breathe(publisher, 2.0)
        for number, step in enumerate(("+3600", "+0", "-3600", "+0"), 2):
            one.set_clock(step)
            breathe(publisher, 2.5)
            while len(one.epochs()) < number:
                breathe(publisher, 0.5)
        publisher.settled()
        until(lambda: one.ledger().durable == publisher.sent)
        breathe(publisher, 1.5)
        assert one.stop() == 0
        told, ticks = one.alerts(), one.ticks()

        assert [epoch["reason"] for epoch in one.epochs()] == ["start", *["clock_step"] * 4, "stop"]
        assert all(epoch["clock_good"] for epoch in one.epochs())
        assert one.ledger().balanced
        assert one.ledger().durable == publisher.sent
        assert told == [], "a step is nobody's silence, and nobody's wrong clock"
        steps = [b - a for a, b in pairwise(ticks)]
        jumps = [step for step in steps if abs(step) > 1800]
        assert [round(jump / 3600) for jump in jumps] == [1, -1, -1, 1]
        assert sum(step for step in steps if abs(step) <= 1800) < 60, "in between a second lasts a second"


def test_a_box_that_wakes_up_in_1970_goes_on_where_it_was_until_somebody_sets_its_clock(
    tmp_path: Path,
) -> None:
    with living(tmp_path) as (one, publisher):
        one.start()
        one.ready()
        breathe(publisher, 2.0)
        assert one.stop() == 0
        last = one.ticks()[-1]

        one.set_clock("@1970-01-01 00:01:00")
        one.start()
        one.ready()
        publisher.send(
            "probe-2", {"ch4": 60.0}, time.time_ns() - 3000 * SECOND_NS
        )  # late, if anybody could tell
        publisher.send("probe-3", {"ch4": 3.0}, time.time_ns() + 3000 * SECOND_NS)  # and this one early
        breathe(publisher, 4.0)
        until(lambda: one.raised(kind="well_gas"))
        assert one.ticks()[-1] < last + 120, "stream time goes on from the last tick"
        assert not one.epochs()[-1]["clock_good"]

        one.set_clock("+0")
        until(lambda: one.epochs()[-1]["clock_good"])
        breathe(publisher, 1.5)
        assert one.stop() == 0
        assert [e["reason"] for e in one.epochs()] == ["start", "stop", "start", "clock_step", "stop"]
        assert abs(one.ticks()[-1] - time.time()) < 30
        assert not one.raised(kind="late_detected")
        assert not one.raised(kind="sensor_fault:clock_skew"), "a bad clock accuses nobody"
        assert one.ledger().balanced


def test_summer_time_is_nothing_to_it(tmp_path: Path) -> None:
    with living(tmp_path) as (one, publisher):
        one.set_clock("@2026-03-29 00:59:30")  # Berlin's clocks go from 2 to 3 at 01:00 UTC
        one.start()
        one.ready()
        change = 1_774_746_000
        assert one.ticks()[0] < change
        while one.ticks()[-1] < change + 5:
            breathe(publisher, 1.0)
        assert one.stop() == 0
        assert [epoch["reason"] for epoch in one.epochs()] == ["start", "stop"]
        ticks = one.ticks()
        assert max(b - a for a, b in pairwise(ticks)) < 600, "no hour is missing, and none comes twice"
        assert one.alerts() == []


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faked]:
    """A gateway that heard late news and a device with a wrong clock, and has stopped."""
    folder = tmp_path_factory.mktemp("late")
    with living(folder) as (one, publisher):
        one.start()
        one.ready()
        before_ns = time.time_ns() - 1800 * SECOND_NS
        publisher.send("call-1", {"heart_rate": 72.0})
        publisher.send("probe-1", {"ch4": 3.0}, before_ns - SECOND_NS)
        time.sleep(1.5)
        publisher.send("probe-1", {"ch4": 30.0}, before_ns)  # beyond the first level
        publisher.send("probe-2", {"ch4": 70.0}, before_ns)  # beyond the second
        publisher.send("call-1", {"sos": 1.0}, before_ns)
        end_s = time.monotonic() + 30.0
        while time.monotonic() < end_s and not one.raised(kind="sensor_fault:clock_skew"):
            publisher.send("probe-3", {"ch4": 3.0}, time.time_ns() + 3600 * SECOND_NS)
            publisher.send("call-1", {"heart_rate": 72.0})
            time.sleep(0.2)
        assert one.stop() == 0
        yield one


def test_late_readings_are_noted_and_only_what_threatens_life_pages(told: Faked) -> None:
    paged = {(e["data"]["kind"], e["data"]["place"]) for e in told.raised() if e["data"]["notify"]}
    (noted,) = told.raised(kind="late_detected", place="well.1")

    assert ("sos", "person-1") in paged
    assert ("well_gas", "well.2") in paged
    assert not [place for kind, place in paged if kind == "well_gas" and place == "well.1"]
    assert noted["data"]["grade"] == "P4"
    (gas,) = told.raised(kind="well_gas", place="well.2")
    assert "measured 30 min before it was received" in gas["data"]["because"]
    (call,) = told.raised(kind="sos")
    assert "came late" in call["data"]["because"]


def test_a_device_with_a_wrong_clock_goes_to_maintenance(told: Faked) -> None:
    (fault,) = told.raised(kind="sensor_fault:clock_skew")
    data = fault["data"]

    assert data["place"] == "well.3"
    said = re.search(r"The clock of probe-3 stays (\d+) s ahead of the gateway's", data["because"])
    assert said and abs(int(said[1]) - 3600) <= 2, data["because"]
    assert not [event for event in told.raised(place="well.3") if event is not fault and event != fault]


def test_a_replay_of_it_says_the_same(told: Faked, tmp_path: Path) -> None:
    (told.folder / "links.csv").write_text("from,to,kind\n")
    again = replayed(told.folder / "archive", told.folder, tmp_path / "alerts.jsonl")

    assert [(e["id"], e["type"], e["data"]["because"]) for e in again] == [
        (e["id"], e["type"], e["data"]["because"]) for e in told.alerts()
    ]
