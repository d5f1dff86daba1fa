"""Unpacking: what `watchline record` packed, replayed on another machine, and what that says differently."""

import json
import math
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from alerts.alert import rfc3339
from alerts.boards import Boards
from config.errors import InputError
from config.load import read_channels, read_context, read_gateway, read_links
from detectors.base import IntArray
from detectors.findings import Findings, Usual
from gateway.hearing import Judges
from gateway.machine import machine, versions
from gateway.replaying import Tally
from gateway.showing import Show, showing
from gateway.watch import Site, keep_watch, with_deadlines
from ingest.readings import ReadingBatch
from ingest.recorded import read_ticks
from ingest.row import Row
from ingest.ticks import SECOND_NS, Tick

FORM = 1
ABOUT, CHANNELS, LINKS, CONTEXT = "about.json", "channels.csv", "links.csv", "context.json"
SETTINGS, READINGS, FACTS, ALERTS, SCORES = (
    "gateway.toml", "readings.parquet", "facts.jsonl", "alerts.jsonl", "scores.npz",
)  # fmt: skip
PARTS = (ABOUT, CHANNELS, LINKS, CONTEXT, SETTINGS, READINGS, FACTS, ALERTS, SCORES)
"""What a packed file holds, all at its top."""

TOLERANCE = 1e-9
"""So differently another machine may score; numbers in alerts may differ by as much, relatively."""

HOUR_NS = 3600 * SECOND_NS
MOST_SHOWN = 10


@dataclass
class Saying:
    """What a replay says: changes as JSON, and the scores of the rows that end with an hour."""

    changes: list[dict[str, Any]] = field(default_factory=list)
    scores: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Different:
    """Where a score is not what it was."""

    point: str
    end_ns: int
    was: float
    now: float


