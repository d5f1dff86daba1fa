"""Simulate: a scenario of the catalogue into files or over the wire; and the catalogue itself."""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from config.errors import InputError
from simulators.entries import entries, entry_named
from simulators.play import Entry, Play
from simulators.record import FIRST_MOMENT, record
from simulators.scenarios import SECOND_NS, nanoseconds, rfc3339

MOST_DAYS = 400.0
ENGINES = ("numpy", "wntr", "pandapipes", "pandapower", "neurokit2")
SAY_EVERY_S = 2.0
LARGE = 20_000  # channels, of which the first batch alone takes longer than anybody waits without a word


def run(given: argparse.Namespace) -> int:
    """What `watchline simulate` does; InputError (which is a SettingsError) where it cannot be done."""
    if given.catalogue is not None:
        from simulators.album import write_album

        _folder_for(given.catalogue, "--catalogue")
        only = None if given.scenario is None else (entry_named(given.scenario).name,)
        write_album(given.catalogue, given.seed, _say, only)
        print(f"catalogue: {given.catalogue / 'index.html'}")
        return 0
    if given.list:
        return _list(as_json=given.json)
    if given.scenario is None:
        raise InputError("name a scenario, such as water/net3_night_burst; --list shows them all")
    entry = entry_named(given.scenario)
    if given.days is not None and not 0.01 <= given.days <= MOST_DAYS:
        raise InputError(f"--days {given.days:g}: must be from 0.01 to {MOST_DAYS:g}")
    start_ns = nanoseconds(given.start or FIRST_MOMENT, "--start")
    if start_ns % SECOND_NS:
        raise InputError(f"--start {given.start}: must be a whole second")
    if given.live:
        return _live(entry, given, start_ns)
    if given.out is None:
        raise InputError("--out is missing: name the folder for the files, or play it with --live")
    _folder_for(given.out, "--out")
    play = entry.play(settings_of(given.set), given.seed, start_ns, given.days)
    written = write_files(play, given.out)
    print(
        f"{written} readings of {len(play.world.channels)} channels, {len(play.events)} events: {given.out}"
    )
    return 0


def write_files(play: Play, out: Path) -> int:
    """All files of a scenario; they appear in `out` when all are complete. Returns how many readings."""
    out.parent.mkdir(parents=True, exist_ok=True)
    span = play.request.start_ns, play.request.end_ns
    said_s = time.monotonic()
    if len(play.world.channels) >= LARGE:
        _say(f"{play.entry.name}: {len(play.world.channels):,} channels; the first readings take minutes")

    def progress(stream_ns: int) -> None:
        nonlocal said_s
        if time.monotonic() - said_s > SAY_EVERY_S:
            said_s = time.monotonic()
            _say(f"{play.entry.name}: {100 * (stream_ns - span[0]) / (span[1] - span[0]):.0f} %")

    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
        written = record(play.world, *span, Path(folder), about(play), play.planned, progress)
        out.mkdir(exist_ok=True)
        for path in sorted(Path(folder).iterdir()):
            path.replace(out / path.name)
    return written


def about(play: Play) -> dict[str, Any]:
    """What truth.json says of the scenario, so that it can be made again."""
    return {
        "scenario": play.entry.name,
        "title": play.entry.title,
        "engine": play.entry.engine,
        "expected": play.entry.expected,
        "settings": dict(play.request.settings),
        "versions": _versions(),
    }


def settings_of(pairs: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE pairs; InputError names the bad ones."""
    settings: dict[str, str] = {}
    mistakes = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            mistakes.append(f"--set {pair}: write NAME=VALUE, such as --set hours=2")
        elif name in settings:
            mistakes.append(f"--set {name}: given twice")
        settings[name] = value
    if mistakes:
        raise InputError(mistakes)
    return settings


def _live(entry: Entry, given: argparse.Namespace, start_ns: int) -> int:
    from simulators.playing import lateness_ns, play_live, write_site

    host, _, port = given.broker.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InputError(f"--broker {given.broker}: write HOST:PORT, such as 127.0.0.1:1883")
    if given.out is not None:
        _folder_for(given.out, "--out")
    play = entry.play(settings_of(given.set), given.seed, start_ns, given.days)
    late_ns = lateness_ns(play, time.time_ns(), at_its_own_time=given.start is not None)
    folder = given.out or Path(tempfile.mkdtemp(prefix="watchline-simulate-"))
    said = {
        "scenario": entry.name,
        "gateway": str(folder / "gateway.toml"),
        "first_event": rfc3339(play.first_ns + late_ns),
        "later_than_in_files_s": late_ns // SECOND_NS,
    }
    try:
        write_site(play, folder, late_ns, about(play), given.modbus_port, given.broker)
        play_live(play, folder, late_ns, given.broker, said)
    finally:
        if given.out is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _list(*, as_json: bool) -> int:
    """The catalogue as a table."""
    known = entries()
    if as_json:
        rows = [
            {"name": e.name, "title": e.title, "engine": e.engine, "expected": e.expected, "days": e.days,
             "parameters": {name: p.default for name, p in e.parameters.items()}}
            for e in known.values()
        ]  # fmt: skip
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    wide = max(len(name) for name in known)
    for entry in known.values():
        print(f"{entry.name:{wide}}  {entry.title}; expected: {entry.expected}")
        for name, parameter in entry.parameters.items():
            default = f"{parameter.default:g}" if isinstance(parameter.default, float) else parameter.default
            print(f"{'':{wide}}    --set {name}={default}  {parameter.means}")
    return 0


def _folder_for(path: Path, option: str) -> None:
    if path.exists() and not path.is_dir():
        raise InputError(f"{option} {path}: is a file; name a folder")


def _versions() -> dict[str, str]:
    found = {}
    for name in ENGINES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _say(text: str) -> None:
    """Progress: over itself on a terminal, else a line."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)
