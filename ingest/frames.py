"""Frames: what a damaged write-ahead log still holds.

SQLite reads a WAL up to the first frame whose checksum fails, and forgets all that was committed behind it: a
single bit may cost everything since the last checkpoint, and nobody would know. Each frame's checksum starts
from that of the frame before, which stands in its header, so every frame can be judged by itself, and those
that are whole are written into the main file (format: sqlite.org/fileformat2.html#walformat).

The end of a WAL may be torn by a power cut, in the one transaction that was not yet synced. So only what two
commits follow is held to be damaged.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.folders import make_folder
from ingest.parquet import sync

HEADER, FRAME_HEADER = 32, 24
MAGIC = 0x377F0682  # the lowest bit says that checksums are of big-endian words
COMMITS_BEHIND = 2
SALT = slice(8, 16)  # in a frame's header: the same in all frames since the WAL was last begun anew

Bytes = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]


def mend(journal: Path, aside: Path) -> int:
    """Where the WAL is damaged: copy it to `aside`, write its whole frames into the journal, remove it.

    The number of frames, its header among them, that cannot be trusted; 0: it is sound, or torn at its end,
    and left alone. A page that only a damaged frame held is as old as the journal has it. Nobody may hold
    the journal open.
    """
    wal = journal.with_name(f"{journal.name}-wal")
    log = _read(journal, wal)
    if log is None:
        return 0
    frames, whole = log.frames, _whole(log)
    commits = np.flatnonzero(whole & (_number(frames, 4) > 0))
    first = -1 if not log.sound else int(np.argmin(whole)) if not whole.all() else len(whole)
    if np.count_nonzero(commits > first) < COMMITS_BEHIND:
        return 0
    make_folder(aside.parent)
    aside.write_bytes(wal.read_bytes())
    sync(aside)
    _write_pages(journal, frames[: commits[-1] + 1], whole[: commits[-1] + 1])
    wal.unlink()
    journal.with_name(f"{journal.name}-shm").unlink(missing_ok=True)
    sync(journal.parent)
    return int(np.count_nonzero(~whole[: commits[-1] + 1])) + (not log.sound)


@dataclass(frozen=True)
class _Log:
    """The frames of a WAL's present run (frames, bytes of one), and what its header says."""

    sound: bool  # the header itself
    frames: Bytes
    salt: Bytes
    start: tuple[int, int]  # of the first frame's checksum
    words: str  # of which a checksum is the sum


def _read(journal: Path, wal: Path) -> _Log | None:
    """None where there are no frames."""
    try:
        content = wal.read_bytes()
        with journal.open("rb") as file:
            main = file.read(18)
    except OSError:
        return None
    if len(content) < HEADER or len(main) < 18:
        return None
    magic, _, page_bytes, _, _, _, *start = struct.unpack_from(">8I", content)
    words = ">u4" if magic & 1 else "<u4"
    sound = magic | 1 == MAGIC | 1 and _sum(np.frombuffer(content, words, 6)) == tuple(start)
    if not sound:  # the main file and the first frame know as well
        (page_bytes,) = struct.unpack_from(">H", main, 16)
        page_bytes, words = 65536 if page_bytes == 1 else page_bytes, "<u4"
    if not 512 <= page_bytes <= 65536 or page_bytes & (page_bytes - 1):
        return None
    size = FRAME_HEADER + page_bytes
    count = (len(content) - HEADER) // size
    frames = np.frombuffer(content, np.uint8, count * size, HEADER).reshape(count, size)
    salt = np.frombuffer(content, np.uint8, 8, 16) if sound or not count else frames[0, SALT]
    present = np.flatnonzero((frames[:, SALT] == salt).all(axis=1))
    if not len(present):
        return None
    return _Log(
        sound, frames[: present[-1] + 1], salt, (start[0], start[1]), words
    )  # behind it lies an earlier run


def _sum(words: NDArray[np.uint32]) -> tuple[int, int]:
    """The checksum of a few words."""
    one = other = 0
    for first, second in zip(words[::2].tolist(), words[1::2].tolist()):
        one = (one + first + other) & 0xFFFFFFFF
        other = (other + second + one) & 0xFFFFFFFF
    return one, other


def _whole(log: _Log) -> BoolArray:
    """(frames,) Whether a frame is what was written, by the checksum in it and in the one before."""
    frames = log.frames
    told = frames[:, 16:24].copy().view(">u4").astype(np.uint32)
    before = np.vstack([np.array([log.start], dtype=np.uint32), told[:-1]])
    summed = np.ascontiguousarray(np.hstack([frames[:, :8], frames[:, FRAME_HEADER:]]))
    words = np.ascontiguousarray(summed.view(log.words).astype(np.uint32).T)
    one, other = before[:, 0].copy(), before[:, 1].copy()
    for first, second in zip(words[::2], words[1::2]):  # sums wrap at 32 bits, as they should
        one += first + other
        other += second + one
    whole: BoolArray = (frames[:, SALT] == log.salt).all(axis=1) & (one == told[:, 0]) & (other == told[:, 1])
    return whole


def _number(frames: Bytes, at: int) -> NDArray[np.int64]:
    return frames[:, at : at + 4].copy().view(">u4").ravel().astype(np.int64)


def _write_pages(journal: Path, frames: Bytes, whole: BoolArray) -> None:
    """Each page as its last whole frame has it; the file ends where the last commit says."""
    page_bytes = frames.shape[1] - FRAME_HEADER
    last = {page: place for place, page in enumerate(_number(frames, 0).tolist()) if whole[place]}
    descriptor = os.open(journal, os.O_RDWR)
    try:
        for page, place in last.items():
            os.pwrite(descriptor, frames[place, FRAME_HEADER:].tobytes(), (page - 1) * page_bytes)
        os.ftruncate(descriptor, int(_number(frames[-1:], 4)[0]) * page_bytes)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
