"""Packing: a window of a gateway's life in one file, for a bug report.

Personal data stays at home: channels of wristbands are left out altogether, with their readings, places and
commands; who commanded becomes `staff-1`, `staff-2` …, and what they wrote is left out; of the settings only
what judges is kept, so that no address, user, path or secret leaves.
"""

import csv
import json
import tempfile
import threading
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from alerts.alert import rfc3339
from config.channels import ChannelTable, Link, Planned
from config.errors import InputError
from config.settings import GatewaySettings
from gateway.machine import machine, versions
from gateway.replaying import Tally
from gateway.showing import Show
from gateway.unpacking import (
    ABOUT,
    ALERTS,
    CHANNELS,
    CONTEXT,
    FACTS,
    FORM,
    LINKS,
    PARTS,
    READINGS,
    SCORES,
    SETTINGS,
    Packed,
)  # fmt: skip
from ingest.readings import ReadingBatch
from ingest.recorded import read_ticks, write_readings
from ingest.ticks import Command, Tick

KEPT_WORDS = frozenset(
    {"alert_id", "incident", "channel", "place", "until", "seconds", "one_shot", "planned"}
)
"""Members of commands that a replay needs; `reason`, `permit`, rosters are people's words and names."""

COLUMNS = (
    "channel", "medium", "place", "quantity", "unit", "period_s", "resolution", "nominal", "zone",
    "lat", "lon", "low", "high",
)  # fmt: skip


@dataclass(frozen=True)
class Window:
    """What is packed: [start, end), and what was before it from `lead_ns` on, so that detectors learn."""

    settings: GatewaySettings
    channels: ChannelTable
    links: Sequence[Link]
    planned: Sequence[Planned]
    lead_ns: int
    start_ns: int
    end_ns: int


@dataclass
class Discreet:
    """Takes personal data out of what passes."""

    channels: ChannelTable
    staff: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        bands = np.flatnonzero(self.channels.is_wristband)
        persons = {self.channels.place[number] for number in bands}
        kept = [n for n in range(len(self.channels)) if self.channels.place[n] not in persons]
        self.kept = ChannelTable([replace(self.channels[n], owner="", grid="", attributes={}) for n in kept])
        self._number = np.full(len(self.channels), -1, dtype=np.int32)
        self._number[kept] = np.arange(len(kept))
        self._known = {*self.kept.ids, *self.kept.place, *self.kept.zone, "*"} - {""}

    def readings(self, batch: ReadingBatch) -> ReadingBatch:
        number = self._number[batch.channel]
        chosen = number >= 0
        return replace(batch.where(chosen), channel=number[chosen])

    def command(self, command: Command) -> Command | None:
        """None where it is about a person, or about people."""
        subject = [command.body[name] for name in ("channel", "place") if command.body.get(name)]
        if command.kind == "roster" or any(one not in self._known for one in subject):
            return None
        actor = self.staff.setdefault(command.actor, f"staff-{len(self.staff) + 1}")
        body = {name: value for name, value in command.body.items() if name in KEPT_WORDS}
        if "planned" in body:
            body["planned"] = [one for one in body["planned"] if one.get("place") in self._known]
        return replace(command, actor=actor, body=body)

    def links(self, links: Iterable[Link]) -> list[Link]:
        return [link for link in links if {link.source, link.target} <= self._known]

    def planned(self, planned: Iterable[Planned]) -> list[Planned]:
        return [entry for entry in planned if entry.place in self._known]


