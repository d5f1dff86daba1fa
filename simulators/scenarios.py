"""Scenarios: what happens in a simulated district, where, when and how strongly; scripts of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from config.errors import InputError
from config.quantities import did_you_mean
from simulators.kinds import ALWAYS_MOVING, SCENARIOS, Scenario
from simulators.noise import FloatArray, stream, uniform

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens at one place. `size` is in the terms of its scenario."""

    kind: str
    place: str
    start_ns: int
    end_ns: int
    size: float
    channel: str = ""  # the channel whose sensor is at fault, where it is one

    @property
    def start_s(self) -> float:
        return self.start_ns / SECOND_NS

    @property
    def end_s(self) -> float:
        return self.end_ns / SECOND_NS

    def during(self, time_s: FloatArray, window_s: float = 0.0) -> NDArray[np.bool_]:
        """Where the event touches the interval of `window_s` that ends at each moment."""
        return np.asarray((time_s >= self.start_s) & (time_s - window_s < self.end_s))

    def rise(self, time_s: FloatArray, tau_s: float, delay_s: float = 0.0) -> FloatArray:
        """Its strength in [0, 1]: towards 1 from the start, to 0 from the end, with time constant `tau_s`."""
        age = np.maximum(time_s - self.start_s - delay_s, 0.0)
        over = np.maximum(time_s - self.end_s - delay_s, 0.0)
        return np.asarray(np.exp(-over / tau_s) - np.exp(-age / tau_s))

    def grown(self, time_s: FloatArray, full: float = 0.8, mended_s: float = 900.0) -> FloatArray:
        """Its strength in [0, 1] where it grows evenly: 1 at the share `full` of its length; then mended."""
        length_s = max(full * (self.end_s - self.start_s), 1.0)
        over = np.maximum(time_s - self.end_s, 0.0)
        return np.asarray(np.clip((time_s - self.start_s) / length_s, 0.0, 1.0) * np.exp(-over / mended_s))


def scenario_named(kind: str) -> Scenario:
    """The scenario of that kind; InputError names the nearest."""
    if kind not in SCENARIOS:
        raise InputError(f'unknown scenario "{kind}"; {did_you_mean(kind, SCENARIOS)}')
    return SCENARIOS[kind]


