"""Ticks: everything that had arrived by one moment, and that moment; time comes in with the data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ingest.readings import ReadingBatch

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Command:
    """What staff or the centre decided for this gateway; it acts in the tick that carries it.

    kind: ack, shelve, unshelve, out_of_service, context, roster, adopt_regime.
    """

    id: str
    kind: str
    body: Mapping[str, Any]
    actor: str
    issued_ns: int = 0


@dataclass(frozen=True, slots=True)
class Epoch:
    """A new reckoning of time: no silence is counted across it, no late or early rule before a good clock.

    reason: start, stop, clock_step, settings, gap.
    watched_ns: the last moment that was watched before it, also where nothing was recorded then; 0: unknown.
    """

    reason: str
    clock_good: bool = True
    settings_hash: str = ""
    watched_ns: int = 0


@dataclass(frozen=True, slots=True)
class Tick:
    """With the settings' hash, a tick decides everything that the watch says.

    now_ns is a whole second of stream time; a reading belongs to the first tick at or after its arrival.
    readings are sorted by channel and time.
    """

    now_ns: int
    readings: ReadingBatch
    commands: tuple[Command, ...] = ()
    epoch: Epoch | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of `facts.jsonl`: a command or an epoch with its tick; what a replay needs beside readings."""

    tick_ns: int
    kind: str  # "command" or "epoch"
    body: Mapping[str, Any] = field(default_factory=dict)


def tick_of(arrival_ns: int) -> int:
    """The tick to which an arrival belongs: the first whole second at or after it."""
    return -(-arrival_ns // SECOND_NS) * SECOND_NS
