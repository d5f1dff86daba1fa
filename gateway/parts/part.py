"""Part: some zones of a site, judged by themselves in a worker; what turned is all that leaves it."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from alerts.board import Turned
from alerts.boards import Boards, Risen
from config.channels import ChannelTable
from detectors import fast
from detectors.bank import Bank
from detectors.findings import Points
from gateway.hearing import Hearing
from gateway.parts.rota import Mark, Rota, Source, Unsure, standing_for
from gateway.watch import with_deadlines
from ingest.readings import ReadingBatch
from ingest.row import Row
from ingest.ticks import Tick
from ingest.window import Grid, Window

READINGS_A_NEWS = 2_000_000  # a worker says how far it is at least so often


class WorkerLost(Exception):
    """A part's worker died again and again; says of what."""


@dataclass(frozen=True)
class Job:
    """All that a worker needs to know. `numbers`: its channels in the table of the whole site."""

    source: Source
    channels: ChannelTable
    numbers: tuple[int, ...]
    rota: Rota
    watchings: Sequence[Any]
    timezone: str
    warmup_s: float
    speaks: bool = False  # it alone warns of what it finds in the recording: all find the same


@dataclass(frozen=True, slots=True)
class Moment:
    """What a tick brought. `era` counts epochs: stream time may have been set back between two.

    heard: channels that spoke for the first time; turned: (board, what, recent levels for a plot).
    """

    era: int
    now_ns: int
    heard: tuple[int, ...]
    turned: tuple[tuple[int, Turned, Mapping[str, Any] | None], ...]


@dataclass(frozen=True, slots=True)
class News:
    """Moments of a stretch of the stream, and how many readings it held."""

    moments: tuple[Moment, ...]
    readings: int
    now_ns: int


@dataclass(frozen=True)
class Opening:
    """The first thing that a worker says: its points, with the site's channel numbers."""

    points: tuple[Points, ...]


@dataclass(frozen=True)
class Closing:
    """The part's recording is at its end: its last tick, or when its last row settles. More may follow."""

    last_ns: int


Said = Opening | News | Closing


def work(job: Job) -> Iterator[Said]:
    """Judge a part from beginning to end. `Unsure` where its rota leaves open what the whole would do."""
    part = _Part(job)
    yield Opening(tuple(replace(one, channel=part.numbers[one.channel]) for one in part.points))
    yield from part.run()


class _Part:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.numbers = np.array(job.numbers, dtype=np.int32)
        self.channels = ChannelTable([job.channels[number] for number in job.numbers])
        self.local = np.full(len(job.channels), -1, dtype=np.int32)
        self.local[self.numbers] = np.arange(len(self.numbers))
        self.window = SharedWindow(self.channels, job.rota)
        grids = [(grid.period_s, grid.channels) for grid in self.window.grids]
        zone = ZoneInfo(job.timezone)
        bank = Bank(self.channels, grids, job.watchings, zone)
        self.points = bank.points
        boards = Boards(bank.points, self.channels)
        self.hearing = Hearing(self.channels, bank, self.window, boards, job.warmup_s, zone)
        self.last_ns: int | None = None  # known once its own ticks are at their end
        self.board_number = {id(board): number for number, board in enumerate(boards)}

    def run(self) -> Iterator[News | Closing]:
        """It goes on behind its own end, since nobody knows yet how long the others go on."""
        moments: list[Moment] = []
        readings = judged = era = 0
        open_ = True
        for tick in with_deadlines(self._ticks(), self.hearing, to_the_end=True):
            if open_ and self.last_ns is not None:
                yield News(tuple(moments), readings, self.last_ns)
                yield Closing(self.last_ns)
                moments, readings, open_ = [], 0, False
            era += tick.epoch is not None
            readings += len(tick.readings)
            moment = self._step(tick, era)
            judged += len(tick.readings)
            notice = fast.load_once_long(judged - len(tick.readings), judged)
            if notice and self.job.speaks:
                print(notice, file=sys.stderr)
            if moment is not None:
                moments.append(moment)
            if readings >= READINGS_A_NEWS or len(moments) >= 200:
                yield News(tuple(moments), readings, tick.now_ns)
                moments, readings = [], 0
        yield News(tuple(moments), readings, self.hearing.now_ns)
        if open_:
            yield Closing(self.last_ns or 0)

    def _step(self, tick: Tick, era: int) -> Moment | None:
        around = self.hearing.surroundings
        unheard = around.unheard
        turned = self.hearing.step(tick)
        heard: tuple[int, ...] = ()
        if around.unheard != unheard:
            heard = tuple(self.numbers[around.first_ns == tick.now_ns].tolist())
        if not turned and not heard:
            return None
        return Moment(era, tick.now_ns, heard, tuple(self._told(pair) for pair in turned))

    def _told(self, pair: Risen) -> tuple[int, Turned, Mapping[str, Any] | None]:
        board, turned = pair
        channel = int(board.points.channel[turned.point])
        recent = None if turned.explanation is None else self.hearing.surroundings.recent(channel)
        return self.board_number[id(board)], turned, recent

    def _ticks(self) -> Iterator[Tick]:
        """The part's own ticks, and empty ones where only the others spoke and that matters."""
        keep = self.local >= 0
        marks = dict.fromkeys((mark.era, mark.tick_ns) for mark in self.job.rota.marks)
        others = ((place, Tick(place[1], ReadingBatch.empty())) for place in marks)
        last = (-1, -1)
        for place, tick in merge(self._own(keep), others, key=lambda one: one[0]):
            if place != last:  # of two the part's own comes first
                yield tick
            last = place
        self.last_ns = max(self.hearing.now_ns, self.window.own_last_settling_ns())

    def _own(self, keep: Any) -> Iterator[tuple[tuple[int, int], Tick]]:
        era = 0
        for tick in self.job.source.ticks(self.job.channels, keep, quiet=not self.job.speaks):
            era += tick.epoch is not None
            readings = tick.readings
            if len(readings):
                readings = replace(readings, channel=self.local[readings.channel])
            yield (era, tick.now_ns), replace(tick, readings=readings)


