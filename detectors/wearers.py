"""Wearers: who is at rest and who has taken the band off; what some levels of a wristband ask first."""

import numpy as np

from config.channels import ChannelTable
from config.errors import SettingsError
from config.quantities import conversion
from detectors.base import BoolArray, FloatArray, IntArray, Memory, TimeArray
from detectors.levels import NEVER_NS, SECOND_NS, Levels


class Wearers:
    """Rest and wear of the channels whose levels ask for them.

    Whoever moved less than `rest_s` before a reading is not at rest; who never sent steps is. While the
    newest `on_wrist` says 0, nothing of that band is judged that lives on the skin.
    """

    def __init__(self, levels: Levels, rest_s: float, rest_steps: float) -> None:
        channels = levels.channels
        self.nobody = len(channels)
        self.rest_ns = int(rest_s * SECOND_NS)
        self.channel = np.union1d(levels.rest_only, levels.worn_only).astype(np.int32)
        self.point = levels.first[self.channel]
        self.size = len(levels.points)
        self.needs_rest = np.isin(self.channel, levels.rest_only)
        self.needs_wrist = np.isin(self.channel, levels.worn_only)
        self.steps_of = self._beside(channels, "steps")
        self.wrist_of = self._beside(channels, "on_wrist")
        self.moving_from = np.full(self.nobody, np.inf)  # steps above it are movement; +inf: no steps channel
        for number in set(self.steps_of.tolist()) - {self.nobody}:
            self.moving_from[number] = rest_steps * _per_minute(channels.unit[number])
        self.is_wrist = np.zeros(self.nobody, dtype=bool)
        self.is_wrist[self.wrist_of[self.wrist_of < self.nobody]] = True

    def __len__(self) -> int:
        return len(self.channel)

    def fresh_memory(self) -> Memory:
        """Nothing where no level asks."""
        if not len(self):
            return {}
        return {
            "moved_ns": np.full(self.size, NEVER_NS, dtype=np.int64),
            "wrist_ns": np.full(self.size, NEVER_NS, dtype=np.int64),
            "off_wrist": np.zeros(self.size, dtype=bool),
        }

    def hear(self, channel: IntArray, time_ns: TimeArray, value: FloatArray, memory: Memory) -> None:
        """Take the steps and on_wrist readings among these: finite, sorted by channel and time."""
        newest = np.full(self.nobody + 1, NEVER_NS, dtype=np.int64)
        moving = value > self.moving_from[channel]
        newest[channel[moving]] = time_ns[moving]
        memory["moved_ns"][self.point] = np.maximum(memory["moved_ns"][self.point], newest[self.steps_of])
        told = np.flatnonzero(self.is_wrist[channel])
        if len(told):
            off = np.zeros(self.nobody + 1, dtype=bool)
            newest[:] = NEVER_NS
            newest[channel[told]] = time_ns[told]
            off[channel[told]] = value[told] < 0.5
            newer = newest[self.wrist_of] > memory["wrist_ns"][self.point]
            point, wrist = self.point[newer], self.wrist_of[newer]
            memory["wrist_ns"][point] = newest[wrist]
            memory["off_wrist"][point] = off[wrist]

    def unfit(self, channel: IntArray, time_ns: TimeArray, memory: Memory) -> BoolArray:
        """Where a reading is not to be judged."""
        rests_from = np.full(self.nobody, NEVER_NS, dtype=np.int64)
        rests_from[self.channel[self.needs_rest]] = (
            memory["moved_ns"][self.point[self.needs_rest]] + self.rest_ns
        )
        off = np.zeros(self.nobody, dtype=bool)
        off[self.channel[self.needs_wrist]] = memory["off_wrist"][self.point[self.needs_wrist]]
        return off[channel] | (time_ns < rests_from[channel])

    def _beside(self, channels: ChannelTable, quantity: str) -> IntArray:
        """For each channel the one of that quantity at its place; `nobody` where there is none."""
        by_id = sorted(range(len(channels)), key=lambda n: channels.ids[n], reverse=True)
        at = {channels.place[n]: n for n in by_id if channels.quantity[n] == quantity}
        return np.array(
            [at.get(channels.place[n], self.nobody) for n in self.channel.tolist()], dtype=np.int32
        )


def _per_minute(unit: str) -> float:
    """One step a minute in that unit; a unit that is unknown (a replay may have one) is taken as it is."""
    try:
        return conversion("{steps}/min", unit)[0]
    except SettingsError:
        return 1.0
