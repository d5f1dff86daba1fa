"""Lists: the channel list, the links between places and the announced works; every bad row by its line."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite, nan
from pathlib import Path
from typing import Any

from config.channels import MEDIA, PLANNED_KINDS, Channel, ChannelTable, Link, Planned
from config.errors import SettingsError
from config.quantities import QUANTITIES, conversion, did_you_mean, quantity_named, unit_named
from config.tomlfile import read_text, shown

LINK_KINDS = ("pipe", "cable", "feeds")
NEEDED = ("channel", "medium", "place", "quantity", "unit", "period_s")
NUMBERS = ("resolution", "nominal", "lat", "lon", "low", "high")
TEXTS = ("zone", "owner", "grid")
CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015: no I O S V Z
CREDIT_WEIGHTS = tuple(3**i % 31 for i in range(17))


@dataclass
class _Findings:
    """What is wrong with a list; `lenient` findings stop a live start and are warnings in a replay."""

    name: str
    strict: bool
    mistakes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def wrong(self, line: int, text: str) -> None:
        self.mistakes.append(f"{self.name}:{line}: {text}")

    def odd(self, line: int, text: str) -> None:
        self.warnings.append(f"{self.name}:{line}: {text}")

    def lenient(self, line: int, text: str) -> None:
        (self.wrong if self.strict else self.odd)(line, text)

    def settle(self) -> list[str]:
        if self.mistakes:
            raise SettingsError(self.mistakes)
        return self.warnings


def read_channels(path: Path, *, strict: bool = True) -> tuple[ChannelTable, list[str]]:
    """The channel list, and warnings. SettingsError lists every bad row.

    A quantity or unit that is not known is a mistake; where not `strict` (a replay) it is a warning, and
    the channel is watched generically.
    """
    found = _Findings(path.name, strict)
    channels: list[Channel] = []
    lines: dict[str, int] = {}
    for line, row in _rows(path, NEEDED, found):
        channel = _channel(line, row, found)
        if channel is None:
            continue
        first = lines.setdefault(channel.id, line)
        if first != line:
            found.wrong(line, f"channel {channel.id} is in line {first} already; each needs its own id")
        else:
            channels.append(channel)
    if not channels and not found.mistakes:
        found.wrong(1, "lists no channel; add one row for each")
    warnings = found.settle()
    return ChannelTable(channels), warnings


def read_links(path: Path, channels: ChannelTable) -> tuple[tuple[Link, ...], list[str]]:
    """The links between places, and warnings (a place without channels may still join two that have some)."""
    found = _Findings(path.name, strict=True)
    places = set(channels.places)
    links: dict[Link, int] = {}
    for line, row in _rows(path, ("from", "to", "kind"), found):
        link = Link(row["from"], row["to"], row["kind"])
        empty = [key for key in ("from", "to") if not row[key]]
        for key in empty:
            found.wrong(line, f"{key}: missing; write the place that the link joins")
        if link.kind not in LINK_KINDS:
            found.wrong(line, f"kind: {shown(link.kind)} is not {' or '.join(LINK_KINDS)}")
        elif not empty and link.source == link.target:
            found.wrong(line, f"{link.source} is linked with itself; remove the row")
        elif not empty:
            if links.setdefault(link, line) != line:
                found.odd(line, f"repeats line {links[link]}")
            for place in (link.source, link.target):
                if place not in places:
                    guess = did_you_mean(place, places)
                    found.odd(
                        line, f"no channel is at {place}" + (f"; {guess}" if guess.startswith("did") else "")
                    )
    warnings = found.settle()
    return tuple(links), warnings


def read_context(path: Path, channels: ChannelTable) -> tuple[tuple[Planned, ...], list[str]]:
    """Announced works and holidays, and warnings: an unknown place or kind is kept."""
    text = read_text(path)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingsError(f"{path.name}:{error.lineno}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise SettingsError(f"{path.name}:1: lists are nested too deeply to be read") from error
    if not isinstance(content, Mapping) or not isinstance(content.get("planned"), list):
        raise SettingsError(f'{path.name}:1: must be {{"planned": [{{"kind", "place", "start", "end"}}, …]}}')
    return planned_from(content["planned"], channels, path.name)


def planned_from(
    entries: Sequence[Any], channels: ChannelTable, name: str = "context"
) -> tuple[tuple[Planned, ...], list[str]]:
    """The same from entries already read, such as those of a `context` command; SettingsError on bad ones."""
    places = {"*", *channels.places, *(zone for zone in channels.zones if zone)}
    mistakes: list[str] = []
    warnings: list[str] = []
    planned: list[Planned] = []
    for number, entry in enumerate(entries):
        spot = f"{name}: planned[{number}]"
        if not isinstance(entry, Mapping):
            mistakes.append(f"{spot}: must be an object with kind, place, start and end, not {shown(entry)}")
            continue
        texts = {key: entry.get(key) for key in ("kind", "place", "start", "end")}
        bad = [f"{spot}.{key}: must be a text" for key, value in texts.items() if not isinstance(value, str)]
        times: dict[str, int] = {}
        for key in ("start", "end"):
            if isinstance(texts[key], str):
                try:
                    times[key] = time_ns(str(texts[key]))
                except ValueError as error:
                    bad.append(f"{spot}.{key}: {error}")
        if len(times) == 2 and times["end"] <= times["start"]:
            bad.append(f"{spot}.end: {texts['end']} is not after start {texts['start']}")
        mistakes += bad
        if bad:
            continue
        kind, place = str(texts["kind"]), str(texts["place"])
        if kind not in PLANNED_KINDS:
            warnings.append(f'{spot}.kind: unknown kind "{kind}"; {did_you_mean(kind, PLANNED_KINDS)} (kept)')
        if place not in places:
            warnings.append(f'{spot}.place: no place or zone "{place}"; {did_you_mean(place, places)} (kept)')
        planned.append(Planned(kind, place, times["start"], times["end"]))
    if mistakes:
        raise SettingsError(mistakes)
    return tuple(planned), warnings


def time_ns(text: str) -> int:
    """RFC 3339 with its zone as UTC nanoseconds; ValueError says what is wrong."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{shown(text)} is not a time; write it like 2026-01-05T02:00:00+08:00") from error
    if moment.tzinfo is None:
        raise ValueError(f"{shown(text)} has no zone; write it like {text}+08:00 or {text}Z")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def credit_code_mistake(code: str) -> str | None:
    """What is wrong with an 18-character unified social credit code (GB 32100-2015), or None."""
    if len(code) != 18:
        return f"has {len(code)} characters instead of 18"
    strangers = sorted(set(code) - set(CREDIT_ALPHABET))
    if strangers:
        return f"holds {', '.join(strangers)}, which a credit code never does"
    total = sum(CREDIT_ALPHABET.index(sign) * weight for sign, weight in zip(code, CREDIT_WEIGHTS))
    check = CREDIT_ALPHABET[(31 - total % 31) % 31]
    if code[17] != check:
        return f"does not check: the last character would be {check}; one of the others may be mistyped"
    return None


