"""Import: people, organisations, assets, cameras and rotas from a file into the centre's directory."""

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from config.errors import SettingsError

if TYPE_CHECKING:
    from alerts.centre.people.importing import Report

HELP = "people, assets, cameras and rotas from CSV or XLSX into the centre's directory"
EXAMPLE = (
    "watchline import people people.xlsx --centre centre.toml\n"
    "  watchline import shifts --template > shifts.csv"
)
EXTRA = "centre"
SHOWN_MOST = 50


def arguments(parser: argparse.ArgumentParser) -> None:
    from alerts.centre.people.lists import LISTS

    parser.add_argument("kind", choices=list(LISTS), metavar="KIND", help=f"one of {', '.join(LISTS)}")
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="CSV or workbook; row 1 names columns"
    )
    parser.add_argument(
        "--centre", type=Path, default=Path("centre.toml"), help="its settings (default: ./centre.toml)"
    )
    parser.add_argument("--template", action="store_true", help="print a CSV with the columns and an example")
    parser.add_argument("--dry-run", action="store_true", help="report, but store nothing")
    parser.add_argument(
        "--replace", action="store_true", help="forget what the file lacks; only if every row is good"
    )
    parser.add_argument("--encoding", default="", help="of a CSV, instead of a guess: utf-8, gb18030 …")
    parser.add_argument("--report", type=Path, metavar="CSV", help="write each bad cell to this file as well")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    from alerts.centre.people.lists import LISTS

    if args.template:
        columns = LISTS[args.kind].columns
        writer = csv.writer(sys.stdout)
        writer.writerows([[column.name for column in columns], [column.example for column in columns]])
        return 0
    if args.file is None:
        raise SettingsError(f"no FILE; see what it must hold with  watchline import {args.kind} --template")

    from alerts.centre.people.importing import import_list
    from config.load import read_centre

    settings = read_centre(args.centre)
    if settings.people is None:
        raise SettingsError(
            f'{args.centre.name}: has no [people]; add it with directory = "people.sqlite", desk and last'
        )
    report = import_list(
        settings.people.directory,
        args.kind,
        args.file,
        replace=args.replace,
        dry=args.dry_run,
        encoding=args.encoding,
    )
    if args.report:
        _write(args.report, report)
    print(_as_json(report) if args.json else "\n".join(_lines(report, dry=args.dry_run)))
    for warning in report.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if not report.bad:
        return 0
    shown = [str(finding) for finding in report.bad[:SHOWN_MOST]]
    if len(report.bad) > SHOWN_MOST:
        where = "see --report" if not args.report else f"all are in {args.report}"
        shown.append(f"… and {len(report.bad) - SHOWN_MOST} more; {where}")
    raise SettingsError(
        [*shown, f"{_rows(report.bad_rows)} left out; correct and import again: nothing doubles"]
    )


def _lines(report: "Report", *, dry: bool) -> list[str]:
    what = "good, nothing stored (--dry-run)" if dry else "stored"
    good = report.rows - report.bad_rows
    lines = [f"{report.file} ({report.encoding}): {_rows(report.rows)}, {good} {what}, {report.bad_rows} bad"]
    if report.dropped:
        lines.append(f"{report.dropped} {report.kind} that the file does not hold were removed")
    return lines


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _write(path: Path, report: "Report") -> None:
    try:
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "row", "column", "what to do"])
            writer.writerows([one.file, one.row, one.column, one.text] for one in report.bad)
    except OSError as error:
        raise SettingsError(f"--report {path}: cannot be written: {error.strerror or error}") from error


def _as_json(report: "Report") -> str:
    bad = [vars(finding) for finding in report.bad]
    return json.dumps({**vars(report), "bad": bad, "bad_rows": report.bad_rows}, ensure_ascii=False, indent=2)
