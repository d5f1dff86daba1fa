"""Gas: medium-pressure mains as a tree, regulators of low pressure, and methane in the wells beside them."""

from collections.abc import Collection, Sequence

import numpy as np

from config.channels import ChannelTable
from simulators.draws import LEAKS, leak, leaks_at, taken
from simulators.network import Network
from simulators.noise import FloatArray, stream, uniform, wander
from simulators.rhythms import demand, warmth
from simulators.scenarios import Event
from simulators.sensors import is_outlet, nominal_of

STRETCH_LOSS = 0.008  # of the nominal pressure, on each stretch, at the root's mean flow
SPREAD_S = 50.0  # methane in the well next to a torn pipe
SEEP_LEL = 60.0  # methane in the well beside a slow leak, %LEL, for a leak as large as the zone's mean inflow
NEXT_WELL, NEXT_WELL_S = 0.25, 180.0  # what reaches a neighbouring well, and how much later
DROOP = 0.04  # a regulator's outlet falls so far, of its nominal, for the mean demand


class Gas:
    """Pressure, flow and methane at each place."""

    solves = frozenset({"third_party_damage", "slow_leak", "frost"})

    def __init__(self, channels: ChannelTable, network: Network, seed: int) -> None:
        self.network = network
        self.seed = seed
        self.channels = channels
        self.covers: Collection[int] = tuple(
            n for n, c in enumerate(channels.channels)
            if c.medium == "gas" and c.quantity in ("pressure", "flow", "ch4")
        )  # fmt: skip
        self.mean = {
            place: 60.0 + 120.0 * float(uniform(stream(seed, "mean demand", place), 0))
            for place in self.network.order
        }
        self.mean_through = self.network.through({place: np.array(mean) for place, mean in self.mean.items()})

    def values(
        self, time_s: FloatArray, events: Sequence[Event], wanted: Collection[int]
    ) -> dict[int, FloatArray]:
        if not any(n in wanted for n in self.covers):
            return {}
        used = self._through(time_s, [event for event in events if event.kind not in LEAKS])
        flows, shares = self._flows(time_s, events), self._shares(time_s, events)
        roots = {self.network.root(place) for place in self.network.order}
        held = {root: self._unrest(root, time_s) for root in roots}
        unrest = {place: held[self.network.root(place)] for place in self.network.order}
        answer = {}
        for n in self.covers:
            if n not in wanted:
                continue
            channel = self.channels[n]
            place = channel.place
            if channel.quantity == "flow":
                answer[n] = flows[place]
            elif channel.quantity == "ch4":
                answer[n] = self._methane(place, time_s, events)
            elif is_outlet(channel):
                share = used[place] / self.mean_through[place]  # a tear lies before the regulator
                answer[n] = nominal_of(channel) * (1.0 + DROOP * (1.2 - share) + self._unrest(place, time_s))
            else:
                answer[n] = nominal_of(channel) * np.maximum(shares[place] + unrest[place], 0.0)
        return answer

    def _flows(self, time_s: FloatArray, events: Sequence[Event]) -> dict[str, FloatArray]:
        """What passes each place, m3/h at standard conditions."""
        return self._through(time_s, events)

    def _shares(self, time_s: FloatArray, events: Sequence[Event]) -> dict[str, FloatArray]:
        """The pressure of each place, as a share of its nominal one."""
        lost, usual = self._lost(self._through(time_s, events)), self._lost(self.mean_through)
        return {place: 1.0 + usual[place] - lost[place] for place in self.network.order}

    def _through(self, time_s: FloatArray, events: Sequence[Event]) -> dict[str, FloatArray]:
        """What passes each place, m3/h at standard conditions."""
        rhythm = demand("gas", time_s)
        drawn = {}
        for place in self.network.order:
            mood = 1.0 + 0.05 * wander(stream(self.seed, "demand", place), time_s, 2700.0)
            drawn[place] = taken(place, self.mean[place] * rhythm * mood, events, time_s, self.network)
        for event in leaks_at(events, self.network):
            inflow = self.mean_through[self.network.root(event.place)]
            drawn[event.place] = drawn[event.place] + inflow * leak(event, time_s)
        return self.network.through(drawn)

    def _lost(self, through: dict[str, FloatArray]) -> dict[str, FloatArray]:
        """Pressure lost from the station to each place, as a share of the nominal pressure (square law)."""
        losses = {}
        for place in self.network.order:
            losses[place] = STRETCH_LOSS * (through[place] / self.mean_through[self.network.root(place)]) ** 2
        return self.network.lost(losses)

    def _methane(self, place: str, time_s: FloatArray, events: Sequence[Event]) -> FloatArray:
        """%LEL in the well: a trace that warmth drives out of the ground, and what a leak lets in."""
        slow = wander(stream(self.seed, "trace", place), time_s, 5400.0)
        methane = 0.8 + 0.25 * warmth(time_s) + 0.15 * slow
        for event in events:
            if event.kind == "slow_leak" and event.place == place:
                methane = methane + SEEP_LEL * event.size * event.grown(time_s)
            if event.kind != "third_party_damage":
                continue
            if event.place == place:
                methane = methane + event.size * event.rise(time_s, SPREAD_S)
            elif place in self.network.neighbours(event.place):
                methane = methane + NEXT_WELL * event.size * event.rise(time_s, 4 * SPREAD_S, NEXT_WELL_S)
        return methane

    def _unrest(self, place: str, time_s: FloatArray) -> FloatArray:
        return 0.003 * wander(stream(self.seed, "regulator", place), time_s, 1800.0)
