"""Ledger: what became of every reading, per lane and per courier; every reading is somewhere, or it is a bug.

Per lane (a device, see `lanes.py`): received = durable + duplicate + dropped(reason). Per courier: durable =
stored + dead-lettered(reason) + withheld(reason) + pruned + pending. What all lanes received is counted a
second time where readings are handed in, and what is pending or kept is counted from what the journal holds,
not from the other figures, so that the sums prove something.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from config.errors import SettingsError
from ingest.journal import FILE_NAME, open_reader
from ingest.lanes import uncounted
from ingest.progress import pending
from ingest.writer import StorageFailed

Reasons = dict[str, int]
GONE = ("removed", "lost", "thinned")  # what the journal no longer holds: by age, by damage, by size
LANES_SHOWN = 20
LANE_HEAD = ("lane", "received", "durable", "duplicate", "dropped", "undecodable messages")


@dataclass
class Lane:
    """One device's readings; `undecodable` counts messages, apart."""

    received: int = 0
    durable: int = 0
    duplicate: int = 0
    dropped: Reasons = field(default_factory=dict)
    undecodable: Reasons = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        return self.received == self.durable + self.duplicate + sum(self.dropped.values())


@dataclass
class Courier:
    """What became of the durable readings at one far place."""

    durable: int = 0
    stored: int = 0
    dead_lettered: Reasons = field(default_factory=dict)
    withheld: Reasons = field(default_factory=dict)
    pruned: int = 0
    pending: int = 0

    @property
    def balanced(self) -> bool:
        gone = self.stored + sum(self.dead_lettered.values()) + sum(self.withheld.values()) + self.pruned
        return self.durable == gone + self.pending


@dataclass(frozen=True)
class Ledger:
    """All counters at one moment. `kept` readings are in the journal, `removed` ones were.

    sources: readings as they were handed in, by who did it.
    notes: what else the journal counts of itself: readings lost by damage (they are among the removed),
    thinned by policy, of conflicting values or without a time of their own; damaged files put aside.
    """

    lanes: Mapping[str, Lane]
    couriers: Mapping[str, Courier]
    kept: int
    removed: int
    sources: Mapping[str, int]
    notes: Mapping[str, int] = field(default_factory=dict)

    @property
    def durable(self) -> int:
        return sum(lane.durable for lane in self.lanes.values())

    @property
    def total(self) -> Lane:
        """All lanes as one."""
        total = Lane()
        for lane in self.lanes.values():
            total.received += lane.received
            total.durable += lane.durable
            total.duplicate += lane.duplicate
            for mine, its in ((total.dropped, lane.dropped), (total.undecodable, lane.undecodable)):
                for reason, n in its.items():
                    mine[reason] = mine.get(reason, 0) + n
        return total

    @property
    def balanced(self) -> bool:
        lanes = all(lane.balanced for lane in self.lanes.values())
        couriers = all(courier.balanced for courier in self.couriers.values())
        received = sum(lane.received for lane in self.lanes.values()) == sum(self.sources.values())
        return lanes and couriers and received and self.durable == self.kept + self.removed

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "balanced": self.balanced,
            "sources": dict(self.sources),
            "total": asdict(self.total),
            "lanes": {name: asdict(lane) for name, lane in self.lanes.items()},
            "couriers": {name: asdict(courier) for name, courier in self.couriers.items()},
            "journal": {"kept": self.kept, "removed": self.removed, **self.notes},
        }

    def table(self, every_lane: bool = False) -> str:
        """For people: all lanes as one, then those in which something is unusual, or every one."""
        shown = sorted(self.lanes) if every_lane else self._unusual()
        lanes = [LANE_HEAD, _lane_row("all lanes", self.total)]
        lanes += [_lane_row(name, self.lanes[name]) for name in shown[: None if every_lane else LANES_SHOWN]]
        left = len(self.lanes) - len(lanes) + 2
        couriers: list[tuple[str, ...]] = [
            ("courier", "durable", "stored", "pending", "pruned", "dead-lettered", "withheld")
        ]
        for name, courier in sorted(self.couriers.items()):
            figures = _figures(courier.durable, courier.stored, courier.pending, courier.pruned)
            couriers.append((name, *figures, _told(courier.dead_lettered), _told(courier.withheld)))
        verdict = (
            "balanced" if self.balanced else "NOT BALANCED: readings are unaccounted for; please report this"
        )
        rest = [] if every_lane or not left else [f"and {left:,} more lanes; --lanes shows every one"]
        noted = [f"{n:,} {what}" for what, n in sorted(self.notes.items())]
        also = ["", f"noted by the journal: {'; '.join(noted)}"] if noted else []
        return "\n".join([*_aligned(lanes), *rest, "", *_aligned(couriers), *also, "", verdict])

    def _unusual(self) -> list[str]:
        """Few lanes are all worth a line; of many those that lost most."""
        names = sorted(self.lanes)
        if len(names) <= LANES_SHOWN:
            return names
        lost = {
            name: lane.duplicate + sum(lane.dropped.values()) + sum(lane.undecodable.values())
            for name, lane in self.lanes.items()
        }
        return sorted((name for name in names if lost[name]), key=lambda name: -lost[name])


