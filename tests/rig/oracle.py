"""Oracle: knows what was acknowledged, and says in words what a gateway's folder no longer holds."""

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq

from ingest.journal import FILE_NAME, listed, open_reader, stored_arrivals
from ingest.ledger import Ledger, read_ledger

SHOWN = 5
COUNTER = "counter-"  # channels whose values are numbers of readings


def in_journal(data: Path) -> Counter[int]:
    """How often the journal holds each numbered reading; opens nothing for writing."""
    with contextlib.closing(open_reader(data)) as connection:
        ids = listed(connection).id
        held: Counter[int] = Counter()
        for *_, batch in stored_arrivals(connection, 0, 1 << 62):
            if batch is not None:
                pairs = zip(batch.channel.tolist(), batch.value.tolist())
                held.update(int(value) for channel, value in pairs if ids[channel].startswith(COUNTER))
        return held


def archived(folder: Path) -> Iterator[tuple[str, float]]:
    """(channel, value) of every reading in an archive."""
    for file in sorted(folder.rglob("*.parquet")):
        table = pq.read_table(file, columns=["channel", "value"])
        table.validate(full=True)
        yield from zip(table["channel"].to_pylist(), table["value"].to_pylist())


def in_archive(folder: Path) -> Counter[int]:
    return Counter(int(value) for channel, value in archived(folder) if channel.startswith(COUNTER))


def in_outbox(data: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(f"file:{data / FILE_NAME}?mode=ro", uri=True)) as db:
        return {id for (id,) in db.execute("SELECT event_id FROM outbox")}


def troubles(folder: Path, numbers: Iterable[int], told: Iterable[str] = ()) -> list[str]:
    """What is wrong with a stopped gateway's folder: each number must be archived once, each id be told."""
    held = in_archive(folder / "archive")
    expected = set(numbers)
    found = [
        *_named("acknowledged and lost", sorted(expected - held.keys())),
        *_named("kept more than once", sorted(number for number, n in held.items() if n > 1)),
        *_named("kept though never sent", sorted(held.keys() - expected)),
        *_named("told and forgotten", sorted(set(told) - in_outbox(folder / "data"))),
    ]
    ledger = read_ledger(folder / "data")
    if not ledger.balanced:
        found.append(f"the ledger does not balance:\n{ledger.table()}")
    rows = sum(1 for _ in archived(folder / "archive"))
    if rows != (stored := _stored(ledger)):
        found.append(f"the ledger says that {stored} readings are archived, the archive holds {rows}")
    return found + _facts(folder / "archive")


def _stored(ledger: Ledger) -> int:
    courier = ledger.couriers.get("archive")
    return 0 if courier is None else courier.stored


def _facts(archive: Path) -> list[str]:
    """A replay needs the facts: whole lines, ticks that rise."""
    path = archive / "facts.jsonl"
    if not path.exists():
        return [f"{path.name} is missing"]
    try:
        ticks = [json.loads(line)["tick"] for line in path.read_text().splitlines()]
    except (ValueError, KeyError) as error:
        return [f"{path.name} holds a line that cannot be read: {error}"]
    return [] if ticks == sorted(ticks) else [f"{path.name}: ticks out of order"]


def _named(what: str, which: list[int] | list[str]) -> list[str]:
    if not which:
        return []
    some = ", ".join(str(one) for one in which[:SHOWN])
    return [f"{len(which)} {what}: {some}{' …' if len(which) > SHOWN else ''}"]
