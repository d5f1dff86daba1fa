"""Registers: which blocks of a Modbus device to read, and what their bits mean; computes, never waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from config.errors import SettingsError
from config.profiles import Point, Profile
from config.quantities import conversion
from ingest.readings import BAD, GOOD

READS = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}  # function codes; no other is ever sent
BIT_TABLES = ("coil", "discrete")
MOST_BITS = 2000  # of one read; Modbus Application Protocol V1.1b3, 6.1
REGISTER_BITS = 16
_FORMATS = {
    "int16": ">i2",
    "uint16": ">u2",
    "int32": ">i4",
    "uint32": ">u4",
    "int64": ">i8",
    "uint64": ">u8",
    "float32": ">f4",
    "float64": ">f8",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A point, the channel that it feeds, and the way from its raw number to the channel's unit."""

    point: Point
    channel: int
    scale: float
    offset: float

    @property
    def end(self) -> int:
        """One past its last register or bit."""
        return self.point.address + self.point.words


@dataclass(frozen=True, slots=True)
class _Group:
    """Points of one type and byte order, decoded in one go."""

    format: str
    swapped: bool  # the two bytes of each register are
    rows: NDArray[np.intp]  # (points,) where their values go in the block's columns
    words: NDArray[np.intp]  # (points, words) registers of the block, most significant first
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    bit: NDArray[np.uint16]  # (points,) which bit of the register, for points of type bit; else empty
    sentinel: NDArray[Any]  # (sentinels,) raw numbers that mean "no value"
    sentinel_of: NDArray[np.intp]  # (sentinels,) and the point of this group for which each does


