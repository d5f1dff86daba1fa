"""Bands for tests: a wearer's readings as a list of ticks, fed to one detector; when its points turned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.channels import Channel, ChannelTable
from config.quantities import QUANTITIES
from detectors.base import Memory
from detectors.findings import Explanation, Findings
from detectors.subjects import Seats, SubjectDetector
from ingest.row import Row

S = 10**9
MIDNIGHT = 1_767_628_800 * S  # 2026-01-06 00:00 in Shanghai
HOUR, DAY = 3600.0, 86400.0


def channel(
    place: str, quantity: str, period_s: float = 60.0, medium: str = "wristband", **more: Any
) -> Channel:
    """A channel in the canonical unit, named after place and quantity."""
    name = more.pop("name", quantity)
    unit = more.pop("unit", QUANTITIES[quantity].unit)
    return Channel(f"{place}.{name}", medium, place, quantity, unit, period_s, **more)


class Watched:
    """A detector over some channels, fed one row after another."""

    def __init__(self, detector: SubjectDetector, *channels: Channel) -> None:
        self.table = ChannelTable(channels)
        self.detector = detector
        self.site = detector.watch(self.table)
        self.points = self.site.points
        self.memory: Memory = detector.fresh_memory(self.site)
        self.grids: dict[float, tuple[list[int], Seats]] = {}
        for period_s in np.unique(self.table.period_s).tolist():
            members = np.flatnonzero(self.table.period_s == period_s).astype(np.int32)
            self.grids[period_s] = members.tolist(), self.site.seats(members)
        self.last: Findings | None = None

    def hear(self, second: float, values: Mapping[str, float]) -> dict[str, int]:
        """Rows that end so many seconds after midnight, {channel id: level}; every point's severity."""
        for period_s, (members, seats) in self.grids.items():
            levels = np.array([values.get(self.table.ids[n], np.nan) for n in members])
            row = Row(levels, MIDNIGHT + round(second * S), period_s)
            if np.isfinite(levels).any():
                self.last = self.detector.judge(self.site, seats, row, self.memory) or self.last
        return self.severity()

    def restart(self) -> None:
        self.detector.restart(self.site, self.memory)

    def said(self) -> list[Explanation]:
        """What each point would say."""
        return [self.detector.say(self.site, point, self.memory) for point in range(len(self.points))]

    def severity(self) -> dict[str, int]:
        """By "rule place"."""
        severity: NDArray[np.uint8] = self.memory["severity"]
        places = [self.table.place[int(n)] for n in self.points.channel]
        return {f"{rule} {place}": int(s) for rule, place, s in zip(self.points.rule, places, severity)}

    def live(self, moments: Iterable[tuple[float, Mapping[str, float]]]) -> dict[str, list[float]]:
        """For each point the seconds at which its severity rose from calm."""
        rose: dict[str, list[float]] = {}
        before = self.severity()
        for second, values in moments:
            after = self.hear(second, values)
            for name, severity in after.items():
                if severity and not before[name]:
                    rose.setdefault(name, []).append(second)
            before = after
        return rose
