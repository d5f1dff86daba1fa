"""Plain: quantities that no physics here couples to others; a level, a daily swing and a slow unrest."""

from collections.abc import Collection, Sequence

import numpy as np

from config.channels import ChannelTable
from simulators.noise import FloatArray, stream, wander
from simulators.rhythms import season, warmth
from simulators.scenarios import Event

# Level, daily swing (with the warmth of the day) and slow unrest (one standard deviation), canonical units.
# Normal ranges: simulation-facts §3.
LEVELS = {
    "temperature": (16.0, 1.5, 0.5),
    "co": (1.0, 0.2, 0.3),
    "o2": (20.8, 0.02, 0.03),
    "valve_state": (1.0, 0.0, 0.0),
    "level": (2.5, 0.4, 0.1),
    "chlorine": (0.45, -0.04, 0.02),
    "turbidity": (0.25, 0.02, 0.03),
    "ph": (7.5, 0.02, 0.03),
    "conductivity": (420.0, 4.0, 6.0),
    "leak_noise": (25.0, 3.0, 1.0),
    "pump_state": (1.0, 0.0, 0.0),
    "unbalance": (0.7, 0.1, 0.1),
    "thd": (2.2, 0.3, 0.2),
    "transformer_load": (48.0, 12.0, 3.0),
    "oil_temperature": (52.0, 6.0, 1.5),
    "leakage_current": (11.0, 1.0, 1.0),
    "partial_discharge": (35.0, 3.0, 4.0),
    "trench_water": (22.0, 0.0, 3.0),
    "body_temperature": (36.6, 0.2, 0.1),
    "systolic": (126.0, 5.0, 4.0),
    "battery": (86.0, 0.0, 0.5),
}
SEASONAL = {"temperature": 9.0}  # further swing between winter and summer


class Plain:
    """Every channel that is left over; one of a quantity unknown here lies at its nominal value, or at 0."""

    solves: frozenset[str] = frozenset()

    def __init__(self, channels: ChannelTable, seed: int, covers: Collection[int]) -> None:
        self.seed = seed
        self.channels = channels
        self.covers = covers

    def values(
        self, time_s: FloatArray, events: Sequence[Event], wanted: Collection[int]
    ) -> dict[int, FloatArray]:
        return {n: self._value(n, time_s) for n in self.covers if n in wanted}

    def _value(self, number: int, time_s: FloatArray) -> FloatArray:
        channel = self.channels[number]
        level, swing, unrest = LEVELS.get(channel.quantity, (0.0, 0.0, 0.0))
        value = np.full(len(time_s), level)
        if swing:
            value += swing * warmth(time_s)
        if unrest:
            value += unrest * wander(stream(self.seed, "plain", channel.id), time_s, 7200.0)
        if channel.quantity in SEASONAL:
            value += SEASONAL[channel.quantity] * season(time_s)
        return value
