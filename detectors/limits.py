"""Limits: levels that a channel must not reach; every reading is judged, in the tick in which it arrived."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.channels import Channel
from config.defaults import LEVEL_NAMES, Defaults, Level, LevelName
from detectors.base import (
    BoolArray,
    ChannelTable,
    EventDetector,
    FloatArray,
    Memory,
    Points,
    Surveying,
)
from detectors.everyday import Everyday
from detectors.findings import Explanation, Findings
from detectors.levels import NEVER_NS, SECOND_NS, Levels
from detectors.wearers import Wearers
from detectors.words import late_words, level_words
from ingest.readings import BAD, CONFLICT, EARLY, GOOD, LATE, UNCERTAIN, ReadingBatch, Recurring

ALARM_SURPRISE = 7.0  # -log10 p of reaching a level: what the alarm budget of 85,000 points at 5 min grants
MOST_SURPRISE = 300.0  # as far as a chance can be told as a float


@dataclass(frozen=True)
class Limits(Surveying[tuple[Levels, Wearers, Recurring[Everyday]]], EventDetector):
    """`>=` at high, `<=` at low levels; over when the value is back by more than the deadband (ALMA rule).

    Without options the defaults of `config/defaults.toml` hold, and `low`, `high` of channels.csv. An option
    changes that level on every channel that this instance watches; values are in the channel's unit.
    Delays and counts are columns of the points; the life cycle of alarms applies them.

    Score: s / (s + 5) with s = 7 + the distance past the level in deadbands, so that reaching a level is
    as surprising as an alarm (p = 1e-7), and 0 where no level is reached; NaN where a level is still unknown.

    What is heard: finite readings within the plausible range. BAD, EARLY and CONFLICT are not judged. An
    UNCERTAIN reading may raise but never calms. A LATE one pages only where the level is `life_safety` and no
    newer reading shows that it is over; else what it would have reached is a `late_detected`.
    A level without delay hears the worst reading of a tick; one with a delay or a count hears the newest,
    since a value that came back in between did not stay.
    """

    low_low: float | None = None
    low: float | None = None
    high: float | None = None
    high_high: float | None = None
    deadband: float | None = None
    on_delay_s: float | None = None
    off_delay_s: float | None = None
    on_samples: int | None = None
    latching: bool | None = None
    without: tuple[LevelName, ...] = ()  # levels that are not watched at all
    rest_s: float = 300.0  # a heart is at rest so long after the last movement (D)
    rest_steps: float = 10.0  # steps a minute that are no movement yet: turning over in bed (D)

    def survey(self, channels: ChannelTable) -> tuple[Levels, Wearers, Recurring[Everyday]]:
        numbers = np.arange(len(channels), dtype=np.int32) if self.only is None else self.only
        levels = Levels(channels, numbers, self._fit)
        wearers = Wearers(levels, self.rest_s, self.rest_steps)
        return levels, wearers, Recurring(lambda channel: Everyday(levels, wearers, channel))

    def points(self, channels: ChannelTable) -> Points:
        """Every level of every channel, then for each `late_detected`; from now on this site is watched."""
        return self.watch(channels)[0].points

    def fresh_memory(self, channels: ChannelTable) -> Memory:
        levels, wearers, _ = self.watch(channels)
        size = len(levels.points)
        return {
            "active": np.zeros(size, dtype=bool),  # the level is reached and the value not back yet
            "event_ns": np.full(size, NEVER_NS, dtype=np.int64),  # the newest reading heard
            "value": np.full(size, np.nan),  # the newest value that reached the level …
            "quality": np.zeros(size, dtype=np.uint8),  # … and its quality
            **levels.fresh_lessons(),
            **wearers.fresh_memory(),
        }

    def judge(self, readings: ReadingBatch, now_ns: int, memory: Memory) -> Findings | None:
        levels, wearers, usual = self.site
        levels.recall(memory)
        calm = readings.everyday
        plan = None if calm is None else usual.of(calm)
        if calm is not None and plan is not None:
            heard = plan.hear(calm, memory)
            if heard is not None:
                return _all_calm(levels, calm, *heard, memory, now_ns)
        usable, late = _usable(readings, levels, wearers, memory)
        if not usable.any():
            return None
        verdict = _Verdict(levels, memory)
        verdict.hear(readings, usable if late is None else usable & ~late)
        if late is not None:
            verdict.hear_late(readings.where(usable & late))
        return verdict.findings(now_ns)

    def _fit(self, channel: Channel, defaults: Defaults) -> Defaults:
        """The defaults of a channel as the options change them."""
        fallback = Level("high", np.nan, "limit", "alarm", 0.0, max(60.0, channel.period_s / 2), 2)
        named = {level.name: level for level in defaults.levels}
        for name in LEVEL_NAMES:
            if (limit := getattr(self, name)) is not None:
                named[name] = replace(named.get(name, replace(fallback, name=name)), limit=limit)
        chosen: dict[str, Any] = {
            option: value
            for option in ("on_delay_s", "off_delay_s", "on_samples", "latching")
            if (value := getattr(self, option)) is not None
        }
        levels = [named[name] for name in LEVEL_NAMES if name in named and name not in self.without]
        return replace(
            defaults,
            levels=tuple(replace(level, **chosen) for level in levels),
            deadband=defaults.deadband if self.deadband is None else self.deadband,
        )


class _Verdict:
    """What the readings of one tick do to the points; made for one call of `judge`."""

    def __init__(self, levels: Levels, memory: Memory) -> None:
        self.levels = levels
        self.memory = memory
        self.before_ns = memory["event_ns"]  # what was known before this tick
        self.event_ns = self.before_ns.copy()
        self.heard: BoolArray = np.zeros(len(levels.points), dtype=bool)
        self.passing: list[
            tuple[NDArray[Any], NDArray[Any]]
        ] = []  # points without delay that were reached, when

    def hear(self, readings: ReadingBatch, usable: BoolArray) -> None:
        """The usable readings among these are on time; sorted by channel and time."""
        levels, memory = self.levels, self.memory
        at = _index(readings, levels)
        matters = readings.value >= levels.inner_high[at]
        matters |= readings.value <= levels.inner_low[at]
        if readings.quality.max(initial=GOOD) >= UNCERTAIN:
            usable = usable & (matters | (readings.quality == GOOD))
        matters &= usable
        if matters.any() or memory["active"].any():
            hot = np.zeros(
                len(levels.channels), dtype=bool
            )  # every reading of these, or a return went unseen
            hot[levels.channel_of[memory["active"]]] = True
            hot[readings.channel[matters]] = True
            matters = hot[at] & usable
        newest = np.full(len(levels.channels), NEVER_NS, dtype=np.int64)
        if isinstance(at, slice):
            np.copyto(newest, readings.time_ns, where=usable)
        else:
            newest[at[usable]] = readings.time_ns[usable]  # of several the last, which is the newest
        told_ns = newest[levels.channel_of]
        self.heard = told_ns > self.before_ns
        memory["event_ns"] = np.maximum(self.before_ns, told_ns)
        self.event_ns = memory["event_ns"].copy()
        if matters.any():
            for turn in _turns(readings.where(matters)):
                self._move(turn)
        over = self.heard[len(levels) :]  # whatever came late, the channel speaks of now again
        memory["active"][len(levels) :] &= ~over
        _teach(levels, readings, usable, memory)

    def hear_late(self, readings: ReadingBatch) -> None:
        """Late readings: life-safety levels page unless something newer is known, others are noted."""
        levels, memory = self.levels, self.memory
        noted = np.zeros(len(levels.channels), dtype=bool)  # reached a level, whatever is known now
        paged = np.zeros(len(levels.channels), dtype=bool)  # and as far as is known still does
        for turn in _turns(readings):
            point, row = levels.of(turn.channel)
            beyond = levels.side[point] * (turn.value[row] - levels.limit[point])
            reached = beyond >= 0
            news = levels.life_safety[point] & (turn.time_ns[row] > memory["event_ns"][point])
            raises = news & reached
            calms = news & (beyond < -levels.deadband[point]) & (turn.quality[row] == GOOD)
            for of, active in ((raises, True), (calms, False)):
                memory["active"][point[of]] = active
                memory["event_ns"][point[of]] = self.event_ns[point[of]] = turn.time_ns[row[of]]
                self.heard[point[of]] = True
                paged[turn.channel[row[of]]] = active
            self._keep(point[raises], row[raises], turn)
            row = np.unique(row[reached])
            noted[turn.channel[row]] = True
            late = levels.late_point[turn.channel[row]]
            self._keep(late, row, turn)
            self.event_ns[late] = turn.time_ns[row]
        late = levels.late_point[noted & ~paged]
        memory["active"][late] = True
        self.heard[late] = True

    def findings(self, now_ns: int) -> Findings:
        """The verdict; explanations are made when asked for."""
        levels, memory = self.levels, self.memory
        reached = memory["active"]
        if self.passing:
            reached = reached.copy()
            for point, time_ns in self.passing:
                gone = ~memory["active"][point]  # it came back since: what is told of is the passing
                self.event_ns[point[gone]] = time_ns[gone]
                reached[point] = True
        severity = levels.severity * reached
        score = np.zeros(len(levels.points))
        if reached.any():
            point = np.flatnonzero(reached)
            score[point] = self._score(point)
        if len(levels.unknown):
            score[levels.unknown] = np.nan
            self.heard[levels.unknown] = False
        event_ns = self.event_ns

        def explain(point: int) -> Explanation:
            return _explained(levels, memory, point, int(event_ns[point]), now_ns)

        return Findings(levels.points, score, severity, self.heard, event_ns, explain)

    def _move(self, turn: ReadingBatch) -> None:
        """At most one reading a channel: which levels it reaches, and which it leaves behind."""
        levels, memory = self.levels, self.memory
        point, row = levels.of(turn.channel)
        beyond = levels.side[point] * (turn.value[row] - levels.limit[point])
        reached = beyond >= 0
        newer = turn.time_ns[row] > self.before_ns[point]
        active = memory["active"][point]
        back = (beyond < -levels.deadband[point]) & (turn.quality[row] == GOOD)
        memory["active"][point] = np.where(newer, reached | (active & ~back), active)
        passing = reached & levels.instant[point]
        self.passing.append((point[passing], turn.time_ns[row[passing]]))
        self.heard[point[passing]] = True
        self._keep(point[reached & (newer | passing)], row[reached & (newer | passing)], turn)

    def _keep(self, point: NDArray[Any], row: NDArray[Any], turn: ReadingBatch) -> None:
        """Remember what reached these points, for the explanation."""
        self.memory["value"][point] = turn.value[row]
        self.memory["quality"][point] = turn.quality[row]

    def _score(self, point: NDArray[Any]) -> FloatArray:
        levels = self.levels
        beyond = np.zeros(len(point))
        own = point < len(levels)
        level = point[own]
        past = levels.side[level] * (self.memory["value"][level] - levels.limit[level])
        with np.errstate(over="ignore"):  # without a deadband anything past the level is as far as can be
            beyond[own] = past / np.maximum(levels.deadband[level], np.finfo(np.float64).tiny)
        surprise = ALARM_SURPRISE + np.clip(np.nan_to_num(beyond), 0.0, MOST_SURPRISE - ALARM_SURPRISE)
        return np.asarray(surprise / (surprise + 5))


def _all_calm(
    levels: Levels, readings: ReadingBatch, usable: BoolArray, heard: BoolArray, memory: Memory, now_ns: int
) -> Findings | None:
    """The verdict where no point is active."""
    if not np.count_nonzero(usable):
        return None
    _teach(levels, readings, usable, memory)
    if len(levels.unknown):
        heard[levels.unknown] = False
    event_ns = memory["event_ns"].copy()

    def explain(point: int) -> Explanation:
        return _explained(levels, memory, point, int(event_ns[point]), now_ns)

    severity = np.zeros(len(heard), dtype=np.uint8)
    return Findings(levels.points, levels.calm_score(), severity, heard, event_ns, explain)


def _teach(levels: Levels, readings: ReadingBatch, usable: BoolArray, memory: Memory) -> None:
    """Nominal values are learned from what was heard on time."""
    if levels.pupils_wait:
        value = np.full(len(levels.channels), np.nan)
        time_ns = np.full(len(levels.channels), NEVER_NS, dtype=np.int64)
        value[readings.channel[usable]] = readings.value[usable]
        time_ns[readings.channel[usable]] = readings.time_ns[usable]
        levels.learn(value, time_ns, memory)


def _usable(
    readings: ReadingBatch, levels: Levels, wearers: Wearers, memory: Memory
) -> tuple[BoolArray, BoolArray | None]:
    """Which readings are judged, and which readings are late (None: none is)."""
    at = _index(readings, levels)
    value, time_ns = readings.value, readings.time_ns
    usable = value >= levels.least[at]
    usable &= value <= levels.most[at]
    flags = int(np.bitwise_or.reduce(readings.flags, initial=0))
    sound: BoolArray | None = None
    if flags & (EARLY | CONFLICT) or int(readings.quality.max(initial=GOOD)) >= BAD:
        sound = (readings.quality < BAD) & (readings.flags & (EARLY | CONFLICT) == 0)
        usable &= sound
    if len(wearers):
        heard = np.isfinite(value) if sound is None else np.isfinite(value) & sound
        wearers.hear(readings.channel[heard], time_ns[heard], value[heard], memory)
        usable &= ~wearers.unfit(readings.channel, time_ns, memory)
    return usable, (readings.flags & LATE) > 0 if flags & LATE else None


def _index(readings: ReadingBatch, levels: Levels) -> NDArray[Any] | slice:
    """Each reading's channel; a slice, which costs nothing, where every channel speaks exactly once."""
    if len(readings) == len(levels.all) and np.array_equal(readings.channel, levels.all):
        return slice(None)
    return readings.channel.astype(np.intp)


def _turns(readings: ReadingBatch) -> list[ReadingBatch]:
    """Split sorted readings so that each part holds at most one of each channel, in order of time."""
    channel = readings.channel
    begins = np.flatnonzero(np.diff(channel, prepend=-1))
    rank = np.arange(len(channel)) - np.repeat(begins, np.diff(begins, append=len(channel)))
    most = int(rank.max(initial=0))
    return [readings] if most == 0 else [readings.where(rank == turn) for turn in range(most + 1)]


def _explained(levels: Levels, memory: Memory, point: int, event_ns: int, now_ns: int) -> Explanation:
    """Why a point turned: value, level and, where it came late, how late."""
    number = int(levels.points.channel[point])
    channel = levels.channels[number]
    value = float(memory["value"][point])
    late_s = (now_ns - event_ns) / SECOND_NS
    if point >= len(levels):
        return late_words(channel, value, late_s)
    quality = int(memory["quality"][point])
    return level_words(channel, levels.levels[point], float(levels.limit[point]), value, quality, late_s)