def _rows(path: Path, needed: Sequence[str], found: _Findings) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV with header as (line, stripped texts); blank lines are skipped."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    header: list[str] = []
    line = 1
    try:
        for cells in reader:
            first, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                if not _header_fits(first, header, needed, found):
                    return
            elif len(cells) > len(header):
                found.wrong(
                    first, f"has {len(cells)} cells under {len(header)} columns; quote texts with commas"
                )
            else:
                cells += [""] * (len(header) - len(cells))
                yield first, {key: cell.strip() for key, cell in zip(header, cells)}
    except csv.Error as error:
        found.wrong(reader.line_num, f"not CSV: {error}")
    if not header:
        found.wrong(1, f"is empty; the first line must be {','.join(needed)}")


def _header_fits(line: int, header: list[str], needed: Sequence[str], found: _Findings) -> bool:
    missing = [key for key in needed if key not in header]
    for key in missing:
        guess = did_you_mean(key, header)
        found.wrong(
            line, f"no column {key}" + (f"; is it {guess[13:-1]}?" if guess.startswith("did") else "")
        )
    twice = sorted({key for key in header if key and header.count(key) > 1})
    for key in twice:
        found.wrong(line, f"two columns are named {key}; rename one")
    return not missing and not twice


def _channel(line: int, row: Mapping[str, str], found: _Findings) -> Channel | None:
    """One row; None where a mistake was found."""
    before = len(found.mistakes)
    for key in ("channel", "place", "quantity", "unit"):
        if not row[key]:
            found.wrong(line, f"{key}: missing")
    if any(sign.isspace() or sign in "*?[]" for sign in row["channel"]):
        found.wrong(line, f"channel: {shown(row['channel'])} must not hold blanks or any of * ? [ ]")
    if row["medium"] not in MEDIA:
        found.wrong(
            line, f"medium: unknown medium {shown(row['medium'])}; {did_you_mean(row['medium'], MEDIA)}"
        )
    _check_measure(line, row, found)
    period_s = _number(line, row, "period_s", nan, found)
    if period_s <= 0:
        found.wrong(line, f"period_s: must be above 0, not {row['period_s']}")
    numbers = {key: _number(line, row, key, 0.0 if key == "resolution" else nan, found) for key in NUMBERS}
    _check_ranges(line, row, numbers, found)
    if row.get("owner") and (mistake := credit_code_mistake(row["owner"])):
        found.wrong(line, f"owner: credit code {row['owner']} {mistake}")
    if len(found.mistakes) > before:
        return None
    known = {*NEEDED, *NUMBERS, *TEXTS}
    return Channel(
        id=row["channel"],
        medium=row["medium"],
        place=row["place"],
        quantity=row["quantity"],
        unit=row["unit"],
        period_s=period_s,
        resolution=numbers["resolution"],
        nominal=numbers["nominal"],
        zone=row.get("zone", ""),
        lat=numbers["lat"],
        lon=numbers["lon"],
        owner=row.get("owner", ""),
        grid=row.get("grid", ""),
        low=numbers["low"],
        high=numbers["high"],
        attributes={key: text for key, text in row.items() if key not in known and key and text},
    )


