"""Scoring: how unusual each row of a recorded series is, one row after another, without looking ahead."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

SILENT_ROWS = 50  # rows of which nothing is said yet
MEMORY_ROWS = 5000.0  # half-life of what distances are usual
GRAIN = 1e-3  # values nearer to a known one than this share of a usual distance add nothing to know
HOUR_S, HOURS = 3600.0, 24
DAYS = 10.0  # memory of the hour-of-day baseline, in visits
SEASON_WEIGHT = 0.5  # of a strange deviation from the hour, beside a strange value
YOUNG_ROWS = 250.0  # a series so long is half believed: what is new to it may be new to it alone
ECHO_ROWS = 100.0  # half-life of the memory of a high score …
ECHO = 0.25  # … and what is left of one that does not exceed it: the same event goes on
LN10 = math.log(10.0)


class Novelty:
    """Distance of a value to the nearest earlier one, over the usual such distance (root mean square).

    A value that was seen before is never news, however rare; one far from all others is. Infinite values are
    not for here.
    """

    def __init__(self) -> None:
        self._known: list[float] = []
        self._squares = 0.0
        self._weight = 0.0
        self._rows = 0

    def of(self, value: float) -> float:
        """How many usual distances away; 0 while too little is known. The value is known from then on."""
        known = self._known
        place = bisect_left(known, value)
        distance = math.inf
        if place > 0:
            distance = value - known[place - 1]
        if place < len(known):
            distance = min(distance, known[place] - value)
        if not known:
            distance = 0.0
        usual = math.sqrt(self._squares / self._weight) if self._weight else 0.0
        ratio = 0.0
        if distance > 0.0 and self._rows >= SILENT_ROWS:
            # where all were alike so far, this distance itself shows what is usual: sqrt(rows) of them
            ratio = distance / usual if usual > 0.0 else math.sqrt(self._weight + 1.0)
        keep = 0.5 ** (1.0 / MEMORY_ROWS)
        self._squares = self._squares * keep + distance * distance
        self._weight = self._weight * keep + 1.0
        self._rows += 1
        if not known or distance > GRAIN * usual:
            known.insert(place, value)
        return ratio


class Season:
    """Deviation from the hour-of-day mean in standard deviations of that hour; 0 until the hour is known."""

    def __init__(self) -> None:
        self._mean = [0.0] * HOURS
        self._variance = [0.0] * HOURS
        self._seen = [0] * HOURS

    def of(self, time_s: float, period_s: float, value: float) -> float:
        hour = int(time_s // HOUR_S) % HOURS
        an_hour = max(HOUR_S / period_s, 1.0)
        seen, mean = self._seen[hour], self._mean[hour]
        error = value - mean
        known = seen >= an_hour and seen > 3
        spread = math.sqrt(self._variance[hour]) + 1e-9 * abs(mean) + 1e-12
        self._seen[hour] = seen + 1
        rate = max(1.0 / (seen + 1), 1.0 / (DAYS * an_hour))
        self._mean[hour] = mean + rate * error
        self._variance[hour] += rate * ((1.0 - rate) * error * error - self._variance[hour])
        return abs(error) / spread if known else 0.0


class Pace:
    """The usual step between rows so far: a running median, moved by a twentieth at each row."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self.period_s = HOUR_S
        self._begun = False

    def take(self, time_s: float) -> float:
        """The time of the next row: where it is missing (NaN), that of the row before, or 0."""
        if math.isnan(time_s):
            return self._last_s or 0.0
        step = 0.0 if self._last_s is None else time_s - self._last_s
        self._last_s = time_s
        if step > 0.0 and not self._begun:
            self.period_s, self._begun = step, True
        elif step > 0.0 and abs(step - self.period_s) > 0.05 * self.period_s:
            self.period_s *= 1.05 if step > self.period_s else 1 / 1.05
        return time_s


class Scorer:
    """One series. The score is s / (s + 5): s = -log10 of the chance if both kinds of news were exponential.

    News is a value far from all earlier ones, and a deviation from the hour's mean that is far from all
    earlier deviations. A score says that something begins: while one is remembered, lesser ones are its
    echo. Settings were compared on the development half of the NAB corpus.
    """

    def __init__(self) -> None:
        self._pace = Pace()
        self._season = Season()
        self._of_value = Novelty()
        self._of_deviation = Novelty()
        self._rows = 0
        self._remembered = 0.0

    def score(self, time_s: float, value: float) -> float:
        """In [0, 1), of the next row; a missing or unusable value scores 0 and teaches nothing.

        A missing time is NaN.
        """
        time_s = self._pace.take(time_s)
        if not abs(value) < 1e150:
            return 0.0
        deviation = self._season.of(time_s, self._pace.period_s, value)
        news = self._of_value.of(value) + SEASON_WEIGHT * self._of_deviation.of(deviation)
        surprise = news / LN10 * (self._rows / (self._rows + YOUNG_ROWS))
        self._rows += 1
        score = surprise / (surprise + 5.0)
        begins = score > self._remembered
        self._remembered = max(self._remembered * 0.5 ** (1.0 / ECHO_ROWS), score)
        return score if begins else ECHO * score


def scores(rows: Iterable[tuple[float, Sequence[float]]], columns: int) -> Iterator[float]:
    """The score of each row (time_s, values): of one series, or of several that belong together."""
    if columns == 1:
        scorer = Scorer()
        for time_s, values in rows:
            yield scorer.score(time_s, values[0])
    else:
        yield from _together(rows, columns)


def _together(rows: Iterable[tuple[float, Sequence[float]]], columns: int) -> Iterator[float]:
    """score = s / (s + 5), s = -log10 of the chance if how strange a row is were exponential."""
    from detectors.company import Company

    company, pace = Company(columns), Pace()
    before_s: float | None = None
    for written_s, values in rows:
        time_s = pace.take(written_s)
        step_s = pace.period_s if before_s is None else max(time_s - before_s, 0.0)
        surprise = company.ratio(np.array(values), step_s, pace.period_s) / LN10
        before_s = time_s
        yield surprise / (surprise + 5.0)
