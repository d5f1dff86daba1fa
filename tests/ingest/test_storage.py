"""Storage: what was acknowledged is there after any restart, and every reading is in exactly one tick."""

import math
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import SettingsError
from ingest import arrivals as arrivals_module
from ingest.journal import FILE_NAME
from ingest.readings import CONFLICT, STAMPED, ReadingBatch
from ingest.storage import Storage
from ingest.ticks import SECOND_NS, Command, Epoch, Tick
from tests.ingest.world import NOON_NS, Hands, Life, balanced, living, same_ticks, site


def changes(*ids: str) -> list[dict[str, object]]:
    return [{"id": id, "type": "city.linkage.alert.raised.v1", "data": {"grade": "P1"}} for id in ids]


def outbox(folder: Path) -> list[str]:
    with sqlite3.connect(folder / FILE_NAME) as connection:
        return [id for (id,) in connection.execute("SELECT event_id FROM outbox ORDER BY id")]


def test_nothing_is_acknowledged_before_it_is_in_the_file(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        seen: list[int] = []
        told = threading.Event()
        reader = life.storage.reader()

        def acknowledge() -> None:
            seen.append(reader.execute("SELECT sum(readings) FROM arrivals").fetchone()[0])
            told.set()

        life.storage.deliver(ReadingBatch.of([0, 1], NOON_NS, [1.0, 2.0]), acknowledge, "mqtt")
        assert not seen
        life.tick()
        assert told.wait(10)
        assert seen == [2]


def test_a_reading_belongs_to_the_first_tick_at_or_after_its_arrival(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        life.hear(0, 1.0)
        first = life.tick()
        life.hands.wind(0.5)
        life.hear(1, 2.0)
        life.hands.wind(0.25)  # closed late: what arrives between the second and its closing waits
        second = life.tick()
        life.hear(2, 3.0)
        third = life.tick()

    assert [tick.readings.channel.tolist() for tick in (first, second, third)] == [[0], [1], [2]]
    assert first.readings.arrival_ns.tolist() == [first.now_ns]


def test_what_arrives_behind_the_moment_of_a_tick_waits_for_the_next(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        life.hands.wind(1.5)
        life.hear(0, 1.0)
        life.storage.submit(lambda connection: None).result()  # synced, but not yet in a tick
        tick = life.storage.close_tick(NOON_NS + SECOND_NS)
        assert not len(tick.readings)
        life.storage.commit_tick(tick, [])
        assert len(life.tick().readings) == 1


def test_readings_of_a_tick_are_sorted_by_channel_and_time(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        life.hear([2, 0, 1, 0], [1.0, 2.0, 3.0, 4.0], ago_s=[0.1, 0.1, 0.1, 0.2])
        readings = life.tick().readings

    assert readings.channel.tolist() == [0, 0, 1, 2]
    assert readings.value.tolist() == [4.0, 2.0, 3.0, 1.0]


def test_a_restart_finds_committed_ticks_and_judges_the_rest_as_the_next(tmp_path: Path) -> None:
    channels, hands = site(), Hands()
    with living(tmp_path, channels, hands) as life:
        life.hear([0, 1], [1.0, np.nan])
        lived = [life.tick(Epoch("start", settings_hash="abc"))]
        life.tick()
        life.storage.command(Command("c1", "ack", {"alert_id": "a"}, "centre", 5))
        life.hear([1, 2], [2.0, 2.0], ago_s=[0.0, 2000.0])
        lived.append(life.tick())
        life.hear(3, 7.0)

    with living(tmp_path, channels, hands) as life:
        assert life.recovery.snapshot is None
        assert same_ticks(list(life.recovery.ticks), lived)
        assert life.recovery.last_tick_ns == lived[-1].now_ns
        assert life.recovery.waiting == 1
        assert life.tick().readings.value.tolist() == [7.0]


def test_a_restart_begins_at_the_last_snapshot_that_can_be_read(tmp_path: Path) -> None:
    channels, hands = site(), Hands()
    with living(tmp_path, channels, hands) as life:
        for number in range(4):
            life.hear(0, float(number))
            life.tick(snapshot={"after": number} if number < 3 else None)

    with living(tmp_path, channels, hands) as life:
        assert life.recovery.snapshot == {"after": 2}
        assert [tick.readings.value.tolist() for tick in life.recovery.ticks] == [[3.0]]

        def damage(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE snapshots SET state = x'00' WHERE tick = 3")

        life.storage.submit(damage).result()

    with living(tmp_path, channels, hands) as life:
        assert life.recovery.snapshot == {"after": 1}
        assert len(list(life.recovery.ticks)) == 2


def test_a_command_acts_in_the_next_tick_once_however_often_it_is_sent(tmp_path: Path) -> None:
    command = Command("c1", "shelve", {"alert_id": "a", "seconds": 60}, "centre", 1)
    hands = Hands()
    with living(tmp_path, site(), hands) as life:
        assert life.storage.command(command)
        assert not life.storage.command(command)
        assert life.tick().commands == (command,)
        assert life.tick().commands == ()
        assert life.storage.command(Command("c2", "unshelve", {}, "centre"))

    with living(tmp_path, site(), hands) as life:
        assert not life.storage.command(command)
        assert [known.id for known in life.tick().commands] == ["c2"]


def test_an_event_enters_the_outbox_once(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        life.tick(changes=changes("a-1", "b-1"))
        life.tick(changes=changes("b-1", "c-1"))

    assert outbox(tmp_path) == ["a-1", "b-1", "c-1"]


def test_an_hour_of_empty_ticks_writes_nothing(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        life.tick(Epoch("start"))
        files = [tmp_path / FILE_NAME, tmp_path / f"{FILE_NAME}-wal"]
        before = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        for _ in range(200):
            life.tick()
        assert [(file.stat().st_size, file.stat().st_mtime_ns) for file in files] == before


def test_redelivery_after_a_restart_is_known_for_what_it_is(tmp_path: Path) -> None:
    channels, hands = site(), Hands()
    with living(tmp_path, channels, hands) as life:
        batch = life.hear(np.arange(4), [1.0, 2.0, 3.0, 4.0], lane="mqtt")
        life.tick()

    with living(tmp_path, channels, hands) as life:
        life.storage.deliver(batch, lane="mqtt")
        life.storage.deliver(ReadingBatch.of([0], batch.time_ns[:1], [9.0]), lane="mqtt")
        readings = life.tick().readings

    assert readings.value.tolist() == [9.0]
    assert readings.flags.tolist() == [STAMPED | CONFLICT]
    lane = balanced(tmp_path).total
    assert (lane.received, lane.durable, lane.duplicate) == (9, 5, 4)


def test_readings_without_a_time_of_their_own_get_distinct_ones(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        for _ in range(3):
            life.storage.deliver(ReadingBatch.of([0, 0, 0], 0, [1.0, 1.0, 2.0], flags=0))
        readings = life.tick().readings

    assert len(set(readings.time_ns.tolist())) == 9
    assert (np.abs(readings.time_ns - NOON_NS) < 1000).all()
    assert not (readings.flags & CONFLICT).any()


def test_a_clock_set_back_by_an_hour_loses_no_reading(tmp_path: Path) -> None:
    channels, hands = site(), Hands()
    with living(tmp_path, channels, hands) as life:
        life.hear(0, 1.0)
        before = life.tick(Epoch("start"))
        life.hear(1, 2.0)
        hands.wall_ns -= 3600 * SECOND_NS
        epoch = life.clock.epoch_if_stepped()
        assert epoch is not None
        stepped = life.tick(epoch)
        life.hear(2, 3.0)
        after = life.tick()
        with pytest.raises(ValueError, match="forward"):
            life.storage.close_tick(after.now_ns)

    assert stepped.now_ns < before.now_ns
    assert stepped.readings.channel.tolist() == [1]
    assert after.readings.channel.tolist() == [2]
    with living(tmp_path, channels, hands) as life:
        assert same_ticks(list(life.recovery.ticks), [before, stepped, after])


def test_a_channel_list_that_changed_keeps_its_past(tmp_path: Path) -> None:
    hands, old = Hands(), site(4)
    with living(tmp_path, old, hands) as life:
        life.hear([0, 1, 2], [1.0, 2.0, 3.0])
        life.tick()

    new = type(old)([old[2], old[4], old[0]])  # one was removed, the order is another
    with living(tmp_path, new, hands) as life:
        (tick,) = life.recovery.ticks
        assert dict(zip(tick.readings.channel.tolist(), tick.readings.value.tolist())) == {0: 3.0, 2: 1.0}
        life.hear([0], [5.0])
        assert life.tick().readings.value.tolist() == [5.0]


def test_undecodable_messages_are_laid_aside_with_their_reason(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        told = threading.Event()
        life.storage.dead_letter("mqtt", "watchline/v1/x", b"\xff{", "not UTF-8", told.set)
        life.storage.drop("mqtt", 3, "channel not listed")
        life.tick()
        assert told.wait(5)
        row = (
            life.storage.reader().execute("SELECT lane, topic, payload, reason FROM dead_letters").fetchone()
        )

    assert row == ("mqtt", "watchline/v1/x", b"\xff{", "not UTF-8")
    lane = balanced(tmp_path).total
    assert lane.undecodable == {"not UTF-8": 1}
    assert (lane.received, lane.dropped) == (3, {"channel not listed": 3})


def test_work_that_fails_harms_no_other_work(tmp_path: Path) -> None:
    def bad(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO delivery VALUES ('bad', 1)")
        raise ValueError("no")

    with living(tmp_path, site()) as life:
        failing = life.storage.submit(bad)
        good = life.storage.submit(lambda connection: connection.execute("SELECT 1").fetchone()[0])
        lazy = life.storage.submit(lambda connection: 7, lazy=True)
        with pytest.raises(ValueError, match="no"):
            failing.result(5)
        assert good.result(5) == 1
        assert lazy.result(5) == 7
        assert life.storage.reader().execute("SELECT count(*) FROM delivery").fetchone() == (0,)


def test_two_gateways_cannot_share_a_folder(tmp_path: Path) -> None:
    with living(tmp_path, site()), pytest.raises(SettingsError, match="another gateway"):
        Storage(tmp_path, site(), Hands().clock()).open()


def test_a_backlog_that_nobody_judged_is_judged_in_several_ticks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals_module, "MOST_A_TICK", 100)
    monkeypatch.setattr(arrivals_module, "MOST_OPEN", 50)
    channels, hands = site(), Hands()
    with living(tmp_path, channels, hands) as life:
        for number in range(10):
            life.hear([0, 1] * 20, float(number), ago_s=np.arange(40) / 1000)
            life.storage.submit(lambda connection: None).result()
            hands.wind(0.01)

    with living(tmp_path, channels, hands) as life:
        sizes = [len(life.tick(Epoch("start")).readings)]
        life.hear(0, 99.0)
        while sizes[-1]:
            sizes.append(len(life.tick().readings))

    assert sum(sizes) == 401
    assert max(sizes) <= 100


class Pipe:
    """A broker's connection with a window: whatever bytes come are readings, acknowledged once durable."""

    def __init__(self, storage: Storage, window: int) -> None:
        self.storage = storage
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.size = window
        self.unacknowledged = 0
        self.time_ns = NOON_NS

    def fileno(self) -> int:
        return self.ours.fileno()

    def wants_write(self) -> bool:
        return False

    def readable(self) -> None:
        got = len(os.read(self.ours.fileno(), 4096))
        if not got:
            self.ours.close()
            return
        self.unacknowledged += got
        self.time_ns += got
        readings = ReadingBatch.of(np.zeros(got), self.time_ns - np.arange(got)[::-1], np.ones(got))
        self.storage.deliver(readings, lambda: self.acknowledge(got), "mqtt")

    def acknowledge(self, got: int) -> None:
        self.unacknowledged -= got
        self.ours.send(b"a" * got)

    def writable(self) -> None:
        raise AssertionError("nobody asked for it")

    def tick(self, monotonic_s: float) -> float:
        return monotonic_s + 10.0

    def waiting(self) -> int:
        return self.unacknowledged

    def window(self) -> int:
        return self.size

    def patience_s(self) -> float:
        return math.inf


@pytest.mark.parametrize("window", [1, 20])
def test_a_broker_that_holds_its_window_is_never_left_waiting(tmp_path: Path, window: int) -> None:
    with living(tmp_path, site()) as life:
        pipe = Pipe(life.storage, window)
        life.storage.host(pipe)
        pipe.theirs.settimeout(10)
        for _ in range(5):  # each round needs the acknowledgements of the one before
            pipe.theirs.send(b"r" * window)
            got = 0
            while got < window:
                got += len(pipe.theirs.recv(4096))
        pipe.theirs.close()
        assert len(life.tick().readings) == 5 * window


def test_less_than_half_a_window_is_acknowledged_within_a_second_or_so(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        pipe = Pipe(life.storage, 1000)
        life.storage.host(pipe)
        pipe.theirs.settimeout(10)
        pipe.theirs.send(b"r")
        assert pipe.theirs.recv(10) == b"a"


def test_many_threads_may_deliver_at_once(tmp_path: Path) -> None:
    with living(tmp_path, site(8)) as life:
        acknowledged: list[int] = []

        def source(channel: int) -> None:
            for number in range(300):
                reading = ReadingBatch.of([channel], NOON_NS + number, [1.0])
                life.storage.deliver(reading, lambda: acknowledged.append(channel), f"lane {channel}")
                if number % 50 == 0:
                    time.sleep(0.001)

        threads = [threading.Thread(target=source, args=(channel,)) for channel in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(life.tick().readings) == 2400
        assert len(acknowledged) == 2400


steps = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), st.integers(0, 3), st.integers(0, 3), st.sampled_from([1.0, 2.0])),
        st.tuples(st.just("tick"), st.booleans()),
        st.tuples(st.just("command"), st.integers(0, 5)),
        st.tuples(st.just("restart")),
    ),
    max_size=30,
)


@given(steps)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_restart_recovers_is_what_was_lived(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[object, ...]]
) -> None:
    folder, channels, hands = tmp_path_factory.mktemp("story"), site(), Hands()
    lived: list[Tick] = []
    life = Life(folder, channels, hands)
    act: dict[object, Callable[..., object]] = {
        "hear": lambda channel, ago, value: life.hear([channel], [value], ago_s=[float(ago)]),
        "tick": lambda epoch: lived.append(life.tick(Epoch("start") if epoch else None)),
        "command": lambda number: life.storage.command(Command(f"c{number}", "ack", {}, "centre")),
    }
    for what, *arguments in story:
        if what == "restart":
            life.storage.stop()
            life = Life(folder, channels, hands)
            said = [tick for tick in lived if len(tick.readings) or tick.commands or tick.epoch]
            assert same_ticks(list(life.recovery.ticks), said)
        else:
            act[what](*arguments)
    life.storage.stop()
    balanced(folder)
