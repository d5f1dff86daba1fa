"""Doctor: what is wrong with an installation, its security, its broker's limits; changes nothing."""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.load import SiteFiles
    from gateway.doctor.complaint import Complaint

HELP = "what is wrong with the installation, its security, its broker's limits; exit 1 where something is"
EXAMPLE = "watchline doctor gateway.toml"
SIGNS = {"problem": "PROBLEM", "advice": "advice", "fine": "fine"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", type=Path, help="gateway.toml")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.add_argument(
        "--no-trial",
        action="store_true",
        help="do not try what the broker keeps (it costs 1,100 small messages on watchline/doctor/…)",
    )


def run(args: argparse.Namespace) -> int:
    import logging

    from config.load import read_site

    logging.disable()  # what sources would log, the doctor says
    try:
        site = read_site(args.settings)
        complaints = list(examined(args.settings, site, trial=not args.no_trial))
    finally:
        logging.disable(logging.NOTSET)
    count = Counter(complaint.level for complaint in complaints)
    if args.json:
        told = [asdict(complaint) for complaint in complaints]
        print(json.dumps({"ok": not count["problem"], "complaints": told}, ensure_ascii=False, indent=2))
    else:
        for complaint in sorted(complaints, key=lambda complaint: list(SIGNS).index(complaint.level)):
            print(_line(complaint))
        print(f"\n{count['problem']} problems, {count['advice']} pieces of advice, {count['fine']} fine")
    return 1 if count["problem"] else 0


def examined(path: Path, site: "SiteFiles", *, trial: bool) -> "Iterator[Complaint]":
    """Everything that can be looked at from here, one after another."""
    from gateway.doctor import books, broker, machine, reach, security
    from gateway.doctor.complaint import advice
    from gateway.sources.mqtt import Mqtt
    from ingest.standing import in_use

    for warning in site.warnings:
        yield advice("settings", warning, "watchline check says more")
    yield from security.examine(path, site)
    yield from machine.examine(site)
    yield from books.examine(site)
    yield from reach.examine(site, running=in_use(site.settings.site.data))
    for source in site.sources:
        if isinstance(source, Mqtt):
            yield from broker.examine(source, site.settings.site.id, trial=trial)


def _line(complaint: "Complaint") -> str:
    do = f"\n         do: {complaint.do}" if complaint.do else ""
    return f"{SIGNS[complaint.level]:<8} {complaint.about}: {complaint.says}{do}"
