"""Base: what a detector is. A kind is a file: `detectors/seep.py` holds `class Seep`, its fields are its options."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from detectors.findings import Explanation, Findings, Points
from ingest.readings import ReadingBatch
from ingest.row import Row

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int32]
TimeArray = NDArray[np.int64]
Memory = dict[str, NDArray[Any]]
"""What a detector has learned and accumulated: arrays by name, axis 0 = its channels (or its points)."""

__all__ = [
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
]


@dataclass(frozen=True)
class Detector(ABC):
    """Judges settled rows, one after another, all channels of a grid at once.

    Fields are options; one that differs by channel is an array (channels,). A row is never changed.
    The memory is passed in, so that it can be saved, restored and shuffled from outside.
    """

    @abstractmethod
    def fresh_memory(self, channels: int) -> Memory:
        """What is known before the first row."""

    @abstractmethod
    def score(self, row: Row, memory: Memory) -> FloatArray:
        """Raw score (channels,): larger is stranger, NaN until something is known. May move accumulated state."""

    @abstractmethod
    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        """Take the row as normal where `calm`; called once after each score."""

    @abstractmethod
    def surprise(self, raw: FloatArray) -> FloatArray:
        """-log10 of the chance that ideal noise scores at least `raw` (channels,); `panel.py` corrects it by data."""

    @abstractmethod
    def explain(self, channel: int, row: Row, memory: Memory) -> Explanation:
        """Why this channel scored as it just did."""


@dataclass(frozen=True)
class EventDetector(ABC):
    """Judges every reading in the tick in which it arrived: nothing waits for a grid and nothing is hidden by one."""

    @abstractmethod
    def points(self, channels: ChannelTable) -> Points:
        """What it watches on this site."""

    @abstractmethod
    def fresh_memory(self, channels: ChannelTable) -> Memory:
        """What is known before the first reading; axis 0 = its points."""

    @abstractmethod
    def judge(self, readings: ReadingBatch, now_ns: int, memory: Memory) -> Findings | None:
        """The verdict after these readings (sorted by channel and time); None where nothing could have changed."""
