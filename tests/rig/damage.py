"""Damage: bytes of the gateway's and the centre's files are flipped or cut off; both start all the same.

Damage may cost readings: then at least so many are counted as lost, and nothing is made up.
"""

import contextlib
import functools
import http.client
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from ingest.journal import FILE_NAME
from ingest.ledger import read_ledger
from tests.alerts.centre.world import centre
from tests.living import HOUSE, WAIT_S
from tests.parts import free_port
from tests.rig.cuts import JOBS, Knowledge, fast_folder, live_days
from tests.rig.oracle import SHOWN, in_archive, in_journal
from tests.rig.recovery import recover, write_settings
from tests.rig.site import counters, write_site
from tests.rig.subject import MOST_GROUPS
from tests.rig.verdict import Trial

LIVES = 3  # a life that meets damage may end; the service manager starts the next
KINDS = ("journal", "wal", "snapshot", "archive", "casebook")


@dataclass(frozen=True)
class Before:
    """Folders that are whole, and what was acknowledged to be in the first."""

    gateway: Path
    centre: Path
    numbers: frozenset[int]
    last: frozenset[int]  # of them, those of the last two commits
    durable: int  # as the ledger has it


def prepare(folder: Path, seed: int) -> Before:
    """A gateway that stopped once and died once, with days of archive; a centre that has heard of alarms."""
    root = folder / "root"
    write_site(root, 1, counters())
    write_settings(root)
    knowledge = Knowledge()
    for life, end in enumerate(("tidy", "sudden")):
        live_days(root, seed * 10 + life, 12 - 4 * life, end, knowledge)
    groups = [range(start, end) for start, end in sorted(knowledge.kept.items())]
    (folder / "centre").mkdir()
    with centre(folder / "centre", gateways=("east",)) as there:
        east = there.gateway("east")
        for place in range(20):
            east.tell(east.alarm(f"water.main-{place}").raised())
    numbers = frozenset(number for group in groups for number in group)
    last = frozenset(number for group in groups[-2 * MOST_GROUPS :] for number in group)
    return Before(root, folder / "centre", numbers, last, read_ledger(root / "data").durable)


def hurt(before: Before, kind: str, seed: int) -> list[str]:
    """Damage a copy, and ask."""
    chance = random.Random(f"{seed} {kind}")
    with tempfile.TemporaryDirectory(dir=fast_folder(), prefix="watchline-damage-") as place:
        left = Path(place) / "left"
        shutil.copytree(before.centre if kind == "casebook" else before.gateway, left)
        try:
            return _asked(before, kind, left, chance)
        except Exception as error:
            return [f"{type(error).__name__}: {error}"]


def _asked(before: Before, kind: str, left: Path, chance: random.Random) -> list[str]:
    journal = left / "data" / FILE_NAME
    if kind == "casebook":
        how = damage(left / "state" / "casebook.db", chance)
        return [f"{how}: {trouble}" for trouble in _start_centre(left)]
    if kind == "snapshot":
        how = _damage_snapshot(journal, chance)
    else:
        wal = journal.with_name(f"{FILE_NAME}-wal")
        if kind == "journal" and chance.random() < 0.5:  # half of them as after a tidy stop
            _put_together(journal)
        victims = {
            "journal": [journal],
            "wal": [wal],
            "archive": sorted((left / "archive").glob("*.parquet")),
        }
        how = damage(chance.choice(victims[kind]), chance)
    found = _lives(left)
    if kind == "wal" and " cut " in how:  # nothing tells that synced frames are missing at the end
        return [f"{how}: {trouble}" for trouble in found]
    return [f"{how}: {trouble}" for trouble in found or _counted(before, left, kind)]


def damage(path: Path, chance: random.Random) -> str:
    """Flip bytes, zero a sector, or cut the end off; what was done, in words."""
    content = bytearray(path.read_bytes())
    way = chance.choice(("flipped", "flipped", "zeroed", "cut"))
    at = chance.randrange(len(content))
    if way == "cut":
        del content[at:]
    elif way == "zeroed":
        at -= at % 512
        content[at : at + 512] = bytes(len(content[at : at + 512]))
    else:
        for _ in range(chance.choice((1, 1, 8))):
            at = chance.randrange(len(content))
            content[at] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return f"{path.name} {way} at {at}"