def _check_measure(line: int, row: Mapping[str, str], found: _Findings) -> None:
    """Quantity and unit are known, and fit each other."""
    name, code = row["quantity"], row["unit"]
    attempts: list[tuple[str, Callable[[], Any]]] = []
    if name:
        attempts.append(("quantity", lambda: quantity_named(name)))
    if code:
        attempts.append(("unit", lambda: unit_named(code)))
    failed = False
    for key, attempt in attempts:
        try:
            attempt()
        except SettingsError as error:
            failed = True
            found.lenient(line, f"{key}: {error}")
    if failed or not name or not code:
        return
    quantity = QUANTITIES[name]
    try:
        conversion(code, quantity.unit)
    except SettingsError as error:
        found.lenient(line, f"unit: does not fit {name}: {error}")
    if row["medium"] in MEDIA and row["medium"] not in quantity.media:
        found.odd(
            line, f"quantity: {name} is unusual for {row['medium']} (known for {', '.join(quantity.media)})"
        )


def _number(line: int, row: Mapping[str, str], key: str, missing: float, found: _Findings) -> float:
    text = row.get(key, "")
    if not text:
        if key in NEEDED:
            found.wrong(line, f"{key}: missing")
        return missing
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not isfinite(number) or "_" in text:
        found.wrong(line, f"{key}: {shown(text)} is not a number")
        return missing
    return number


def _check_ranges(line: int, row: Mapping[str, str], numbers: Mapping[str, float], found: _Findings) -> None:
    for key, most in (("lat", 90.0), ("lon", 180.0)):
        if abs(numbers[key]) > most:
            found.wrong(line, f"{key}: {row[key]} lies outside -{most:g} … {most:g}; it is degrees, WGS-84")
    if isfinite(numbers["lat"]) != isfinite(numbers["lon"]):
        found.wrong(line, "lat and lon go together: one needs the other")
    if numbers["resolution"] < 0:
        found.wrong(line, f"resolution: must not be negative, not {row['resolution']}")
    if numbers["low"] >= numbers["high"]:
        found.wrong(line, f"low: {row['low']} must lie below high {row['high']}")