def planned(
    kind: str,
    channels: ChannelTable,
    seed: int,
    number: int,
    given: Mapping[str, Any],
    span: tuple[int, int] | None = None,
    where: str = "scenario",
) -> Event:
    """An event of that kind; what `given` does not say, the seed decides, alike in every process.

    given: any of place, channel, start (RFC 3339 or ns), seconds, size. number: its position in the script.
    span: (from, to) in ns, wherein the seed may put the start. Raises InputError.
    """
    scenario = scenario_named(kind)
    chance = uniform(stream(seed, "scenario", kind, str(number)), np.arange(4)).tolist()
    channel = _channel(scenario, channels, given, chance[0], where)
    place = (
        channels.channels[channels.number[channel]].place
        if channel
        else _place(scenario, channels, given, chance[0], where)
    )
    seconds = _number(given, "seconds", scenario.seconds, chance[1], where)
    size = _number(given, "size", scenario.size, chance[2], where)
    if seconds <= 0:
        raise InputError(f"{where}: seconds is {seconds}, and must be more than 0")
    if "start" in given:
        start_ns = nanoseconds(given["start"], where)
    elif span is None:
        raise InputError(
            f'{where}: "start" is missing; give it as RFC 3339, such as "2026-01-05T02:30:00+08:00"'
        )
    else:
        room_s = max((span[1] - span[0]) // SECOND_NS - seconds, 0)
        start_ns = span[0] + int(chance[3] * room_s) * SECOND_NS
    return Event(kind, place, start_ns, start_ns + round(seconds * SECOND_NS), size, channel)


def read_script(path: Path, channels: ChannelTable, seed: int) -> tuple[Event, ...]:
    """Events of a script: a JSON list of {"kind", "start"}, with "place", "channel", "seconds", "size".

    What a row leaves out the seed decides. No file means that nothing happens. InputError: every mistake.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path.name}:{error.lineno}: not JSON: {error.msg}") from error
    if not isinstance(rows, list):
        raise InputError(f"{path.name}: must be a list of events, each an object with kind and start")
    events: list[Event] = []
    mistakes: list[str] = []
    for number, row in enumerate(rows):
        try:
            events.append(_scripted(row, channels, seed, number, f"{path.name}: event {number}"))
        except InputError as error:
            mistakes += error.mistakes
    if mistakes:
        raise InputError(mistakes)
    return tuple(events)


def script_row(event: Event) -> dict[str, Any]:
    """An event as a script says it, with nothing left to the seed."""
    row: dict[str, Any] = {"kind": event.kind, "start": rfc3339(event.start_ns), "place": event.place}
    if event.channel:
        row["channel"] = event.channel
    return row | {"seconds": (event.end_ns - event.start_ns) / SECOND_NS, "size": event.size}


def rfc3339(time_ns: int) -> str:
    """A moment for people and JSON, UTC, to the microsecond where it has a fraction."""
    text = str(np.datetime64(time_ns // 1000, "us"))
    return (text.removesuffix(".000000")) + "Z"


def nanoseconds(moment: Any, where: str = "start") -> int:
    """UTC nanoseconds of an RFC 3339 text (with a zone) or of an integer that is already that."""
    if isinstance(moment, int) and not isinstance(moment, bool):
        return moment
    try:
        parsed = datetime.fromisoformat(moment)
    except (TypeError, ValueError):
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise InputError(
            f'{where}: {moment!r} is no moment; write RFC 3339 with a zone: "2026-01-05T02:30:00+08:00"'
        )
    since = parsed - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * SECOND_NS + since.microseconds * 1000


def _scripted(row: Any, channels: ChannelTable, seed: int, number: int, where: str) -> Event:
    known = ("kind", "start", "place", "channel", "seconds", "size")
    if not isinstance(row, dict) or not isinstance(row.get("kind"), str):
        raise InputError(f'{where}: must be an object with a "kind"')
    for key in row:
        if key not in known:
            raise InputError(f'{where}: unknown key "{key}"; {did_you_mean(key, known)}')
    return planned(row["kind"], channels, seed, number, row, where=where)


def _place(
    scenario: Scenario, channels: ChannelTable, given: Mapping[str, Any], chance: float, where: str
) -> str:
    fits = scenario.places(channels)
    place = given.get("place")
    if place is None and fits:
        return fits[int(chance * len(fits))]
    if place in fits:
        return str(place)
    needs = f"{' or '.join(scenario.media)} {scenario.quantity}".strip() or "any channel"
    wrong = f'place "{place}"' if place is not None else "this site"
    raise InputError(
        f"{where}: {scenario.kind} needs a place that measures {needs}; {wrong} does not. "
        + (f"Places that do: {', '.join(fits)}" if fits else "There is none.")
    )


def _channel(
    scenario: Scenario, channels: ChannelTable, given: Mapping[str, Any], chance: float, where: str
) -> str:
    """The sensor at fault; "" for what befalls a whole place."""
    if not scenario.one_channel:
        return ""
    named, place = given.get("channel"), given.get("place")
    if named is not None:
        if named not in channels.number:
            raise InputError(f'{where}: unknown channel "{named}"; {did_you_mean(str(named), channels.ids)}')
        return str(named)
    fits = [
        c.id
        for c in channels.channels
        if c.quantity in ALWAYS_MOVING
        and place in (None, c.place)
        and (not scenario.media or c.medium in scenario.media)
    ]
    if not fits:
        raise InputError(
            f'{where}: {scenario.kind} needs a "channel"; no sensor at {place or "this site"} always moves'
        )
    return fits[int(chance * len(fits))]


def _number(
    given: Mapping[str, Any], key: str, span: tuple[float, float], chance: float, where: str
) -> float:
    value = given.get(key)
    if value is None:
        return round(span[0] + chance * (span[1] - span[0]), 0 if span[1] > 1000 else 3)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise InputError(f"{where}: {key} is {value!r}, and must be a number")
    return float(value)
