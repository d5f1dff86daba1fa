"""CSV: a recording as text, read once into the spool; where it cannot be used, the line is named."""

import csv
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from config.errors import InputError
from ingest.pieces import A_TIME, Intake, Kept, Spool, check_columns

CSV_BLOCK = 1 << 24


def spool_csv(path: Path, intake: Intake, spool: Spool) -> list[Kept]:
    """Read a CSV file once, block by block, into the spool."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names, first = _csv_head(path)
    check_columns(path, names)
    kinds: dict[str, Any] = {"channel": pa.string(), "value": pa.float64(), "quality": pa.string()}
    kinds["conflict"] = pa.bool_()
    for name in ("time", "arrival"):
        integer = first.get(name, "").lstrip("-").isdigit()
        kinds[name] = pa.int64() if integer else pa.timestamp("ns", tz="UTC")
    kinds = {name: kind for name, kind in kinds.items() if name in names}
    convert = arrow_csv.ConvertOptions(
        column_types=kinds, include_columns=list(kinds), strings_can_be_null=True
    )
    kept = []
    try:
        read = arrow_csv.ReadOptions(block_size=CSV_BLOCK)
        with arrow_csv.open_csv(path, read_options=read, convert_options=convert) as reader:
            for batch in reader:
                readings = intake.readings(pa.Table.from_batches([batch]), path)
                if len(readings):
                    kept.append(spool.keep(readings))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(_first_bad_line(path, names) or f"{path}: cannot be read: {error}") from error
    return kept


def _first_bad_line(path: Path, names: Sequence[str]) -> str:
    """What is wrong with the first row of a CSV file that cannot be used, with its line; "" if none is found.

    Arrow names no line. The file is read once more, slowly, only after it was refused.
    """
    integer = None
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
        rows = csv.reader(file)
        next(rows, [])
        for row in filter(None, rows):
            where = f"{path}:{rows.line_num}"
            if len(row) != len(names):
                return f"{where}: {len(row)} fields, the header has {len(names)}"
            fields = dict(zip(names, row))
            if integer is None:
                integer = fields["time"].lstrip("-").isdigit()
            for name in ("time", "arrival"):
                if name in fields and not _is_moment(fields[name]):
                    return f'{where}: {name} "{fields[name]}" is not a time that can be used; {A_TIME}'
            if fields["time"].lstrip("-").isdigit() != integer:
                return f"{where}: times are integers in some rows and texts in others; write them alike"
            if not _is_number(fields["value"]):
                return f'{where}: value "{fields["value"]}" is not a number; write booleans as 0 and 1'
    return ""


def _is_moment(text: str) -> bool:
    """A moment with its zone that fits into 64-bit nanoseconds (the years 1678 to 2261)."""
    if text.lstrip("-").isdigit():
        return -(1 << 63) <= int(text) < 1 << 63
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.tzinfo is not None and 1678 <= moment.year < 2262


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True


def _csv_head(path: Path) -> tuple[list[str], dict[str, str]]:
    """The header, and the first row by column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            names = next(rows, [])
            return names, dict(zip(names, next(filter(None, rows), [])))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: neither Parquet nor UTF-8 text: {error}; name a recording") from error
    except (OSError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