class Packed:
    """A packed window, laid out in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if self.about.get("form") != FORM:
            raise InputError(
                f"packed in form {self.about.get('form')}, this version reads form {FORM}; "
                f"use watchline {self.about.get('versions', {}).get('watchline')}"
            )

    def say(self, alerts: Path | None, show: Show) -> Saying:
        """Replay it by one process; changes of the window also go into `alerts`."""
        from config.lists import time_ns
        from gateway.reports.writing import written

        settings = read_gateway(self.folder / SETTINGS)
        channels, _ = read_channels(self.folder / CHANNELS, strict=False)
        links, _ = read_links(self.folder / LINKS, channels)
        planned, _ = read_context(self.folder / CONTEXT, channels)
        site = Site(
            channels, links, planned, settings.watching, settings.site.timezone, settings.site.warmup_s
        )
        watch = site.watch()
        listener = _Listener(watch.bank, watch.lifecycle.boards)
        watch.hearing.bank = listener
        tally = Tally(show)
        said, start_ns = Saying(), time_ns(self.about["from"])

        def record(tick: Tick, changes: Sequence[Any]) -> None:
            tally.judged(len(tick.readings), tick.now_ns)
            if tick.now_ns >= start_ns:
                said.changes += [
                    change.cloud_event(f"urn:watchline:{settings.site.id}") for change in changes
                ]

        ticks = read_ticks(self.folder / READINGS, channels, facts=self.folder / FACTS, progress=tally.read)
        keep_watch(with_deadlines(ticks, watch, to_the_end=True), watch, record)
        said.scores = listener.scores()
        if alerts is not None:
            with written(alerts) as out:
                out.writelines(json.dumps(change, ensure_ascii=False) + "\n" for change in said.changes)
        return said

    def replayed(self, alerts: Path | None, as_json: bool) -> int:
        """Replay, and say what is not as it was: 0 where all alerts are, 1 where one is not."""
        with showing("replaying", quiet=as_json) as show:
            said = self.say(alerts, show)
        lines = (self.folder / ALERTS).read_text(encoding="utf-8").splitlines()
        differing = unlike([json.loads(line) for line in lines], said.changes)
        with np.load(self.folder / SCORES) as was:
            scores = differing_scores({name: was[name] for name in was.files}, said.scores)
        figures = {
            "site": self.about["site"],
            "from": self.about["from"],
            "to": self.about["to"],
            "changes": len(said.changes),
            "differing_changes": differing,
            "scores": len(said.scores["score"]),
            "differing_scores": [
                {"point": d.point, "end": rfc3339(d.end_ns), "was": d.was, "now": d.now} for d in scores
            ],
            "machines": self._machines(),
        }
        print(json.dumps(figures, ensure_ascii=False) if as_json else _told(figures))
        return 1 if differing else 0

    def _machines(self) -> list[str]:
        """In what the two machines are unlike."""
        here, there = {**machine(), **versions()}, {**self.about["machine"], **self.about["versions"]}
        features = sorted(set(there.pop("features")) ^ set(here.pop("features")))
        said = [f"processor features on one of them only: {', '.join(features)}"] if features else []
        return said + [
            f"{name}: {there.get(name)} there, {here[name]} here"
            for name in here
            if here[name] != there.get(name)
        ]


def is_packed(path: str) -> bool:
    """Whether a file is what `watchline record` packed."""
    if not Path(path).is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return ABOUT in archive.namelist()


@contextmanager
def unpacked(path: Path) -> Iterator[Packed]:
    """Laid out in a temporary folder for the time of a `with`. InputError: it is not whole."""
    with tempfile.TemporaryDirectory(prefix="watchline-replay-") as name:
        try:
            with zipfile.ZipFile(path) as archive:
                missing = sorted(set(PARTS) - set(archive.namelist()))
                if missing:
                    raise InputError(f"{path}: lacks {', '.join(missing)}; pack it again, or copy it again")
                for part in PARTS:
                    archive.extract(part, name)
        except (zipfile.BadZipFile, OSError, EOFError) as error:
            raise InputError(f"{path}: damaged or cut off: {error}; copy it again") from error
        yield Packed(Path(name))


class _Listener:
    """Between a hearing and its detectors: keeps the scores of rows that end with an hour."""

    def __init__(self, bank: Judges, boards: Boards) -> None:
        self._bank = bank
        self._keys = [key for board in boards for key in board.keys]
        self._first: dict[int, int] = {}  # where the keys of a detector's points begin
        begin = 0
        for board in boards:
            self._first[id(board.points)] = begin
            begin += len(board.keys)
        self._kept: list[tuple[Any, Any, Any]] = []

    def judge_readings(self, readings: ReadingBatch, now_ns: int) -> list[Findings]:
        return self._bank.judge_readings(readings, now_ns)

    def judge_row(self, grid: int, row: Row) -> list[Findings]:
        found = self._bank.judge_row(grid, row)
        if row.end_ns % HOUR_NS == 0:
            for findings in found:
                known = np.flatnonzero(np.isfinite(findings.score))
                point = self._first[id(findings.points)] + known
                self._kept.append((point, np.full(len(known), row.end_ns), findings.score[known]))
        return found

    def usual(self, channel: int) -> Usual:
        return self._bank.usual(channel)

    def adopt(self, channels: IntArray) -> None:
        self._bank.adopt(channels)

    def restart(self, clock_good: bool = True) -> None:
        self._bank.restart(clock_good)

    def scores(self) -> dict[str, Any]:
        """Columns: `point` (a number in `points`), `end_ns`, `score`."""
        point, end_ns, score = (np.concatenate(c) for c in zip(*self._kept)) if self._kept else ([], [], [])
        return {
            "points": np.array(self._keys),
            "point": np.array(point, dtype=np.int64),
            "end_ns": np.array(end_ns, dtype=np.int64),
            "score": np.array(score, dtype=np.float64),
        }


def differing_scores(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[Different]:
    """Scores that are apart by more than TOLERANCE, or known on one side only; in order of time."""
    columns = []
    for one in (was, now):
        names = one["points"].tolist()
        spots = zip(one["point"].tolist(), one["end_ns"].tolist(), one["score"].tolist())
        columns.append({(end_ns, names[point]): score for point, end_ns, score in spots})
    before, after = columns
    found = []
    for spot in sorted(before.keys() | after.keys()):
        one, other = before.get(spot, math.nan), after.get(spot, math.nan)
        if not abs(one - other) <= TOLERANCE:
            found.append(Different(spot[1], spot[0], one, other))
    return found


def unlike(was: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[str]:
    """Changes that are not as they were, in words; numbers may differ by TOLERANCE."""
    said = []
    for number in range(max(len(was), len(now))):
        one = was[number] if number < len(was) else None
        other = now[number] if number < len(now) else None
        if one is None or other is None or not alike(one, other):
            said.append(f"was {_brief(one)}, now {_brief(other)}")
    return said


def alike(one: Any, other: Any) -> bool:
    """Equal, but for the last digits of floats."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(alike(a, b) for a, b in zip(one, other))
    return bool(one == other)


def _brief(event: Mapping[str, Any] | None) -> str:
    if event is None:
        return "nothing"
    data = event["data"]
    sort = event["type"].split(".")[3]
    return f"{sort} {data['grade']} {data['kind']} at {data.get('channel') or data['place']} {event['time']}"


def _told(figures: Mapping[str, Any]) -> str:
    lines = [f"{figures['site']}, {figures['from']} to {figures['to']}: {figures['changes']} alert changes"]
    for name, what in (("differing_changes", "alert changes"), ("differing_scores", "scores")):
        found = figures[name]
        if not found:
            lines.append(f"{what}: as they were where it was packed")
            continue
        lines.append(
            f"{what}: {len(found)} differ" + (f" by more than {TOLERANCE:g}" if what == "scores" else "")
        )
        lines += [f"  {_shown(one)}" for one in found[:MOST_SHOWN]]
        if len(found) > MOST_SHOWN:
            lines.append(f"  … and {len(found) - MOST_SHOWN} more (--json lists all)")
    lines += [f"unlike: {one}" for one in figures["machines"]]
    return "\n".join(lines)


def _shown(one: Any) -> str:
    return one if isinstance(one, str) else f"{one['end']} {one['point']}: {one['was']} was, {one['now']} is"
