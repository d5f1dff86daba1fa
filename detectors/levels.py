"""Levels: every level of every channel as arrays, and the nominal values that channels have to learn."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from config.channels import Channel, ChannelTable
from config.defaults import Defaults, Level, defaults_for
from detectors.base import FloatArray, IntArray, Memory, Points, TimeArray
from detectors.findings import ALARM, WARNING

NEVER_NS = -(2**62)  # earlier than any reading
SECOND_NS = 1_000_000_000
LATE_CALM_S = 3600.0  # a backlog comes in pieces: its notices within the hour are one
LESSONS = 12  # readings from which a nominal value is learned
LESSON_S = 3600.0  # and for a channel's own mean at least so long
STANDARD_REACH = 0.2  # a mean farther than this share from every standard value teaches nothing
FINITE = np.finfo(np.float64).max


class Levels:
    """Points of a table: every level of every channel, in its order; then for each channel one for late data.

    Level columns have shape (levels,), channel columns (channels,). `side` is +1 at high and -1 at low
    levels, so that `side * (value - limit)` is how far a value lies past a level. `inner_low` and
    `inner_high` are a channel's nearest levels: what lies between them crosses none.
    """

    def __init__(
        self, channels: ChannelTable, numbers: IntArray, fit: Callable[[Channel, Defaults], Defaults]
    ):
        self.channels = channels
        self.fit = fit
        known = {int(n): self.defaults(int(n)) for n in np.sort(numbers)}
        self.watched = np.array([n for n, of in known.items() if of.levels], dtype=np.int32)
        rows: list[tuple[int, Level]] = [
            (int(n), level) for n in self.watched for level in known[int(n)].levels
        ]
        self.levels = tuple(level for _, level in rows)
        self.channel = np.array([n for n, _ in rows], dtype=np.int32)
        count = np.bincount(self.channel, minlength=len(channels))
        self.first = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        self.count = count.astype(np.int64)
        self.late_point = np.full(len(channels), -1, dtype=np.int64)
        self.late_point[self.watched] = len(rows) + np.arange(len(self.watched))

        self.side = np.where([level.is_high for level in self.levels], 1.0, -1.0)
        self.limit = np.array([level.limit for level in self.levels], dtype=np.float64)
        self.deadband = np.array([known[n].deadband for n, _ in rows], dtype=np.float64)
        grades = [WARNING if level.severity == "warning" else ALARM for level in self.levels]
        self.severity = np.array([*grades, *(ALARM for _ in self.watched)], dtype=np.uint8)
        self.instant = np.array(
            [level.on_delay_s == 0 and level.on_samples <= 1 for level in self.levels], bool
        )
        self.life_safety = np.array([level.life_safety for level in self.levels], dtype=bool)

        self.least = np.full(len(channels), np.inf)  # a channel without levels: no value is plausible
        self.most = np.full(len(channels), -np.inf)
        for n in self.watched.tolist():
            self.least[n] = max(known[n].plausible[0], -FINITE)
            self.most[n] = min(known[n].plausible[1], FINITE)
        self.inner_low = np.full(len(channels), -np.inf)
        self.inner_high = np.full(len(channels), np.inf)
        for n in self.watched.tolist():
            self._find_inner(n)

        self.unknown = np.flatnonzero(np.isnan(self.limit))  # levels that wait for a nominal value
        self.points = self._points()
        self.all = np.arange(len(channels))
        self.channel_of = self.points.channel.astype(np.intp)  # indexing by anything narrower costs a copy
        self.rest_only = self.watched[[known[n].rest_only for n in self.watched.tolist()]]
        self.worn_only = self.watched[[known[n].worn_only for n in self.watched.tolist()]]
        pupils = [
            n
            for n in self.watched.tolist()
            if np.isnan(channels.nominal[n]) and (known[n].standards or known[n].learns_own)
        ]
        self.pupils = np.array(pupils, dtype=np.int32)
        self.pupil_points = self.first[self.pupils]  # where a memory keeps their nominal values
        self.standards = {n: known[n].standards for n in pupils}
        self.learned = np.full(len(pupils), np.nan)  # the nominal values that are in force here
        self.pupils_wait = bool(pupils)
        self.version = 0  # of the limits; it rises when a nominal value is learned
        self._calm_score: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.levels)

    def defaults(self, number: int, nominal: float | None = None) -> Defaults:
        """A channel's defaults as the settings changed them; `nominal` is one that was learned."""
        channel = self.channels[number]
        if nominal is not None:
            channel = replace(channel, nominal=nominal)
        return self.fit(channel, defaults_for(channel))

    def calm_score(self) -> FloatArray:
        """The score of points (points,) of which none is reached: 0, NaN where a level is still unknown."""
        if self._calm_score is None:
            self._calm_score = np.zeros(len(self.points))
            self._calm_score[self.unknown] = np.nan
        return self._calm_score

    def of(self, channel: IntArray) -> tuple[TimeArray, TimeArray]:
        """The levels of these channels: their numbers, and for each the place of its channel in `channel`."""
        count = self.count[channel]
        row = np.repeat(np.arange(len(channel)), count)
        return np.arange(len(row)) + np.repeat(self.first[channel] - (np.cumsum(count) - count), count), row

    def fresh_lessons(self) -> Memory:
        """What learning nominal values needs to remember; nothing where every nominal value is given."""
        if not len(self.pupils):
            return {}
        size = len(self.points)
        return {
            "nominal": np.full(size, np.nan),
            "mean": np.zeros(size),
            "taught": np.zeros(size, dtype=np.int32),
            "first_ns": np.full(size, NEVER_NS, dtype=np.int64),
        }

    def recall(self, memory: Memory) -> None:
        """Put the nominal values of this memory in force."""
        if len(self.pupils):
            nominal = memory["nominal"][self.pupil_points]
            if nominal.tobytes() == self.learned.tobytes():
                return
            changed = ~((nominal == self.learned) | (np.isnan(nominal) & np.isnan(self.learned)))
            for pupil in np.flatnonzero(changed).tolist():
                self._adopt(pupil, float(nominal[pupil]))

    def learn(self, value: FloatArray, time_ns: TimeArray, memory: Memory) -> None:
        """Take each pupil's newest value (channels,), NaN where it was not heard, as one lesson."""
        waiting = np.flatnonzero(np.isnan(self.learned))
        heard = waiting[np.isfinite(value[self.pupils[waiting]])]
        if not len(heard):
            return
        channel = self.pupils[heard]
        point = self.first[channel]
        taught, mean, first_ns = memory["taught"], memory["mean"], memory["first_ns"]
        begins = taught[point] == 0
        first_ns[point] = np.where(begins, time_ns[channel], first_ns[point])
        taught[point] += 1
        mean[point] += (value[channel] - np.where(begins, 0.0, mean[point])) / taught[point]
        long_enough = time_ns[channel] - first_ns[point] >= LESSON_S * SECOND_NS
        own = np.array([not self.standards[n] for n in channel.tolist()], dtype=bool)
        for row in np.flatnonzero((taught[point] >= LESSONS) & (long_enough | ~own)).tolist():
            nominal = self._concluded(int(channel[row]), float(mean[point[row]]))
            taught[point[row]] = 0
            mean[point[row]] = 0.0
            if nominal is not None:
                memory["nominal"][point[row]] = nominal
                self._adopt(int(heard[row]), nominal)

    def _concluded(self, channel: int, mean: float) -> float | None:
        """The nominal value that a mean teaches: the nearest standard one by ratio, or the mean itself."""
        standards = self.standards[channel]
        if not standards or mean <= 0:
            return mean if mean > 0 else None
        nearest = min(standards, key=lambda standard: abs(np.log(mean / standard)))
        return nearest if abs(mean / nearest - 1) <= STANDARD_REACH else None

    def _adopt(self, pupil: int, nominal: float) -> None:
        channel = int(self.pupils[pupil])
        known = self.defaults(channel, nominal)
        for point in range(int(self.first[channel]), int(self.first[channel + 1])):
            level = known.level(self.levels[point].name)
            self.limit[point] = np.nan if level is None else level.limit
            self.deadband[point] = known.deadband
        self.unknown = np.flatnonzero(np.isnan(self.limit))
        self.version += 1
        self._calm_score = None
        self.learned[pupil] = nominal
        self.pupils_wait = bool(np.isnan(self.learned).any())
        self._find_inner(channel)

    def _find_inner(self, channel: int) -> None:
        here = slice(int(self.first[channel]), int(self.first[channel + 1]))
        limit, high = self.limit[here], self.side[here] > 0
        self.inner_high[channel] = np.fmin.reduce(limit[high], initial=np.inf)
        self.inner_low[channel] = np.fmax.reduce(limit[~high], initial=-np.inf)

    def _points(self) -> Points:
        medium, quantity = self.channels.medium, self.channels.quantity
        rule = [
            f"{medium[n]}.{quantity[n]}.{level.name}" for n, level in zip(self.channel.tolist(), self.levels)
        ]
        late = len(self.watched)
        return Points(
            rule=(*rule, *("late_detected" for _ in range(late))),
            channel=np.concatenate([self.channel, self.watched]),
            kind=(*(level.kind for level in self.levels), *("late_detected" for _ in range(late))),
            on_delay_s=np.array([*(level.on_delay_s for level in self.levels), *[0.0] * late]),
            off_delay_s=np.array([*(level.off_delay_s for level in self.levels), *[LATE_CALM_S] * late]),
            on_samples=np.array([*(level.on_samples for level in self.levels), *[1] * late], dtype=np.int32),
            latching=np.array([*(level.latching for level in self.levels), *[False] * late], dtype=bool),
        )
