"""Days: what working days, weekends and holidays add to an hour's level, once they show that they differ."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from math import floor
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from config.daykinds import HOLIDAY, KINDS, WEEKEND, WORKDAY, day_kind
from detectors.base import BoolArray, FloatArray, Memory, Row

HOUR_S, HOURS = 3600.0, 24
VISITS = 4  # of an hour on days of one kind that are remembered: two weekends
PACE_S = 900.0  # rows that come faster are sampled so often
CALM = 0.9  # share of a working hour that must have been calm
HEARD = 0.5  # share of an hour that must have been heard
RANGE_OF_FOUR = 2.059  # standard deviations between the least and the largest of four Gaussian values
NEVER = -1


class Moment(NamedTuple):
    """Where the middle of a row lies in local time. Hours count from 1970, without a gap between days."""

    hour: int  # it lies in
    before: int  # the hour whose middle lies before it; the next one's lies after it
    share: float  # of the way between the two middles


def fresh(channels: int) -> Memory:
    """What is known before the first row.

    visits: mean deviation from the hour's level in the last VISITS visits by kind of day, NaN before;
    middle, scatter: where they agree, and how far they differ; weight: how far a kind of day is believed to
    differ. `day_from` and `day_slope` add `from + share x slope` to what is expected between two hours.
    """
    shapes = {"visits": (HOURS, KINDS, VISITS), "middle": (HOURS, KINDS), "scatter": (HOURS, KINDS)}
    memory: Memory = {
        name: np.moveaxis(np.zeros((*shape, channels), dtype=np.float32), -1, 0)
        for name, shape in shapes.items()
    }
    memory["visits"][:] = np.nan
    memory["weight"] = np.zeros((KINDS, channels)).T
    memory["settled"] = np.zeros((HOURS, channels), dtype=bool).T  # calm on the last working day
    for name in ("day_from", "day_slope", "visit_sum", "visit_rows", "visit_calm"):
        memory[name] = np.zeros(channels)
    memory["differs"] = np.zeros(channels, dtype=bool)  # where `day_from` and `day_slope` are not all 0
    memory["visit_hour"] = np.full(channels, NEVER, dtype=np.int64)  # the hour being visited
    memory["day_hour"] = np.full(channels, NEVER, dtype=np.int64)  # the hour that `day_from` is of
    return memory


def added(moment: Moment, country: str, memory: Memory) -> FloatArray | None:
    """What this kind of day adds to the level now (channels,); None where it adds nothing to any."""
    if memory["day_hour"].size and memory["day_hour"][0] != moment.before:
        begin, end = _of_hour(moment.before, country, memory), _of_hour(moment.before + 1, country, memory)
        memory["day_from"], memory["day_slope"] = begin, end - begin
        memory["differs"] = (begin != 0.0) | (end != 0.0)
        memory["day_hour"][:] = moment.before
    if not np.count_nonzero(memory["differs"]):
        return None
    extra: FloatArray = memory["day_slope"] * moment.share
    extra += memory["day_from"]
    return extra


def hear(row: Row, moment: Moment, calm: BoolArray, country: str, memory: Memory) -> None:
    """Take what a row differs from the level of the hour alone, however strange it is; asked after `added`.

    Strange weekends must be able to become usual. A single one never does (see `_agreed`), and while the
    same hour of the last working day was strange too, it is not the weekend.
    """
    if memory["visit_hour"].size and memory["visit_hour"][0] != moment.hour:
        _close(row.period_s, country, memory)
        memory["visit_hour"][:] = moment.hour
    pace_ns = round(PACE_S * 1e9)
    if row.end_ns // pace_ns == (row.end_ns - round(row.period_s * 1e9)) // pace_ns:
        return
    away = row.values - memory["expected"]
    extra = added(moment, country, memory)
    if extra is not None:
        away += extra
    told = np.isfinite(memory["residual"])  # heard, and the hour is known
    memory["visit_sum"] += np.where(told, away, 0.0)
    memory["visit_rows"] += told
    memory["visit_calm"] += calm & told


def adopt(chosen: BoolArray, memory: Memory) -> None:
    """The level was moved by staff: how days differ from it is learned anew."""
    first = fresh(len(chosen))
    for name in ("visits", "middle", "scatter", "weight", "settled", "visit_sum", "visit_rows", "visit_calm"):
        memory[name][chosen] = first[name][chosen]
    memory["day_hour"][:] = NEVER


def _of_hour(hour: int, country: str, memory: Memory) -> FloatArray:
    """What the kind of that day adds in that hour; a holiday not known well is what a weekend is."""
    kind = day_kind(country, hour // HOURS)
    middle, weight = memory["middle"][:, hour % HOURS], memory["weight"]
    if kind == WORKDAY:
        worked: FloatArray = weight[:, WORKDAY] * middle[:, WORKDAY]
        return worked
    free: FloatArray = weight[:, WEEKEND] * middle[:, WEEKEND]
    if kind == HOLIDAY:
        own = weight[:, HOLIDAY]
        free = own * middle[:, HOLIDAY] + (1.0 - own) * free
    return free


def _close(period_s: float, country: str, memory: Memory) -> None:
    """The hour is over: keep its visit; and with the day, weigh how far kinds of days differ."""
    last = int(memory["visit_hour"][0])
    rows, calm = memory["visit_rows"], memory["visit_calm"]
    if last != NEVER:
        hour, kind = last % HOURS, day_kind(country, last // HOURS)
        heard = rows >= HEARD * min(HOUR_S / period_s, HOUR_S / PACE_S)
        quiet = calm >= CALM * rows
        settled = memory["settled"][:, hour]
        if kind == WORKDAY:
            np.copyto(settled, quiet, where=heard)
        counts = heard & (quiet if kind == WORKDAY else settled)
        mean = np.divide(memory["visit_sum"], rows, out=np.zeros(len(rows)), where=counts)
        visits = memory["visits"][:, hour, kind]
        for place in range(VISITS - 1):
            np.copyto(visits[:, place], visits[:, place + 1], where=counts)
        np.copyto(visits[:, -1], mean, where=counts, casting="same_kind")
        memory["middle"][:, hour, kind], memory["scatter"][:, hour, kind] = _agreed(visits)
        if hour == HOURS - 1:  # once a day
            _weigh(memory)
    for name in ("visit_sum", "visit_rows", "visit_calm"):
        memory[name][:] = 0.0


def _agreed(visits: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What three of four visits exceed on one side, 0 where there is no such side; and their deviation.

    So the first days, and one leak over one weekend, say nothing. Visits that were not are 0.
    """
    ordered = np.sort(np.nan_to_num(visits), axis=1)
    middle = np.maximum(ordered[:, 1], 0.0) + np.minimum(ordered[:, -2], 0.0)
    scatter: FloatArray = (ordered[:, -1] - ordered[:, 0]) * (1.0 / RANGE_OF_FOUR)
    return middle, scatter


