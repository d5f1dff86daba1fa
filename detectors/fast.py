"""Fast: the detectors' compiled twins, for who has many rows to judge; they give the same bits as NumPy.

`load` once, at any moment between two rows, and every panel goes on with them. Nothing else changes: where
numba is missing or does not work, NumPy does it all.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Protocol

import numpy as np

from detectors import days
from detectors.base import BoolArray, Detector, FloatArray, Memory, Row
from detectors.drift import Drift
from detectors.jump import Jump
from detectors.regime import Regime
from detectors.rhythm import Rhythm
from detectors.silence import Silence
from detectors.stuck import Stuck

LONG = 200_000  # readings from which compiled detectors pay for being loaded

_loaded: Any = None


class Judge(Protocol):
    """What scores and learns as a detector does."""

    def score(self, row: Row, memory: Memory) -> FloatArray: ...

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None: ...


def load() -> str:
    """Use compiled kernels from now on; "" or, where numba is installed and does not work, why it doesn't."""
    global _loaded
    if _loaded is None and importlib.util.find_spec("numba") is not None:
        try:
            _loaded = importlib.import_module("detectors.kernels")
        except Exception as error:  # whatever a broken installation raises: NumPy does the work
            return f"{type(error).__name__}: {error}"
    return ""


def load_once_long(before: int, now: int) -> str:
    """`load` where a job has judged LONG readings by now and had not before; "" or a notice for the user."""
    trouble = load() if before < LONG <= now else ""
    return trouble and f"notice: numba cannot be used, NumPy goes on alone: {trouble}"


def unload() -> None:
    """Back to NumPy."""
    global _loaded
    _loaded = None


def kernels() -> Any:
    """The compiled kernels; None while NumPy does the work."""
    return _loaded


def fastest(detector: Detector, channels: int) -> Judge:
    """The compiled twin of a detector over so many channels where there is one now, else itself."""
    twin = _TWINS.get(type(detector))
    return detector if _loaded is None or twin is None else twin(detector, channels)


class _Twin:
    def __init__(self, detector: Any, channels: int) -> None:
        self.detector = detector
        self.kernels = _loaded
        self.channels = channels

    def each(self, option: float | FloatArray) -> FloatArray:
        """An option that is one number, or one a channel, as one a channel."""
        return np.array(np.broadcast_to(np.asarray(option, dtype=np.float64), self.channels))


class _Jump(_Twin):
    def __init__(self, detector: Jump, channels: int) -> None:
        super().__init__(detector, channels)
        self.floor = self.each(detector.noise_floor)

    def score(self, row: Row, memory: Memory) -> FloatArray:
        names = ("level", "deviation", "taught", "unheard", "strayed", "error", "spread", "known", "raw")
        arrays = [memory[name] for name in names]
        self.kernels.jump_score(row.values, self.floor, float(self.detector.lessons), *arrays)
        return memory["raw"]

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        forgetting = 1 - 0.5 ** (row.period_s / self.detector.half_life_s)
        names = ("level", "deviation", "taught", "unheard", "error", "spread", "known")
        arrays = [memory[name] for name in names]
        self.kernels.jump_learn(row.values, calm, 1 / self.detector.level_rows, forgetting, *arrays)


class _Drift(_Twin):
    def __init__(self, detector: Drift, channels: int) -> None:
        super().__init__(detector, channels)
        self.floor = self.each(detector.noise_floor)
        self.scores = np.empty(channels)

    def score(self, row: Row, memory: Memory) -> FloatArray:
        asked = self.detector
        names = ("level", "variance", "taught", "blocks", "pace", "up", "down", "spread", "placed")
        arrays = [memory[name] for name in names]
        options = float(asked.lessons), asked.forgiven, asked.ceiling
        self.kernels.drift_score(row.values, self.floor, *options, *arrays, self.scores)
        return self.scores

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        forgetting = 1 - 0.5 ** (row.period_s / self.detector.half_life_s)
        names = ("level", "variance", "taught", "spread", "placed", "block_sum", "block_rows")
        arrays = [memory[name] for name in names]
        self.kernels.drift_learn(row.values, calm, float(self.detector.lessons), forgetting, *arrays)
        self.detector.end_block(row, memory)