class SharedWindow:
    """A part's window that makes the rows of the whole site: a made-up channel a grid hears the marks."""

    def __init__(self, channels: ChannelTable, rota: Rota) -> None:
        self._size = len(channels)
        self._sure = rota.sure
        self._until_ns = rota.until_ns
        own = Window(channels).grids
        periods = [grid.period_s for grid in own]
        self._window = Window(ChannelTable([*channels.channels, *standing_for(periods)]))
        self.grids = tuple(Grid(grid.period_s, grid.channels[:-1]) for grid in self._window.grids)
        stand_in = {period: self._size + number for number, period in enumerate(periods)}
        self._marks = [mark for mark in rota.marks if mark.period_s in stand_in]
        self._stand_in = stand_in
        self._next = self._era = 0
        self._told = [False] * len(periods)  # grids whose beginning in this epoch a mark has told

    def take(self, readings: ReadingBatch) -> None:
        self._window.take(readings)

    def settled(self, now_ns: int) -> Iterator[tuple[int, Row]]:
        while self._next < len(self._marks) and self._marks[self._next].place <= (self._era, now_ns):
            self._hear(self._marks[self._next])
            self._next += 1
        if not self._sure:
            self._look()
        for number, row in self._window.settled(now_ns):
            yield number, Row(row.values[:-1], row.end_ns, row.period_s)

    def next_settling_ns(self) -> int:
        return self._window.next_settling_ns()

    def last_settling_ns(self) -> int:
        """Of the whole site, at the latest."""
        return self._until_ns

    def own_last_settling_ns(self) -> int:
        """When the last row settles that holds a reading of this part."""
        return self._window.last_settling_ns()

    def restart(self) -> None:
        self._window.restart()
        self._era += 1
        self._told = [False] * len(self._told)

    def _hear(self, mark: Mark) -> None:
        number = self._stand_in[mark.period_s]
        self._window.take(ReadingBatch.of([number], [mark.time_ns], 0.0, arrival_ns=mark.tick_ns))
        self._told[number - self._size] = True

    def _look(self) -> None:
        """Nothing may hang on what this part cannot know."""
        if any(self._window.dozing()):
            raise Unsure("a grid has been silent here for hours; the others decide whether it sleeps")
        if any(begun and not told for begun, told in zip(self._window.begun(), self._told)):
            raise Unsure("a grid began here later than the first minutes that were looked at")