def pack(window: Window, out: Path, show: Show) -> dict[str, Any]:
    """Write the file; it appears once it is complete. What `about.json` says. InputError: nothing to pack."""
    from gateway.reports.writing import written_bytes

    with tempfile.TemporaryDirectory(prefix="watchline-record-") as name, written_bytes(out) as file:
        folder = Path(name)
        discreet = Discreet(window.channels)
        tally = Tally(show)
        rows = _write_stream(folder, window, discreet, tally)
        if not rows:
            raise InputError("record: no readings in this window; check --from and --to, and the archive")
        _write_lists(folder, window, discreet)
        about = _about(window, discreet, rows)
        (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        packed = Packed(folder)
        said = packed.say(folder / ALERTS, show)
        np.savez_compressed(folder / SCORES, **said.scores)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in PARTS:
                archive.write(folder / part, part)
    return about


def _write_stream(folder: Path, window: Window, discreet: Discreet, tally: Tally) -> int:
    """readings.parquet and facts.jsonl; how many readings."""
    facts: list[dict[str, Any]] = []

    def batches() -> Iterator[ReadingBatch]:
        for tick in _ticks(window, folder / "journal"):
            tally.judged(len(tick.readings), tick.now_ns)
            facts.extend(_facts_of(tick, discreet))
            batch = discreet.readings(tick.readings)
            if len(batch):
                yield batch

    rows = write_readings(folder / READINGS, batches(), discreet.kept)
    lines = [json.dumps(fact, ensure_ascii=False) + "\n" for fact in facts]
    (folder / FACTS).write_text("".join(lines), encoding="utf-8")
    return rows


def _ticks(window: Window, scratch: Path) -> Iterator[Tick]:
    """From the archive, then what the journal has that the archive has not."""
    archive = window.settings.archive.folder if window.settings.archive else None
    folders = [archive] if archive is not None and any(archive.glob("readings-*.parquet")) else []
    if _journal_rest(window.settings.site.data, archive, scratch):
        folders.append(scratch)
    if not folders:
        raise InputError(
            f"{window.settings.site.data}: neither an archive nor a journal with readings; has it run?"
        )
    for folder in folders:
        yield from read_ticks(folder, window.channels, start_ns=window.lead_ns, end_ns=window.end_ns)


def _journal_rest(data: Path, archive: Path | None, scratch: Path) -> bool:
    """Lay down what is not archived yet, as an archive of its own; False where there is nothing."""
    from ingest.archive import Archive
    from ingest.courier import Gap, Place
    from ingest.journal import open_reader
    from ingest.shelf import about, volumes

    if not (data / "journal.sqlite").exists():
        return False
    known = volumes(archive) if archive is not None and archive.is_dir() else []
    said = about(known[-1].path) if known else None
    place = Place(said.last_tick if said else 0, 0)
    rest = Archive(scratch, lambda: 1 << 62)
    with closing(open_reader(data)) as connection:
        while (trip := rest.carry(connection, Gap(place), threading.Event())) is not None:
            place = trip.upto
    return scratch.is_dir() and any(scratch.glob("readings-*.parquet"))


def _facts_of(tick: Tick, discreet: Discreet) -> Iterator[dict[str, Any]]:
    place = {"tick_ns": tick.now_ns, "at": rfc3339(tick.now_ns)}
    if tick.epoch is not None:
        yield {**place, "kind": "epoch", "body": asdict(tick.epoch)}
    for command in tick.commands:
        said = discreet.command(command)
        if said is not None:
            yield {**place, "kind": "command", "body": {**asdict(said), "body": dict(said.body)}}


def _write_lists(folder: Path, window: Window, discreet: Discreet) -> None:
    with (folder / CHANNELS).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for channel in discreet.kept.channels:
            values = [getattr(channel, "id" if name == "channel" else name) for name in COLUMNS]
            writer.writerow(["" if isinstance(v, float) and isnan(v) else v for v in values])
    with (folder / LINKS).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("from", "to", "kind"))
        writer.writerows((link.source, link.target, link.kind) for link in discreet.links(window.links))
    planned = [
        {"kind": p.kind, "place": p.place, "start": rfc3339(p.start_ns), "end": rfc3339(p.end_ns)}
        for p in discreet.planned(window.planned)
    ]
    text = json.dumps({"planned": planned}, ensure_ascii=False, indent=2)
    (folder / CONTEXT).write_text(text + "\n", encoding="utf-8")
    (folder / SETTINGS).write_text(judging_settings(window.settings), encoding="utf-8")


def judging_settings(settings: GatewaySettings) -> str:
    """TOML of what judges: the site's clock and warm-up, and every `[[watching]]`."""
    site = settings.site
    lines = ["[site]", f"id = {_toml(site.id)}", f"timezone = {_toml(site.timezone)}"]
    lines += [f"warmup_s = {_toml(site.warmup_s)}", f"channels = {_toml(CHANNELS)}"]
    lines += [f"links = {_toml(LINKS)}", f"context = {_toml(CONTEXT)}"]
    for watching in settings.watching:
        lines += ["", "[[watching]]", f"kind = {_toml(watching.kind)}"]
        if not watching.enabled:
            lines.append("enabled = false")
        for name in ("channels", "warning", "alarm", "hold_s", "options"):
            value = getattr(watching, name)
            if value is not None and value != {}:
                lines.append(f"{name} = {_toml(value)}")
    return "\n".join([*lines, ""])


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return json.dumps(value)


def _about(window: Window, discreet: Discreet, readings: int) -> dict[str, Any]:
    settings = window.settings
    return {
        "form": FORM,
        "site": settings.site.id,
        "from": rfc3339(window.start_ns),
        "to": rfc3339(window.end_ns),
        "lead_from": rfc3339(window.lead_ns),
        "readings": readings,
        "channels": len(discreet.kept),
        "left_out": {"wristband_channels": len(window.channels) - len(discreet.kept)},
        "sources": sorted(source.kind for source in settings.source),
        "versions": versions(),
        "machine": machine(),
    }
