"""Watch: time comes in with the data, so ticks that were never recorded make no difference."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from alerts.alert import AlertChange
from config.channels import Channel, ChannelTable
from config.snapshot import pack, unpack
from gateway.watch import Watch, build_watch, keep_watch, with_deadlines
from ingest.readings import GOOD, STAMPED, ReadingBatch
from ingest.ticks import SECOND_NS, Command, Epoch, Tick

START_NS = 1_767_571_200 * SECOND_NS  # 2026-01-05T00:00:00Z
CHANNELS = ChannelTable(
    [
        Channel("g.a.ch4", "gas", "g.a", "ch4", "%{LEL}", 5.0),
        Channel("g.a.pressure", "gas", "g.a", "pressure", "kPa", 5.0, nominal=200.0),
        Channel("p.a.voltage", "power", "p.a", "voltage", "V", 20.0, nominal=220.0),
        Channel("w.a.heart_rate", "wristband", "w.a", "heart_rate", "/min", 20.0),
    ]
)
USUAL = (1.0, 200.0, 220.0, 70.0)
WILD = (60.0, 50.0, 150.0, 160.0)


def readings(now_ns: int, chance: random.Random) -> ReadingBatch:
    """What arrives in a second: now and then nothing, now and then something alarming."""
    rows = [n for n in range(len(CHANNELS)) if (now_ns // SECOND_NS) % CHANNELS.period_s[n] == n]
    rows = [n for n in rows if chance.random() < 0.9]
    values = [
        (WILD if (now_ns // SECOND_NS // 90) % 4 == 3 else USUAL)[n] + chance.gauss(0, 0.5) for n in rows
    ]
    now = np.full(len(rows), now_ns, dtype=np.int64)
    return ReadingBatch.of(rows, now, values, GOOD, now, np.full(len(rows), STAMPED)).sorted()


def lived(seed: int, seconds: int = 1500) -> Iterator[Tick]:
    """A life tick by tick: stalls, starts after a stop or a kill, a clock that is set."""
    chance = random.Random(seed)
    now_ns, watched_ns = START_NS, 0
    end_ns = START_NS + seconds * SECOND_NS
    pending: Epoch | None = Epoch("start")
    while now_ns < end_ns:
        command = Command(f"c{now_ns}", "ack", {"alert_id": "none"}, "li.wei")
        commands = (command,) if chance.random() < 0.01 else ()
        yield Tick(now_ns, readings(now_ns, chance), commands, pending)
        watched_ns, pending = now_ns, None
        now_ns += SECOND_NS
        fate = chance.random()
        if fate < 0.02:
            now_ns += chance.randint(1, 30) * SECOND_NS  # held up
        elif fate < 0.025:
            now_ns += chance.randint(-200, 400) * SECOND_NS
            pending = Epoch("clock_step", watched_ns=watched_ns)
        elif fate < 0.03:
            now_ns += 2 * SECOND_NS
            yield Tick(now_ns, readings(now_ns, chance), (), Epoch("stop", watched_ns=watched_ns))
            now_ns += chance.randint(5, 200) * SECOND_NS
            pending = Epoch("start")


def matters(tick: Tick) -> bool:
    """It is recorded."""
    return bool(len(tick.readings) or tick.commands or tick.epoch)


@dataclass
class Run:
    """What a watch said, and the memory it has after each tick that was recorded."""

    changes: list[AlertChange]
    memories: dict[int, bytes]  # by the tick's place in the recording


def run(ticks: Sequence[Tick], keep: Sequence[int] = (), watch: Watch | None = None) -> Run:
    watch = watch or build_watch(CHANNELS)
    said = Run([], {})
    kept = {id(ticks[number]): number for number in keep}

    def record(tick: Tick, changes: list[AlertChange]) -> None:
        said.changes += changes
        if id(tick) in kept:
            said.memories[kept[id(tick)]] = pack(watch.state())

    keep_watch(with_deadlines(ticks, watch), watch, record)
    return said


@pytest.mark.parametrize("seed", range(6))
def test_what_was_recorded_says_what_was_lived(seed: int) -> None:
    """It ends with SIGKILL right after the last change, be it in a second in which nothing arrived."""
    life = list(lived(seed))
    told = {change.detected_ns for change in run(life).changes}
    end = max(n for n, tick in enumerate(life) if matters(tick) or tick.now_ns in told)
    last_ns = life[end].now_ns
    again = Tick(last_ns + 60 * SECOND_NS, ReadingBatch.empty(), (), Epoch("start", watched_ns=last_ns))
    life = [*life[: end + 1], again]
    recording = [tick for tick in life if matters(tick)]
    live = run(life, [len(life) - 1])
    replay = run(recording, [len(recording) - 1])

    assert len(recording) < len(life)
    assert replay.changes == live.changes
    assert list(replay.memories.values()) == list(live.memories.values())


@pytest.mark.parametrize("seed", range(6))
def test_a_restart_from_a_snapshot_goes_on_as_if_nothing_had_happened(seed: int) -> None:
    recording = [tick for tick in lived(seed) if matters(tick)]
    cuts = [len(recording) // 3, len(recording) // 2, len(recording) - 2]
    last = len(recording) - 1
    whole = run(recording, [*cuts, last])

    for cut in cuts:
        watch = build_watch(CHANNELS)
        watch.restore(unpack(whole.memories[cut]))
        assert pack(watch.state()) == whole.memories[cut]
        tail = recording[cut + 1 :]
        rest = run(tail, [len(tail) - 1], watch)
        assert rest.changes == whole.changes[len(whole.changes) - len(rest.changes) :]
        assert rest.memories[len(tail) - 1] == whole.memories[last]


def test_nobody_watched_while_the_gateway_was_away() -> None:
    """Silence is not counted over a gap that an epoch explains, however long it was."""

    def hour(start_ns: int) -> list[Tick]:
        chance = random.Random(1)
        return [
            Tick(start_ns + s * SECOND_NS, readings(start_ns + s * SECOND_NS, chance)) for s in range(300)
        ]

    for reason in ("start", "clock_step"):
        before, after = hour(START_NS), hour(START_NS + 86400 * SECOND_NS)
        epoch = Epoch(reason, watched_ns=before[-1].now_ns if reason == "clock_step" else 0)
        first = after[0]
        after[0] = Tick(first.now_ns, first.readings, (), epoch)
        kinds = {change.kind for change in run([*before, *after]).changes}
        assert "sensor_fault:dropout" not in kinds


def test_a_recording_ends_with_its_last_rows_and_not_with_silence() -> None:
    watch = build_watch(CHANNELS)
    chance = random.Random(2)
    ticks = [Tick(START_NS + s * SECOND_NS, readings(START_NS + s * SECOND_NS, chance)) for s in range(120)]
    moments: list[int] = []
    changes: list[AlertChange] = []

    def record(tick: Tick, said: list[AlertChange]) -> None:
        moments.append(tick.now_ns)
        changes.extend(said)

    keep_watch(with_deadlines(ticks, watch, to_the_end=True), watch, record)
    assert watch.window.last_settling_ns() == 0
    assert ticks[-1].now_ns < moments[-1] <= ticks[-1].now_ns + 41 * SECOND_NS
    assert {change.kind for change in changes} & {"sensor_fault:dropout"} == set()


def test_whoever_falls_again_while_the_first_fall_is_open_is_told_of_again() -> None:
    units = {"acceleration_peak": "[g]", "steps": "{steps}/min", "heart_rate": "/min"}
    band = ChannelTable(
        [Channel(f"anna.{name}", "wristband", "anna", name, unit, 60.0) for name, unit in units.items()]
    )
    minutes = [(1.3, 20.0)] * 3 + [(4.2, 0.0)] + [(1.02, 0.0)] * 8  # a fall
    minutes += [(1.5, 4.0), (4.4, 6.0)] + [(1.02, 0.0)] * 5  # tries to get up, and falls
    minutes += [(1.6, 40.0)] * 2 + [(4.1, 0.0)] + [(1.02, 0.0)] * 3  # is up, and falls once more
    watch = build_watch(band)
    told = []
    for number, (peak, steps) in enumerate(minutes):
        now_ns = START_NS + number * 60 * SECOND_NS
        batch = ReadingBatch.of([0, 1, 2], [now_ns] * 3, [peak, steps, 70.0], GOOD, now_ns, STAMPED).sorted()
        ticks = with_deadlines([Tick(now_ns + SECOND_NS, batch)], watch)
        told += [(number, change) for tick in ticks for change in watch.step(tick) if change.notify]

    assert [(number, change.kind, change.grade, change.type) for number, change in told] == [
        (number, "fall", "P2", "raised") for number in (4, 14, 22)
    ]
    assert len({change.incident for _, change in told}) == 1
