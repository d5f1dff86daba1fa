"""watchline score: the anomaly score of every row of a CSV file, without looking ahead."""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from config.errors import InputError

HELP = "the anomaly score of every row of a CSV file, without looking ahead"
EXAMPLE = "watchline score readings.csv --out scores.csv"
MISSING = ("", "nan", "na", "null", "none")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "readings", type=Path, metavar="READINGS.csv", help="timestamp,value, one row a reading"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="SCORES.csv", help="where the scores go")
    parser.add_argument(
        "--multivariate",
        action="store_true",
        help="timestamp and any number of columns that belong together: a row scores by what they tell",
    )


def run(args: argparse.Namespace) -> int:
    rows = score_file(args.readings, args.out, multivariate=args.multivariate)
    print(f"{rows} rows scored: {args.out}")
    return 0


def score_file(readings: Path, out: Path, *, multivariate: bool = False) -> int:
    """Scores every row of `readings` into `out`, in order; how many. InputError names file and line."""
    from detectors.scoring import scores

    if out.exists() and readings.exists() and out.samefile(readings):
        raise InputError(f"{out}: --out must not be the file that is read")
    if not out.parent.is_dir():
        raise InputError(f"{out}: the folder {out.parent} does not exist")
    partial = out.with_name(out.name + ".part")
    try:
        with readings.open(newline="", encoding="utf-8-sig") as source:
            table = _Table(source, readings, multivariate)
            with partial.open("w", newline="", encoding="utf-8") as target:
                writer = csv.writer(target, lineterminator="\n")
                values = [] if multivariate else ["value"]
                writer.writerow(["timestamp", *values, "anomaly_score"])
                count = 0
                for score in scores(table.rows(), len(table.columns)):
                    writer.writerow([*table.as_written, repr(float(score))])
                    count += 1
            partial.replace(out)
    except UnicodeDecodeError as error:
        raise InputError(f"{readings}: not UTF-8 text ({error.reason}); save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{error.filename or readings}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    return count


class _Table:
    """A CSV file with a header, read row by row."""

    def __init__(self, source: TextIO, path: Path, multivariate: bool) -> None:
        self._rows = csv.reader(source)
        self._path = path
        self._multivariate = multivariate
        header = [name.strip() for name in next(self._rows, [])]
        if "timestamp" not in header:
            raise InputError(
                f"{path}:1: no column timestamp among {', '.join(header) or 'nothing'}; "
                "the first line must name the columns"
            )
        if not multivariate and "value" not in header:
            raise InputError(
                f"{path}:1: no column value among {', '.join(header)}; for several columns use --multivariate"
            )
        used = header if multivariate else ["timestamp", "value"]
        twice = [name for name in dict.fromkeys(used) if header.count(name) > 1]
        if twice:
            raise InputError(
                f"{path}:1: more than one column {', '.join(name or '(without a name)' for name in twice)}; "
                "give each column a name of its own"
            )
        self._width = len(header)
        self._time = header.index("timestamp")
        names = [name for name in header if name != "timestamp"] if multivariate else ["value"]
        if not names:
            raise InputError(f"{path}:1: no column beside timestamp")
        self.columns = [(header.index(name), name) for name in names]
        self.as_written: list[str] = []  # what the row just read gives to the output

    def rows(self) -> Iterator[tuple[float, list[float]]]:
        try:
            for row in self._rows:
                if not row:
                    continue
                line = self._rows.line_num
                if len(row) != self._width:
                    raise InputError(f"{self._path}:{line}: {len(row)} fields, the header has {self._width}")
                values = [self._number(row[at], name, line) for at, name in self.columns]
                self.as_written = [row[self._time]]
                if not self._multivariate:
                    self.as_written.append(row[self.columns[0][0]])
                yield self._seconds(row[self._time], line), values
        except csv.Error as error:
            raise InputError(f"{self._path}:{self._rows.line_num}: not CSV: {error}") from error

    def _number(self, text: str, name: str, line: int) -> float:
        stripped = text.strip()
        if stripped.lower() in MISSING:
            return math.nan
        try:
            return float(stripped)
        except ValueError:
            raise InputError(f'{self._path}:{line}: {name}: "{text}" is not a number') from None

    def _seconds(self, text: str, line: int) -> float:
        """Seconds since 1970, NaN where it is left out; a time without a zone is UTC."""
        if text.strip().lower() in MISSING:
            return math.nan
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            raise InputError(
                f'{self._path}:{line}: timestamp: "{text}" is not a time such as 2026-01-05T02:14:07Z'
            ) from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
