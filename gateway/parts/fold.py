"""Fold: what turned in the parts, concluded in one pass in the order of the stream: alarms and incidents."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import merge
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from alerts.alert import AlertChange
from alerts.board import Board
from alerts.boards import Risen
from alerts.lifecycle import Lifecycle
from config.channels import ChannelTable
from detectors.findings import Points
from gateway.hearing import NEVER_NS
from gateway.parts.part import Closing, Moment
from ingest.readings import ReadingBatch
from ingest.ticks import SECOND_NS, Tick

Place = tuple[int, int]
"""Era and stream time: where in the stream."""

_What = Moment | Closing | Tick


class Fold:
    """Steps through the moments of all parts, and the commands, as a `Watch` would through ticks."""

    def __init__(
        self,
        channels: ChannelTable,
        points: Sequence[Sequence[Points]],
        *,
        links: Sequence[Any] = (),
        planned: Sequence[Any] = (),
        timezone: str = "Asia/Shanghai",
        warmup_s: float,
    ) -> None:
        """points: those of each part, with the site's channel numbers."""
        everything = [one for some in points for one in some]
        self.lifecycle = Lifecycle(
            channels, links, points=everything, planned=planned, timezone=ZoneInfo(timezone)
        )
        boards = list(self.lifecycle.boards)
        first = np.cumsum([0, *(len(some) for some in points)]).tolist()
        self._boards = [boards[start : start + len(some)] for start, some in zip(first, points)]
        self.around = _Reported(channels, warmup_s)
        self.now_ns = 0
        self.window = _Ended()
        self._next: tuple[Tick | None, list[tuple[int, Moment]]] = (None, [])  # a tick, and what it brings

    def next_deadline_ns(self) -> int:
        waiting = self.lifecycle.next_deadline_ns()
        return NEVER_NS if waiting is None else waiting

    def step(self, tick: Tick) -> list[AlertChange]:
        """Conclude one moment; of a deadline that falls due between two, nothing is known but the time."""
        self.now_ns = self.around.now_ns = tick.now_ns
        turned: list[Risen] = []
        self.around.levels = {}
        for part, moment in self._next[1] if tick is self._next[0] else ():
            self.around.hear(moment)
            for number, one, recent in moment.turned:
                board: Board = self._boards[part][number]
                turned.append((board, one))
                if recent is not None:
                    self.around.levels[int(board.points.channel[one.point])] = recent
        return self.lifecycle.conclude(turned, tick.commands, tick.now_ns, self.around)

    def ticks(self, parts: Sequence[Iterable[Moment | Closing]], facts: Iterable[Tick]) -> Iterator[Tick]:
        """The moments of all parts in the order of the stream, those of one place as one tick.

        Parts go on behind their own ends; what comes behind the last of these ends is nothing.
        """
        streams = [_placed(number, part) for number, part in enumerate(parts)]
        waiting: list[tuple[int, Moment]] = []
        tick: Tick | None = None
        place: Place = (-1, -1)
        open_parts = len(streams)
        for here, part, what in merge(_facts(facts), *streams, key=lambda one: one[:2]):
            if isinstance(what, Closing):
                self.window.last_ns = max(self.window.last_ns, what.last_ns)
                open_parts -= 1
                continue
            if not open_parts and here[1] > self.window.last_ns:
                break
            if here != place:
                if tick is not None:
                    self._next = (tick, waiting)
                    yield tick
                tick, place, waiting = Tick(here[1], ReadingBatch.empty()), here, []
            assert tick is not None
            if isinstance(what, Moment):
                waiting.append((part, what))
            else:
                tick = replace(tick, commands=what.commands, epoch=what.epoch)
        if tick is not None:
            self._next = (tick, waiting)
            yield tick


def _placed(number: int, moments: Iterable[Moment | Closing]) -> Iterator[tuple[Place, int, _What]]:
    place: Place = (0, 0)
    for moment in moments:
        if isinstance(moment, Moment):
            place = (moment.era, moment.now_ns)
        yield place, number, moment


def _facts(facts: Iterable[Tick]) -> Iterator[tuple[Place, int, _What]]:
    era = 0
    for tick in facts:
        era += tick.epoch is not None
        yield (era, tick.now_ns), -1, tick


class _Reported:
    """What alerts ask of a channel, as the parts reported it."""

    def __init__(self, channels: ChannelTable, warmup_s: float) -> None:
        self.now_ns = 0
        self.warmup_ns = int(warmup_s * SECOND_NS)
        self.first_ns = np.full(len(channels), NEVER_NS, dtype=np.int64)
        self.levels: dict[int, Mapping[str, Any] | None] = {}

    def hear(self, moment: Moment) -> None:
        """Channels that spoke for the first time."""
        if moment.heard:
            self.first_ns[list(moment.heard)] = moment.now_ns

    def in_warmup(self, channel: int) -> bool:
        first = int(self.first_ns[channel])
        return first == NEVER_NS or self.now_ns - first < self.warmup_ns

    def recent(self, channel: int) -> Mapping[str, Any] | None:
        return self.levels.get(channel)


class _Ended:
    """Stands for the window of the whole site: its rows settled elsewhere."""

    def __init__(self) -> None:
        self.last_ns = 0

    def last_settling_ns(self) -> int:
        return self.last_ns
