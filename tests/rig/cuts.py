"""Cuts: one run is recorded; the power fails at many moments of it, and each time the gateway must recover.

A recording is a folder: the lives' strace logs, and the site as it was before them. A trial is a recording
and a seed, so that the same two give the same cut.
"""

import contextlib
import functools
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from config.channels import ChannelTable
from config.lists import read_channels
from gateway.payloads import Decoder
from ingest.readings import ReadingBatch
from tests.living import BROKER, HOUSE, WAIT_S, Beat, Publisher, stub_receiver, until
from tests.parts import mosquitto
from tests.rig import tape
from tests.rig.disk import Disk, write_out
from tests.rig.ears import Ears
from tests.rig.oracle import COUNTER, troubles
from tests.rig.recovery import recover, write_settings
from tests.rig.site import COUNTERS, SITE, Feed, counters, probes, write_site
from tests.rig.subject import readings
from tests.rig.tape import Event
from tests.rig.verdict import Trial

TOPIC = f"watchline/v1/{SITE}/+/readings"
KINDS = ("write", "synced", "truncate", "rename", "unlink", "create", "mkdir", "sent", "said")
PROBES = 4
JOBS = 6  # a recovery mostly waits for the next second


@dataclass
class Knowledge:
    """What the oracle knows at a moment of a tape."""

    ears: Ears = field(default_factory=Ears)
    sent: dict[int, int] = field(default_factory=dict)  # the subject's groups: first number, end
    kept: dict[int, int] = field(default_factory=dict)  # those that it acknowledged
    told: set[str] = field(default_factory=set)

    def follow(self, event: Event) -> None:
        self.ears.follow(event)
        if event.kind == "said":
            for line in event.data.decode().splitlines():
                word, *rest = line.split()
                if word in ("sent", "kept"):
                    (self.sent if word == "sent" else self.kept)[int(rest[0])] = int(rest[1])
                elif word == "told":
                    self.told.add(rest[0])

    def judge(self, channels: ChannelTable) -> tuple[set[int], list[ReadingBatch], set[str]]:
        """(numbers that must be there once all is sent again, what is sent again, events that were told)."""
        decoder = Decoder(channels, TOPIC)
        messages = [*self.ears.acknowledged, *self.ears.waiting.values()]
        numbers = set(_numbers(decoder.decode(messages, 0).readings, channels))
        again = [decoder.decode([message], 0).readings for message in self.ears.waiting.values()]
        place = np.array([channels.number[f"{COUNTER}{n}.flow"] for n in range(COUNTERS)])
        numbers.update(n for start, end in self.sent.items() for n in range(start, end))
        again += [readings(start, end, place) for start, end in self.not_kept()]
        return numbers, again, self.told | self.ears.told

    def not_kept(self) -> list[tuple[int, int]]:
        """Groups of the subject that it has not acknowledged."""
        return [(start, end) for start, end in self.sent.items() if start not in self.kept]


def _numbers(batch: ReadingBatch, channels: ChannelTable) -> Iterator[int]:
    for channel, value in zip(batch.channel.tolist(), batch.value.tolist()):
        if channels.ids[channel].startswith(COUNTER):
            yield int(value)


def record_gateway(folder: Path, seed: int) -> None:
    """Three lives of a real gateway at a broker, with gas alarms told to a webhook: one killed, two tidy."""
    chance = random.Random(seed)
    root = folder / "root"
    with (
        mosquitto(folder / "broker", BROKER) as broker,
        stub_receiver(folder / "receiver") as receiver,
        contextlib.closing(Publisher(broker.port, SITE)) as publisher,
    ):
        channels = [*counters(), *probes(PROBES)]
        write_site(root, broker.port, channels, receiver.notifier, "snapshot_every_s = 1")
        _before(folder)
        feed = Feed(publisher, PROBES)
        with Beat(0.02, feed.step):
            for life, kill in enumerate((False, True, False)):
                log = folder / f"life-{life}.strace"
                process = subprocess.Popen(
                    tape.command(
                        log, [sys.executable, "-m", "gateway.cli", "run", str(root / "gateway.toml")]
                    ),
                    cwd=HOUSE,
                    stderr=(folder / "said").open("ab"),
                )
                until(lambda: (root / "data" / "journal.sqlite").exists())
                time.sleep(chance.uniform(1.0, 2.0))
                feed.leak(life)
                time.sleep(chance.uniform(1.0, 2.0))
                _end(process, kill)
                tape.complete(log, process.pid)


def record_days(folder: Path, seed: int) -> None:
    """Three lives of a storage whose days pass in seconds, one of them ended without a word."""
    root = folder / "root"
    write_site(root, 1, counters())
    _before(folder)
    knowledge = Knowledge()
    for life, end in enumerate(("tidy", "sudden", "tidy")):
        live_days(root, seed * 10 + life, 12 - 4 * life, end, knowledge, folder / f"life-{life}.strace")


