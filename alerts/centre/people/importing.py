"""Importing: a list from a file into the directory; good rows are stored, each bad one is named."""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alerts.centre.people import directory
from alerts.centre.people.lists import LISTS, Column, ListForm
from alerts.centre.people.tables import Row, Table, read_table
from config.errors import SettingsError
from config.quantities import did_you_mean


@dataclass(frozen=True)
class Finding:
    """What is wrong with one cell, or one row."""

    file: str
    row: int
    column: str  # "" = the row as a whole
    text: str

    def __str__(self) -> str:
        where = f" column {self.column}:" if self.column else ""
        return f"{self.file}: row {self.row}:{where} {self.text}"


@dataclass
class Report:
    """What came of an import."""

    kind: str
    file: str
    encoding: str = ""
    rows: int = 0
    stored: int = 0
    dropped: int = 0  # that the file does not have any more, with `replace`
    bad: list[Finding] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def bad_rows(self) -> int:
        return len({finding.row for finding in self.bad})


def import_list(
    path: Path, name: str, file: Path, *, replace: bool = False, dry: bool = False, encoding: str = ""
) -> Report:
    """Bring a CSV or workbook into the directory at `path`; SettingsError where its columns do not fit.

    Good rows are stored in one transaction. With `replace`, rows that the file does not have are forgotten,
    but only where every row of it is good. `dry` stores nothing.
    """
    form = LISTS[name]
    table = read_table(file, encoding)
    report = Report(name, table.name, table.encoding, len(table.rows))
    _check_header(form, table, report)
    rows = _good_rows(form, table, report)
    directory.create(path)
    try:
        with directory.writing(path) as connection:
            rows = _known(connection, form, rows, report)
            if not dry:
                directory.put(connection, form, [values for _, values in rows])
                report.stored = len(rows)
            if replace and not report.bad and not dry:
                kept = [values[form.key] for _, values in rows]
                report.dropped = directory.drop_others(connection, form, kept)
    except sqlite3.Error as error:
        raise SettingsError(f"{path}: the directory cannot be written: {error}") from error
    if replace and report.bad:
        report.warnings.append(f"{table.name}: has bad rows, so nothing was removed; correct them first")
    report.bad.sort(key=lambda finding: (finding.row, finding.column))
    return report


def _check_header(form: ListForm, table: Table, report: Report) -> None:
    known = [column.name for column in form.columns]
    wrong = []
    if not table.header:
        wrong.append(f"{table.name}: is empty; the first row names the columns: {','.join(known)}")
    for column in form.columns:
        if table.header and column.needed and column.name not in table.header:
            near = [name for name in table.header if name not in known]
            guess = did_you_mean(column.name, near) if near else ""
            hint = f"; {guess}" if guess.startswith("did") else ""
            wrong.append(f"{table.name}: row 1: no column {column.name}{hint}")
    for name, count in Counter(name for name in table.header if name).items():
        if count > 1:
            wrong.append(f"{table.name}: row 1: {count} columns are named {name}; rename or remove them")
        if name.lower() in form.forbidden:
            wrong.append(
                f"{table.name}: row 1: column {name}: {form.name} are kept by pseudonym alone; remove it"
            )
        elif name not in known:
            report.warnings.append(f"{table.name}: row 1: column {name} is not known and was left out")
    if wrong:
        raise SettingsError(wrong)


def _good_rows(form: ListForm, table: Table, report: Report) -> list[tuple[Row, dict[str, Any]]]:
    """Rows whose cells can be read, each key once."""
    good: list[tuple[Row, dict[str, Any]]] = []
    first: dict[str, int] = {}
    for row in table.rows:
        before = len(report.bad)
        values = _values(form, row, report)
        if len(report.bad) == before:
            for column, text in form.judge(values).items():
                report.bad.append(Finding(report.file, row.number, column, text))
        if len(report.bad) > before:
            continue
        key = values[form.key]
        if first.setdefault(key, row.number) != row.number:
            text = f"{key} is in row {first[key]} already; keep one of them"
            report.bad.append(Finding(report.file, row.number, form.key, text))
            continue
        good.append((row, values))
    return good


def _values(form: ListForm, row: Row, report: Report) -> dict[str, Any]:
    def wrong(column: str, text: str) -> None:
        report.bad.append(Finding(report.file, row.number, column, text))

    if row.surplus:
        wrong("", f"has {row.surplus} cells more than the header; put texts with commas in quotes")
    for name in row.broken:
        wrong(name, f"holds bytes that are not {report.encoding}; save the file as UTF-8 and write it anew")
    values: dict[str, Any] = {}
    for column in form.columns:
        cell = row.cells.get(column.name, "")
        if column.name in row.broken:
            continue
        if not cell:
            values[column.name] = column.usual
            if column.needed:
                wrong(column.name, f"missing; write it like {column.example}")
            continue
        try:
            values[column.name] = column.read(cell)
        except ValueError as error:
            wrong(column.name, str(error))
    return values


def _known(
    connection: sqlite3.Connection,
    form: ListForm,
    rows: Sequence[tuple[Row, dict[str, Any]]],
    report: Report,
) -> list[tuple[Row, dict[str, Any]]]:
    """The rows that refer only to what there is, or what comes with them."""
    referring = [column for column in form.columns if column.refers]
    there = {column.refers: directory.keys(connection, column.refers) for column in referring}
    if form.name in there:
        there[form.name] |= {values[form.key] for _, values in rows}
    kept = []
    for row, values in rows:
        strangers = [(c, one) for c in referring for one in _names(c, values) if one not in there[c.refers]]
        for column, one in strangers:
            text = f"{one} is not among the {column.refers}; import it there first, or correct it"
            report.bad.append(Finding(report.file, row.number, column.name, text))
        if not strangers:
            kept.append((row, values))
    _warn_of_owners(connection, form, kept, report)
    return kept


def _names(column: Column, values: Mapping[str, Any]) -> list[str]:
    value = values[column.name]
    return value.split() if column.several else [value] if value else []


def _warn_of_owners(
    connection: sqlite3.Connection,
    form: ListForm,
    rows: Sequence[tuple[Row, Mapping[str, Any]]],
    report: Report,
) -> None:
    """A right credit code of nobody we know: its things go to the territory instead."""
    if form.name != "assets":
        return
    known = {row[0] for row in connection.execute("SELECT credit_code FROM organisations")}
    lost = Counter(values["owner"] for _, values in rows if values["owner"] and values["owner"] not in known)
    report.warnings += [
        f"{report.file}: owner {code} of {count} assets is not among the organisations;"
        " until it is, the territory is called instead"
        for code, count in sorted(lost.items())
    ]
