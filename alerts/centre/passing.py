"""Passing on: the centre tells its own notifiers every alert change of every gateway, at least once."""

import sqlite3
from collections.abc import Sequence

import msgspec

from alerts import outbox
from alerts.centre.casebook import Casebook, append
from alerts.centre.events import ALERT, Fact
from alerts.delivery import Delivery
from alerts.notifiers.base import Home
from alerts.standby import standby_of
from config.settings import Notifier


def append_and_pass_on(connection: sqlite3.Connection, facts: Sequence[Fact]) -> list[Fact]:
    """Store facts, and put those that are alert changes into the outbox in the same transaction."""
    stored = append(connection, facts)
    connection.executemany(
        "INSERT INTO outbox (event_id, grade, event, created_ns) VALUES (?, ?, ?, ?)",
        [_letter(fact) for fact in stored if fact.type.startswith(ALERT)],
    )
    return stored


def deliveries(casebook: Casebook, notifiers: Sequence[Notifier]) -> list[Delivery]:
    """The senders of all receivers, started. SettingsError when one cannot be built."""
    home = Home("centre", dict, lambda command: None)
    senders = [
        Delivery(casebook, notifier.build(), notifier.label, home, standby=standby_of(notifier))
        for notifier in notifiers
    ]
    for sender in senders:
        sender.register()
    outbox.retire(casebook, [notifier.label for notifier in notifiers])
    for sender in senders:
        sender.start()
    return senders


def prune(connection: sqlite3.Connection, now_ns: int) -> int:
    """Forget what everybody has been told; how many were forgotten untold, because there were too many."""
    return outbox.prune(connection, now_ns)


class _Times(msgspec.Struct):
    detected: str


class _Head(msgspec.Struct):
    """What the envelope says of an alert's data; the rest is passed on as it came."""

    grade: str
    place: str
    t: _Times
    medium: str = ""


def _letter(fact: Fact) -> tuple[str, str, str, int]:
    data = msgspec.json.decode(fact.data, type=_Head)
    event = {
        "specversion": "1.0",
        "id": fact.id,
        "source": fact.source,
        "type": fact.type,
        "time": data.t.detected,
        "subject": f"{data.medium}/{data.place}",
        "datacontenttype": "application/json",
        "data": msgspec.Raw(fact.data),
    }
    return fact.id, data.grade, msgspec.json.encode(event).decode(), fact.received_ns
