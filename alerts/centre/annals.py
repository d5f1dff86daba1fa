"""Annals: the casebook read as an alarm log, beside a centre that runs or not."""

import contextlib
import sqlite3
from pathlib import Path

import msgspec

from alerts.alarmlog import Entry, Log, Taken, entry_of
from alerts.centre.accounts import accounts
from alerts.centre.casebook import all_facts
from alerts.centre.events import ALERT, CASE, Fact
from config.errors import InputError, SettingsError
from config.lists import time_ns

TAKES = frozenset(
    {"acknowledged", "filed", "reported", "confirmed"}
)  # what staff do to an incident that shows that they saw it


def read_log(path: Path) -> Log:
    """All that a casebook holds; a damaged fact is left out. SettingsError where there is none."""
    if not path.is_file():
        raise SettingsError(f"{path}: no such file; this centre has not run yet")
    entries: list[Entry] = []
    taken: list[Taken] = []
    outcomes: dict[str, str] = {}
    try:
        address = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=30)) as connection:
            staff = frozenset(account.name for account in accounts(connection))
            for fact in all_facts(connection):
                with contextlib.suppress(KeyError, TypeError, ValueError, InputError, msgspec.MsgspecError):
                    _take(fact, entries, taken, outcomes)
    except sqlite3.DatabaseError as error:
        raise SettingsError(f"{path}: cannot be read as a casebook: {error}") from error
    return Log(entries, taken, outcomes=outcomes, staff=staff)


def _take(fact: Fact, entries: list[Entry], taken: list[Taken], outcomes: dict[str, str]) -> None:
    if fact.type.startswith(ALERT):
        entry = entry_of({"type": fact.type, "data": msgspec.json.decode(fact.data)}, time_ns)
        if entry is not None:
            entries.append(entry)
    elif fact.type.startswith(CASE):
        body, incident = msgspec.json.decode(fact.data), fact.incident.partition("/")[2]
        if fact.type.removeprefix(CASE).removesuffix(".v1") in TAKES:
            taken.append(Taken(fact.received_ns, incident, str(body.get("actor", ""))))
        if "outcome" in body:
            outcomes[incident] = str(body["outcome"])
