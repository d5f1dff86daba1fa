"""Extract: part of an archive, file by file in the order of arrival, in constant memory."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.errors import InputError
from ingest.parquet import columns_of, opened, texts_of
from ingest.readings import ReadingBatch
from ingest.shelf import volumes

ROWS_AT_ONCE = 250_000


@dataclass
class Extract:
    """What is wanted: shell patterns of channels (none: all), measured in [start_ns, end_ns).

    `found` fills with the channels that were there.
    """

    patterns: tuple[str, ...] = ()
    start_ns: int | None = None
    end_ns: int | None = None
    found: dict[str, int] = field(default_factory=dict)  # channel -> its number in what is yielded

    def fits(self, channel: str) -> bool:
        return not self.patterns or any(re.match(translate(pattern), channel) for pattern in self.patterns)


def extracted(
    folder: Path, wanted: Extract, progress: Callable[[float], None] = lambda share: None
) -> Iterator[tuple[ReadingBatch, list[str]]]:
    """Readings with the texts of their channel numbers, sorted by channel and time within each hour or day.

    InputError when the folder is no archive, a file cannot be read, or no channel fits.
    """
    known = volumes(folder)
    if not known:
        raise InputError(f"{folder}: no file of an archive in this folder; name the folder of [archive]")
    ids: list[str] = []
    waiting: list[ReadingBatch] = []
    seen = False
    for number, volume in enumerate(known):
        progress(number / len(known))
        for readings in _in_file(volume.path, wanted, ids):
            waiting.append(readings)
            if sum(map(len, waiting)) >= ROWS_AT_ONCE:
                yield ReadingBatch.joined(waiting), ids
                waiting = []
        seen = seen or bool(wanted.found)
    if not seen and wanted.patterns:
        said = ", ".join(wanted.patterns)
        raise InputError(f"{folder}: no channel fits {said}; patterns are like 'gas.*.pressure'")
    if waiting:
        yield ReadingBatch.joined(waiting), ids
    progress(1.0)


def _in_file(path: Path, wanted: Extract, ids: list[str]) -> Iterator[ReadingBatch]:
    try:
        with opened(path) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                if len(readings := _chosen(table, wanted, ids)):
                    yield readings
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}; move it away, or copy it again") from error


def _chosen(table: Any, wanted: Extract, ids: list[str]) -> ReadingBatch:
    names, index = texts_of(table.column("channel"))
    numbers = np.array([_number(name, wanted, ids) for name in names] or [-1], dtype=np.int32)
    readings = columns_of(table)
    channel: NDArray[np.int32] = numbers[index]
    rows = channel >= 0
    if wanted.start_ns is not None:
        rows &= readings.time_ns >= wanted.start_ns
    if wanted.end_ns is not None:
        rows &= readings.time_ns < wanted.end_ns
    readings.channel[:] = channel
    return readings if rows.all() else readings.where(rows)


def _number(name: str, wanted: Extract, ids: list[str]) -> int:
    """A channel's number in what is written; -1 where it is not wanted."""
    if not wanted.fits(name):
        return -1
    if name not in wanted.found:
        wanted.found[name] = len(ids)
        ids.append(name)
    return wanted.found[name]