def live_days(
    root: Path, life: int, days_ago: float, end: str, knowledge: Knowledge, log: Path | None = None
) -> None:
    """One life of the subject; what it said is added to the knowledge. With `log` it is recorded there."""
    again = [str(n) for pair in knowledge.not_kept() for n in pair]
    settings = str(root / "gateway.toml")
    command = [
        sys.executable,
        "-m",
        "tests.rig.subject",
        settings,
        str(life * 10_000_000),
        str(days_ago),
        end,
    ]
    process = subprocess.Popen(
        [*command, *again] if log is None else tape.command(log, [*command, *again]),
        cwd=HOUSE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said, errors = process.communicate(timeout=60 + WAIT_S)
    assert process.returncode == (9 if end == "sudden" else 0), errors.decode()
    knowledge.follow(Event("said", data=said))
    if log is not None:
        tape.complete(log, process.pid)


RECORDERS = {"cut of a gateway": record_gateway, "cut of days": record_days}


def _before(folder: Path) -> None:
    write_settings(folder / "root")
    shutil.copytree(folder / "root", folder / "before")


def _end(process: subprocess.Popen[bytes], kill: bool) -> None:
    assert process.poll() is None, "the gateway died by itself"
    (process.kill if kill else process.terminate)()
    process.wait(60)


@functools.lru_cache(maxsize=2)
def _tape(folder: Path) -> list[Event]:
    return tape.read_tape(sorted(folder.glob("life-*.strace")), folder / "root")


def _fresh_disk(folder: Path) -> Disk:
    """Everything that was there before is safe, the parts of the root's own path too."""
    root, before = folder / "root", folder / "before"
    paths = sorted(before.rglob("*"))
    there = {path: str(root / path.relative_to(before)) for path in paths}
    files = {there[path]: path.read_bytes() for path in paths if path.is_file()}
    return Disk(files, [str(root), *(there[path] for path in paths if path.is_dir())])


def moment(events: list[Event], chance: random.Random) -> int:
    """Where to cut: kinds of events alike, however many there are of each; just before or behind one."""
    kind = chance.choice(KINDS)
    places = [n for n, event in enumerate(events) if event.kind == kind] or list(range(len(events)))
    return chance.choice(places) + chance.choice((0, 1, 1))


def cut(folder: Path, seed: int, keep: Path | None = None) -> list[str]:
    """One power cut; what the oracle found. With `keep`, what was left is put there to be looked at."""
    events, chance = _tape(folder), random.Random(seed)
    disk, knowledge = _fresh_disk(folder), Knowledge()
    for event in events[: moment(events, chance)]:
        disk.follow(event)
        knowledge.follow(event)
    state = disk.after_power_cut(chance)
    with tempfile.TemporaryDirectory(dir=fast_folder(), prefix="watchline-cut-") as place:
        left = Path(place) / "left"
        write_out(state, folder / "root", left)
        _shared_memory(left, chance)
        if keep is not None:
            shutil.copytree(left, keep, dirs_exist_ok=True)
        channels, _ = read_channels(left / "channels.csv")
        numbers, again, told = knowledge.judge(channels)
        try:
            return recover(left, again) or troubles(left, numbers, told)
        except Exception as error:
            return [f"{type(error).__name__}: {error}"]


def _shared_memory(left: Path, chance: random.Random) -> None:
    """SQLite's index of the WAL is mapped memory: no trace sees it, no sync confirms it."""
    path = left / "data" / "journal.sqlite-shm"
    if not path.parent.exists():
        return
    way = chance.choice(("none", "zeros", "anything"))
    if way != "none":
        path.write_bytes(bytes(32768) if way == "zeros" else chance.randbytes(32768))


def fast_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def trials(folder: Path, seed: int, count: int, recording: Path | None = None) -> Iterator[Trial]:
    """`count` cuts, half of them of each recording; recordings with a failure are worth keeping."""
    folders = {"cut again": recording} if recording else _recorded(folder, seed)
    share = -(-count // len(folders))
    with ProcessPoolExecutor(JOBS, get_context("spawn")) as pool:
        for kind, place in folders.items():
            seeds = range(seed, seed + min(share, count))
            count -= len(seeds)
            for number, found in zip(seeds, pool.map(functools.partial(cut, place), seeds)):
                again = f"python -m tests.rig --only cuts --recording {place} --seed {number} --count 1"
                yield Trial(kind, number, tuple(found), again)


def _recorded(folder: Path, seed: int) -> dict[str, Path]:
    folders = {}
    for kind, record in RECORDERS.items():
        folders[kind] = folder / kind.replace(" ", "-")
        folders[kind].mkdir(parents=True)
        record(folders[kind], seed)
    return folders
