"""Travel: how readings get from a device to the gateway: how late, how often, or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from simulators.faults import LAST_BREATH
from simulators.noise import stream, uniform
from simulators.scenarios import SECOND_NS, Event
from simulators.sensors import over_mqtt

IntArray = NDArray[np.int64]
BAND_S = (0.1, 0.9)  # a message is so long on its way: least, and what chance adds at most
BACKLOG_S = 3.0  # a backlog comes in within this time, oldest first
AGAIN_S = 2.0  # a duplicate follows within this time


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What reaches the gateway, one element an arrival."""

    row: IntArray  # which of the moments was measured
    arrival_ns: IntArray
    refused: NDArray[np.bool_]  # the device answered that it could not: no value, quality bad
    stamp_ns: IntArray  # when the device says that it was measured


class Travel:
    """The ways of one site. A Modbus device answers the poll at once; a sender's messages take their time."""

    def __init__(self, channels: ChannelTable, seed: int, events: Sequence[Event]) -> None:
        self.seed = seed
        self.senders = frozenset(c.place for c in channels.channels if over_mqtt(c))
        self._events: dict[str, list[Event]] = {}
        for event in events:
            if event.kind.startswith(("sensor_fault:", "device:")):
                self._events.setdefault(event.place, []).append(event)

    def arrivals(self, place: str, time_ns: IntArray) -> Arrivals:
        """What becomes of the readings that a place takes at `time_ns` (times,), ascending."""
        time_s = time_ns / SECOND_NS
        second = np.floor_divide(time_ns, SECOND_NS)
        late_s, ahead_s = np.zeros(len(time_ns)), np.zeros(len(time_ns))
        if place in self.senders:
            late_s += BAND_S[0] + BAND_S[1] * uniform(stream(self.seed, "way", place), second)
        lost, refused, twice = (np.zeros(len(time_ns), dtype=bool) for _ in range(3))
        for event in self._events.get(place, ()):
            during = event.during(time_s)
            chance = uniform(stream(self.seed, event.kind, place), second)
            if event.kind == "sensor_fault:dropout":
                lost |= during
            elif event.kind == "sensor_fault:battery_death":
                alive_s = LAST_BREATH * (event.end_s - event.start_s)
                lost |= during & (time_s >= event.start_s + alive_s)
            elif event.kind == "sensor_fault:clock_skew":
                ahead_s = np.where(during, event.size, ahead_s)
            elif event.kind == "device:refuse":
                refused |= during
            elif event.kind == "device:slow":
                late_s += event.size * during
            elif event.kind == "sensor_fault:out_of_order":
                late_s += event.size * chance * during
            elif event.kind == "sensor_fault:backlog":
                part = (time_s - event.start_s) / (event.end_s - event.start_s)
                late_s = np.where(during, event.end_s + BACKLOG_S * part - time_s, late_s)
            elif event.kind == "sensor_fault:duplicates":
                twice |= during & (chance < event.size)
        arrival_ns = time_ns + np.round(late_s * 1000).astype(np.int64) * (SECOND_NS // 1000)
        again = np.flatnonzero(twice & ~lost)
        after_s = AGAIN_S * uniform(stream(self.seed, "again", place), second[again])
        row = np.concatenate([np.flatnonzero(~lost), again])
        arrival_ns = np.concatenate(
            [arrival_ns[~lost], arrival_ns[again] + np.round(after_s * 1000).astype(np.int64) * 1_000_000]
        )
        stamp_ns = time_ns + np.round(ahead_s).astype(np.int64) * SECOND_NS
        return Arrivals(row, arrival_ns, refused[row], stamp_ns[row])
