"""Panel: several detectors over the channels of one grid, their scores on one scale, one verdict a row."""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from config.snapshot import Keyed, State, below, prefixed, restored
from detectors import fast
from detectors.base import BoolArray, Detector, FloatArray, IntArray, Memory, Row
from detectors.calibration import LOWEST, Calibration, in_turns
from detectors.demand import Demand
from detectors.findings import ALARM, CALM, WARNING, Explanation, Findings, Points, Usual
from detectors.rhythm import Rhythm

ALARM_OVER_WARNING = 1.5  # -log10 p; an alarm is some thirty times rarer than a warning
RESUME_S = 5 * 86400.0  # a channel that stays strange so long is learned from again, slowly: ask before that
DAY_S = 86400.0
SeverityArray = NDArray[np.uint8]
RAWS = np.concatenate([np.linspace(0.0, 20.0, 401), np.geomspace(20.5, 1e6, 200)])  # where a scale is tabled


@dataclass(frozen=True)
class Seat:
    """A detector at the panel: which of the panel's channels it may judge, and from which score it speaks."""

    rule: str
    detector: Detector
    eligible: BoolArray  # (channels,)
    name: str  # distinct among the seats of a panel: whose memory it is
    warning: float | None = None  # on the [0, 1] scale; None = from the alarm budget
    alarm: float | None = None
    on_delay_s: float | FloatArray = 0.0
    off_delay_s: float | FloatArray = 0.0


