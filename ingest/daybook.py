"""Daybook: a line of the ledger a day, each with the SHA-256 of the line before; what was said stays said.

`ledger.jsonl` in the data folder. Changing or removing a line breaks the chain at the next one, for whoever
keeps the newest hash elsewhere: the log tells it each day.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from config.errors import SettingsError
from ingest.ledger import Ledger
from ingest.parquet import sync

FILE_NAME = "ledger.jsonl"
NOTHING = "0" * 64  # what the first line has before it
RISING = ("received", "durable", "duplicate")  # figures of all lanes that never fall


@dataclass(frozen=True)
class Verdict:
    """What a look at the whole chain came to; `broken` says where and how, "" where it holds."""

    lines: int
    newest: str  # hash of the last line; NOTHING where there is none
    broken: str


def append(folder: Path, ledger: Ledger, about: Mapping[str, Any]) -> str:
    """Write today's line, synced; its hash. A line that a crash tore is cut off before.

    about: what else to write down, such as the moment and the settings' hash. OSError as usual.
    """
    path = folder / FILE_NAME
    with path.open("a+b") as file:
        file.seek(0)
        lines, torn = _lines(file.read())
        if torn:
            file.truncate(file.tell() - len(torn))
        before = _hash(lines[-1]) if lines else NOTHING
        total = ledger.as_dict()["total"]
        entry = {"line": len(lines) + 1, **about, "balanced": ledger.balanced, **total}
        entry |= {
            "lanes": len(ledger.lanes),
            "journal": {"kept": ledger.kept, "removed": ledger.removed},
            "couriers": ledger.as_dict()["couriers"],
            "before": before,
        }
        line = msgspec.json.encode(entry)
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if not lines:
        sync(folder)
    return _hash(line)


def last_moment(folder: Path) -> str:
    """The `at` of the newest line; "" where there is none that can be read."""
    path = folder / FILE_NAME
    lines, torn = _lines(path.read_bytes()) if path.exists() else ([], b"")
    if torn or not lines:
        return ""
    try:
        at = str(msgspec.json.decode(lines[-1])["at"])
        return at if datetime.fromisoformat(at).tzinfo else ""
    except (ValueError, KeyError, TypeError):
        return ""


def verify(folder: Path) -> Verdict:
    """Go along the whole chain; SettingsError where there is none yet."""
    path = folder / FILE_NAME
    if not path.is_file():
        raise SettingsError(f"{path}: no such file; the first line is written when a gateway starts")
    before, known = NOTHING, dict.fromkeys(RISING, 0)
    lines, _ = _lines(path.read_bytes())
    for number, line in enumerate(lines, 1):
        trouble = _trouble(line, number, before, known)
        if trouble:
            return Verdict(number - 1, before, f"{path}:{number}: {trouble}")
        before = _hash(line)
    return Verdict(len(lines), before, "")


def _lines(content: bytes) -> tuple[list[bytes], bytes]:
    """(whole lines, the end that a crash tore). Only a newline ends one: a carriage return is damage."""
    *lines, torn = content.split(b"\n")
    return lines, torn


def _trouble(line: bytes, number: int, before: str, known: dict[str, int]) -> str:
    try:
        entry = msgspec.json.decode(line, type=dict[str, Any])
    except ValueError as error:  # also a text that is no UTF-8
        return f"is no line of the ledger ({error})"
    if entry.get("before") != before:
        return "does not carry the hash of the line before: that one was changed, or lines were removed"
    if entry.get("line") != number:
        return f"is numbered {entry.get('line')}"
    for name in RISING:
        if not isinstance(entry.get(name), int) or entry[name] < known[name]:
            return f"{name} fell from {known[name]} to {entry.get(name)}: the journal began anew before it"
        known[name] = entry[name]
    return ""


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
