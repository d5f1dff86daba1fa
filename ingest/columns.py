"""Columns: a group of readings as one blob, and back; never text to be parsed again.

A blob is a header (magic, form, unit, count, CRC-32 of all else) and the columns channel, time, value,
quality, flags. Groups below 50 are raw, since NumPy's calls would cost more than they save. Larger ones
are made small: sorted by channel (each channel's readings stay in their order), times in the coarsest unit
that is exact, values as thousandths where that is exact, differences, bytes shuffled by significance, zstd.
"""

import struct
import zlib
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from ingest.readings import ReadingBatch

HEADER = struct.Struct("<HBBII")
MAGIC = 0x4C57
RAW, FLOATS, THOUSANDTHS = 0, 1, 2
SMALL = 50
UNITS_NS = (1_000_000_000, 1_000_000, 1_000, 1)
BYTES_A_READING = 4 + 8 + 8 + 1 + 1
MOST_READINGS = 1 << 20  # of one blob; the storage never holds as many
NOT_A_NUMBER = np.iinfo(np.int32).min  # stands for NaN among thousandths

_compressor = zstandard.ZstdCompressor(level=1)  # used by the storage thread alone


class Damaged(ValueError):
    """A blob that is not what was written."""


def encode(readings: ReadingBatch, journal_number: NDArray[np.int32]) -> bytes:
    """One blob; `journal_number` (channels,) is what the journal calls each channel."""
    channel = journal_number[readings.channel]
    if len(channel) >= SMALL and (channel[1:] < channel[:-1]).any():
        order = np.argsort(channel.astype(np.uint16) if channel.max() < 1 << 16 else channel, kind="stable")
        channel, readings = channel[order], readings.where(order)
    if len(channel) < SMALL:
        body = b"".join(
            column.tobytes()
            for column in (channel, readings.time_ns, readings.value, readings.quality, readings.flags)
        )
        return _sealed(RAW, 3, len(channel), body)
    unit, time = _coarsest(readings.time_ns)
    thousandths = _thousandths(readings.value)
    form, value = (
        (FLOATS, readings.value) if thousandths is None else (THOUSANDTHS, _differences(thousandths))
    )
    columns = (_differences(channel), _differences(time), value, readings.quality, readings.flags)
    body = _compressor.compress(b"".join([_shuffled(column) for column in columns]))
    return _sealed(form, unit, len(channel), body)


def decode(blob: bytes) -> ReadingBatch:
    """What `encode` was given, with journal numbers as channels and 0 as arrival; raises Damaged."""
    form, unit, count, body = _opened(blob)
    try:
        if form != RAW:
            if zstandard.frame_content_size(body) > count * BYTES_A_READING:
                raise Damaged("a blob that would unpack to more than its readings")
            body = zstandard.ZstdDecompressor().decompress(body, max_output_size=count * BYTES_A_READING)
        return _columns(body, form, UNITS_NS[unit], count)
    except (zstandard.ZstdError, ValueError) as error:
        raise Damaged(f"a blob that cannot be unpacked: {error}") from error


def channels_of(blob: bytes) -> NDArray[np.int32]:
    """The channel column alone, for a fraction of the work; raises Damaged."""
    form, _, count, body = _opened(blob)
    try:
        if form == RAW:
            return np.frombuffer(body, dtype=np.int32, count=count)
        with zstandard.ZstdDecompressor().stream_reader(body) as column:
            part = column.read(4 * count)
        if len(part) != 4 * count:
            raise Damaged("a blob of the wrong length")
        return np.cumsum(_unshuffled(part, np.int32), dtype=np.int32)
    except (zstandard.ZstdError, ValueError) as error:
        raise Damaged(f"a blob that cannot be unpacked: {error}") from error


