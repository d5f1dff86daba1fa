"""Channels: one quantity at one place in one unit; the table that every array's axis refers to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from math import nan
from re import compile as compile_pattern

import numpy as np
from numpy.typing import NDArray

MEDIA = ("gas", "water", "power", "wristband")


@dataclass(frozen=True, slots=True)
class Channel:
    """One row of `channels.csv`. Values, limits and resolution are in `unit`; NaN and "" mean not given."""

    id: str
    medium: str
    place: str
    quantity: str
    unit: str
    period_s: float
    resolution: float = 0.0  # a reading is rounded to it once, before the journal; 0 = as it comes
    nominal: float = nan
    zone: str = ""
    lat: float = nan
    lon: float = nan
    owner: str = ""
    grid: str = ""
    low: float = nan
    high: float = nan
    attributes: Mapping[str, str] = field(default_factory=dict)


class ChannelTable:
    """All channels of a site as columns; a channel's number is its row, in the order of the file.

    Every column has shape (channels,). `medium_id`, `place_id`, `zone_id`, `quantity_id` number the
    sorted distinct texts in `media`, `places`, `zones`, `quantities` (an empty zone counts as a text).
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        self.channels = tuple(channels)
        self.ids = tuple(channel.id for channel in channels)
        self.number: Mapping[str, int] = {id: number for number, id in enumerate(self.ids)}
        if len(self.number) != len(self.ids):
            raise ValueError("channel ids must be distinct")
        self.medium, self.media, self.medium_id = _texts([channel.medium for channel in channels])
        self.place, self.places, self.place_id = _texts([channel.place for channel in channels])
        self.zone, self.zones, self.zone_id = _texts([channel.zone for channel in channels])
        self.quantity, self.quantities, self.quantity_id = _texts([channel.quantity for channel in channels])
        self.unit = tuple(channel.unit for channel in channels)
        self.period_s = _floats([channel.period_s for channel in channels])
        self.resolution = _floats([channel.resolution for channel in channels])
        self.nominal = _floats([channel.nominal for channel in channels])
        self.low = _floats([channel.low for channel in channels])
        self.high = _floats([channel.high for channel in channels])
        self.lat = _floats([channel.lat for channel in channels])
        self.lon = _floats([channel.lon for channel in channels])
        self.is_wristband: NDArray[np.bool_] = np.array([m == "wristband" for m in self.medium], dtype=bool)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, number: int) -> Channel:
        return self.channels[number]

    def matching(self, pattern: str) -> NDArray[np.int32]:
        """Numbers of the channels whose id fits a shell pattern such as `gas.*.pressure`."""
        fits = compile_pattern(translate(pattern)).match
        return np.array([number for number, id in enumerate(self.ids) if fits(id)], dtype=np.int32)

    def at_place(self, place: str) -> NDArray[np.int32]:
        """Numbers of the channels of one place."""
        return np.array([number for number, at in enumerate(self.place) if at == place], dtype=np.int32)


@dataclass(frozen=True, slots=True)
class Link:
    """One row of `links.csv`: places joined, directed the way the medium flows."""

    source: str
    target: str
    kind: str  # pipe, cable, feeds


PLANNED_KINDS = (
    "works",
    "maintenance",
    "flushing",
    "hydrant_test",
    "bump_test",
    "switching",
    "holiday",
    "festival",
    "drill",
)


@dataclass(frozen=True, slots=True)
class Planned:
    """Works or a holiday that the city announced: it lowers the grade of what fits it, and mutes nothing."""

    kind: str  # one of PLANNED_KINDS; another is kept, with a warning
    place: str  # a place of channels.csv, a zone, or * for everywhere
    start_ns: int
    end_ns: int  # exclusive


def _texts(values: list[str]) -> tuple[tuple[str, ...], tuple[str, ...], NDArray[np.int32]]:
    distinct = tuple(sorted(set(values)))
    number = {text: i for i, text in enumerate(distinct)}
    return tuple(values), distinct, np.array([number[text] for text in values], dtype=np.int32)


def _floats(values: list[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)
