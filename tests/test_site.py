"""Site: what goes wrong in a simulated district is noticed by the built-in defaults: kind, place, in time."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from alerts.alert import AlertChange
from config.snapshot import pack, unpack
from gateway.watch import Watch, build_watch, with_deadlines
from ingest.recorded import read_ticks
from ingest.ticks import Tick
from simulators.district import District, demo_district
from simulators.record import recorded, write_readings
from simulators.scenarios import SECOND_NS, Event, nanoseconds, planned
from simulators.world import World

SEED = int(os.environ.get("WATCHLINE_SEED", "7"))  # of the simulated district
START_NS = nanoseconds("2026-01-05T00:00:00+08:00")
DAY_NS = 86400 * SECOND_NS
HOUR_NS = 3600 * SECOND_NS
LEARNED_NS = START_NS + 3 * DAY_NS  # the warm-up of three days is over
MINUTE_S = 60.0


@dataclass(frozen=True)
class Fault:
    """What is injected, and what must come of it. `hour`: of the day after learning, local time."""

    kind: str
    place: str
    hour: float
    seconds: float
    within_s: float
    size: float | None = None
    channel: str = ""
    urgent: bool = True  # told to people as P1-P3

    @property
    def until_ns(self) -> int:
        return LEARNED_NS + int((self.hour * 3600 + max(self.seconds, self.within_s) + 1800) * SECOND_NS)

    def event(self, district: District) -> Event:
        given: dict[str, Any] = {"start": LEARNED_NS + int(self.hour * HOUR_NS), "seconds": self.seconds}
        given |= {"channel": self.channel} if self.channel else {"place": self.place}
        given |= {} if self.size is None else {"size": self.size}
        return planned(self.kind, district.channels, SEED, 0, given)


FAULTS = (
    Fault("burst", "water.centre.market", 10, 3 * 3600, within_s=15 * MINUTE_S),
    Fault("third_party_damage", "gas.north.well", 10, 3600, within_s=3 * MINUTE_S),
    Fault("joint_overheat", "power.centre.market", 6, 8 * 3600, within_s=3 * 3600),
    Fault("voltage_sag", "power.centre.market", 3, 0.5, within_s=2 * MINUTE_S),
    Fault("fall", "band.a07", 10, 1500, within_s=3 * MINUTE_S),
    Fault("tachycardia", "band.b12", 10, 1800, within_s=10 * MINUTE_S),
    Fault(
        "sensor_fault:stuck", "water.north.inlet", 3, 9 * 3600, 3 * 3600,
        channel="water.north.inlet.flow", urgent=False,
    ),
    Fault("sensor_fault:dropout", "gas.centre.well", 3, 4 * 3600, 10 * MINUTE_S, urgent=False),
)  # fmt: skip
WORDS = {
    "third_party_damage": ("third_party_damage", "well_gas")
}  # methane speaks first, and says what it sees


@dataclass(frozen=True)
class Learned:
    """A district, and a watch's memory of three of its days."""

    district: District
    state: bytes
    folder: Path

    def watch(self) -> Watch:
        watch = build_watch(self.district.channels, links=self.district.links)
        watch.restore(unpack(self.state))
        return watch

    def day(self, end_ns: int, *events: Event) -> tuple[World, list[AlertChange]]:
        """What is told of the time after learning."""
        world = World(self.district.channels, self.district.links, SEED, events)
        watch = self.watch()
        changes: list[AlertChange] = []
        for tick in with_deadlines(ticks_of(world, LEARNED_NS, end_ns, self.folder), watch):
            changes += watch.step(tick)
        return world, changes


def ticks_of(world: World, start_ns: int, end_ns: int, folder: Path) -> Iterator[Tick]:
    path = folder / f"readings-{len(list(folder.iterdir()))}.parquet"
    write_readings(path, world.channels, recorded(world, start_ns, end_ns))
    return read_ticks(path, world.channels)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    folder = tmp_path_factory.mktemp("site")
    district = demo_district()
    watch = build_watch(district.channels, links=district.links)
    world = World(district.channels, district.links, SEED)
    for tick in with_deadlines(ticks_of(world, START_NS, LEARNED_NS, folder), watch):
        watch.step(tick)
    return Learned(district, pack(watch.state()), folder)


def counted(changes: Sequence[AlertChange]) -> list[AlertChange]:
    """What counts as a false alert where nothing happened."""
    return [
        change
        for change in changes
        if change.type == "raised" and change.notify and change.grade != "P4" and not change.warmup
    ]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)
def test_a_fault_is_noticed_named_and_placed_in_time(learned: Learned, fault: Fault) -> None:
    event = fault.event(learned.district)
    world, changes = learned.day(fault.until_ns, event)
    truth = world.truth()[0]
    places = {truth["place"], *truth["near_places"]}
    due_ns = event.start_ns + int(fault.within_s * SECOND_NS)
    told = counted(changes) if fault.urgent else [change for change in changes if change.type == "raised"]

    first = next((c for c in told if c.kind in WORDS.get(fault.kind, (fault.kind,))), None)
    assert first is not None, [(change.kind, change.place) for change in changes]
    assert event.start_ns <= first.detected_ns <= due_ns, (first.detected_ns - event.start_ns) / 1e9
    assert first.place in places
    strangers = [(c.kind, c.place, c.because) for c in counted(changes) if c.place not in places]
    assert strangers == []


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.urgent], ids=lambda fault: fault.kind)
def test_one_fault_is_one_incident(learned: Learned, fault: Fault) -> None:
    _, changes = learned.day(fault.until_ns, fault.event(learned.district))

    assert len({change.incident for change in counted(changes)}) == 1


def test_a_sensor_at_fault_is_never_called_an_incident(learned: Learned) -> None:
    for fault in FAULTS:
        if not fault.urgent:
            _, changes = learned.day(fault.until_ns, fault.event(learned.district))
            assert {change.kind for change in changes if change.type == "raised"} == {fault.kind}


def test_a_calm_day_is_quiet(learned: Learned) -> None:
    _, changes = learned.day(LEARNED_NS + DAY_NS)

    assert [(change.kind, change.place, change.because) for change in counted(changes)] == []