def _damage_snapshot(journal: Path, chance: random.Random) -> str:
    with contextlib.closing(sqlite3.connect(journal)) as db:
        id, state = db.execute("SELECT id, state FROM snapshots ORDER BY id DESC LIMIT 1").fetchone()
        blob = bytearray(state)
        at = chance.randrange(len(blob))
        blob[at] ^= 1 << chance.randrange(8)
        db.execute("UPDATE snapshots SET state = ? WHERE id = ?", (bytes(blob), id))
        db.commit()
    return f"snapshot flipped at {at}"


def _put_together(journal: Path) -> None:
    """Fold the WAL into the file, as a tidy stop does."""
    with contextlib.closing(sqlite3.connect(journal)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _lives(left: Path) -> list[str]:
    """Start again and again, as a service manager does, until a life ends tidily."""
    found: list[str] = []
    for _ in range(LIVES):
        found = recover(left, [])
        if not found:
            return []
    return found


def _counted(before: Before, left: Path, kind: str) -> list[str]:
    """What is missing is counted; nothing is there that was never sent."""
    held = in_journal(left / "data")
    with contextlib.suppress(OSError, ValueError):  # an archive file that is damaged cannot be read
        held |= in_archive(left / "archive")
    ledger = read_ledger(left / "data")
    if kind == "archive":
        return [] if ledger.balanced else [f"the ledger does not balance:\n{ledger.table()}"]
    if not ledger.balanced:
        return []  # a figure was damaged itself, and that shows
    if ledger.durable < before.durable and ledger.notes.get("damaged files put aside"):
        return []  # the books themselves were lost, and the file is there to show it
    torn = before.last if kind == "wal" else frozenset()  # looks like the torn end that a power cut leaves
    missing = sorted(before.numbers - held.keys() - torn)
    counted = sum(n for what, n in ledger.notes.items() if what.startswith("lost"))
    counted += sum(n for courier in ledger.couriers.values() for n in courier.dead_lettered.values())
    if len(missing) > counted:
        some = ", ".join(map(str, missing[:SHOWN]))
        return [f"{len(missing)} readings are gone ({some} …), counted as lost are {counted}"]
    return []


def _start_centre(left: Path) -> list[str]:
    """It answers, or it ends with a plain sentence that names the file."""
    port = free_port()
    settings = left / "centre.toml"
    lines = [
        f"port = {port}" if line.startswith("port =") else line for line in settings.read_text().split("\n")
    ]
    settings.write_text("\n".join(lines))
    log = left / "said"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "centre", str(settings)], cwd=HOUSE, stdout=out, stderr=out
        )
    try:
        end = time.monotonic() + WAIT_S
        while process.poll() is None and time.monotonic() < end:
            if (status := _status_of(port)) is not None:
                return [] if status < 500 else [f"the centre answers {status}"]
            time.sleep(0.1)
        said = log.read_text(errors="replace")
        if process.poll() is None:
            return ["the centre neither answers nor ends"]
        plain = process.returncode in (1, 2) and "Traceback" not in said and "casebook" in said
        return [] if plain else [f"the centre ended with {process.returncode}: …{said[-600:]}"]
    finally:
        process.kill()
        process.wait()


def _status_of(port: int) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    try:
        connection.request("GET", "/login")
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def trials(folder: Path, seed: int, count: int) -> Iterator[Trial]:
    """`count` of each kind."""
    before = prepare(folder / "damage", seed)
    with ProcessPoolExecutor(JOBS, get_context("spawn")) as pool:
        for kind in KINDS:
            seeds = range(seed, seed + count)
            for number, found in zip(seeds, pool.map(functools.partial(hurt, before, kind), seeds)):
                again = f"python -m tests.rig --only damage --seed {number} --count 1"
                yield Trial(f"damaged {kind}", number, tuple(found), again)
