"""Courier: live readings first while a backlog drains, a target that fails left alone, and a quick end."""

import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.errors import DeliveryFailed
from ingest import courier as courier_module
from ingest.courier import Breaker, Courier, Gap, Place, Trip
from ingest.fetch import some_ticks
from ingest.lanes import settle
from ingest.pruning import _forget
from tests.ingest.world import Hands, Life, balanced, living, site


class Porter:
    """A far side that takes about 20 readings a trip, and only while it is open."""

    name = "porter"
    fresh_first = True
    stop_s = 2.0

    def __init__(self, takes_s: float = 0.0) -> None:
        self.is_open = threading.Event()
        self.is_open.set()
        self.takes_s = takes_s
        self.ticks: list[int] = []

    def carry(self, connection: sqlite3.Connection, gap: Gap, stop: threading.Event) -> Trip | None:
        ticks = some_ticks(connection, gap, 20)
        if not ticks:
            return None
        if not self.is_open.is_set():
            raise DeliveryFailed("the porter is away")
        time.sleep(self.takes_s)
        self.ticks += [tick.id for tick in ticks]
        return Trip(Place(ticks[-1].id, ticks[-1].upto_arrival), sum(tick.readings for tick in ticks))


@pytest.fixture(autouse=True)
def a_small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_module, "BACKLOG_TICKS", 50)
    monkeypatch.setattr(courier_module, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(courier_module, "LONGEST_WAIT_S", 0.05)


@contextlib.contextmanager
def carrying(life: Life, porter: Porter) -> Iterator[Courier]:
    one = Courier(life.storage, porter)
    one.start()
    try:
        yield one
    finally:
        one.stop()


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def ticks_with_two(life: Life, number: int) -> None:
    for value in range(number):
        life.hear([0, 1], [float(value), 1.0])
        life.tick()


def pending(folder: Path) -> int:
    return balanced(folder).couriers["porter"].pending


def test_live_readings_go_first_while_a_backlog_drains_and_each_goes_once(tmp_path: Path) -> None:
    porter = Porter(takes_s=0.02)
    with living(tmp_path, site()) as life:
        ticks_with_two(life, 400)
        with carrying(life, porter):
            for _ in range(10):
                life.hear([0, 1], [1.0, 1.0])
                life.tick()
                newest = life.storage._tick_id
                until(lambda newest=newest: newest in porter.ticks, 2.0)  # type: ignore[misc]
            assert pending(tmp_path) > 0  # the backlog was not over before
            until(lambda: not pending(tmp_path))

    assert sorted(porter.ticks) == list(range(1, 411))
    assert balanced(tmp_path).couriers["porter"].stored == 820


def test_a_target_that_comes_and_goes_gets_everything_once(tmp_path: Path) -> None:
    porter = Porter()
    with living(tmp_path, site()) as life, carrying(life, porter) as one:
        for outage in range(4):
            porter.is_open.clear()
            ticks_with_two(life, 70)
            until(lambda: one.trouble)
            porter.is_open.set()
            until(lambda: not one.trouble)
            if outage % 2:
                until(lambda: not pending(tmp_path))
        until(lambda: not pending(tmp_path))

    assert sorted(porter.ticks) == list(range(1, 281))


def test_a_restart_amid_a_drain_loses_and_doubles_nothing(tmp_path: Path) -> None:
    porter, hands = Porter(takes_s=0.005), Hands()
    with living(tmp_path, site(), hands) as life:
        ticks_with_two(life, 300)
        with carrying(life, porter):
            until(lambda: len(porter.ticks) > 60)
    half = len(porter.ticks)
    assert half < 300
    with living(tmp_path, site(), hands) as life:
        ticks_with_two(life, 3)
        with carrying(life, porter):
            until(lambda: not pending(tmp_path))

    assert sorted(porter.ticks) == list(range(1, 304))


def test_small_arrears_are_carried_in_order(tmp_path: Path) -> None:
    porter = Porter()
    with living(tmp_path, site()) as life:
        ticks_with_two(life, 45)
        with carrying(life, porter):
            until(lambda: not pending(tmp_path))

    assert porter.ticks == list(range(1, 46))


def test_pruning_that_overtakes_a_drain_keeps_the_books_whole(tmp_path: Path) -> None:
    def forget(writer: sqlite3.Connection, upto: int) -> None:
        settle(writer)
        _forget(writer, upto)

    porter = Porter(takes_s=0.002)
    with living(tmp_path, site()) as life:
        ticks_with_two(life, 300)
        with carrying(life, porter):
            for upto in (100, 150, 298):
                until(lambda upto=upto: len(porter.ticks) > upto // 4)  # type: ignore[misc]
                life.storage.submit(lambda writer, upto=upto: forget(writer, upto)).result()  # type: ignore[misc]
                ticks_with_two(life, 1)
                balanced(tmp_path)
            until(lambda: not pending(tmp_path))

    told = balanced(tmp_path).couriers["porter"]
    assert told.stored + told.pruned == 606
    assert told.pruned > 0


class Silent(Porter):
    """Takes what it is given and never answers."""

    stop_s = 0.3

    def carry(self, connection: sqlite3.Connection, gap: Gap, stop: threading.Event) -> Trip | None:
        if some_ticks(connection, gap, 20):
            self.ticks.append(0)
            time.sleep(60.0)
        return None


def test_a_stop_does_not_wait_for_an_answer_that_does_not_come(tmp_path: Path) -> None:
    silent = Silent()
    with living(tmp_path, site()) as life:
        one = Courier(life.storage, silent)
        one.start()
        ticks_with_two(life, 1)
        until(lambda: silent.ticks)
        begin = time.monotonic()
        one.stop()
        assert time.monotonic() - begin < 5.0

    assert pending(tmp_path) == 2


def test_a_stop_needs_no_tick_to_hand_its_progress_back(tmp_path: Path) -> None:
    porter = Porter()
    with living(tmp_path, site()) as life:
        one = Courier(life.storage, porter)
        one.start()
        ticks_with_two(life, 3)
        until(lambda: len(porter.ticks) == 3)
        begin = time.monotonic()
        one.stop()
        assert time.monotonic() - begin < 5.0
        assert pending(tmp_path) == 0


def test_pauses_grow_and_a_wish_is_believed_within_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: 1.0)
    monkeypatch.setattr(courier_module, "FIRST_WAIT_S", 1.0)
    monkeypatch.setattr(courier_module, "LONGEST_WAIT_S", 60.0)
    breaker = Breaker()

    assert [breaker.pause_s(DeliveryFailed("away")) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    breaker.close()
    assert breaker.pause_s(DeliveryFailed("busy", retry_after_s=7.0)) == 7.0
    assert breaker.pause_s(DeliveryFailed("busy", retry_after_s=1e9)) == 600.0
    assert breaker.pause_s(DeliveryFailed("wrong token", permanent=True)) == 30.0


def test_a_journal_that_cannot_be_read_for_a_moment_is_read_again(tmp_path: Path) -> None:
    class Stumbling(Porter):
        stumbles = 2

        def carry(self, connection: sqlite3.Connection, gap: Gap, stop: threading.Event) -> Trip | None:
            if self.stumbles:
                self.stumbles -= 1
                raise sqlite3.OperationalError("disk I/O error")
            return super().carry(connection, gap, stop)

    with living(tmp_path, site()) as life, carrying(life, porter := Stumbling()) as courier:
        life.hear(0, 1.0)
        life.tick()
        until(lambda: porter.ticks == [1])
        until(lambda: not courier.trouble)

    assert balanced(tmp_path).couriers["porter"].stored == 1
