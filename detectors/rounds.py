"""Rounds: the detectors that look at several channels of a place; each settled row is put to them."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from config import kinds
from config.channels import ChannelTable
from config.snapshot import State
from detectors.base import BoolArray, IntArray, Memory, Row, recall, saved
from detectors.findings import Findings, Points
from detectors.subjects import Seats, Site, SubjectDetector, opens

SUBJECT_KINDS = (
    *("activity", "joint", "methane", "news2", "supply", "thermal", "unbalance", "vitals", "wandering"),
)


class Rounds:
    """The subject detectors of a site with their memories.

    A watching replaces the built-in detector on the channels that carry its points; delays and levels are
    its options, so that `warning`, `alarm` and `hold_s` mean nothing here.
    """

    def __init__(
        self,
        channels: ChannelTable,
        grids: Sequence[tuple[float, IntArray]],
        watchings: Sequence[Any],
        timezone: str,
    ) -> None:
        """grids: (period_s, channel numbers) as the window has them."""
        self._channels = channels
        self._timezone = timezone
        self._detectors: dict[str, SubjectDetector] = {}
        everywhere = np.ones(len(channels), dtype=bool)
        left = {kind: everywhere.copy() for kind in SUBJECT_KINDS}
        for watching in reversed(watchings):
            if issubclass(kinds.kind_class(kinds.DETECTORS, watching.kind), SubjectDetector):
                free = left.setdefault(watching.kind, everywhere.copy())
                mine = np.zeros(len(channels), dtype=bool)
                mine[channels.matching(watching.channels)] = True
                if watching.enabled:
                    name = f"{watching.kind}#{watching.channels}"
                    self._watch(watching.kind, name, watching.options, mine & free)
                free &= ~mine
        for kind in SUBJECT_KINDS:
            self._watch(kind, kind, {}, left[kind])
        self._sites: dict[str, Site] = {}
        self._memories: dict[str, Memory] = {}
        self._instead: dict[str, BoolArray] = {}
        self._seats: list[list[tuple[str, Seats]]] = [[] for _ in grids]
        for name, detector in self._detectors.items():
            site = detector.watch(channels)
            if len(site):
                self._sites[name], self._memories[name] = site, detector.fresh_memory(site)
                for rule in detector.replaces:
                    self._instead.setdefault(rule, ~everywhere)[detector.instead(site)] = True
                for here, (_, members) in zip(self._seats, grids):
                    seats = site.seats(members)
                    if len(seats[0]):
                        here.append((name, seats))

    @property
    def points(self) -> tuple[Points, ...]:
        return tuple(site.points for site in self._sites.values())

    def leaves(self, rule: str) -> BoolArray:
        """(channels,) where a rule that learns the level of each channel alone has something to add."""
        return ~self._instead.get(rule, np.zeros(len(self._channels), dtype=bool))

    def judge(self, grid: int, row: Row) -> list[Findings]:
        """The verdicts on a settled row of that grid."""
        verdicts = [
            self._detectors[name].judge(self._sites[name], seats, row, self._memories[name])
            for name, seats in self._seats[grid]
            if _in_pace(row, self._detectors[name].pace_s)
        ]
        return [findings for findings in verdicts if findings is not None]

    def restart(self) -> None:
        """A new epoch: nothing is concluded from the gap."""
        for name, memory in self._memories.items():
            self._detectors[name].restart(self._sites[name], memory)

    def state(self) -> State:
        return saved(self._memories, self._points_by_name(), self._channels)

    def restore(self, state: State) -> None:
        recall(self._memories, self._points_by_name(), self._channels, state)

    def _watch(self, kind: str, name: str, options: Mapping[str, Any], mine: BoolArray) -> None:
        if not mine.any():
            return
        if "timezone" in {field.name for field in fields(kinds.kind_class(kinds.DETECTORS, kind))}:
            options = {"timezone": self._timezone, **options}
        detector: SubjectDetector = kinds.build(kinds.DETECTORS, kind, options, kind)
        self._detectors[name] = (
            detector if mine.all() else detector.over(np.flatnonzero(mine).astype(np.int32))
        )

    def _points_by_name(self) -> dict[str, Points]:
        return {name: site.points for name, site in self._sites.items()}


def _in_pace(row: Row, pace_s: int) -> bool:
    return row.period_s >= pace_s or opens(row.end_ns, row.period_s, pace_s)
