"""Tables: the rows of a CSV or a workbook as texts with their row number, whatever encoding it came in."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from config.errors import SettingsError

BOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
MOSTLY = 0.9  # so many of the lines with more than ASCII must be UTF-8 for the file to be


@dataclass(frozen=True)
class Row:
    """One row below the header. `broken` names cells whose bytes are not of the file's encoding."""

    number: int  # as the program that shows the file counts, from 1
    cells: dict[str, str]
    broken: tuple[str, ...] = ()
    surplus: int = 0  # cells beyond the header


@dataclass
class Table:
    """A file that was read. `encoding` is what its bytes turned out to be."""

    name: str
    encoding: str
    header: list[str]
    rows: list[Row] = field(default_factory=list)


def read_table(path: Path, encoding: str = "") -> Table:
    """A CSV or workbook; SettingsError where nothing in it can be read. `encoding` instead of a guess."""
    if path.suffix.lower() in BOOKS:
        lines: Iterator[tuple[int, Sequence[str]]] = _book(path)
        encoding = path.suffix[1:].lower()
    else:
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise SettingsError(f"{path}: cannot be read: {error.strerror or error}") from error
        encoding = encoding or _guess(raw)
        lines = _csv(path.name, raw, encoding)
    table = Table(path.name, encoding, [])
    for number, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if not table.header:
            table.header = [cell.strip().lstrip("\ufeff") for cell in cells]
            continue
        named = {name: cell.strip() for name, cell in zip(table.header, cells) if name}
        broken = tuple(name for name, cell in named.items() if _is_broken(cell))
        surplus = sum(bool(cell.strip()) for cell in cells[len(table.header) :])
        table.rows.append(Row(number, named, broken, surplus))
    return table


def _guess(raw: bytes) -> str:
    """UTF-16 by its mark; else UTF-8, or GB 18030 where that makes sense of more lines.

    Two bytes of GB 18030 may well be UTF-8 too, but of a letter such as ĳ, so Chinese signs are what counts.
    """
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    foreign = [line for line in raw.removeprefix(b"\xef\xbb\xbf").splitlines() if not line.isascii()]
    utf = sum(_is_chinese(line, "utf-8") for line in foreign)
    if utf >= MOSTLY * len(foreign):
        return "utf-8-sig"
    return "gb18030" if sum(_is_chinese(line, "gb18030") for line in foreign) > utf else "utf-8-sig"


def _is_chinese(line: bytes, encoding: str) -> bool:
    try:
        text = line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return all(sign < "\x80" or (sign >= "\u2000" and not "\ue000" <= sign <= "\uf8ff") for sign in text)


def _csv(name: str, raw: bytes, encoding: str) -> Iterator[tuple[int, Sequence[str]]]:
    try:
        text = raw.decode(encoding, "surrogateescape")
    except (UnicodeError, LookupError) as error:
        raise SettingsError(f"{name}: cannot be read as {encoding}: {error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 1
    try:
        for cells in reader:
            yield number, cells
            number = reader.line_num + 1
    except csv.Error as error:
        raise SettingsError(f"{name}:{reader.line_num}: not CSV from here on: {error}") from error


def _book(path: Path) -> Iterator[tuple[int, Sequence[str]]]:
    """The first sheet of a workbook."""
    import python_calamine

    try:
        sheet = python_calamine.CalamineWorkbook.from_path(path).get_sheet_by_index(0)
        rows = sheet.to_python(skip_empty_area=False)
    except (python_calamine.CalamineError, OSError, IndexError) as error:
        raise SettingsError(f"{path.name}: cannot be read as a workbook: {error}") from error
    for number, cells in enumerate(rows, start=1):
        yield number, [_written(cell) for cell in cells]


def _written(cell: Any) -> str:
    """A cell of a workbook as a person would have written it in a CSV."""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(cell)


def _is_broken(cell: str) -> bool:
    return any("\ud800" <= sign <= "\udfff" for sign in cell) or "\ufffd" in cell