class _Rhythm(_Twin):
    def __init__(self, detector: Rhythm, channels: int) -> None:
        super().__init__(detector, channels)
        self.floor = self.each(detector.noise_floor)

    def score(self, row: Row, memory: Memory) -> FloatArray:
        asked = self.detector
        moment = days.moment_of(asked.timezone, row.end_ns, row.period_s)
        days.added(moment, asked.country, memory)
        before, after = moment.before % days.HOURS, (moment.before + 1) % days.HOURS
        places = ("level", before), ("level", after), ("taught", before), ("taught", after)
        of_hour = moment.hour % days.HOURS
        columns = [
            memory[name][:, hour] for name, hour in (*places, ("deviation", of_hour), ("taught", of_hour))
        ]
        names = ("day_from", "day_slope", "usual", "expected", "spread", "residual", "raw")
        options = moment.share, asked.lessons(row.period_s), row.period_s / days.HOUR_S
        self.kernels.rhythm_score(row.values, self.floor, *options, *columns, *[memory[n] for n in names])
        return memory["raw"]

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        asked = self.detector
        moment = days.moment_of(asked.timezone, row.end_ns, row.period_s)
        days.hear(row, moment, calm, asked.country, memory)
        columns = [memory[name][:, moment.hour % days.HOURS] for name in ("level", "deviation", "taught")]
        arrays = [memory[name] for name in ("usual", "expected", "spread")]
        self.kernels.rhythm_learn(row.values, calm, *asked.paces(row.period_s), *columns, *arrays)


class _Stuck(_Twin):
    def __init__(self, detector: Stuck, channels: int) -> None:
        super().__init__(detector, channels)
        self.alike = self.each(np.multiply(detector.resolution, 0.25))
        self.long = np.empty(channels, dtype=np.int64)

    def score(self, row: Row, memory: Memory) -> FloatArray:
        asked, raw = self.detector, memory["raw"]
        names = ("last", "run", "before", "longest", "taught_s", "changes", "raw")
        arrays = [memory[name] for name in names]
        lessons = float(asked.lessons), float(asked.lessons_s)
        count = self.kernels.stuck_score(row.values, self.alike, *lessons, *arrays, self.long)
        if count:
            long = self.long[:count]
            raw[long] *= asked.cost(row.values[long], memory["repeats"][long])
        return raw

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        asked = self.detector
        names = ("last", "run", "before", "longest", "repeats", "taught_s", "changes")
        arrays = [memory[name] for name in names]
        fading = 0.5 ** (row.period_s / asked.habit_half_life_s)
        pace = row.period_s, 1 / row.period_s
        self.kernels.stuck_learn(row.values, calm, float(asked.resting), fading, *pace, *arrays)


class _Silence(_Twin):
    def __init__(self, detector: Silence, channels: int) -> None:
        super().__init__(detector, channels)
        self.period_s = 0.0
        self.stale_s = np.empty(channels)
        self.scores = np.empty(channels)

    def score(self, row: Row, memory: Memory) -> FloatArray:
        if row.period_s != self.period_s:
            self.period_s = row.period_s
            self.stale_s = self.each(self.detector.stale_s(row))
        begin_ns = row.end_ns - round(row.period_s * 1e9)
        arrays = [memory[name] for name in ("since_ns", "known", "habit_s", "age_s")]
        self.kernels.silence_score(row.values, self.stale_s, begin_ns, row.end_ns, *arrays, self.scores)
        return self.scores

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        fading = 0.5 ** (row.period_s / self.detector.habit_half_life_s)
        arrays = [memory[name] for name in ("since_ns", "habit_s", "age_s")]
        self.kernels.silence_learn(row.values, self.stale_s, 1.5 * row.period_s, fading, row.end_ns, *arrays)


class _Regime(_Twin):
    def score(self, row: Row, memory: Memory) -> FloatArray:
        return memory["raw"]

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        self.kernels.regime_learn(row.values, calm, *[memory[n] for n in ("sum", "rows", "calm_rows")])
        self.detector.end_block(row, memory)


_TWINS: dict[type, type[Any]] = {
    Jump: _Jump,
    Drift: _Drift,
    Rhythm: _Rhythm,
    Stuck: _Stuck,
    Silence: _Silence,
    Regime: _Regime,
}