def read_ledger(folder: Path) -> Ledger:
    """The ledger of a gateway's data folder, while it runs or not; SettingsError when there is no journal."""
    with one_moment(folder) as connection:
        return ledger_of(connection)


@contextlib.contextmanager
def one_moment(folder: Path) -> Iterator[sqlite3.Connection]:
    """A reader of a journal to whom everything is of one moment; SettingsError where it cannot be read."""
    with contextlib.closing(open_reader(folder)) as connection:
        try:
            connection.execute("BEGIN")
            yield connection
        except (sqlite3.DatabaseError, StorageFailed) as error:
            raise SettingsError(
                f"{folder / FILE_NAME}: cannot be read: {error}; a start of the gateway puts it right"
            ) from error


def ledger_of(connection: sqlite3.Connection) -> Ledger:
    lanes: dict[str, Lane] = {}
    couriers: dict[str, Courier] = {}
    sources: dict[str, int] = {}
    notes: dict[str, int] = {}
    removed = 0
    for owner, name, what, reason, n in connection.execute(
        "SELECT owner, name, what, reason, n FROM counters WHERE owner != 'lanes'"
    ):
        if not isinstance(n, int) or not all(isinstance(text, str) for text in (owner, name, what, reason)):
            notes[f"unreadable counter: {owner} {name} {what}"] = 1  # damaged
            continue
        if owner == "journal":
            removed += n if what in GONE else 0
            if what != "removed":
                notes[f"{what}: {reason}" if reason else what] = n
            continue
        if owner == "inbox":
            sources[name] = n
            continue
        part = lanes.setdefault(name, Lane()) if owner == "lane" else couriers.setdefault(name, Courier())
        field_name = what.replace("-", "_")
        known = getattr(part, field_name, None)
        if known is None:
            notes[f"unknown counter: {owner} {name} {what}"] = 1  # damaged, or of another version
        elif isinstance(known, dict):
            known[reason] = n
        else:
            setattr(part, field_name, n)
    for name, n in uncounted(connection).items():
        lane = lanes.setdefault(name, Lane())
        lane.received += n
        lane.durable += n
    (kept,) = connection.execute("SELECT coalesce(sum(readings), 0) FROM arrivals").fetchone()
    durable = sum(lane.durable for lane in lanes.values())
    for (name,) in connection.execute(
        "SELECT courier FROM cursors WHERE typeof(courier) = 'text'"
    ).fetchall():
        courier = couriers.setdefault(name, Courier())
        courier.durable = durable
        courier.pending = pending(connection, name)
    return Ledger(lanes, couriers, kept, removed, sources, notes)


def _lane_row(name: str, lane: Lane) -> tuple[str, ...]:
    figures = _figures(lane.received, lane.durable, lane.duplicate)
    return (name, *figures, _told(lane.dropped), _told(lane.undecodable))


def _told(reasons: Reasons) -> str:
    return ", ".join(f"{n:,} {reason}" for reason, n in sorted(reasons.items())) or "0"


def _figures(*numbers: int) -> list[str]:
    return [f"{number:,}" for number in numbers]


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            text.rjust(width) if _is_figure(text) else text.ljust(width) for text, width in zip(row, widths)
        ).rstrip()
        for row in rows
    ]


def _is_figure(text: str) -> bool:
    return text.replace(",", "").isdigit()
