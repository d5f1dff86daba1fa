"""City: made-up recordings of several zones, with all in them that makes a part differ from the whole."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.channels import Channel, ChannelTable, Link
from ingest.readings import BAD, GOOD, ReadingBatch
from ingest.recorded import write_readings
from ingest.ticks import SECOND_NS

START_NS = 1_767_571_200 * SECOND_NS  # 2026-01-05T00:00:00Z
HOUR_NS = 3600 * SECOND_NS
ZONES = ("north", "south", "west", "")
KINDS = (
    ("water", "pressure", "kPa", 300.0, 1.5), ("water", "flow", "m3/h", 80.0, 2.0),
    ("gas", "ch4", "%{LEL}", 1.5, 0.2), ("power", "voltage", "V", 222.0, 0.5),
    ("wristband", "heart_rate", "/min", 72.0, 3.0), ("wristband", "steps", "{steps}/min", 20.0, 9.0),
    ("wristband", "acceleration_peak", "[g]", 1.1, 0.05),
)  # fmt: skip
PERIODS_S = (60.0, 60.0, 120.0, 300.0, 3600.0)


@dataclass(frozen=True)
class City:
    """A channel list, links, readings in order of arrival, and facts."""

    channels: ChannelTable
    links: tuple[Link, ...]
    readings: ReadingBatch
    facts: Sequence[dict[str, Any]]

    def write(self, folder: Path) -> Path:
        """readings.parquet and facts.jsonl."""
        write_readings(folder / "readings.parquet", [self.readings], self.channels)
        lines = [json.dumps(fact) + "\n" for fact in self.facts]
        (folder / "facts.jsonl").write_text("".join(lines))
        return folder / "readings.parquet"


def city(seed: int, hours: float = 14.0, places: int = 2) -> City:
    """Jumps, drifts and levels passed; silent zones, a silent city, late starters, epochs, rough arrivals."""
    chance = np.random.default_rng(seed)
    channels = _channels(chance, places)
    rows = [_channel_rows(channel, number, chance, hours) for number, channel in enumerate(channels.channels)]
    readings = ReadingBatch.joined(rows)
    readings = readings.where(~_silences(channels, readings, chance, hours))
    readings = _rough(readings, chance)
    readings = readings.where(np.argsort(readings.arrival_ns, kind="stable"))
    places_ = sorted(set(channels.place))
    links = tuple(Link(a, b, "pipe") for a, b in pairwise(places_) if chance.random() < 0.5)
    facts = _facts(chance, hours, places_)
    for fact in facts:
        if fact["kind"] == "epoch":  # nobody watched before it
            away = readings.arrival_ns > fact["body"]["watched_ns"]
            readings = readings.where(~(away & (readings.arrival_ns <= fact["tick_ns"] - SECOND_NS)))
    return City(channels, links, readings, facts)


def _channels(chance: np.random.Generator, places: int) -> ChannelTable:
    listed = []
    for zone in ZONES:
        for place in range(places):
            person = chance.random() < 0.4
            kinds = [kind for kind in KINDS if (kind[0] == "wristband") == person]
            period_s = float(chance.choice(PERIODS_S))
            for medium, quantity, unit, nominal, _ in kinds:
                name = f"{zone or 'alone'}-{place}"
                given = nominal if medium == "water" else np.nan
                listed.append(
                    Channel(f"{name}.{quantity}", medium, name, quantity, unit, period_s, 0.01, given, zone)
                )
    return ChannelTable(listed)


def _channel_rows(channel: Channel, number: int, chance: np.random.Generator, hours: float) -> ReadingBatch:
    step_ns = round(channel.period_s * SECOND_NS)
    phase = int(chance.integers(0, step_ns // (20 * SECOND_NS))) * 20 * SECOND_NS
    late = int(chance.choice([0, 0, 0, 2, 9])) * HOUR_NS
    time_ns = np.arange(START_NS + phase + late, START_NS + round(hours * HOUR_NS), step_ns, dtype=np.int64)
    _, _, _, level, spread = next(kind for kind in KINDS if kind[:2] == (channel.medium, channel.quantity))
    value = level + spread * chance.normal(size=len(time_ns))
    for _ in range(chance.integers(0, 3)):
        at, long = chance.random(), int(chance.integers(1, max(2, len(time_ns) // 6)))
        first = int(at * len(time_ns))
        value[first : first + long] += level * chance.choice([-0.6, 0.2, 0.9, 20.0])
    quality = np.where(chance.random(len(time_ns)) < 0.002, BAD, GOOD)
    return ReadingBatch.of(np.full(len(time_ns), number), time_ns, value, quality)


def _silences(
    channels: ChannelTable, readings: ReadingBatch, chance: np.random.Generator, hours: float
) -> NDArray[np.bool_]:
    """Zones that say nothing for hours, and perhaps the whole city."""
    silent = np.zeros(len(readings), dtype=bool)
    zone = np.array([ZONES.index(channels.zone[number]) for number in range(len(channels))])[readings.channel]
    for number in range(-1, len(ZONES)):
        if chance.random() < 0.5:
            first = START_NS + round(chance.random() * hours * HOUR_NS)
            last = first + round(chance.choice([1, 5, 7, 13]) * HOUR_NS)
            within = (readings.time_ns >= first) & (readings.time_ns < last)
            silent |= within & ((zone == number) | (number < 0))
    return silent


def _rough(readings: ReadingBatch, chance: np.random.Generator) -> ReadingBatch:
    """Delays, some of an hour, and repeats."""
    size = len(readings)
    delay_s = np.where(
        chance.random(size) < 0.003, chance.integers(60, 5400, size), chance.choice([0, 0, 0, 2], size)
    )
    arrival = readings.time_ns + delay_s * SECOND_NS
    came = ReadingBatch.of(readings.channel, readings.time_ns, readings.value, readings.quality, arrival)
    again = chance.random(size) < 0.01
    repeat = came.where(again)
    later = repeat.arrival_ns + chance.integers(1, 7200, len(repeat)) * SECOND_NS
    twice = ReadingBatch.of(repeat.channel, repeat.time_ns, repeat.value, repeat.quality, later)
    return ReadingBatch.joined([came, twice])


def _facts(chance: np.random.Generator, hours: float, places: Sequence[str]) -> list[dict[str, Any]]:
    facts: list[dict[str, Any]] = []
    for number in range(int(chance.integers(0, 4))):
        at = START_NS + int(chance.random() * hours * 3600) * SECOND_NS
        watched = at - int(chance.integers(1, 1800)) * SECOND_NS
        body = {"reason": "start", "clock_good": bool(chance.random() < 0.8), "settings_hash": ""}
        facts.append({"tick_ns": at, "kind": "epoch", "body": {**body, "watched_ns": watched}})
        body = {"place": str(chance.choice(places)), "permit": "W-1"}
        command = {"id": f"c{number}", "kind": "out_of_service", "body": body, "actor": "li", "issued_ns": 0}
        facts.append({"tick_ns": at + HOUR_NS, "kind": "command", "body": command})
    return sorted(facts, key=lambda fact: int(fact["tick_ns"]))