def _opened(blob: bytes) -> tuple[int, int, int, bytes]:
    """(form, number of the unit, readings, columns), the checksum compared; raises Damaged."""
    if not isinstance(blob, bytes) or len(blob) < HEADER.size:  # a damaged row may hold anything
        raise Damaged("a blob shorter than its header")
    magic, form, unit, count, checksum = HEADER.unpack_from(blob)
    body = blob[HEADER.size :]
    known = magic == MAGIC and form <= THOUSANDTHS and unit < len(UNITS_NS) and count <= MOST_READINGS
    if not known or _checksum(form, unit, count, body) != checksum:
        raise Damaged("a blob whose checksum does not agree")
    return form, unit, count, body


def _columns(body: bytes, form: int, unit_ns: int, count: int) -> ReadingBatch:
    widths = (4, 8, 4 if form == THOUSANDTHS else 8, 1, 1)
    if len(body) != count * sum(widths):
        raise Damaged("a blob of the wrong length")
    ends = np.cumsum(widths) * count
    parts = [body[end - width * count : end] for end, width in zip(ends, widths)]
    quality, flags = (np.frombuffer(part, dtype=np.uint8).copy() for part in parts[3:])
    if form == RAW:
        channel = np.frombuffer(parts[0], dtype=np.int32).copy()
        time = np.frombuffer(parts[1], dtype=np.int64).copy()
        value = np.frombuffer(parts[2], dtype=np.float64).copy()
    else:
        channel = np.cumsum(_unshuffled(parts[0], np.int32), dtype=np.int32)
        time = np.cumsum(_unshuffled(parts[1], np.int64), dtype=np.int64) * unit_ns
        value = _unshuffled(parts[2], np.float64) if form == FLOATS else _from_thousandths(parts[2])
    return ReadingBatch(channel, time, value, quality, np.zeros(count, dtype=np.int64), flags)


def _sealed(form: int, unit: int, count: int, body: bytes) -> bytes:
    return HEADER.pack(MAGIC, form, unit, count, _checksum(form, unit, count, body)) + body


def _checksum(form: int, unit: int, count: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(struct.pack("<BBI", form, unit, count)))


def _coarsest(time_ns: NDArray[np.int64]) -> tuple[int, NDArray[np.int64]]:
    for number, unit_ns in enumerate(UNITS_NS[:-1]):
        whole = time_ns // unit_ns
        if (whole * unit_ns == time_ns).all():
            return number, whole
    return len(UNITS_NS) - 1, time_ns


def _thousandths(value: NDArray[np.float64]) -> NDArray[np.int32] | None:
    """Values as whole thousandths, where that loses nothing."""
    missing = np.isnan(value)
    count = np.rint(np.where(missing, 0.0, value) * 1000.0)
    if np.abs(count).max() >= 2**31 or not ((count / 1000.0 == value) | missing).all():
        return None
    return np.where(missing, NOT_A_NUMBER, count.astype(np.int32)).astype(np.int32)


def _from_thousandths(part: bytes) -> NDArray[np.float64]:
    count = np.cumsum(_unshuffled(part, np.int32), dtype=np.int32)
    return np.where(count == NOT_A_NUMBER, np.nan, count / 1000.0)


def _differences(column: NDArray[np.int32] | NDArray[np.int64]) -> NDArray[np.int32] | NDArray[np.int64]:
    """Each element less the one before it, wrapping; the first as it is."""
    differences = np.empty_like(column)
    differences[0] = column[0]
    np.subtract(column[1:], column[:-1], out=differences[1:])
    return differences


def _shuffled(column: NDArray[np.generic]) -> bytes:
    """All lowest bytes first, then the next …: bytes of like significance compress well."""
    width = column.dtype.itemsize
    return column.view(np.uint8).reshape(-1, width).T.tobytes()


def _unshuffled(part: bytes, dtype: type[Any]) -> NDArray[Any]:
    width = np.dtype(dtype).itemsize
    turned = np.frombuffer(part, dtype=np.uint8).reshape(width, -1).T
    column: NDArray[Any] = np.ascontiguousarray(turned).view(dtype).ravel()
    return column
