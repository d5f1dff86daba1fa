"""Survey: what a recording consists of, before it is read: its parts, its facts, from when to when."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from config.errors import InputError
from ingest.csvfile import spool_csv
from ingest.influxql import is_address, spool_influx
from ingest.parquet import write_readings
from ingest.pieces import Intake, Piece, Spool, open_parquet
from ingest.readings import ReadingBatch
from ingest.shelf import FACTS, leftovers
from ingest.ticks import Command, Epoch, Tick

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fact:
    """A command or an epoch; `tick` is the journal's id of its tick, 0 where the file does not say."""

    tick: int
    tick_ns: int
    command: Command | None
    epoch: Epoch | None


@dataclass
class Part:
    """Pieces that belong together, and the facts to be merged among their ticks."""

    pieces: Sequence[Piece]
    facts: Sequence[Fact]
    admitted: bool


def parts_of(
    path: Path | str,
    intake: Intake,
    spool: Spool,
    *,
    facts: Path | None = None,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> list[Part]:
    """All that is to be read, in order. InputError names the file and what to do."""
    if is_address(str(path)):
        known = read_facts_file(facts) if facts else []
        return [Part(spool_influx(str(path), intake, spool, start_ns, end_ns), known, admitted=False)]
    return list(_parts(Path(path), intake, facts, spool))


@dataclass(frozen=True)
class Extent:
    """From when to when a recording goes, by arrival, and what its facts say."""

    first_ns: int
    last_ns: int
    epochs: tuple[int, ...]
    commands: tuple[int, ...]
    readings: int
    admitted: bool  # our archive wrote it: duplicates and conflicts have been told apart


def extent_of(path: Path, channels: ChannelTable, *, facts: Path | None = None) -> Extent | None:
    """What the footers of Parquet files tell; None where there is no reading. InputError as `read_ticks`."""
    intake, spool = Intake(channels), Spool()
    try:
        parts = list(_parts(path, intake, facts, spool))
    finally:
        spool.close()
        intake.close()
    pieces = [piece for part in parts for piece in part.pieces]
    if not pieces:
        return None
    return Extent(
        min(piece.first_ns for piece in pieces),
        max(piece.last_ns for piece in pieces),
        tuple(fact.tick_ns for part in parts for fact in part.facts if fact.epoch is not None),
        tuple(fact.tick_ns for part in parts for fact in part.facts if fact.command is not None),
        sum(piece.rows for piece in pieces),
        all(part.admitted for part in parts),
    )


def is_parquet(path: str) -> bool:
    """A Parquet file, or a folder of them: what any process can read part by part."""
    return not is_address(path) and (
        Path(path).is_dir() or (Path(path).is_file() and _is_parquet(Path(path)))
    )


def write_plain(
    out: Path,
    path: str,
    channels: ChannelTable,
    keep: NDArray[np.bool_] | None = None,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> None:
    """A recording of any form as one Parquet file, every reading as it came: nothing is judged yet."""
    intake, spool = Intake(channels, keep), Spool()
    try:
        parts = parts_of(path, intake, spool, start_ns=start_ns, end_ns=end_ns)
        batches = (batch for part in parts for piece in part.pieces for batch in piece.load())
        write_readings(out, batches, channels)
    finally:
        spool.close()
        intake.close()
    warn_of_strangers(path, intake)


def read_facts(path: Path, *, facts: Path | None = None) -> Iterator[Tick]:
    """The ticks that hold a command or an epoch, without readings, in the order of `read_ticks`."""
    known = facts or (path / FACTS if path.is_dir() and (path / FACTS).exists() else None)
    listed = read_facts_file(known) if known else []
    if not all(fact.tick for fact in listed):
        listed = sorted(listed, key=lambda fact: fact.tick_ns)
    place = 0
    while place < len(listed):
        place, alone = at_one_moment(listed, place)
        yield alone


def warn_of_strangers(path: Path | str, intake: Intake) -> None:
    """Say how many readings belong to nobody on the list."""
    if intake.unknown and not intake.quiet:
        log.warning("%s: %d readings of channels that are not listed were left out", path, intake.unknown)


def _parts(path: Path, intake: Intake, facts: Path | None, spool: Spool) -> Iterator[Part]:
    """What is to be read, in order, each with the facts that fall into it."""
    if path.is_dir():
        files = sorted(set(path.glob("*.parquet")) - set(leftovers(path)))
        if not files:
            raise InputError(
                f"{path}: no .parquet file in this folder; name a recording or an archive folder"
            )
        beside = path / FACTS
        known = read_facts_file(facts or beside) if facts or beside.exists() else []
    elif path.is_file():
        files, known = [path], read_facts_file(facts) if facts else []
        if not _is_parquet(path):
            yield Part(spool_csv(path, intake, spool), known, admitted=False)
            return
    else:
        raise InputError(f"{path}: no such file or folder; name a recording or an archive folder")
    opened = [open_parquet(file, intake) for file in files]
    foreign = [piece for file in opened if file.ticks is None for piece in file.pieces]
    if foreign or not all(fact.tick for fact in known):
        pieces = [piece for file in opened for piece in file.pieces]
        admitted = not foreign
        yield Part(pieces, sorted(known, key=lambda fact: fact.tick_ns), admitted)
        return
    done = 0
    for file in sorted(opened, key=lambda file: file.ticks or (0, 0)):
        first, last = file.ticks or (0, 0)
        yield Part([], [fact for fact in known if done < fact.tick < first], admitted=True)
        yield Part(file.pieces, [fact for fact in known if first <= fact.tick <= last], admitted=True)
        done = last
    yield Part([], [fact for fact in known if fact.tick > done], admitted=True)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1" or path.suffix == ".parquet"


def read_facts_file(path: Path) -> list[Fact]:
    """Commands and epochs; InputError names the line."""
    facts = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        try:
            fact = json.loads(line)
            body = fact["body"]
            command = Command(**body) if fact["kind"] == "command" else None
            epoch = Epoch(**body) if fact["kind"] == "epoch" else None
            facts.append(Fact(int(fact.get("tick", 0)), int(fact["tick_ns"]), command, epoch))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path}:{number}: not a fact: {error}; it needs tick_ns, kind and body"
            ) from error
    return facts


def at_one_moment(facts: Sequence[Fact], place: int) -> tuple[int, Tick]:
    """The facts of one tick as a tick without readings, and where the next ones begin."""
    now_ns = facts[place].tick_ns
    commands: list[Command] = []
    epoch: Epoch | None = None
    while place < len(facts) and facts[place].tick_ns == now_ns:
        fact = facts[place]
        epoch = fact.epoch or epoch
        if fact.command is not None:
            commands.append(fact.command)
        place += 1
    return place, Tick(now_ns, ReadingBatch.empty(), tuple(commands), epoch)
