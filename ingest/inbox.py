"""Inbox: what is done to every reading before it is believed: rounding, quality, duplicates, late and early.

Two steps, because a reading is stored before its tick is known: `Inbox.admit` on arrival, in order of
arrival; `timely` once the tick is closed. Live, replay and recovery use the same two.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from ingest.readings import BAD, CONFLICT, EARLY, LATE, UNCERTAIN, ReadingBatch
from ingest.ticks import SECOND_NS

LATE_NS = 900 * SECOND_NS
LATE_PERIODS = 3
EARLY_NS = 300 * SECOND_NS
NEVER_NS = np.iinfo(np.int64).min

BoolArray = NDArray[np.bool_]
RowArray = NDArray[np.intp]
Known = Callable[
    [NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]], tuple[BoolArray, BoolArray]
]  # of channels, times and values: whether each moment was seen, and with this value


def ring_size(channels: int) -> int:
    """How many readings of a channel are remembered: at least 64, more on small sites, 16 MB in all."""
    return max(64, min(4096, (1 << 20) // max(channels, 1)))


@dataclass(frozen=True, slots=True)
class Admitted:
    """What is left of a group: the readings to store, and which rows of the group they were."""

    readings: ReadingBatch
    kept: BoolArray  # (group,) False = a duplicate, dropped
    duplicates: int


class Inbox:
    """Remembers, per channel, the newest time and a ring of the last readings in order of arrival.

    A reading whose (channel, time) is known is a duplicate where the value agrees, a conflict where it does
    not. It is compared with the ring as it was before the group and with the group's earlier readings. One
    that the ring may have forgotten is asked of `recall`, a longer memory: see `Recall.known`.
    """

    def __init__(self, channels: ChannelTable, ring: int | None = None, recall: Known | None = None) -> None:
        size = len(channels)
        self._recall = recall
        self._forgotten = np.full(size, NEVER_NS)  # the newest time that each ring has dropped
        self.ring = ring or ring_size(size)
        self._up, self._down = _rounding(channels.resolution)
        self._rounds = bool((channels.resolution > 0).any())
        self._newest = np.full(size, NEVER_NS)
        self._count = np.zeros(size, dtype=np.int64)
        # Cells lie seat by seat: channels that keep in step write neighbouring ones.
        self._cell_times = np.full(self.ring * size, NEVER_NS)
        self._cell_values = np.zeros(self.ring * size)
        self._times = self._cell_times.reshape(self.ring, size).T  # views, (channels, ring)
        self._values = self._cell_values.reshape(self.ring, size).T
        self._seat = np.zeros(size, dtype=np.intp)
        self._radix = np.uint16 if size < 1 << 16 else np.int32  # NumPy sorts 16-bit keys by radix

    def admit(self, group: ReadingBatch) -> Admitted:
        """Judge a group in order of arrival; conflicts that it already names stay conflicts."""
        if not len(group):
            return Admitted(group, np.zeros(0, dtype=bool), 0)
        value, quality = self._cleaned(group)
        group = replace(group, value=value, quality=quality)
        if self._all_new_and_distinct(group):
            self._remember_distinct(group)
            return Admitted(group, np.ones(len(group), dtype=bool), 0)
        order, suspects = self._suspects(group)
        kept = np.ones(len(group), dtype=bool)
        if len(suspects):
            flags = group.flags.copy()
            self._compare(group, suspects, kept, flags)
            group = replace(group, flags=flags)
            order = order[kept[order]]
        self._remember(group, order)
        duplicates = len(kept) - int(np.count_nonzero(kept))
        return Admitted(group.where(kept) if duplicates else group, kept, duplicates)

    def remember(self, readings: ReadingBatch) -> None:
        """Take readings that were admitted in an earlier life, in their order, as known."""
        self._remember(readings, np.argsort(readings.channel.astype(self._radix), kind="stable"))

    def _cleaned(self, group: ReadingBatch) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Values rounded to their channel's resolution; what is not a number is bad."""
        value, quality = group.value, group.quality
        if self._rounds:
            up, down = self._up[group.channel], self._down[group.channel]
            with np.errstate(over="ignore", invalid="ignore"):  # huge values stay as they came
                rounded = value * up
                rounded /= down
                np.rint(rounded, out=rounded)
                rounded *= down
                rounded /= up
            usable = np.isfinite(rounded)
            whole = np.count_nonzero(usable) == len(usable)
            value = rounded if whole else np.where(usable, rounded, value)
        finite = np.isfinite(value)
        if not finite.all():
            value = np.where(finite, value, np.nan)
            quality = np.where(finite, quality, np.uint8(BAD))
        return value + 0.0, quality  # -0.0 and 0.0 are one value

    def _all_new_and_distinct(self, group: ReadingBatch) -> bool:
        """The everyday case: each channel at most once, and newer than all before it."""
        channel = group.channel.astype(np.intp)
        newer = group.time_ns > self._newest[channel]
        if len(channel) > len(self._newest) or np.count_nonzero(newer) < len(newer):
            return False
        if (channel[1:] > channel[:-1]).all():
            return True
        rows = np.arange(len(channel))
        self._seat[channel] = rows
        return bool((self._seat[channel] == rows).all())

    def _remember_distinct(self, group: ReadingBatch) -> None:
        channel = group.channel.astype(np.intp)
        count = self._count[channel]
        cell = count % self.ring
        cell *= len(self._newest)
        cell += channel
        self._forgotten[channel] = np.maximum(self._forgotten[channel], self._cell_times[cell])
        self._cell_times[cell] = group.time_ns
        self._cell_values[cell] = group.value
        count += 1
        self._count[channel] = count
        self._newest[channel] = group.time_ns

    def _suspects(self, group: ReadingBatch) -> tuple[RowArray, RowArray]:
        """Rows by channel, in order of arrival; and those of channels whose time does not only rise."""
        order = np.argsort(group.channel.astype(self._radix), kind="stable")
        channel, time_ns = group.channel[order], group.time_ns[order]
        first = np.empty(len(order), dtype=bool)
        first[0] = True
        np.not_equal(channel[1:], channel[:-1], out=first[1:])
        rises = np.empty(len(order), dtype=bool)
        rises[0] = True
        np.greater(time_ns[1:], time_ns[:-1], out=rises[1:])
        rises = np.where(first, time_ns > self._newest[channel], rises)
        if rises.all():
            return order, order[:0]
        doubtful = np.zeros(len(self._newest), dtype=bool)
        doubtful[channel[~rises]] = True
        return order, order[doubtful[channel]]

    def _compare(
        self, group: ReadingBatch, rows: RowArray, kept: BoolArray, flags: NDArray[np.uint8]
    ) -> None:
        """Find duplicates and conflicts among `rows` (by channel, then arrival); marks them in place."""
        rows = np.sort(rows)  # order of arrival
        channel, time_ns, value = group.channel[rows], group.time_ns[rows], group.value[rows]
        same_time, same_value = self._known(channel, time_ns, value)
        order = np.lexsort((value.view(np.uint64), time_ns, channel))
        moment_starts = _starts(channel[order], time_ns[order])
        value_starts = moment_starts | _starts(value.view(np.uint64)[order])
        repeated = np.zeros(len(rows), dtype=bool)
        repeated[order] = ~value_starts
        kept[rows] = ~(repeated | same_value)
        first_of_moment = np.minimum.reduceat(order, np.flatnonzero(moment_starts))
        first = np.zeros(len(rows), dtype=bool)
        first[first_of_moment] = True
        flags[rows[same_time | ~first]] |= CONFLICT

    def _known(
        self, channel: NDArray[np.int32], time_ns: NDArray[np.int64], value: NDArray[np.float64]
    ) -> tuple[BoolArray, BoolArray]:
        """Whether the ring holds each (channel, time), and with this value."""
        same_time = np.zeros(len(channel), dtype=bool)
        same_value = np.zeros(len(channel), dtype=bool)
        old = np.flatnonzero(time_ns <= self._newest[channel])
        bits = value.view(np.uint64)
        for part in np.array_split(old, len(old) * self.ring // (1 << 20) + 1):
            hit = self._times[channel[part]] == time_ns[part, None]
            same_time[part] = hit.any(axis=1)
            equal = self._values.view(np.uint64)[channel[part]] == bits[part, None]
            same_value[part] = (hit & equal).any(axis=1)
        if self._recall is not None:
            unsure = np.flatnonzero(~same_value & (time_ns <= self._forgotten[channel]))
            if len(unsure):
                said = self._recall(channel[unsure], time_ns[unsure], value[unsure])
                same_time[unsure] |= said[0]
                same_value[unsure] |= said[1]
        return same_time, same_value

    def _remember(self, group: ReadingBatch, order: RowArray) -> None:
        """Write rows (by channel, then arrival) into the rings; of many, only the last fit."""
        if not len(order):
            return
        channel, time_ns = group.channel[order], group.time_ns[order]
        starts = np.flatnonzero(_starts(channel))
        sizes = np.diff(starts, append=len(order))
        who = channel[starts]
        rank = np.arange(len(order)) - np.repeat(starts, sizes)
        fits = rank >= np.repeat(sizes - self.ring, sizes)
        seat = (self._count[channel] + rank) % self.ring
        np.maximum.at(self._forgotten, channel[fits], self._times[channel[fits], seat[fits]])
        np.maximum.at(self._forgotten, channel[~fits], time_ns[~fits])
        self._times[channel[fits], seat[fits]] = time_ns[fits]
        self._values[channel[fits], seat[fits]] = group.value[order[fits]]
        self._count[who] += sizes
        self._newest[who] = np.maximum(self._newest[who], np.maximum.reduceat(time_ns, starts))


def timely(
    readings: ReadingBatch,
    now_ns: int | NDArray[np.int64],
    period_s: NDArray[np.float64],
    clock_good: bool | BoolArray,
) -> ReadingBatch:
    """The readings of closed ticks: they arrived at `now_ns`, late and early ones are flagged.

    `now_ns` and `clock_good` are one tick's, or columns (readings,); `period_s` (channels,). Late: older than
    max(3 periods, 15 min). Early: more than 5 min ahead; its quality becomes uncertain. Neither is said while
    the clock is not good.
    """
    size = len(readings)
    arrival = now_ns if isinstance(now_ns, np.ndarray) else np.full(size, now_ns)
    age = arrival - readings.time_ns
    flags, quality = readings.flags, readings.quality
    if size and (age.max() > LATE_NS or age.min() < -EARLY_NS):
        allowed = np.maximum(LATE_PERIODS * period_s * SECOND_NS, LATE_NS)[readings.channel]
        late, early = (age > allowed) & clock_good, (age < -EARLY_NS) & clock_good
        flags = flags | (late * np.uint8(LATE)) | (early * np.uint8(EARLY))
        quality = np.where(early, np.maximum(quality, np.uint8(UNCERTAIN)), quality)
    return replace(readings, arrival_ns=arrival, flags=flags, quality=quality)


def _starts(*columns: NDArray[np.generic]) -> BoolArray:
    """True where a row differs from the row before it in any column; the first row starts a run."""
    starts = np.zeros(len(columns[0]), dtype=bool)
    starts[:1] = True
    for column in columns:
        starts[1:] |= column[1:] != column[:-1]
    return starts


def _rounding(resolution: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per channel the factors of rounding: k = rint(value * up / down), value = k * down / up.

    0.1 is no float, but 10 is, and k / 10 is exact: so one of them is 1. Both are NaN where none is rounded.
    """
    given = resolution > 0
    steps = np.where(given, resolution, np.nan)
    inverse = np.rint(1 / steps)
    divides = given & (inverse > 1) & (np.abs(inverse * steps - 1) < 1e-9)
    return np.where(divides, inverse, steps / steps), np.where(divides, 1.0, steps)
