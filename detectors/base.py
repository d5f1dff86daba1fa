"""Base: what a detector is. A kind is a file: `detectors/seep.py` holds `class Seep`, its fields options."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from math import nan
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from config.snapshot import Keyed, State, restored
from detectors.findings import Explanation, Findings, Points
from ingest.readings import ReadingBatch
from ingest.row import HUGE, Row

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int32]
TimeArray = NDArray[np.int64]
Memory = dict[str, NDArray[Any]]
"""What a detector has learned and accumulated: arrays by name, axis 0 = its channels (or its points)."""
S = TypeVar("S")


def saved(memories: Mapping[str, Memory], points: Mapping[str, Points], channels: ChannelTable) -> State:
    """What detectors remember of their points, by the detector's name: each row by its rule and channel."""
    state: State = {}
    for name, memory in memories.items():
        keys = _keys(points[name], channels)
        state |= {f"{name}/{array_name}": Keyed(keys, array) for array_name, array in memory.items()}
    return state


def recall(
    memories: Mapping[str, Memory], points: Mapping[str, Points], channels: ChannelTable, state: State
) -> None:
    """Lay what `saved` gave onto fresh memories; rows that are new stay as they are."""
    for name, memory in memories.items():
        keys = _keys(points[name], channels)
        for array_name, fresh in memory.items():
            memory[array_name] = restored(state, f"{name}/{array_name}", keys, fresh)


def _keys(points: Points, channels: ChannelTable) -> tuple[str, ...]:
    return tuple(f"{rule}|{channels.ids[int(c)]}" for rule, c in zip(points.rule, points.channel))


def where_heard(values: FloatArray, row: Row, otherwise: float) -> FloatArray:
    """`values` (channels,), changed in place to `otherwise` where the row was not heard."""
    if not row.whole:
        values[row.missing] = otherwise
    return values


def only(values: FloatArray, chosen: BoolArray) -> FloatArray:
    """`values` (channels,), all finite, changed in place to 0 where not chosen."""
    if np.count_nonzero(chosen) < len(chosen):
        values *= chosen
    return values


__all__ = [
    "HUGE",
    "BoolArray",
    "ChannelTable",
    "Detector",
    "EventDetector",
    "Explanation",
    "Findings",
    "FloatArray",
    "IntArray",
    "Memory",
    "Points",
    "ReadingBatch",
    "Row",
    "TimeArray",
    "only",
    "recall",
    "saved",
    "where_heard",
]


@dataclass(frozen=True)
class Detector(ABC):
    """Judges settled rows, one after another, all channels of a grid at once.

    Fields are options; one that differs by channel is an array (channels,). A row is never changed.
    The memory is passed in, so that it can be saved, restored and shuffled from outside.
    """

    kind: ClassVar[str] = (
        ""  # what a finding means by itself, in the words of grades.toml; "" = ask the evidence
    )
    on_samples: ClassVar[int] = 1  # strange rows in a row before it counts
    spans: ClassVar[int] = 1  # rows that one verdict speaks of; the on-delay has begun with the first of them
    hears_silence: ClassVar[bool] = False  # a missing reading is its evidence, not a reason to wait
    calibrated: ClassVar[bool] = True  # False: a plain rule, strange from a raw score of 1, alarming from 3
    leaves_residual: ClassVar[bool] = False  # its memory holds `residual`: what its baseline does not explain
    deseasoned: ClassVar[bool] = False  # judges such a residual instead of the value, where there is one
    momentary: ClassVar[tuple[str, ...]] = ()  # arrays of the memory that do not outlive an epoch

    def restart(self, memory: Memory) -> None:
        """A new epoch: forget what hangs on an unbroken record, keep what was learned."""
        channels = len(next(iter(memory.values())))
        memory |= {
            name: fresh for name, fresh in self.fresh_memory(channels).items() if name in self.momentary
        }

    @abstractmethod
    def fresh_memory(self, channels: int) -> Memory:
        """What is known before the first row."""

    @abstractmethod
    def score(self, row: Row, memory: Memory) -> FloatArray:
        """Raw score (channels,): larger is stranger, NaN until something is known. May move sums."""

    @abstractmethod
    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        """Take the row as normal where `calm`; called once after each score."""

    def adopt(self, chosen: BoolArray, shift: FloatArray, memory: Memory) -> None:
        """Staff took a new regime as normal on the channels `chosen`, whose level moved by `shift`.

        Both (channels,); `shift` is 0 where it is not known. By default what was learned there is forgotten.
        """
        fresh = self.fresh_memory(len(chosen))
        for name, array in memory.items():
            array[chosen] = fresh[name][chosen]

    @abstractmethod
    def surprise(self, raw: FloatArray) -> FloatArray:
        """-log10 of the chance that ideal noise scores at least `raw`; `panel.py` corrects it by data.

        One to one on any shape, and never falling: all channels share it.
        """

    def band(self, channel: int, raw: float, row: Row, memory: Memory) -> tuple[float, float]:
        """The values between which this row would have kept the raw score below `raw`; asked after `learn`.

        `row` is the one that was judged: the residual, for a detector that judges that. NaN where no value
        of one row would have changed it.
        """
        return nan, nan

    @abstractmethod
    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        """Why this channel scored as it just did: a verb phrase ("rose suddenly"), direction and numbers.

        Numbers are "expected" and "spread" (channel's unit) where they exist; the panel makes the sentence.
        """


@dataclass(frozen=True)
class EventDetector(ABC):
    """Judges every reading in the tick in which it arrived: nothing waits for a grid or hides in one."""

    def over(self, numbers: IntArray) -> EventDetector:
        """The same, watching only these channels; a kind that can't be narrowed watches all the same."""
        return self

    def restart(self, memory: Memory, clock_good: bool) -> None:  # noqa: B027
        """A new epoch: forget what hangs on an unbroken reckoning of time, keep what was concluded."""

    @abstractmethod
    def points(self, channels: ChannelTable) -> Points:
        """What it watches on this site."""

    @abstractmethod
    def fresh_memory(self, channels: ChannelTable) -> Memory:
        """What is known before the first reading; axis 0 = its points."""

    @abstractmethod
    def judge(self, readings: ReadingBatch, now_ns: int, memory: Memory) -> Findings | None:
        """The verdict after these readings (sorted by channel and time); None where nothing has changed."""


@dataclass(frozen=True)
class Surveying(ABC, Generic[S]):
    """A detector that works out once what it watches on a site: `survey` says what, `site` is what it said.

    An instance watches one site at a time.
    """

    only: IntArray | None = field(default=None, init=False, repr=False, compare=False)  # None: all channels
    surveyed: tuple[ChannelTable, S] | None = field(default=None, init=False, repr=False, compare=False)

    @abstractmethod
    def survey(self, channels: ChannelTable) -> S:
        """What it has to know of these channels, `only` considered."""

    def over(self, numbers: IntArray) -> Self:
        """The same, watching only these channels."""
        narrowed = copy(self)
        object.__setattr__(narrowed, "only", np.asarray(numbers, dtype=np.int32))
        object.__setattr__(narrowed, "surveyed", None)
        return narrowed

    def watch(self, channels: ChannelTable) -> S:
        """From now on this site is watched."""
        if self.surveyed is None or self.surveyed[0] is not channels:
            object.__setattr__(self, "surveyed", (channels, self.survey(channels)))
        return self.site

    @property
    def site(self) -> S:
        """What `survey` said of the site that is watched."""
        if self.surveyed is None:
            raise RuntimeError(
                "watch(channels) or points(channels) must be called before: it says which site this is"
            )
        return self.surveyed[1]