class Panel:
    """Scores a row with each detector, calibrates, decides severity, and lets calm channels teach.

    score = s / (s + 5), where s = -log10 of the chance of so high a score, as observed in the pool of the
    channel: its rule, medium and quantity within one zone; without a zone the channel alone.
    A channel is calm while none of its points warns. One that has stayed strange for RESUME_S is learned
    from again: its baselines then move by bounded steps, so that a level that changed for good is accepted
    within weeks although nobody answered.
    Points are ordered by seat, then by channel; a point outside its seat's `eligible` never knows anything.
    """

    def __init__(
        self,
        channels: ChannelTable,
        members: IntArray,
        period_s: float,
        seats: Sequence[Seat],
        budget_per_day: float,
    ) -> None:
        self.seats = tuple(seats)
        self.members = members
        self._channels = channels
        self._keys = tuple(channels.ids[number] for number in members)
        self.period_s = period_s
        count, judges = len(members), len(seats)
        self._memories: list[Memory] = [seat.detector.fresh_memory(count) for seat in seats]
        self.points = self._points()
        names = [_pool(seat.rule, channels, number) for seat in seats for number in members]
        pools = in_turns(set(names))
        number_of = {name: number for number, name in enumerate(pools)}
        self._pool = np.array([number_of[name] for name in names], dtype=np.int64)
        self._calibration = Calibration(pools, _granted(budget_per_day, period_s) + ALARM_OVER_WARNING)
        self._blind = np.where(np.array([seat.eligible for seat in seats]), 0.0, np.nan)
        raw_at_lowest = np.array([_raw_at(seat.detector, LOWEST) for seat in seats])
        self._high = np.repeat(raw_at_lowest, count)  # what each point's raw score must reach to count
        self._scale = LOWEST / self._high
        self._surprises = [seat.detector.surprise(RAWS) for seat in seats]
        levels = [self._levels(seat, budget_per_day) for seat in seats]
        self._warning = np.repeat([level[0] for level in levels], count)
        self._alarm = np.repeat([level[1] for level in levels], count)
        self._learning = np.repeat([seat.detector.calibrated for seat in seats], count)
        self._hears_silence = np.array([seat.detector.hears_silence for seat in seats])[:, None]
        self._rhythm = next((n for n, seat in enumerate(seats) if seat.detector.leaves_residual), None)
        self._demand = None if self._rhythm is None else _demand(channels, members, seats[self._rhythm])
        self._order = sorted(range(judges), key=lambda number: number != self._rhythm)
        self._first = np.arange(judges + 1) * count  # where each seat's points begin …
        self._ends = self._first[1:].tolist()  # … and end
        self._stood = np.zeros(judges * count, dtype=bool)  # points that warned in the last row
        self._any_stood = False
        self._all_calm = np.ones(count, dtype=bool)
        self._all_heard = np.ones(judges * count, dtype=bool)
        self._strange_s = np.zeros(count)  # how long a channel has not been calm
        self._most = self._lowest()
        self._surprise = np.full(judges * count, np.nan)  # of the last row
        self._raw = np.empty((judges, count))
        self._high_ones = np.empty(judges * count, dtype=np.int64)
        self._kernels = fast.kernels()
        self._judges = self._fastest()
        self._row: Row | None = None

    def judge(self, row: Row) -> Findings:
        """The verdict on one settled row, whose values are in the order of `members`."""
        if self._kernels is not fast.kernels():
            self._kernels = fast.kernels()
            self._judges = self._fastest()
        raw = self._scores(row).reshape(-1)
        surprise = self._surprise  # the same array at each row: fresh ones of this size cost page faults
        score, high = self._settle(raw)
        severity = np.zeros(raw.size, dtype=np.uint8)
        if len(high):
            observed = self._look(raw, high, row, severity)
            surprise[high] = observed
            score[high] = observed / (observed + 5.0)
        if self._calibration.wants_total():
            self._calibration.count_all(self._known(raw, row))
        self._teach(row, severity)
        if self._calibration.end_row():
            self._most = self._lowest()
        self._row = row
        return Findings(
            points=self.points,
            score=score,
            severity=severity,
            heard=self._all_heard if row.whole else (row.heard | self._hears_silence).reshape(-1),
            event_ns=_all_at(row.end_ns, raw.size),
            explain=lambda point: self._explain(point, row),
        )

    def _settle(self, raw: FloatArray) -> tuple[FloatArray, Any]:
        """Scores as if no point were high, with their surprises in place; and the points that are."""
        surprise, blind = self._surprise, self._blind.reshape(-1)
        if self._kernels is not None:
            score = np.empty(raw.size)
            found = self._high_ones
            count = self._kernels.settle(
                raw, blind, self._scale, self._high, self._most, surprise, score, found
            )
            return score, found[:count]
        raw += blind
        np.multiply(raw, self._scale, out=surprise)
        np.minimum(surprise, self._most, out=surprise)
        return surprise / (surprise + 5.0), (raw >= self._high).nonzero()[0]

    def _fastest(self) -> list[fast.Judge]:
        return [fast.fastest(seat.detector, len(self.members)) for seat in self.seats]

    def _look(self, raw: FloatArray, high: Any, row: Row, severity: SeverityArray) -> FloatArray:
        """The observed surprise of the points `high`; sets their severity, counts those that teach."""
        nominal = self._nominal(raw, high)
        if self._kernels is not None:
            found = np.empty(len(high))
            points = self._pool, self._learning, self._warning, self._alarm, self._stood
            tables = self._calibration.tables()
            self._kernels.look(high, nominal, row.heard, *points, *tables, severity, found)
            return found
        observed = self._calibration.of(self._pool[high], nominal)
        observed = np.where(self._learning[high], observed, nominal)
        tells = self._learning[high]
        if not row.whole:
            tells &= row.heard[high % len(self.members)]
        warns = observed >= self._warning[high]
        if np.count_nonzero(warns):
            severity[high] = np.where(observed >= self._alarm[high], ALARM, WARNING) * warns
            tells &= ~(warns & self._stood[high])
        if np.count_nonzero(tells):
            self._calibration.count_high(self._pool[high[tells]], nominal[tells])
        return observed

    def _known(self, raw: FloatArray, row: Row) -> Any:
        """How many of this row's scores are known in each pool."""
        pools = len(self._calibration.pools)
        if self._kernels is not None:
            counted = np.zeros(pools, dtype=np.int64)
            self._kernels.tally(raw, row.heard, self._pool, counted)
            return counted
        everywhere = np.isfinite(raw) & np.tile(row.heard, len(self.seats))
        return np.bincount(self._pool[everywhere], minlength=pools)

    def adopt(self, columns: IntArray) -> None:
        """What these channels show is normal from now on: staff decided so."""
        chosen = np.zeros(len(self.members), dtype=bool)
        chosen[columns] = True
        shift = np.zeros(len(chosen))
        for seat, memory in zip(self.seats, self._memories):
            if "shift" in memory:
                np.copyto(shift, memory["shift"], where=seat.eligible & chosen)
        for seat, memory in zip(self.seats, self._memories):
            seat.detector.adopt(chosen, shift, memory)
        self._strange_s[chosen] = 0.0
        self._stood[np.tile(chosen, len(self.seats))] = False

    def restart(self) -> None:
        """A new epoch: nothing is concluded from the gap."""
        for seat, memory in zip(self.seats, self._memories):
            seat.detector.restart(memory)

    def state(self) -> State:
        state: State = {"strange_s": Keyed(self._keys, self._strange_s)}
        for number, (seat, memory) in enumerate(zip(self.seats, self._memories)):
            mine: State = {name: Keyed(self._keys, array) for name, array in memory.items()}
            first, last = self._first[number], self._first[number + 1]
            mine["stood"] = Keyed(self._keys, self._stood[first:last])
            state |= prefixed(seat.name, mine)
        return state | prefixed("calibration", self._calibration.state())

    def restore(self, state: Mapping[str, Any]) -> None:
        self._strange_s = restored(dict(state), "strange_s", self._keys, self._strange_s)
        for number, (seat, memory) in enumerate(zip(self.seats, self._memories)):
            mine = below(seat.name, state)
            for name in memory:
                memory[name][...] = restored(mine, name, self._keys, memory[name])
            first, last = self._first[number], self._first[number + 1]
            self._stood[first:last] = restored(mine, "stood", self._keys, self._stood[first:last])
        self._any_stood = bool(self._stood.any())
        self._calibration.restore(below("calibration", state))
        self._most = self._lowest()

    def usual(self, column: int) -> Usual:
        """What is usual on one of its channels, and how unusual each rule found the last row of it."""
        count = len(self.members)
        surprise = self._surprise[column::count].tolist()
        scores = {seat.rule: s / (s + 5.0) for seat, s in zip(self.seats, surprise) if s == s}
        if self._rhythm is None or self._row is None or self.seats[self._rhythm].rule not in scores:
            return Usual(scores=scores)
        memory = self._memories[self._rhythm]
        numbers = {name: float(memory[name][column]) for name in ("expected", "spread")}
        return Usual({**numbers, **self._band(self._rhythm, column, self._row)}, scores)

    def expected_alarms(self) -> list[tuple[str, IntArray, float]]:
        """(rule, its channels, false alarms a day on each), as the levels promise on calm data."""
        rows = DAY_S / self.period_s
        expected = []
        for number, seat in enumerate(self.seats):
            warning = float(self._warning[self._first[number]])
            chance = 10.0**-warning if seat.detector.calibrated else 0.0
            expected.append((seat.rule, self.members[seat.eligible], rows * chance))
        return expected

    def _scores(self, row: Row) -> FloatArray:
        """Raw scores (seats, channels)."""
        raw = self._raw
        left_over = row
        for number in self._order:
            detector, memory = self.seats[number].detector, self._memories[number]
            raw[number] = self._judges[number].score(left_over if detector.deseasoned else row, memory)
            if number == self._rhythm:
                if self._demand is not None:
                    self._demand.take_out(row, memory)
                    raw[number] = memory["raw"]
                left_over = Row(memory["residual"], row.end_ns, row.period_s)
        self._left_over = left_over
        return raw

    def _teach(self, row: Row, severity: SeverityArray) -> None:
        """Channels of which no point warns are calm, and teach; so do those strange for very long."""
        calm = self._all_calm
        if np.count_nonzero(severity) or self._any_stood:
            self._stood = severity != CALM
            self._any_stood = bool(np.count_nonzero(self._stood))
            calm = np.logical_not(np.any(self._stood.reshape(len(self.seats), -1), axis=0))
            self._strange_s = (self._strange_s + row.period_s) * ~calm
            calm = calm | (self._strange_s >= RESUME_S)
        for seat, judge, memory in zip(self.seats, self._judges, self._memories):
            judge.learn(self._left_over if seat.detector.deseasoned else row, calm, memory)

    def _nominal(self, raw: FloatArray, high: Any) -> FloatArray:
        """Surprise of the points `high` as each detector alone would say it, at least LOWEST."""
        values = raw[high]
        nominal = np.empty(len(high))
        first, numbers = 0, high.tolist()
        for seat, end in zip(self.seats, self._ends):
            last = bisect_left(numbers, end, first)
            if first < last:
                nominal[first:last] = seat.detector.surprise(values[first:last])
            first = last
        return np.maximum(nominal, LOWEST, out=nominal)

    def _lowest(self) -> FloatArray:
        return np.where(self._learning, self._calibration.lowest()[self._pool], LOWEST)

    def _levels(self, seat: Seat, budget_per_day: float) -> tuple[float, float]:
        """Surprise from which a seat warns and alarms."""
        if seat.detector.calibrated:
            warning = _granted(budget_per_day, self.period_s)
            alarm = warning + ALARM_OVER_WARNING
        else:
            warning, alarm = (float(seat.detector.surprise(np.array([raw]))[0]) for raw in (1.0, 3.0))
        if seat.warning is not None:
            warning = _surprise_of(seat.warning)
            alarm = max(alarm, warning + ALARM_OVER_WARNING)
        if seat.alarm is not None:
            alarm = _surprise_of(seat.alarm)
            warning = min(warning, alarm)
        return warning, alarm

    def _points(self) -> Points:
        count, judges = len(self.members), len(self.seats)

        def column(values: list[Any]) -> FloatArray:
            spread: FloatArray = np.concatenate(
                [np.broadcast_to(np.asarray(value, dtype=np.float64), (count,)) for value in values]
            )
            return spread

        return Points(
            rule=tuple(seat.rule for seat in self.seats for _ in range(count)),
            channel=np.tile(self.members, judges).astype(np.int32),
            kind=tuple(seat.detector.kind for seat in self.seats for _ in range(count)),
            on_delay_s=column([seat.on_delay_s for seat in self.seats]),
            off_delay_s=column([seat.off_delay_s for seat in self.seats]),
            on_samples=np.repeat([seat.detector.on_samples for seat in self.seats], count).astype(np.int32),
            latching=np.zeros(judges * count, dtype=bool),
            speaks=np.concatenate([seat.eligible for seat in self.seats]),
        )

    def _explain(self, point: int, row: Row) -> Explanation:
        number, column = divmod(point, len(self.members))
        seat = self.seats[number]
        channel = self._channels[int(self.members[column])]
        why = seat.detector.explain(column, row, self._memories[number])
        name = channel.quantity.replace("_", " ")
        sentence = f"{name.capitalize()} {why.sentence}"
        if channel.medium == "wristband":
            return Explanation(f"{sentence}.", why.direction)
        why = replace(why, numbers=self._with_band(why.numbers, number, column, row))
        value = float(row.values[column])
        observed = None
        if np.isfinite(value):
            observed = {"value": value, "unit": channel.unit, "quality": "good"}
            sentence += f": {value:.4g} {channel.unit}"
            if "expected" in why.numbers:
                sentence += f", expected {why.numbers['expected']:.4g}"
                if "spread" in why.numbers:
                    sentence += f" ± {why.numbers['spread']:.2g}"
        return replace(why, sentence=f"{sentence}.", observed=observed)

    def _with_band(
        self, numbers: Mapping[str, float], number: int, column: int, row: Row
    ) -> Mapping[str, float]:
        """The numbers of an explanation, with what the rule would have kept silent about: `low` to `high`."""
        band = self._band(number, column, row)
        if band and "expected" not in numbers:
            band = {"expected": 0.5 * (band["low"] + band["high"]), **band}
        return {**numbers, **band}

    def _band(self, number: int, column: int, row: Row) -> dict[str, float]:
        """Values between which this row would not have made that seat warn; empty where there are none."""
        detector = self.seats[number].detector
        judged = self._left_over if detector.deseasoned else row
        raw = self._raw_of(number, number * len(self.members) + column)
        low, high = detector.band(column, raw, judged, self._memories[number])
        shift = float(row.values[column] - judged.values[column]) if judged is not row else 0.0
        low, high = low + shift, high + shift
        return {"low": low, "high": high} if np.isfinite(low) and np.isfinite(high) else {}

    def _raw_of(self, number: int, point: int) -> float:
        """The raw score at which a point begins to warn."""
        warning = float(self._warning[point])
        if self._learning[point]:
            warning = self._calibration.nominal_of(int(self._pool[point]), warning)
        return float(np.interp(warning, self._surprises[number], RAWS))


