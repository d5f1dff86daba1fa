"""Disk: what may be left of files when the power goes, from what was written and what was synced.

The rules are stricter than any file system that we know: what no sync has confirmed may be there, be gone,
or be torn at any sector; a name (a creation, a renaming, a removal) is only safe once its folder was synced.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tests.rig.tape import Event

SECTOR = 512
WAYS = ("nothing", "a part", "scattered", "all")  # of what was not synced is there


@dataclass(frozen=True, slots=True)
class _Change:
    """Of a file's content: bytes at an offset, or with `data` None a new size."""

    at: int
    data: bytes | None


@dataclass(eq=False)
class _File:
    safe: bytearray = field(default_factory=bytearray)  # what syncs have confirmed
    changes: list[_Change] = field(default_factory=list)  # what came since
    folder: bool = False
    size: int = 0  # as the process sees it


@dataclass(frozen=True, slots=True)
class _Naming:
    path: str
    file: _File | None  # None: the name is gone


class Disk:
    """Follows a tape; `after_power_cut` may be asked at any moment."""

    def __init__(self, files: Mapping[str, bytes], folders: Iterable[str]) -> None:
        """What was there, and safe, before the tape began; absolute paths."""
        self._now: dict[str, _File] = {
            path: _File(bytearray(content), size=len(content)) for path, content in files.items()
        }
        self._now |= {path: _File(folder=True) for path in folders}
        self._safe = dict(self._now)
        self._namings: dict[str, list[_Naming]] = {}  # by folder, not synced
        self._syncs: dict[int, tuple[_File, int]] = {}  # under way, and how many changes they cover

    def follow(self, event: Event) -> None:
        path = event.path
        if event.kind in ("create", "mkdir"):
            if path not in self._now:
                self._name(path, _File(folder=event.kind == "mkdir"))
        elif event.kind in ("write", "truncate"):
            _change(self._now[path], event)
        elif event.kind == "sync":
            file = self._now[path]
            covered = len(self._namings.get(path, ())) if file.folder else len(file.changes)
            self._syncs[event.at] = file, covered
        elif event.kind == "synced":
            self._synced(path, *self._syncs.pop(event.at))
        elif event.kind in ("rename", "link"):
            self._name(event.to, self._now[path])
            if event.kind == "rename":
                self._name(path, None)
        elif event.kind == "unlink":
            self._name(path, None)

    def _name(self, path: str, file: _File | None) -> None:
        self._namings.setdefault(str(PurePosixPath(path).parent), []).append(_Naming(path, file))
        _named(self._now, path, file)

    def _synced(self, path: str, file: _File, covered: int) -> None:
        if file.folder:
            namings = self._namings.get(path, [])
            for naming in namings[:covered]:
                _named(self._safe, naming.path, naming.file)
            self._namings[path] = namings[covered:]
        else:
            for change in file.changes[:covered]:
                _apply(file.safe, change)
            file.changes = file.changes[covered:]

    def after_power_cut(self, chance: random.Random) -> dict[str, bytes | None]:
        """One state that the disk may be in now: content by path; None is a folder."""
        names = dict(self._safe)
        for folder in sorted(self._namings):
            namings = self._namings[folder]
            way = chance.choice(("nothing", "a part", "all"))
            kept = {"nothing": 0, "all": len(namings)}.get(way, chance.randint(0, len(namings)))
            for naming in namings[:kept]:
                _named(names, naming.path, naming.file)
        found: dict[str, bytes | None] = {}
        ways = chance.choice([(way,) for way in WAYS] + [WAYS])  # alike for all files, or one for each
        for path, file in sorted(names.items(), key=lambda item: item[0]):
            if self._reachable(path, names):
                found[path] = None if file.folder else _left_of(file, chance.choice(ways), chance)
        return found

    def _reachable(self, path: str, names: Mapping[str, _File]) -> bool:
        """A folder whose own name was lost takes all that is in it along."""
        above = [str(folder) for folder in PurePosixPath(path).parents]
        return all(folder in names for folder in above if folder in self._now)


def _named(names: dict[str, _File], path: str, file: _File | None) -> None:
    if file is None:
        names.pop(path, None)
    else:
        names[path] = file


def _change(file: _File, event: Event) -> None:
    if event.kind == "truncate":
        file.changes.append(_Change(event.at, None))
        file.size = event.at
    else:
        at = file.size if event.at < 0 else event.at  # opened for appending: at the end
        file.changes.append(_Change(at, event.data))
        file.size = max(file.size, at + len(event.data))


def _apply(content: bytearray, change: _Change) -> None:
    if change.data is None:
        if change.at < len(content):
            del content[change.at :]
        else:
            content.extend(bytes(change.at - len(content)))
        return
    content.extend(bytes(max(0, change.at - len(content))))
    content[change.at : change.at + len(change.data)] = change.data


def _left_of(file: _File, way: str, chance: random.Random) -> bytes:
    content = bytearray(file.safe)
    if way == "all":
        for change in file.changes:
            _apply(content, change)
    elif way == "a part" and file.changes:
        last = chance.randrange(len(file.changes))
        for change in file.changes[:last]:
            _apply(content, change)
        torn = file.changes[last]
        if torn.data is not None:
            kept = chance.randint(0, len(torn.data) // SECTOR) * SECTOR
            _apply(content, _Change(torn.at, torn.data[:kept]))
    elif way == "scattered":
        _scatter(content, file.changes, chance)
    return bytes(content)


def _scatter(content: bytearray, changes: Iterable[_Change], chance: random.Random) -> None:
    """Each sector of each write is there or not, in any order; what a lost one should have held is zero."""
    for change in changes:
        if change.data is None:
            if chance.random() < 0.5:
                _apply(content, change)
            continue
        at, end = change.at, change.at + len(change.data)
        while at < end:
            stop = min(end, at - at % SECTOR + SECTOR)
            if chance.random() < 0.5:
                _apply(content, _Change(at, change.data[at - change.at : stop - change.at]))
            at = stop


def write_out(state: Mapping[str, bytes | None], root: Path, to: Path) -> None:
    """Put a state of the disk below `root` into another folder."""
    to.mkdir(parents=True)
    for path, content in sorted(state.items()):
        there = to / PurePosixPath(path).relative_to(root)
        if content is None:
            there.mkdir(parents=True, exist_ok=True)
        else:
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(content)