class Block:
    """One read request, and how to decode its answer as a whole.

    channel (points,): the numbers of the channels that it feeds, in the order of `decode`'s columns.
    """

    def __init__(self, table: str, wanted: Sequence[Wanted], period_s: float | None = None) -> None:
        self.table = table
        self.function_code = READS[table]
        self.wanted = tuple(wanted)
        self.period_s = period_s  # None: whenever the device is polled
        self.address = min(want.point.address for want in wanted)
        self.count = max(want.end for want in wanted) - self.address
        self.channel = np.array([want.channel for want in wanted], dtype=np.int32)
        self._groups = () if table in BIT_TABLES else tuple(_groups(self.wanted, self.address))
        self._bits = np.array([want.point.address - self.address for want in wanted], dtype=np.intp)
        self._scale = np.array([want.scale for want in wanted])
        self._offset = np.array([want.offset for want in wanted])

    def __repr__(self) -> str:
        return f"{self.table} {self.address}..{self.address + self.count - 1}"

    def decode(self, answer: Sequence[int] | Sequence[bool]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """(value, quality) of each point, from at least `count` registers (0..65535) or bits.

        Values are in the channels' units. A sentinel, an infinite or undefined number is NaN and bad.
        """
        if self.table in BIT_TABLES:
            bits = np.asarray(answer[: self.count], dtype=np.float64)[self._bits]
            return bits * self._scale + self._offset, np.full(len(bits), GOOD, dtype=np.uint8)
        words = np.asarray(answer[: self.count], dtype=np.uint16)
        values = np.full(len(self.wanted), np.nan)
        for group in self._groups:
            values[group.rows] = _decoded(group, words)
        quality = np.where(np.isfinite(values), GOOD, BAD).astype(np.uint8)
        values[quality == BAD] = np.nan
        return values, quality

    def split(self) -> tuple[Block, ...]:
        """The same points without the gaps between them, for a device that refuses what it has not got."""
        most = MOST_BITS if self.table in BIT_TABLES else self.count
        return tuple(Block(self.table, run, self.period_s) for run in _runs(self.wanted, most, 0))


def plan(profile: Profile, place: str, channels: ChannelTable) -> tuple[Block, ...]:
    """The fewest reads that cover the points whose channel `<place>.<point>` the site has.

    Points of one table and period share a read while it stays within the profile's `max_registers`
    and no gap is wider than its `max_gap`. SettingsError names every point that cannot be read into
    its channel, or the device of which no point has a channel.
    """
    mistakes: list[str] = []
    wanted: dict[tuple[str, float | None], list[Wanted]] = {}
    for point in profile.points:
        number = channels.number.get(f"{place}.{point.name}")
        if number is None:
            continue
        try:
            scale, offset = conversion(point.unit, channels.unit[number])
        except SettingsError as error:
            mistakes += [f"channel {channels.ids[number]}: {mistake}" for mistake in error.mistakes]
            continue
        want = Wanted(point, number, point.scale * scale, point.offset * scale + offset)
        wanted.setdefault((point.table, point.period_s), []).append(want)
    if not wanted and not mistakes:
        names = ", ".join(f"{place}.{point.name}" for point in profile.points[:5])
        mistakes.append(
            f'no channel of channels.csv belongs to place "{place}" and profile {profile.name}; '
            f"it would feed {names}{', …' if len(profile.points) > 5 else ''}"
        )
    if mistakes:
        raise SettingsError(mistakes)
    return tuple(block for key, wants in wanted.items() for block in _blocks(profile, *key, wants))


def _blocks(
    profile: Profile, table: str, period_s: float | None, wanted: Sequence[Wanted]
) -> Iterator[Block]:
    wider = REGISTER_BITS if table in BIT_TABLES else 1
    most = min(profile.max_registers * wider, MOST_BITS) if wider > 1 else profile.max_registers
    for run in _runs(wanted, most, profile.max_gap * wider):
        yield Block(table, run, period_s)


def _runs(wanted: Iterable[Wanted], most: int, gap: int) -> Iterator[list[Wanted]]:
    """Cut points, in the order of their addresses, into runs of at most `most` words without a wider gap."""
    run: list[Wanted] = []
    start = end = 0
    for want in sorted(wanted, key=lambda want: (want.point.address, want.end)):
        if run and (want.point.address - end > gap or max(end, want.end) - start > most):
            yield run
            run = []
        if not run:
            start, end = want.point.address, want.end
        run.append(want)
        end = max(end, want.end)
    if run:
        yield run


def _groups(wanted: Sequence[Wanted], base: int) -> Iterator[_Group]:
    alike: dict[tuple[str, str], list[int]] = {}
    for row, want in enumerate(wanted):
        alike.setdefault((want.point.type, want.point.order), []).append(row)
    for (type, order), rows in alike.items():
        points = [wanted[row].point for row in rows]
        places = np.arange(points[0].words)
        if order in ("CDAB", "DCBA"):  # least significant register first
            places = places[::-1]
        starts = np.array([point.address - base for point in points])
        is_bit = type == "bit"
        format = ">u2" if is_bit else _FORMATS[type]
        sentinels = [
            (row, _sentinel(raw, format)) for row, point in enumerate(points) for raw in point.sentinel
        ]
        yield _Group(
            format=format,
            swapped=order in ("BADC", "DCBA"),
            rows=np.array(rows),
            words=starts[:, np.newaxis] + places,
            scale=np.array([wanted[row].scale for row in rows]),
            offset=np.array([wanted[row].offset for row in rows]),
            bit=np.array([point.bit or 0 for point in points] if is_bit else [], dtype=np.uint16),
            sentinel=np.array([raw for _, raw in sentinels], dtype=format),
            sentinel_of=np.array([row for row, _ in sentinels], dtype=np.intp),
        )


def _sentinel(raw: int, format: str) -> int | float:
    """A sentinel in the point's type. Integers go by their bits: 0x8000 is -32768 of an int16."""
    if format[1] == "f":
        return float(raw)
    bits = 8 * int(format[-1])
    unsigned = raw & ((1 << bits) - 1)
    return unsigned - (1 << bits) if format[1] == "i" and unsigned >> (bits - 1) else unsigned


def _decoded(group: _Group, words: NDArray[np.uint16]) -> NDArray[np.float64]:
    """(points,) in the channels' units; NaN for a sentinel."""
    if group.swapped:
        words = words.byteswap()
    gathered = words.astype(">u2")[group.words]
    raw = gathered.view(group.format)[:, 0]
    if len(group.bit):
        raw = (raw >> group.bit) & 1
    with np.errstate(invalid="ignore", over="ignore"):  # a float may hold anything; `decode` looks at it
        values = raw.astype(np.float64) * group.scale + group.offset
    values[group.sentinel_of[raw[group.sentinel_of] == group.sentinel]] = np.nan
    return values