def _demand(channels: ChannelTable, members: IntArray, rhythm: Seat) -> Demand | None:
    """Where the rhythm is the built-in one: what the zones' channels share of its residuals."""
    if not isinstance(rhythm.detector, Rhythm):
        return None
    return Demand(channels, members, rhythm.eligible, rhythm.detector.timezone)


def _pool(rule: str, channels: ChannelTable, number: int) -> str:
    channel = channels[int(number)]
    return f"{rule}|{channel.medium}|{channel.quantity}|" + (channel.zone or f"={channel.id}")


def _granted(budget_per_day: float, period_s: float) -> float:
    """Surprise from which a row of so long may warn, that so many false alarms a day come of it."""
    return -float(np.log10(budget_per_day * period_s / DAY_S))


def _all_at(time_ns: int, points: int) -> NDArray[np.int64]:
    """One moment for all points, that nobody may write to; `np.broadcast_to`, at a tenth of its cost."""
    return np.ndarray((points,), np.int64, time_ns.to_bytes(8, sys.byteorder, signed=True), 0, (0,))


def _surprise_of(score: float) -> float:
    """The s that stands behind a score s / (s + 5)."""
    return 5.0 * score / max(1.0 - score, 1e-9)


def _raw_at(detector: Detector, surprise: float) -> float:
    """The raw score that ideal noise shows with this surprise, by bisection."""
    low, high = 0.0, 1e6
    for _ in range(60):
        middle = 0.5 * (low + high)
        if float(detector.surprise(np.array([middle]))[0]) < surprise:
            low = middle
        else:
            high = middle
    return high
