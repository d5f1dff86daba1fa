"""Books: what the journal itself says is wrong: readings lost, stores and receivers that hear nothing."""

from collections.abc import Iterator
from pathlib import Path

from config.errors import SettingsError
from config.load import SiteFiles
from gateway.doctor.complaint import Complaint, advice, fine, problem
from gateway.report import Report, from_journal
from ingest import daybook
from ingest.journal import FILE_NAME

LONG_CARRYING_S = 7200.0  # an hour of the archive is written when it is over
LONG_TELLING_S = 600.0
NEAR_FULL = 0.8


def examine(site: SiteFiles) -> Iterator[Complaint]:
    settings = site.settings.site
    if not (settings.data / FILE_NAME).is_file():
        yield fine("journal", "there is none yet: no gateway has run with these settings")
        return
    try:
        report = from_journal(settings.data, settings.id, settings.name)
    except SettingsError as error:
        yield problem("journal", str(error), "restore a backup, or move the file away to start afresh")
        return
    found = [*_lost(report), *_waiting(report, settings.backlog_bytes), *_chain(settings.data)]
    yield from found
    if not found:
        total = report["ledger"]["total"]
        yield fine("journal", f"{total['received']:,} readings received, each accounted for")


def _lost(report: Report) -> Iterator[Complaint]:
    ledger = report["ledger"]
    total = ledger["total"]
    if not ledger["balanced"]:
        yield problem("ledger", "it does not balance: readings are unaccounted for", "please report this")
    for reason, n in total["dropped"].items():
        yield advice("ledger", f"{n:,} readings were dropped: {reason}", "watchline ledger names the devices")
    for reason, n in total["undecodable"].items():
        do = "watchline ledger names the devices; mend them, or list them in channels.csv"
        yield advice("ledger", f"{n:,} messages could not be used: {reason}", do)
    if damaged := ledger["journal"].get("damaged files put aside"):
        lost = sum(n for what, n in ledger["journal"].items() if what.startswith("lost"))
        says = f"it was found damaged {damaged:,} time(s), and {lost:,} readings of it were lost"
        yield problem("journal", says, "check the disk; journal-damaged-*.sqlite are kept for inquiries")
    for name, courier in ledger["couriers"].items():
        if courier["pruned"]:
            says = f"{courier['pruned']:,} readings were given up before they got there"
            yield problem(name, says, "raise backlog_s and backlog_bytes, or mend it sooner")


def _waiting(report: Report, backlog_bytes: int) -> Iterator[Complaint]:
    for name, courier in report["couriers"].items():
        if courier["age_s"] > LONG_CARRYING_S:
            hours = courier["age_s"] / 3600
            says = f"{courier['pending']:,} readings wait, the oldest for {hours:.1f} h"
            yield problem(name, says, "watchline status and the log say why")
    for name, receiver in report["receivers"].items():
        if receiver["age_s"] > LONG_TELLING_S:
            minutes = receiver["age_s"] / 60
            says = f"{receiver['waiting']:,} changes wait to be told, the oldest for {minutes:.0f} min"
            yield problem(name, says, "watchline status and the log say why")
        if receiver["refused"]:
            says = f"it refused {receiver['refused']:,} changes for good"
            yield advice(name, says, "the log says which and why")
    size = report["journal"]["bytes"]
    if size > NEAR_FULL * backlog_bytes:
        says = f"the journal holds {size / 2**30:.1f} of {backlog_bytes / 2**30:.1f} GiB; then the oldest go"
        yield problem("journal", says, "mend the store that is away, or raise backlog_bytes")


def _chain(folder: Path) -> Iterator[Complaint]:
    try:
        verdict = daybook.verify(folder)
    except SettingsError:
        return
    if verdict.broken:
        yield problem("ledger", verdict.broken, "compare with the hashes in the log of those days")
