"""Everyday: the short way of limits through a tick in which nothing lies past a level and nothing is active.

Which points a tick concerns follows from the channels that speak in it, and the same ones come together
again and again. What is found here is what the long way finds, to the bit; a test holds them equal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.base import BoolArray, FloatArray, Memory, TimeArray
from detectors.levels import Levels
from detectors.wearers import Wearers
from ingest.readings import ReadingBatch

Rows = NDArray[np.intp]
_NONE: Rows = np.zeros(0, dtype=np.intp)


class Everyday:
    """One set of channels that speak together, each once. Row columns are (readings,), in their order."""

    def __init__(self, levels: Levels, wearers: Wearers, channel: Rows) -> None:
        self.levels = levels
        row_of = np.full(len(levels.channels) + 1, -1, dtype=np.intp)
        row_of[channel] = np.arange(len(channel))
        row = row_of[levels.channel_of]
        self.point = np.flatnonzero(row >= 0)  # what they are heard for, level points and late ones …
        self.row = row[self.point]  # … and the reading of each
        self.heard: BoolArray = row >= 0
        self.channel = channel
        self.watched = np.flatnonzero(levels.count[channel])  # rows whose channel has levels
        self.wearing = _Wearing(wearers, channel, row_of) if len(wearers) else None
        self._learn()

    def hear(self, readings: ReadingBatch, memory: Memory) -> tuple[BoolArray, BoolArray] | None:
        """(usable readings, heard points) with the memory moved on; None where it takes the long way.

        What was done before None is returned, the long way may do again.
        """
        if np.count_nonzero(memory["active"]):
            return None
        if self._version != self.levels.version:
            self._learn()
        value, time_ns = readings.value, readings.time_ns
        unfit = _NONE
        if self.wearing is not None:
            self.wearing.hear(time_ns, value, memory)
            unfit = self.wearing.unfit(time_ns, memory)
        judged = value[self.watched]
        inside = judged > self.above
        inside &= judged < self.below
        usable = self.usable if np.count_nonzero(inside) == len(inside) else self._usable(value)
        if len(unfit):
            usable = usable.copy()
            usable[unfit] = False
        if usable is not self.usable and self._crosses(value, usable):
            return None
        event_ns = memory["event_ns"]
        told_ns = time_ns[self.row]
        before_ns = event_ns[self.point]
        news = told_ns > before_ns
        if usable is not self.usable:
            news &= usable[self.row]
        if np.count_nonzero(news) == len(news):
            event_ns[self.point] = told_ns
            return usable, self.heard.copy()
        event_ns[self.point] = np.where(news, told_ns, before_ns)
        heard = np.zeros(len(self.heard), dtype=bool)
        heard[self.point] = news
        return usable, heard

    def _usable(self, value: FloatArray) -> BoolArray:
        """Which readings a sensor can have measured; those without levels are of no use here."""
        usable: BoolArray = (value >= self.least) & (value <= self.most)
        return usable

    def _crosses(self, value: FloatArray, usable: BoolArray) -> bool:
        return bool(np.count_nonzero(((value >= self.inner_high) | (value <= self.inner_low)) & usable))

    def _learn(self) -> None:
        """Levels move when a nominal value is learned."""
        levels, channel, watched = self.levels, self.channel, self.watched
        self._version = levels.version
        self.least, self.most = levels.least[channel], levels.most[channel]
        self.inner_high, self.inner_low = levels.inner_high[channel], levels.inner_low[channel]
        self.usable: BoolArray = levels.count[channel] > 0  # where every value lies between …
        lowest, highest = np.nextafter(self.least, -np.inf), np.nextafter(self.most, np.inf)
        self.above = np.maximum(self.inner_low, lowest)[watched]  # … these two: nothing is reached …
        self.below = np.minimum(self.inner_high, highest)[watched]  # … and nothing is impossible


class _Wearing:
    """What these channels say of rest and wear, and which of them ask for it; see `Wearers`."""

    def __init__(self, wearers: Wearers, channel: Rows, row_of: Rows) -> None:
        self.rest_ns = wearers.rest_ns
        steps, wrist, own = (row_of[of] for of in (wearers.steps_of, wearers.wrist_of, wearers.channel))
        told = steps >= 0
        self.steps, self.moved = steps[told], wearers.point[told]  # readings, and the points that they move
        self.moving_from = wearers.moving_from[channel[self.steps]]
        told = wrist >= 0
        self.wrist, self.worn = wrist[told], wearers.point[told]
        asks = wearers.needs_rest & (own >= 0)
        self.at_rest, self.rest_point = own[asks], wearers.point[asks]
        asks = wearers.needs_wrist & (own >= 0)
        self.on_skin, self.skin_point = own[asks], wearers.point[asks]

    def hear(self, time_ns: TimeArray, value: FloatArray, memory: Memory) -> None:
        if len(self.steps):
            moving = value[self.steps] > self.moving_from
            if np.count_nonzero(moving):
                point = self.moved[moving]
                moved_ns = memory["moved_ns"]
                moved_ns[point] = np.maximum(moved_ns[point], time_ns[self.steps[moving]])
        if len(self.wrist):
            told_ns = time_ns[self.wrist]
            newer = told_ns > memory["wrist_ns"][self.worn]
            point = self.worn[newer]
            memory["wrist_ns"][point] = told_ns[newer]
            memory["off_wrist"][point] = value[self.wrist[newer]] < 0.5

    def unfit(self, time_ns: TimeArray, memory: Memory) -> Rows:
        """The readings that are not to be judged."""
        unfit = _NONE
        if len(self.at_rest):
            restless = time_ns[self.at_rest] < memory["moved_ns"][self.rest_point] + self.rest_ns
            if np.count_nonzero(restless):
                unfit = self.at_rest[restless]
        if len(self.on_skin):
            off = memory["off_wrist"][self.skin_point]
            if np.count_nonzero(off):
                unfit = np.concatenate([unfit, self.on_skin[off]])
        return unfit
