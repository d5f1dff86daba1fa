"""Demand: the part of deviations that all channels of a zone share, each in proportion to its daily swing.

When people sleep longer, a festival begins or it freezes, flows and currents of a zone rise together while
pressures and voltages fall, each as it does every day when demand moves it. Such a deviation belongs to
demand and not to the channel. A leak, a closed valve or a sensor at fault has another shape.
"""

from __future__ import annotations

import numpy as np

from config.channels import ChannelTable
from detectors import fast
from detectors.base import BoolArray, IntArray, Memory, Row
from detectors.days import HOURS, moment_of
from detectors.groups import medians, padded

WAYS = {
    "flow": 1.0,
    "current": 1.0,
    "active_power": 1.0,
    "transformer_load": 1.0,
    "joint_temperature": 1.0,
    "pressure": -1.0,
    "voltage": -1.0,
}
"""The way in which demand moves a quantity where nothing is known yet; what was seen decides."""
LEAST = 4  # channels that must tell of a zone's demand: a fault of one or two is no demand
ALIKE = 0.7  # correlation of a day's course with that of the zone from which demand is believed to move it
NIGHT = (
    2,
    4,
)  # local hours in which flow is left as it is: hardly anybody takes anything, so that what flows
# is the leak; the window of the minimum night flow (practice of water losses, 02:00 to 04:00)


class Demand:
    """The zones of a panel; a zone's channels of one medium go together, channels without zone do not."""

    def __init__(self, channels: ChannelTable, members: IntArray, eligible: BoolArray, timezone: str) -> None:
        self._timezone = timezone
        groups: dict[tuple[str, str], list[int]] = {}
        for column, number in enumerate(members.tolist()):
            zone, medium = channels.zone[number], channels.medium[number]
            if zone and eligible[column] and channels.quantity[number] in WAYS:
                groups.setdefault((zone, medium), []).append(column)
        chosen = [columns for columns in groups.values() if len(columns) >= LEAST]
        self._flow = np.array(
            [channels.quantity[number] == "flow" for number in members.tolist()], dtype=bool
        )
        self._way = np.array([WAYS.get(channels.quantity[number], 0.0) for number in members.tolist()])
        self._of = padded(chosen)  # (zones, longest): columns, -1 behind the last
        self._there = self._of >= 0
        self._mine = self._of[self._there]
        self._zone = np.nonzero(self._there)[0]
        self._flows = self._flow[self._mine]
        self._swings = np.full(self._of.shape, np.nan)

    def take_out(self, row: Row, memory: Memory) -> None:
        """Shrink `residual` and `raw` of a rhythm's memory by what demand explains; never beyond 0."""
        if not len(self._of):
            return
        hour = moment_of(self._timezone, row.end_ns, row.period_s).hour % HOURS
        before_ns = row.end_ns - round(row.period_s * 1e9)
        before = moment_of(self._timezone, before_ns, row.period_s).hour % HOURS
        if hour == NIGHT[1] != before:
            self._learn(memory)  # once a day: courses change slowly
        at_night = NIGHT[0] <= hour < NIGHT[1]
        kernels = fast.kernels()
        if kernels is None:
            self._shrink(memory, at_night)
        else:
            arrays = memory["loading"], memory["residual"], memory["raw"]
            kernels.shrink(self._of, self._flow, at_night, LEAST, *arrays)

    def _learn(self, memory: Memory) -> None:
        """`loading` (channels,): how far demand moves each, in its unit, by the courses of its usual day.

        A course is the 24 levels of a rhythm's memory; the zone's is the median of its channels', each in
        its own swings. 0 where demand does not move it, or a whole day is not known yet.
        """
        level = memory["level"][self._mine]
        course = level - level.mean(axis=1, keepdims=True)
        swing = np.sqrt(np.square(course).mean(axis=1))
        spread = np.maximum(memory["spread"][self._mine], 1e-12)
        known = (memory["taught"][self._mine].min(axis=1) > 0.0) & (swing > spread)
        course /= np.maximum(swing, 1e-300)[:, None]
        pointed = np.where(known[:, None], course * self._way[self._mine][:, None], np.nan)
        hours = course.shape[1]
        zones = np.full((*self._of.shape, hours), np.nan)
        zones[self._there] = pointed
        middle, _ = medians(np.moveaxis(zones, 2, 1).reshape(-1, self._of.shape[1]))
        shared = np.nan_to_num(middle).reshape(-1, hours)[self._zone]
        size = np.sqrt(np.square(shared).mean(axis=1))
        alike = (course * shared).mean(axis=1) / np.maximum(size, 1e-300)
        memory["loading"][self._mine] = np.where(known & (np.abs(alike) >= ALIKE), alike * swing, np.nan)

    def _shrink(self, memory: Memory, at_night: bool) -> None:
        loading, residual = memory["loading"][self._mine], memory["residual"][self._mine]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            self._swings[self._there] = residual / loading
            middle, heard = medians(self._swings)
            shared = np.where(heard >= LEAST, middle, 0.0)
            left = loading * shared[self._zone]
            left /= residual
        np.fmax(left, 0.0, out=left)  # NaN, not heard or not moved by demand, explains nothing
        np.fmin(left, 1.0, out=left)
        np.subtract(1.0, left, out=left)
        if at_night:
            left[self._flows] = 1.0
        residual *= left
        memory["residual"][self._mine] = residual
        memory["raw"][self._mine] *= left
