"""Annals: alert changes as an alarm log, from a gateway's journal or from a file that a replay wrote."""

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from alerts.alarmlog import Entry, Log, Setting, entry_of
from config.errors import InputError
from config.lists import time_ns
from ingest.ledger import one_moment
from ingest.survey import read_facts


def of_journal(folder: Path, site: str, archive: Path | None = None) -> Log:
    """What the outbox still holds (a week of what everybody was told), and changes of settings.

    The archive, where there is one, remembers earlier settings.
    """
    with one_moment(folder) as connection:
        rows = connection.execute("SELECT id, event, created_ns FROM outbox ORDER BY id").fetchall()
        epochs = connection.execute("SELECT now_ns, epoch FROM ticks WHERE epoch IS NOT NULL").fetchall()
    entries: list[Entry] = []
    for _, event, _ in rows:
        with contextlib.suppress(ValueError, KeyError, TypeError):  # damaged: it costs itself
            entry = entry_of(json.loads(event), time_ns)
            if entry is not None:
                entries.append(entry)
    hashes = list(_hashes(epochs))
    if archive is not None and archive.is_dir():
        facts = (tick for tick in read_facts(archive) if tick.epoch is not None)
        hashes += [(tick.now_ns, tick.epoch.settings_hash) for tick in facts if tick.epoch is not None]
    since_ns = rows[0][2] if rows and rows[0][0] > 1 else 0
    return Log(entries, settings=list(_changes(sorted(set(hashes)), site)), since_ns=since_ns)


def of_file(path: Path) -> Log:
    """Alert changes, one CloudEvent a line; InputError names the line that cannot be read."""
    entries: list[Entry] = []
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    entry = entry_of(json.loads(line), time_ns)
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise InputError(f"{path}:{number}: no alert change: {error!r}") from error
                if entry is not None:
                    entries.append(entry)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    return Log(entries)


def _hashes(epochs: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    for now_ns, text in epochs:
        with contextlib.suppress(ValueError, AttributeError):
            yield int(now_ns), str(json.loads(text).get("settings_hash", ""))


def _changes(hashes: Iterable[tuple[int, str]], site: str) -> Iterator[Setting]:
    """Where the settings are others than before; the first are where it began."""
    before = ""
    for at_ns, now in hashes:
        if now and before and now != before:
            yield Setting(at_ns, site, now)
        before = now or before
