"""World: what every sensor of a site shows at any moment, in files and over live protocols alike."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.channels import Channel, ChannelTable, Link
from config.quantities import QUANTITIES, conversion
from simulators.bands import Bands
from simulators.gas import Gas
from simulators.noise import FloatArray, normal, stream
from simulators.physics import Physics
from simulators.plain import Plain
from simulators.power import Power
from simulators.scenarios import SCENARIOS, SECOND_NS, Event, rfc3339
from simulators.sensors import nominal_of, sensor_of
from simulators.water import Water

IntArray = NDArray[np.int64]
VISIBLE = 3.0  # an event affects a channel that it moves by so many standard deviations of the sensor


class World:
    """A site, a seed and what happens there.

    A sensor samples once a second and shows its last sample until the next, so the value at a moment
    follows from (seed, whole second) alone: a poll and a file agree, whoever asks, in whatever order.
    """

    def __init__(
        self, channels: ChannelTable, links: Sequence[Link], seed: int, events: Sequence[Event] = ()
    ) -> None:
        self.channels = channels
        self.links = tuple(links)
        self.seed = seed
        self.events = tuple(events)
        coupled: list[Physics] = [
            Water(channels, links, seed),
            Gas(channels, links, seed),
            Power(channels, links, seed),
            Bands(channels, seed),
        ]
        known = {number for physics in coupled for number in physics.covers}
        rest = [number for number in range(len(channels)) if number not in known]
        self._physics: list[Physics] = [*coupled, Plain(channels, seed, rest)]
        self._noise = [stream(seed, "sensor", id) for id in channels.ids]

    def values(self, time_ns: IntArray, wanted: Collection[int] | None = None) -> FloatArray:
        """What the sensors show (times, wanted), each in its channel's unit and resolution.

        time_ns (times,) ascending; wanted: channel numbers, all by default. NaN where nothing is measured.
        """
        numbers = range(len(self.channels)) if wanted is None else list(wanted)
        time_s = np.floor_divide(time_ns, SECOND_NS).astype(np.float64)
        shown = self._shown(time_s, numbers)
        for event in self.events:
            if (
                event.kind == "sensor_fault:stuck"
                and (number := self.channels.number[event.channel]) in numbers
            ):
                stuck = event.during(time_s)
                if stuck.any():
                    last = self._shown(np.array([np.floor(event.start_s)]), [number])[0, 0]
                    shown[stuck, list(numbers).index(number)] = last
        return shown

    def truth(self) -> list[dict[str, Any]]:
        """The events as `truth.json` has them, in order of time; how a device answers is no event."""
        told = [event for event in self.events if SCENARIOS[event.kind].category != "device"]
        return [self._told(event) for event in sorted(told, key=lambda event: event.start_ns)]

    def affected(self, event: Event) -> tuple[str, ...]:
        """Channels that it moves visibly against the same world without it, the most moved first."""
        if event.channel:
            return (event.channel,)
        if event.kind.startswith("sensor_fault:"):
            return tuple(self.channels.ids[number] for number in self.channels.at_place(event.place))
        length_s = event.end_s - event.start_s
        moments = np.append(np.linspace(0.0, length_s, 60), [0.0, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0])
        time_s = np.unique(np.ceil(event.start_s) + np.floor(moments))
        others = tuple(other for other in self.events if other is not event)
        moved = np.abs(self._true(time_s, self.events) - self._true(time_s, others))
        spread = np.array([self._spread(channel) for channel in self.channels.channels])
        strength = np.nan_to_num(moved).max(axis=0) / spread
        order = np.argsort(-strength, kind="stable")
        return tuple(self.channels.ids[number] for number in order if strength[number] > VISIBLE)

    def _shown(self, time_s: FloatArray, numbers: Collection[int]) -> FloatArray:
        """True values, measured: noise, range, unit, resolution."""
        shown = np.empty((len(time_s), len(numbers)))
        true: dict[int, FloatArray] = {}
        asked = frozenset(numbers)
        for physics in self._physics:
            true |= physics.values(time_s, self.events, asked)
        for column, number in enumerate(numbers):
            shown[:, column] = self._measured(number, time_s, true[number])
        return shown

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

    def _true(self, time_s: FloatArray, events: Sequence[Event]) -> FloatArray:
        """(times, channels), canonical units, before any sensor."""
        true: dict[int, FloatArray] = {}
        for physics in self._physics:
            true |= physics.values(time_s, events, range(len(self.channels)))
        return np.stack([true[number] for number in range(len(self.channels))], axis=1)

    def _spread(self, channel: Channel) -> float:
        """One standard deviation of a reading at its usual level; a third of a step where exact."""
        sensor = sensor_of(channel.quantity)
        usual = nominal_of(channel)
        return sensor.noise + sensor.share * (usual if np.isfinite(usual) else 50.0) or 0.3

    def _told(self, event: Event) -> dict[str, Any]:
        scenario = SCENARIOS[event.kind]
        channels = self.affected(event)
        seen_at = [self.channels[self.channels.number[id]].place for id in channels]
        linked = [link.target for link in self.links if link.source == event.place]
        linked += [link.source for link in self.links if link.target == event.place]
        near = [] if event.kind.startswith("sensor_fault:") else dict.fromkeys(seen_at + linked)
        return {
            "class": scenario.category,
            "kind": event.kind,
            "place": event.place,
            "start": rfc3339(event.start_ns),
            "end": rfc3339(event.end_ns),
            "channels": list(channels),
            "near_places": [place for place in near if place != event.place],
            "severity": scenario.severity,
            "size": event.size,
        }
