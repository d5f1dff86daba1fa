"""World: what every sensor of a site shows at any moment, in files and over live protocols alike."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.channels import MEDIA, ChannelTable, Link
from config.quantities import QUANTITIES, conversion
from simulators.bands import Bands
from simulators.effects import Effects
from simulators.faults import faulty
from simulators.gas import Gas
from simulators.kinds import SCENARIOS
from simulators.network import Network
from simulators.noise import FloatArray, normal, stream
from simulators.physics import Physics
from simulators.plain import Plain
from simulators.power import Power
from simulators.scenarios import SECOND_NS, Event, rfc3339
from simulators.sensors import sensor_of, spread_of
from simulators.water import Water

IntArray = NDArray[np.int64]
VISIBLE = 3.0  # an event affects a channel that it moves by so many standard deviations of the sensor
HARDLY = 2  # what moves none so far affects those that it moves most: only many readings together show it


class World:
    """A site, a seed and what happens there.

    A sensor samples once a second and shows its last sample until the next, so the value at a moment
    follows from (seed, whole second) alone: a poll and a file agree, whoever asks, in whatever order.
    """

    def __init__(
        self,
        channels: ChannelTable,
        links: Sequence[Link],
        seed: int,
        events: Sequence[Event] = (),
        physics: Sequence[Physics] | None = None,
    ) -> None:
        """physics: solvers of the media (without: trees of pipes and cables); what they leave is plain."""
        self.channels = channels
        self.links = tuple(links)
        self.seed = seed
        self.events = tuple(events)
        networks = {medium: Network(channels, links, medium) for medium in MEDIA}
        coupled = list(
            (
                Water(channels, networks["water"], seed),
                Gas(channels, networks["gas"], seed),
                Power(channels, networks["power"], seed),
                Bands(channels, seed),
            )
            if physics is None
            else physics
        )
        known = {number for each in coupled for number in each.covers}
        rest = [number for number in range(len(channels)) if number not in known]
        self._physics: list[Physics] = [*coupled, Plain(channels, seed, rest)]
        self._solver = {number: each for each in self._physics for number in each.covers}
        self._effects = Effects(networks)
        self._noise = [stream(seed, "sensor", id) for id in channels.ids]

    def values(self, time_ns: IntArray, wanted: Collection[int] | None = None) -> FloatArray:
        """What the sensors show (times, wanted), each in its channel's unit and resolution.

        time_ns (times,) ascending; wanted: channel numbers, all by default. NaN where nothing is measured.
        """
        numbers = range(len(self.channels)) if wanted is None else list(wanted)
        time_s = np.floor_divide(time_ns, SECOND_NS).astype(np.float64)
        true = self._true(time_s, self.events, numbers)
        shown = np.empty((len(time_s), len(numbers)))
        column_of = {number: column for column, number in enumerate(numbers)}
        for number, column in column_of.items():
            shown[:, column] = self._measured(number, time_s, true[number])
        for event in self.events:
            if event.kind.startswith("sensor_fault:"):
                for number in self._sensors(event):
                    if number in column_of:
                        column = column_of[number]
                        shown[:, column] = faulty(
                            event, self.channels[number], time_s, shown[:, column],
                            partial(self._honest, number), self.seed,
                        )  # fmt: skip
        return shown

    def truth(self) -> list[dict[str, Any]]:
        """The events as `truth.json` has them, in order of time; how a device answers is no event."""
        told = [event for event in self.events if SCENARIOS[event.kind].category != "device"]
        return [self._told(event) for event in sorted(told, key=lambda event: event.start_ns)]

    def affected(self, event: Event) -> tuple[str, ...]:
        """Channels that it moves visibly against the same world without it, the most moved first."""
        if event.kind.startswith("sensor_fault:"):
            return tuple(self.channels.ids[number] for number in self._sensors(event))
        media = {self.channels.medium[number] for number in self.channels.at_place(event.place)}
        near = [number for number, medium in enumerate(self.channels.medium) if medium in media]
        length_s = event.end_s - event.start_s
        moments = np.append(np.linspace(0.0, length_s, 60), [0.0, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0])
        time_s = np.unique(np.ceil(event.start_s) + np.floor(moments))
        others = tuple(other for other in self.events if other is not event)
        with_it, without = (self._true(time_s, events, near) for events in (self.events, others))
        strength = {
            number: float(np.nan_to_num(np.abs(with_it[number] - without[number])).max())
            / spread_of(self.channels[number], float(np.nan_to_num(np.abs(without[number])).mean()))
            for number in near
        }
        order = sorted(near, key=lambda number: -strength[number])
        seen = [number for number in order if strength[number] > VISIBLE] or order[:HARDLY]
        return tuple(self.channels.ids[number] for number in seen)

    def _sensors(self, event: Event) -> list[int]:
        """Channels whose sensor is at fault: one, or all of a device."""
        if event.channel:
            return [self.channels.number[event.channel]]
        return [int(number) for number in self.channels.at_place(event.place)]

    def _honest(self, number: int, second: float) -> float:
        """What a sensor without fault shows at a moment."""
        time_s = np.array([second])
        true = self._true(time_s, self.events, [number])
        return float(self._measured(number, time_s, true[number])[0])

    def _true(
        self, time_s: FloatArray, events: tuple[Event, ...], numbers: Collection[int]
    ) -> Mapping[int, FloatArray]:
        """True values (times,) of these channels, canonical units, before any sensor."""
        true: dict[int, FloatArray] = {}
        asked = frozenset(numbers)
        for physics in self._physics:
            true |= physics.values(time_s, events, asked)
        left: dict[frozenset[str], tuple[Event, ...]] = {}
        for number in numbers if events else ():
            solves = self._solver[number].solves
            if solves not in left:
                left[solves] = tuple(event for event in events if event.kind not in solves)
            true[number] = self._effects.on(self.channels[number], true[number], left[solves], time_s)
        return true

    def _measured(self, number: int, time_s: FloatArray, true: FloatArray) -> FloatArray:
        channel = self.channels[number]
        sensor = sensor_of(channel.quantity)
        value = true
        if sensor.noise or sensor.share:
            spread = sensor.noise + sensor.share * np.abs(true)
            value = np.clip(true + spread * normal(self._noise[number], time_s), sensor.least, sensor.most)
        if channel.quantity in QUANTITIES:
            scale, offset = conversion(QUANTITIES[channel.quantity].unit, channel.unit)
            value = value * scale + offset if (scale, offset) != (1.0, 0.0) else value
        if channel.resolution > 0:
            value = np.round(value / channel.resolution) * channel.resolution
        return np.round(value, 9)

    def _told(self, event: Event) -> dict[str, Any]:
        scenario = SCENARIOS[event.kind]
        channels = self.affected(event)
        seen_at = [self.channels[self.channels.number[id]].place for id in channels]
        linked = [link.target for link in self.links if link.source == event.place]
        linked += [link.source for link in self.links if link.target == event.place]
        near = [] if event.kind.startswith("sensor_fault:") else dict.fromkeys(seen_at + linked)
        return {
            "class": scenario.category,
            "kind": scenario.told or event.kind,
            "place": event.place,
            "start": rfc3339(event.start_ns),
            "end": rfc3339(event.end_ns),
            "channels": list(channels),
            "near_places": [place for place in near if place != event.place],
            "severity": scenario.severity,
            "size": event.size,
        }
