"""Power: low-voltage feeders as a tree; voltage falls with load, joints warm with its square."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from config.channels import ChannelTable
from simulators.draws import taken
from simulators.network import Network
from simulators.noise import FloatArray, stream, uniform, wander
from simulators.rhythms import demand, season
from simulators.scenarios import Event
from simulators.sensors import nominal_of

STRETCH_DROP = 0.012  # of the nominal voltage, on each stretch, at the root's mean current
RISE = 0.03  # the transformer's tap stands so far above nominal
POWER_FACTOR = 0.95
THREE_PHASE_V = 300.0  # a nominal voltage above it is that between two phases
SOIL_CEL, SOIL_SWING = 16.0, 7.0  # mean and yearly swing of the ground around a cable
JOINT_K = 7.0  # warmth of a sound joint above the soil at its mean load, K
JOINT_LAG_S = 5400.0  # simulation-facts §2: T = T_soil + k I^2 through a lag of 60-120 min
REPAIR_S = 900.0  # once a joint is remade, its surplus warmth goes
_KNOT_S = 600.0
_MEAN_S = 10.0  # a meter's voltage is the mean of this long
_MIN_S = 60.0  # and its minimum that of at least this long

QUANTITIES = (
    "voltage", "voltage_min", "voltage_max", "current", "active_power", "frequency", "joint_temperature",
)  # fmt: skip


class Power:
    """What a three-phase meter with a probe on the cable joint measures at each place."""

    solves = frozenset({"voltage_sag", "joint_overheat", "overload", "ev_evening", "heat_wave"})

    def __init__(self, channels: ChannelTable, network: Network, seed: int) -> None:
        self.network = network
        self.seed = seed
        self.channels = channels
        self.covers: Collection[int] = tuple(
            n for n, c in enumerate(channels.channels) if c.medium == "power" and c.quantity in QUANTITIES
        )
        self.mean = {
            place: 40.0 + 60.0 * float(uniform(stream(seed, "mean load", place), 0))
            for place in self.network.order
        }
        self.volts = dict.fromkeys(self.network.order, 220.0)  # between a phase and neutral
        for c in channels.channels:
            if c.medium == "power" and c.quantity == "voltage":
                self.volts[c.place] = nominal_of(c) / (1.0 if nominal_of(c) < THREE_PHASE_V else 3**0.5)
        self.mean_through = self.network.through({place: np.array(mean) for place, mean in self.mean.items()})

    def values(
        self, time_s: FloatArray, events: Sequence[Event], wanted: Collection[int]
    ) -> dict[int, FloatArray]:
        if not any(n in wanted for n in self.covers):
            return {}
        through = self._through(time_s, events)
        dropped = self._dropped(through, time_s, events)
        joints = {
            self.channels[n].place
            for n in self.covers
            if n in wanted and self.channels[n].quantity == "joint_temperature"
        }
        warmed = self._lagged_squares(sorted(joints), time_s, events)
        answer = {}
        for n in self.covers:
            if n not in wanted:
                continue
            channel = self.channels[n]
            place, quantity = channel.place, channel.quantity
            if quantity.startswith("voltage"):
                answer[n] = self._voltage(n, dropped[place], time_s, events)
            elif quantity == "current":
                answer[n] = through[place] * self._phase(n)
            elif quantity == "active_power":
                volts = self.volts[place] * (1.0 + RISE - dropped[place])
                answer[n] = 3.0 * volts * through[place] * POWER_FACTOR / 1000.0
            elif quantity == "frequency":
                answer[n] = 50.0 + 0.012 * wander(stream(self.seed, "frequency"), time_s, 300.0)
            else:
                answer[n] = self._joint(place, warmed[place], time_s, events)
        return answer

    def _through(self, time_s: FloatArray, events: Sequence[Event]) -> dict[str, FloatArray]:
        """Current through each place, A a phase."""
        rhythm = demand("power", time_s)
        drawn = {}
        for place in self.network.order:
            mood = 1.0 + 0.06 * wander(stream(self.seed, "load", place), time_s, 1800.0)
            drawn[place] = taken(place, self.mean[place] * rhythm * mood, events, time_s, self.network)
        return self.network.through(drawn)

    def _dropped(
        self, through: Mapping[str, FloatArray], time_s: FloatArray, events: Sequence[Event]
    ) -> dict[str, FloatArray]:
        """How far each place lies below the voltage behind the transformer, as a share of the nominal one."""
        return self.network.lost(
            {
                place: STRETCH_DROP * through[place] / self.mean_through[self.network.root(place)]
                for place in self.network.order
            }
        )

    def _voltage(
        self, number: int, dropped: FloatArray, time_s: FloatArray, events: Sequence[Event]
    ) -> FloatArray:
        """Mean, lowest or highest voltage of the interval that ends at each moment."""
        channel = self.channels[number]
        root = self.network.root(channel.place)
        grid = 0.004 * wander(stream(self.seed, "grid", root), time_s, 3600.0)
        tilt = 0.003 * (float(uniform(stream(self.seed, "phase", channel.id), 0)) - 0.5)
        share = 1.0 + RISE - dropped + grid + tilt
        if channel.quantity == "voltage_min":
            share = share - 0.004
        elif channel.quantity == "voltage_max":
            share = share + 0.004
        for event in events:
            if event.kind != "voltage_sag" or event.place not in self.network:
                continue
            if self.network.root(event.place) != root:
                continue
            depth = self._depth(event, channel.place)
            if channel.quantity == "voltage_min":
                share = share * (1.0 - depth * event.during(time_s, max(_MIN_S, channel.period_s)))
            elif channel.quantity == "voltage":
                inside = np.minimum(time_s, event.end_s) - np.maximum(time_s - _MEAN_S, event.start_s)
                share = share * (1.0 - depth * np.clip(inside / _MEAN_S, 0.0, 1.0))
        return nominal_of(channel) * np.where(dropped < 1.0, share, 0.0)  # nothing where nothing feeds it

    def _depth(self, event: Event, place: str) -> float:
        """How deep a sag is at a place, of the voltage before."""
        return event.size if event.place == place else 0.9 * event.size

    def _phase(self, number: int) -> float:
        """How much more or less than its share one phase carries."""
        return 1.0 + 0.12 * (float(uniform(stream(self.seed, "phase", self.channels[number].id), 0)) - 0.5)

    def _joint(
        self, place: str, warmed: FloatArray, time_s: FloatArray, events: Sequence[Event]
    ) -> FloatArray:
        """Surface temperature of the joint: soil, and what the square of the current has warmed."""
        soil = (
            SOIL_CEL + SOIL_SWING * season(time_s) + 0.4 * wander(stream(self.seed, "soil"), time_s, 86400.0)
        )
        warm = JOINT_K * warmed
        for event in events:
            if event.kind == "joint_overheat" and event.place == place:
                grown = np.clip((time_s - event.start_s) / (0.6 * (event.end_s - event.start_s)), 0.0, 1.0)
                mended = 1.0 - np.exp(-np.maximum(time_s - event.end_s, 0.0) / REPAIR_S)
                warm = warm * (1.0 + event.size * grown * (1.0 - mended))
        return soil + warm

    def _lagged_squares(
        self, places: Collection[str], time_s: FloatArray, events: Sequence[Event]
    ) -> dict[str, FloatArray]:
        """(I / its mean)^2 behind a first-order lag, from knots at fixed moments: the same whoever asks."""
        if not time_s.size or not places:
            return dict.fromkeys(places, np.zeros(time_s.size))
        taps = int(6 * JOINT_LAG_S / _KNOT_S)
        time_s = time_s - _KNOT_S  # between two knots of the past: a joint knows no load to come
        first = int(np.floor(time_s[0] / _KNOT_S))
        last = int(np.floor(time_s[-1] / _KNOT_S)) + 1
        knots_s: FloatArray = np.arange(first - taps, last + 1, dtype=np.float64) * _KNOT_S
        through = self._through(knots_s, events)
        weights = np.exp(-np.arange(taps + 1) * _KNOT_S / JOINT_LAG_S)
        weights /= weights.sum()
        answer = {}
        for place in places:
            load = (through[place] / self.mean_through[place]) ** 2
            lagged = np.zeros(last - first + 1)
            for tap, weight in enumerate(weights):
                lagged += weight * load[taps - tap : taps - tap + len(lagged)]
            answer[place] = np.interp(time_s, knots_s[taps:], lagged)
        return answer
