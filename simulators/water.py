"""Water: district mains as a tree of pipes; pressure falls with what passes, and a burst takes its share."""

from collections.abc import Collection, Sequence

import numpy as np

from config.channels import ChannelTable
from simulators.draws import leak, leaks_at, taken
from simulators.network import Network
from simulators.noise import FloatArray, stream, uniform, wander
from simulators.rhythms import demand
from simulators.scenarios import Event
from simulators.sensors import nominal_of

FRICTION = 1.852  # exponent of the flow in the head loss of a pipe (Hazen and Williams)
STRETCH_LOSS = 0.02  # of the nominal pressure, on each stretch, at the root's mean flow


class Water:
    """Pressure and flow at each place: flow is drawn there and below, pressure is what friction leaves."""

    solves = frozenset({"burst", "slow_leak", "hydrant_test", "festival"})

    def __init__(self, channels: ChannelTable, network: Network, seed: int) -> None:
        self.network = network
        self.seed = seed
        self.pressures = _numbers(channels, "pressure")
        self.flows = _numbers(channels, "flow")
        self.nominal = {n: nominal_of(channels[n]) for n in self.pressures}
        self.place = channels.place
        self.mean = {
            place: 6.0 + 18.0 * float(uniform(stream(seed, "mean demand", place), 0))
            for place in self.network.order
        }
        self.mean_through = self.network.through({place: np.array(mean) for place, mean in self.mean.items()})

    @property
    def covers(self) -> Collection[int]:
        return (*self.pressures, *self.flows)

    def values(
        self, time_s: FloatArray, events: Sequence[Event], wanted: Collection[int]
    ) -> dict[int, FloatArray]:
        if not any(n in wanted for n in self.covers):
            return {}
        through = self._through(time_s, events)
        answer = {n: through[self.place[n]] for n in self.flows if n in wanted}
        asked = [n for n in self.pressures if n in wanted]
        if asked:
            lost = self._lost(through)
            usual = self._lost(self.mean_through)
            for n in asked:
                place = self.place[n]
                pumps = stream(self.seed, "pumps", self.network.root(place))
                held = 0.003 * wander(pumps, time_s, 2400.0) + 1.0
                answer[n] = self.nominal[n] * (held + usual[place] - lost[place])
        return answer

    def _through(self, time_s: FloatArray, events: Sequence[Event]) -> dict[str, FloatArray]:
        """What passes each place, m3/h."""
        rhythm = demand("water", time_s)
        drawn = {}
        for place in self.network.order:
            mood = 1.0 + 0.05 * wander(stream(self.seed, "demand", place), time_s, 3600.0)
            drawn[place] = taken(place, self.mean[place] * rhythm * mood, events, time_s, self.network)
        for event in leaks_at(events, self.network):
            inflow = self.mean_through[self.network.root(event.place)]
            drawn[event.place] = drawn[event.place] + inflow * leak(event, time_s)
        return self.network.through(drawn)

    def _lost(self, through: dict[str, FloatArray]) -> dict[str, FloatArray]:
        """Pressure lost from the works to each place, as a share of the nominal pressure."""
        losses = {}
        for place in self.network.order:
            inflow = self.mean_through[self.network.root(place)]
            losses[place] = STRETCH_LOSS * (through[place] / inflow) ** FRICTION
        return self.network.lost(losses)


def _numbers(channels: ChannelTable, quantity: str) -> tuple[int, ...]:
    return tuple(n for n, c in enumerate(channels.channels) if c.medium == "water" and c.quantity == quantity)
