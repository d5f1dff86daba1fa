"""Faults: the disk is full, broken, read-only or slow; the gateway waits or dies, and is started again.

One story is one gateway with one life a fault, injected by strace or, where we may mount, on a small file
system of its own; then a healthy life, and the oracle.
"""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.living import BROKER, HOUSE, WAIT_S, Beat, Gateway, Publisher, gateway, until
from tests.parts import binary, mosquitto
from tests.rig.oracle import in_journal, troubles
from tests.rig.recovery import stopped
from tests.rig.site import EVERY_S, SITE, Feed, counters, probes, write_site
from tests.rig.verdict import Trial

SYNCS = "fsync,fdatasync"
INJECTED = {  # what strace makes of the n-th call; "+" also of all that follow
    "error at a sync": "inject={syncs}:error=EIO:when={n}",
    "error at a write": "inject=pwrite64:error=EIO:when={n}",
    "broken for good": "inject=pwrite64,{syncs}:error=EIO:when={n}+",
    "read-only": "inject=pwrite64,ftruncate,{syncs}:error=EROFS:when={n}+",
    "syncs of one second": "inject={syncs}:delay_exit=1000000",
}
FULL, NEVER_WRITABLE = "full", "read-only from the start"
KINDS = (*INJECTED, FULL, NEVER_WRITABLE)
AT_ONCE = 3  # lives of each kind in one story
ROOM = 112 << 20  # bytes of the small file system; below 64 MB the journal gives old readings up, as it says
LIFE_S = (1.2, 2.8)


@dataclass(frozen=True)
class Fault:
    kind: str
    nth: int  # call that fails first; a start makes some ten syncs and forty writes
    seconds: float  # how long it is looked at
    left: int  # bytes that are left on a full disk


def plan(seed: int, each: int, kinds: tuple[str, ...] = KINDS) -> list[Fault]:
    chance = random.Random(seed)
    order = [*kinds] * each
    chance.shuffle(order)
    return [
        Fault(kind, chance.randint(1, 120), chance.uniform(*LIFE_S), chance.randrange(1 << 18))
        for kind in order
    ]


def why_not_mount(folder: Path) -> str:
    """Why no file system can be mounted here; "" where it can."""
    if os.getuid() != 0:
        return "only root may mount a small file system"
    try:
        with _small_disk(folder):
            return ""
    except RuntimeError as error:
        return str(error)


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"tmpfs cannot be mounted: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def story(folder: Path, seed: int, each: int) -> list[str]:
    """Tell it; what the oracle found."""
    reason = why_not_mount(folder / "trial")
    kinds = KINDS if not reason else tuple(INJECTED)
    if reason:
        print(f"SKIPPED: {FULL}, {NEVER_WRITABLE}: {reason}", file=sys.stderr)
    found: list[str] = []
    with (
        mosquitto(folder / "broker", BROKER) as broker,
        gateway(folder / "gateway") as one,
        contextlib.closing(Publisher(broker.port, SITE)) as publisher,
        contextlib.ExitStack() as mounts,
    ):
        write_site(one.folder, broker.port, [*counters(), *probes(1)], "", "snapshot_every_s = 2")
        if not reason:
            mounts.enter_context(_small_disk(one.data))
        feed = Feed(publisher, 1)
        one.start()
        one.ready()  # from here on the broker keeps what the gateway does not take
        one.kill()
        with Beat(EVERY_S, feed.step):
            for fault in plan(seed, each, kinds):
                found += [f"{fault}: {trouble}" for trouble in _suffer(one, fault)]
            one.start()
            one.ready()
        publisher.settled()
        with contextlib.suppress(AssertionError):  # the oracle says what is missing
            until(lambda: len(in_journal(one.data)) >= feed.numbers, WAIT_S)
        if stopped(one):
            found.append(f"the last life ended badly: {one.said()}")
        found += troubles(one.folder, range(feed.numbers))
        if found:
            shutil.copytree(one.data, folder / "data")  # the small disk goes away
        return found


def _suffer(one: Gateway, fault: Fault) -> list[str]:
    """One life with a fault; what it did that it should not."""
    if fault.kind == FULL:
        return _fill(one, fault)
    if fault.kind == NEVER_WRITABLE:
        return _start_read_only(one)
    inject = INJECTED[fault.kind].format(n=fault.nth, syncs=SYNCS)
    calls = inject.partition("=")[2].partition(":")[0]
    wrapper = (binary("strace"), "-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null")
    _start(one, *wrapper, "-e", f"trace={calls}", "-e", inject)
    return _ended(one, fault.seconds)


def _fill(one: Gateway, fault: Fault) -> list[str]:
    """A disk that others have filled while it runs."""
    one.start()
    one.ready()
    time.sleep(fault.seconds / 4)
    ballast = one.data / "ballast"
    with ballast.open("wb", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(bytes(1 << 16))
    os.truncate(ballast, max(0, ballast.stat().st_size - fault.left))
    found = _ended(one, fault.seconds)
    ballast.unlink()
    return found


def _start_read_only(one: Gateway) -> list[str]:
    """The folder's file system is mounted read-only: the start says which folder, and what to do."""
    remount = ["mount", "-o", "remount,ro", str(one.data)]
    subprocess.run(remount, check=True)
    try:
        _start(one)
        assert one.process is not None
        code = one.process.wait(WAIT_S)
    finally:
        subprocess.run([*remount[:2], "remount,rw", remount[3]], check=True)
    if code != 2 or str(one.data) not in one.said():
        return [f"on a read-only disk it ended with {code}: {one.said()}"]
    return []


def _start(one: Gateway, *wrapper: str) -> None:
    """Like `Gateway.start`, as the direct child of whatever wraps it."""
    one.lives += 1
    with one.log.open("ab") as log:
        log.write(f"--- life {one.lives}\n".encode())
        log.flush()
        command = [*wrapper, sys.executable, "-m", "gateway.cli", "run", str(one.settings)]
        one.process = subprocess.Popen(command, cwd=HOUSE, stdout=log, stderr=log)


def _ended(one: Gateway, seconds: float) -> list[str]:
    """Look at it, then kill it; if it ends by itself, then with code 1 or 2 and a plain sentence."""
    assert one.process is not None
    try:
        code = one.process.wait(seconds)
    except subprocess.TimeoutExpired:
        one.kill()
        return []
    said = one.said()
    if "Traceback" in said:
        return [f"it ended with {code} and a traceback: …{said[-1500:]}"]
    return [] if code in (1, 2) else [f"it ended with {code}: {said}"]


def trials(folder: Path, seed: int, each: int) -> Iterator[Trial]:
    """`each` lives of each kind, in stories of three of each; a failure is told once a story."""
    number = 0
    while each > 0:
        some, each = min(each, AT_ONCE), each - min(each, AT_ONCE)
        again = f"python -m tests.rig --only disk --seed {seed + number} --count {some}"
        place = folder / f"disk-{seed + number}"
        try:
            found = story(place, seed + number, some)
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        kinds = [fault.kind for fault in plan(seed + number, some)]
        for kind in sorted(kinds):
            yield Trial(f"disk {kind}", seed + number, (), again)
        yield Trial("disk, story", seed + number, tuple(found), again)
        number += 1