def _weigh(memory: Memory) -> None:
    """A kind is believed to differ as 1 - noise / signal, over all hours; both squared, and none below 0.

    Signal is how far its middles lie from those of working days, noise how far days of one kind differ among
    themselves: the positive part of the estimator of James and Stein (Berkeley Symposium 4, 1961), at the
    variance of single days instead of their means, so that days which differ by chance weigh nothing.
    """
    middle, scatter, weight = memory["middle"], memory["scatter"], memory["weight"]
    for kind in (WEEKEND, HOLIDAY):
        signal, noise = np.zeros(len(weight)), np.zeros(len(weight))
        for hour in range(HOURS):  # one after another: a sum must not hang on how arrays lie in memory
            signal += np.square(
                np.subtract(middle[:, hour, kind], middle[:, hour, WORKDAY], dtype=np.float64)
            )
            noise += np.square(scatter[:, hour, kind], dtype=np.float64)
            noise += np.square(scatter[:, hour, WORKDAY], dtype=np.float64)
        weight[:, kind] = np.maximum(1.0 - noise / np.maximum(signal, 1e-300), 0.0)
    weight[:, WORKDAY] = np.maximum(weight[:, WEEKEND], weight[:, HOLIDAY])


@lru_cache(maxsize=16)
def moment_of(timezone: str, end_ns: int, period_s: float) -> Moment:
    """Of the row that ends then."""
    middle_s = end_ns * 1e-9 - period_s / 2
    hours = (middle_s + _offset_s(timezone, int(middle_s // 900))) / HOUR_S
    before = floor(hours - 0.5)
    return Moment(floor(hours), before, hours - 0.5 - before)


@lru_cache(maxsize=64)
def _offset_s(timezone: str, quarter: int) -> float:
    """Local time minus UTC in that quarter of an hour since 1970."""
    local = datetime.fromtimestamp(quarter * 900, UTC).astimezone(ZoneInfo(timezone))
    offset = local.utcoffset()
    return offset.total_seconds() if offset else 0.0
