"""Report: how well the alarm system served its people in a month or week, by ISA-18.2 and EEMUA 191."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.errors import InputError

if TYPE_CHECKING:
    from alerts.alarmlog import Log
    from alerts.kpis import Period
    from config.load import SiteFiles

HELP = "the alarm system's own report (ISA-18.2, EEMUA 191) of a month or week"
EXAMPLE = """watchline report centre.toml --month 2026-01 --html january.html
  watchline report gateway.toml --week 2026-W03      (with false alarms expected and measured)
  watchline report alerts.jsonl --month 2026-01 --json"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        type=Path,
        metavar="FILE",
        nargs="?",
        help="centre.toml (its casebook), gateway.toml (its journal), or alert changes that replay wrote"
        " (default: centre.toml or gateway.toml of this folder)",
    )
    parser.add_argument("--month", metavar="YYYY-MM", help="the month (default: the last whole one)")
    parser.add_argument("--week", metavar="YYYY-Www", help="an ISO week instead")
    parser.add_argument("--timezone", metavar="ZONE", help="of days (default: the settings', Asia/Shanghai)")
    parser.add_argument("--operators", type=int, default=1, metavar="N", help="who share the load")
    parser.add_argument("--settings", type=Path, metavar="gateway.toml", help="tells what was to be expected")
    parser.add_argument(
        "--approved", action="append", default=[], metavar="HASH", help="settings put in force with authority"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every figure as a line of CSV")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    from alerts import kpis, kpitables
    from gateway.reports import alarmsystem
    from gateway.reports.writing import written

    if args.operators < 1:
        raise InputError(f"--operators {args.operators}: at least 1")
    args.source = args.source or _here()
    log, timezone, site = _read(args)
    period = _period(args, timezone)
    report: dict[str, Any] = {"source": str(args.source), **kpis.report(log, period, args.approved)}
    if site is not None:
        from gateway.alarmbudget import beside

        report["false_alarms"] = beside(site, log, period)
    if args.csv:
        with written(args.csv) as out:
            out.write(kpitables.csv(report))
    if args.html:
        with written(args.html) as out:
            out.write(alarmsystem.html(report))
    print(json.dumps(report, ensure_ascii=False, indent=2) if args.json else alarmsystem.text(report))
    return 0


def _here() -> Path:
    for name in ("centre.toml", "gateway.toml"):
        if Path(name).is_file():
            return Path(name)
    raise InputError("report: name a centre.toml, a gateway.toml or a file of alert changes; none is here")


def _read(args: argparse.Namespace) -> "tuple[Log, str, SiteFiles | None]":
    """The log, the time zone of its days, and the site where its settings are known."""
    from config.load import is_centre, read_centre, read_site
    from config.tomlfile import read_toml
    from gateway import annals

    site = read_site(args.settings) if args.settings else None
    zone = site.settings.site.timezone if site else "Asia/Shanghai"
    if args.source.suffix != ".toml":
        return annals.of_file(args.source), args.timezone or zone, site
    if is_centre(read_toml(args.source).data):
        from alerts.centre.annals import read_log

        centre = read_centre(args.source)
        return read_log(centre.store.path), args.timezone or centre.cases.timezone, site
    own = read_site(args.source)
    settings = own.settings
    folder = settings.archive.folder if settings.archive else None
    log = annals.of_journal(settings.site.data, settings.site.id, folder)
    return log, args.timezone or settings.site.timezone, site or own


def _period(args: argparse.Namespace, timezone: str) -> "Period":
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from alerts.kpis import Period

    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(f"--timezone {timezone}: not known; write it like Asia/Shanghai") from error
    if args.week and args.month:
        raise InputError("--week: not together with --month")
    try:
        if args.week:
            start = datetime.strptime(f"{args.week}-1", "%G-W%V-%u").replace(tzinfo=zone)
            end = start + timedelta(days=7)
        else:
            month = args.month or f"{datetime.now(zone).replace(day=1) - timedelta(days=1):%Y-%m}"
            start = datetime.strptime(month, "%Y-%m").replace(tzinfo=zone)
            end = (start + timedelta(days=32)).replace(day=1)
    except ValueError as error:
        option = f"--week {args.week}" if args.week else f"--month {args.month}"
        hint = "2026-W03" if args.week else "2026-01"
        raise InputError(
            f"{option}: not a {'week' if args.week else 'month'}; write it like {hint}"
        ) from error
    if start < datetime.now(zone) < end:
        end = datetime.now(zone)  # a period that still runs: as far as it has come
    return Period(round(start.timestamp()) * 10**9, round(end.timestamp()) * 10**9, zone, args.operators)
