"""Bands for tests: a wearer's readings as a list of ticks, fed to one detector; when its points turned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.channels import Channel, ChannelTable
from config.quantities import QUANTITIES
from detectors.base import Memory
from detectors.findings import Findings
from detectors.subjects import SubjectDetector
from ingest.readings import GOOD, STAMPED, ReadingBatch

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
    """A detector over some channels, fed one moment after another."""

    def __init__(self, detector: SubjectDetector, *channels: Channel) -> None:
        self.table = ChannelTable(channels)
        self.detector = detector
        self.points = detector.points(self.table)
        self.memory: Memory = detector.fresh_memory(self.table)
        self.last: Findings | None = None

    def hear(
        self, second: float, values: Mapping[str, float], quality: int = GOOD, flags: int = STAMPED
    ) -> dict[str, int]:
        """Readings (channel id: value) of one moment, seconds after midnight; the severity of every point."""
        ids = sorted(values, key=self.table.number.__getitem__)
        time_ns = MIDNIGHT + round(second * S)
        batch = ReadingBatch.of(
            [self.table.number[id] for id in ids], time_ns, [values[id] for id in ids], quality, None, flags
        )
        found = self.detector.judge(batch, time_ns, self.memory)
        self.last = found or self.last
        return self.severity()

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
