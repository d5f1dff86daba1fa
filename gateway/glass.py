"""Glass: a wearer's vital signs behind glass; who breaks it is logged, synced, before anything is shown."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from alerts.alert import rfc3339
from alerts.orders import REASON_LEAST
from alerts.sealing import seal
from config.channels import ChannelTable
from config.errors import InputError, SettingsError
from ingest.history import history
from ingest.ticks import SECOND_NS, Command

LOG = "break-glass.jsonl"
VITALS = "city.linkage.node.vitals.v1"
REMOTE_MOST = 60  # minutes back that the centre may ask for
MINUTES_MOST = 24 * 60


def look(
    data: Path, channels: ChannelTable, person: str, actor: str, reason: str, minutes: int, now_ns: int
) -> list[dict[str, Any]]:
    """The last good value of each quantity of a wearer, by quantity; InputError where it may not be shown.

    The journal alone is asked: what it has forgotten is no longer urgent.
    """
    numbers = [n for n, place in enumerate(channels.place) if place == person]
    if not numbers or any(channels.medium[n] != "wristband" for n in numbers):
        raise InputError(f"--person {person}: no wristband of that place in channels.csv")
    if len(" ".join(reason.split())) < REASON_LEAST:
        raise InputError(f"--reason: say why in at least {REASON_LEAST} characters")
    if not 1 <= minutes <= MINUTES_MOST:
        raise InputError(f"--minutes {minutes}: must lie between 1 and {MINUTES_MOST}")
    _note(
        data, {"at": rfc3339(now_ns), "actor": actor, "person": person, "reason": reason, "minutes": minutes}
    )
    rows = []
    for number in numbers:
        curve = history(
            channels.ids[number], now_ns - minutes * 60 * SECOND_NS, now_ns + SECOND_NS, data=data
        )
        good = [n for n in range(len(curve)) if curve.value[n] == curve.value[n]]
        if good:
            last = good[-1]
            rows.append(
                {
                    "quantity": channels.quantity[number],
                    "value": float(curve.value[last]),
                    "unit": channels.unit[number],
                    "at": rfc3339(int(curve.time_ns[last])),
                }
            )
    return sorted(rows, key=lambda row: str(row["quantity"]))


def answer(data: Path, channels: ChannelTable, command: Command, source: str, now_ns: int) -> dict[str, Any]:
    """The centre's look, as an event that only the one who asks can open; or why there is nothing to open."""
    body = command.body
    key, person = str(body.get("key", "")), str(body.get("person", ""))
    minutes = body.get("minutes")
    told: dict[str, Any] = {"key": key}
    try:
        back = min(REMOTE_MOST, minutes) if isinstance(minutes, int) else REMOTE_MOST
        rows = look(
            data, channels, person, f"centre: {command.actor}", str(body.get("reason", "")), back, now_ns
        )
        told["sealed"] = seal(key, json.dumps(rows).encode(), command.id)
    except (SettingsError, ValueError) as error:
        told["error"] = str(error)
    return {
        "specversion": "1.0",
        "id": f"vitals-{command.id}",
        "source": source,
        "type": VITALS,
        "time": rfc3339(now_ns),
        "datacontenttype": "application/json",
        "data": told,
    }


def looks(data: Path) -> Iterator[dict[str, Any]]:
    """Who looked at whom and why, oldest first."""
    path = data / LOG
    if path.exists():
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)


def _note(data: Path, line: Mapping[str, Any]) -> None:
    """One line more, on the disk; InputError where it cannot be: then nothing is shown."""
    try:
        descriptor = os.open(data / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, (json.dumps(line, ensure_ascii=False) + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InputError(f"{data / LOG} cannot be written, so nothing is shown: {error}") from error
