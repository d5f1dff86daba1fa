"""Memo: what a damaged journal cannot be read without, kept beside it: where its tables begin, its channels.

The first page of an SQLite file and those of its list of tables are a few among hundreds of thousands, and
hardly ever change. A channel's number means nothing without its name.
"""

import contextlib
import zlib
from pathlib import Path
from typing import Any

import msgspec

from ingest import journal
from ingest.parquet import sync

FILE_NAME = "journal.memo"
MAGIC = b"SQLite format 3\0"
INTERIOR = 5  # a page of a table's tree that only points at others (sqlite.org/fileformat2.html)
SEAL_BYTES = 4
HEADER_BYTES = 100  # before the tree on the first page


class Memo(msgspec.Struct):
    """pages: by number; channels: rows of the table."""

    pages: dict[int, bytes]
    channels: list[tuple[Any, ...]]


def remember(folder: Path) -> None:
    """Bring the memo up to date; while the WAL holds nothing newer than the file."""
    path = folder / journal.FILE_NAME
    with contextlib.closing(journal.open_reader(folder)) as connection:
        channels = connection.execute("SELECT * FROM channel ORDER BY number").fetchall()
    text = _sealed(msgspec.msgpack.encode(Memo(_schema_pages(path), channels)))
    memo = folder / FILE_NAME
    if not memo.exists() or memo.read_bytes() != text:
        part = memo.with_suffix(".part")
        part.write_bytes(text)
        sync(part)
        part.replace(memo)
        sync(folder)


def recall(folder: Path) -> Memo:
    """What was kept; an empty memo where nothing was, or it is damaged too."""
    try:
        text = (folder / FILE_NAME).read_bytes()
    except OSError:
        return Memo({}, [])
    content = text[:-SEAL_BYTES]
    return msgspec.msgpack.decode(content, type=Memo) if _sealed(content) == text else Memo({}, [])


def _sealed(content: bytes) -> bytes:
    """With its checksum behind it: pages that were damaged here too must not be put back."""
    return content + zlib.crc32(content).to_bytes(SEAL_BYTES, "little")


def put_back(path: Path, memo: Memo) -> dict[int, bytes]:
    """Overwrite pages of a damaged file with those of the memo; what was there before."""
    first = bytearray(memo.pages[1])
    size = page_bytes(first)
    first[28:32] = (path.stat().st_size // size).to_bytes(4, "big")  # how many pages there are
    first[32:40] = bytes(8)  # none of them counts as free
    before = {}
    with path.open("r+b") as file:
        for number, page in {**memo.pages, 1: bytes(first)}.items():
            file.seek((number - 1) * size)
            before[number] = file.read(size)
            file.seek((number - 1) * size)
            file.write(page)
    return before


def page_bytes(first: bytes | bytearray) -> int:
    """The size of all pages, as the first one says; we make none of 65,536, which would read as 1."""
    return int.from_bytes(first[16:18], "big")


def _schema_pages(path: Path) -> dict[int, bytes]:
    """The first page and, where the list of tables is larger than it, those below; {} where it is no file."""
    with path.open("rb") as file:
        first = file.read(HEADER_BYTES)
        if not first.startswith(MAGIC):
            return {}
        size = page_bytes(first)

        def page(number: int) -> bytes:
            file.seek((number - 1) * size)
            return file.read(size)

        first = page(1)
        numbers = [1]
        if first[HEADER_BYTES] == INTERIOR:
            cells = int.from_bytes(first[HEADER_BYTES + 3 : HEADER_BYTES + 5], "big")
            starts = (HEADER_BYTES + 12 + 2 * cell for cell in range(cells))
            places = [int.from_bytes(first[start : start + 2], "big") for start in starts]
            numbers += [int.from_bytes(first[at : at + 4], "big") for at in [*places, HEADER_BYTES + 8]]
        return {number: page(number) for number in numbers}
