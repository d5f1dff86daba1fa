"""Pastdays: the mean of every hour of the last seven days, so that an alert can say how it was then."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

import numpy as np

from config.snapshot import Keyed, State, restored
from ingest.row import Row

HOUR_NS = 3600 * 10**9
HOURS = 7 * 24
ROUGHLY, HALF = np.uint32(0xFFFFF800), np.uint32(0x400)
"""What is kept of a mean: twelve bits beside its size, four digits, which a snapshot packs to half."""


class PastDays:
    """One grid's channels. A row costs two sums; what an hour was is concluded when the next one begins.

    Cold state: 168 single-precision numbers a channel.
    """

    def __init__(self, channels: int) -> None:
        self.mean = np.full((channels, HOURS), np.nan, dtype=np.float32)  # column: the hour's number % HOURS
        self.total = np.zeros(channels)  # of the hour that runs
        self.count = np.zeros(channels)
        self.hour = -1  # its number since 1970; the hour in which a row ends

    def show(self, row: Row) -> None:
        """Take a settled row."""
        hour = (row.end_ns - 1) // HOUR_NS
        if hour != self.hour:
            self._begin(hour)
        if row.whole:
            self.total += row.values
            self.count += 1.0
        else:
            heard = row.heard
            self.total[heard] += row.values[heard]
            self.count += heard

    def of(self, column: int, zone: tzinfo) -> list[dict[str, Any]]:
        """This hour on the days before, the latest first: local date and mean, where it was heard."""
        found = []
        for days in range(1, HOURS // 24 + 1):
            hour = self.hour - 24 * days
            mean = float(self.mean[column, hour % HOURS])
            if self.hour >= 0 and np.isfinite(mean):
                date = datetime.fromtimestamp(hour * 3600, zone).date()
                found.append({"date": date.isoformat(), "value": float(f"{mean:.4g}")})
        return found

    def state(self, keys: Sequence[str]) -> State:
        names = tuple(keys)
        return {
            "hour": self.hour,
            "mean": Keyed(names, self.mean),
            "total": Keyed(names, self.total),
            "count": Keyed(names, self.count),
        }

    def restore(self, state: Mapping[str, Any], keys: Sequence[str]) -> None:
        saved = dict(state)
        self.hour = int(saved.get("hour", -1))
        self.mean = restored(saved, "mean", keys, self.mean)
        self.total = restored(saved, "total", keys, self.total)
        self.count = restored(saved, "count", keys, self.count)

    def _begin(self, hour: int) -> None:
        """Conclude the hour that ran; hours in which nothing settled are not known."""
        if self.hour >= 0:
            with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
                mean = (self.total / self.count).astype(np.float32)
            known = np.isfinite(mean)
            mean[known] = ((mean[known].view(np.uint32) + HALF) & ROUGHLY).view(np.float32)
            self.mean[:, self.hour % HOURS] = np.where(known, mean, np.nan)
            for missed in range(self.hour + 1, min(hour, self.hour + HOURS)):
                self.mean[:, missed % HOURS] = np.nan
        self.hour = hour
        self.total[:] = 0.0
        self.count[:] = 0.0
