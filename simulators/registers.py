"""Registers: values as a device model puts them on the wire; the reverse of what a gateway does."""

from collections.abc import Mapping
from math import isfinite, isnan

import numpy as np

from config.profiles import Point

_NUMPY = {
    "int16": ">i2", "uint16": ">u2", "int32": ">i4", "uint32": ">u4", "int64": ">i8", "uint64": ">u8",
    "float32": ">f4", "float64": ">f8",
}  # fmt: skip


def words(point: Point, value: float) -> list[int]:
    """The registers of one value given in the point's unit; what cannot be said in them stops at their end.

    NaN becomes the point's first sentinel; a float without one says NaN, an integer 0.
    """
    dtype = np.dtype(_NUMPY[point.type])
    raw: float | int = (value - point.offset) / point.scale
    if isnan(value) and point.sentinel:
        raw = point.sentinel[0]
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        raw = min(max(round(raw), int(limits.min)), int(limits.max)) if isfinite(raw) else 0
    octets = np.array([raw], dtype=dtype).view(np.uint8).reshape(-1, 2)
    if point.order in ("CDAB", "DCBA"):  # words the other way round
        octets = octets[::-1]
    if point.order in ("BADC", "DCBA"):  # bytes of each word the other way round
        octets = octets[:, ::-1]
    return [int(high) << 8 | int(low) for high, low in octets]


def table(points: Mapping[Point, float], name: str, start: int, count: int) -> list[int]:
    """`count` registers from register `start` of one table: holding, input, or the bits of coil or discrete.

    points: each point's value in its unit. Coils and discrete inputs are packed, 16 a register, lowest first.
    """
    registers = [0] * count
    for point, value in points.items():
        if point.table != name:
            continue
        if point.type == "bit":
            bit = point.address % 16 if point.bit is None else point.bit
            here = point.address // 16 if point.bit is None else point.address
            if isfinite(value) and round((value - point.offset) / point.scale):
                registers[here - start] |= 1 << bit
        else:
            here = point.address - start
            registers[here : here + point.words] = words(point, value)
    return registers
