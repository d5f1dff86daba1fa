"""Tape: what a process asked of its files and sockets, as strace recorded it, in the order it happened."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.parts import binary

LONGEST = 16 << 20  # bytes of one write that are recorded
WAIT_S = 120.0
FILES = (
    "openat,open,creat,close,lseek,pwrite64,write,writev,pwritev,pwritev2,fsync,fdatasync,ftruncate,truncate,"
    "rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,fallocate,"
    "copy_file_range,sendfile,mmap"
)
SOCKETS = "sendto,sendmsg,recvfrom"
CANNOT = {
    *("writev", "pwritev", "pwritev2", "symlink", "symlinkat", "fallocate"),
    *("copy_file_range", "sendfile"),
}
LINE = re.compile(r"^(\d+) +(.*)$")
RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")
CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+|\?)")
UNFINISHED = " <unfinished ...>"
OUTLIVE = {"write", "pwrite64", "sendto"}


class TapeError(Exception):
    """The process did something that this rig does not understand: its verdict would be worth nothing."""


@dataclass(frozen=True, slots=True)
class Event:
    """`kind`: create, write, truncate, sync, synced, rename, link, unlink, mkdir; sent, received, said."""

    kind: str
    path: str = ""
    data: bytes = b""
    at: int = 0  # a write's offset, a truncation's size, a sync's number, a socket's descriptor
    to: str = ""  # a rename's new name


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    args: list[str]
    result: int
    text: str  # what follows the result, such as the path of a new descriptor
    start: int  # numbers of lines
    end: int


def command(log: Path, process: Sequence[str]) -> list[str]:
    """The command line that runs `process` as the direct child, and records it."""
    return [
        *(binary("strace"), "-D", "-f", "--seccomp-bpf", "-y", "-xx", "-s", str(LONGEST)),
        *("-o", str(log), "-e", f"trace={FILES},{SOCKETS}", *process),
    ]


def complete(log: Path, pid: int) -> None:
    """Wait until strace has written the end of the process."""
    end = time.monotonic() + WAIT_S
    ended = re.compile(rf"^{pid} +\+\+\+ (exited|killed)", re.MULTILINE)
    while not (log.exists() and ended.search(log.read_text(errors="replace"))):
        if time.monotonic() > end:
            raise TapeError(f"{log}: strace has not come to the end of process {pid}")
        time.sleep(0.05)


def read_tape(logs: Sequence[Path], root: Path) -> list[Event]:
    """What several lives, one after another, did to the files below `root`, and what they sent and heard."""
    events: list[Event] = []
    for log in logs:
        reader = _Reader(root)
        placed = [pair for call in _calls(log) for pair in reader.events(call)]
        events += [event for _, event in sorted(placed, key=lambda pair: pair[0])]
    return events


def _calls(log: Path) -> Iterator[_Call]:
    """Calls that did not fail, in the order of their ends; last the writes that the process did not outlive.

    The kernel finishes what it has begun, so those count as done.
    """
    begun: dict[str, tuple[str, int]] = {}
    with log.open(encoding="ascii") as lines:
        for number, line in enumerate(lines):
            if (match := LINE.match(line)) is None:
                continue
            pid, text = match.groups()
            start = number
            if text.endswith(UNFINISHED):
                begun[pid] = text.removesuffix(UNFINISHED), number
                continue
            if resumed := RESUMED.match(text):
                head, start = begun.pop(pid)
                text = head + resumed[2]
            if (found := CALL.match(text)) is None or found[3] == "-1":
                continue
            if found[3] == "?":
                begun[pid] = f"{found[1]}({found[2]}", start
            else:
                yield _Call(found[1], _args(found[2]), int(found[3]), text[found.end() :], start, number)
    for text, start in begun.values():
        name, _, rest = text.partition("(")
        if name in OUTLIVE:
            yield _Call(name, _args(rest), LONGEST, "", start, start)


def _args(text: str) -> list[str]:
    return [arg.strip() for arg in text.split(", ")]


class _Reader:
    """Turns the calls of one process into events; knows where each descriptor stands."""

    def __init__(self, root: Path) -> None:
        self._root = f"{root}/"
        self._position: dict[int, int] = {}
        self._syncs = 0

    def events(self, call: _Call) -> Iterator[tuple[int, Event]]:
        """(where it stands in the order of things, event): a write may reach the disk from its start on,
        a sync counts from its end."""
        name, args = call.name, call.args
        if name in ("openat", "open", "creat"):
            yield from self._opened(call)
        elif name in ("pwrite64", "write"):
            yield from self._written(call)
        elif name in ("fsync", "fdatasync"):
            path, self._syncs = _path_of(args[0]), self._syncs + 1
            if self._ours(path):
                yield call.start, Event("sync", path, at=self._syncs)
                yield call.end, Event("synced", path, at=self._syncs)
        elif name in ("ftruncate", "truncate"):
            path = _path_of(args[0]) if name == "ftruncate" else _text(args[0]).decode()
            if self._ours(path):
                yield call.start, Event("truncate", path, at=int(args[1]))
        elif name in ("rename", "renameat", "renameat2", "link", "linkat"):
            old, new = _two_paths(args)
            if self._ours(new) or self._ours(old):
                yield call.start, Event("link" if name.startswith("link") else "rename", old, to=new)
        elif name in ("unlink", "unlinkat", "rmdir", "mkdir", "mkdirat"):
            path = _one_path(args)
            if self._ours(path):
                yield call.start, Event("mkdir" if name.startswith("mkdir") else "unlink", path)
        elif name == "lseek":
            self._position[_descriptor(args[0])] = call.result
        elif name in ("sendto", "sendmsg"):
            yield call.start, Event("sent", data=_text(args[1])[: call.result], at=_descriptor(args[0]))
        elif name == "recvfrom":
            yield call.end, Event("received", data=_text(args[1])[: call.result], at=_descriptor(args[0]))
        elif name in CANNOT or (name == "mmap" and "MAP_SHARED" in args[3] and "PROT_WRITE" in args[2]):
            self._refuse(call)

    def _ours(self, path: str) -> bool:
        return f"{path}/".startswith(self._root) and not path.endswith(("-shm", "(deleted)"))

    def _refuse(self, call: _Call) -> None:
        for arg in call.args:
            path = _path_of(arg) if "<" in arg else _text(arg).decode() if arg.startswith('"') else ""
            if self._ours(path):
                raise TapeError(f"{call.name} of {path}: the rig does not know what this does to a disk")

    def _opened(self, call: _Call) -> Iterator[tuple[int, Event]]:
        flags = next((arg for arg in call.args if arg.startswith("O_")), "O_CREAT|O_TRUNC|O_WRONLY")
        path = _path_of(f"{call.result}{call.text}")
        self._position[call.result] = -1 if "O_APPEND" in flags else 0  # -1: at the end
        if not self._ours(path) or ("O_CREAT" not in flags and "O_TRUNC" not in flags):
            return
        if "O_CREAT" in flags:
            yield call.end, Event("create", path)
        if "O_TRUNC" in flags:
            yield call.end, Event("truncate", path)

    def _written(self, call: _Call) -> Iterator[tuple[int, Event]]:
        descriptor, path = _descriptor(call.args[0]), _path_of(call.args[0])
        if descriptor == 1 and not self._ours(path):
            yield call.start, Event("said", data=_text(call.args[1])[: call.result])
        if not self._ours(path):
            return
        data = _text(call.args[1])[: call.result]
        if call.name == "pwrite64":
            offset = int(call.args[3])
        elif (offset := self._position.get(descriptor, 0)) >= 0:
            self._position[descriptor] = offset + len(data)
        yield call.start, Event("write", path, data, offset)


def _descriptor(arg: str) -> int:
    return int(arg.partition("<")[0])


def _path_of(arg: str) -> str:
    """The path that strace wrote behind a descriptor."""
    inside = arg.partition("<")[2].rpartition(">")[0]
    path = _unescaped(inside).decode()
    return f"{path}(deleted)" if arg.endswith("(deleted)") else path


def _unescaped(text: str) -> bytes:
    if not text.startswith("\\x"):
        return text.encode()
    return bytes.fromhex(text.replace("\\x", ""))


def _text(arg: str) -> bytes:
    if arg.endswith("..."):
        raise TapeError("a string was cut short: raise LONGEST")
    return _unescaped(arg.strip('"'))


def _one_path(args: Sequence[str]) -> str:
    """An absolute path, or one below a directory's descriptor."""
    if args[0].startswith('"'):
        return _text(args[0]).decode()
    name = _text(args[1]).decode()
    return name if name.startswith("/") else f"{_path_of(args[0])}/{name}"


def _two_paths(args: Sequence[str]) -> tuple[str, str]:
    if args[0].startswith('"'):
        return _text(args[0]).decode(), _text(args[1]).decode()
    return _one_path(args[:2]), _one_path(args[2:4])
