"""Defaults: levels, delays and noise of each quantity, from `defaults.toml`, in the unit of a channel."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf, isnan, nan
from pathlib import Path
from typing import Literal

import msgspec

from config.channels import Channel
from config.errors import SettingsError
from config.quantities import QUANTITIES, conversion

LevelName = Literal["low_low", "low", "high", "high_high"]
LEVEL_NAMES: tuple[LevelName, ...] = ("low_low", "low", "high", "high_high")
Severity = Literal["warning", "alarm"]
TABLE = Path(__file__).with_name("defaults.toml")


@dataclass(frozen=True, slots=True)
class Level:
    """A value that a channel must not reach: `>=` at high, `<=` at low levels."""

    name: LevelName
    limit: float  # in the channel's unit; NaN = off until a nominal value is known
    kind: str  # what crossing it means, in the words of grades.toml; "" = ask the evidence
    severity: Severity
    on_delay_s: float  # 0 where the channel is slower than that: then on_samples alone counts
    off_delay_s: float  # at least half a period, so that one calm reading ends nothing
    on_samples: int
    latching: bool = False
    life_safety: bool = False  # pages even when it arrives late; no verdict "sensor fault" mutes it

    @property
    def is_high(self) -> bool:
        return self.name in ("high", "high_high")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What is known of a channel before it has spoken; values and differences in its unit."""

    levels: tuple[Level, ...] = ()  # from low_low to high_high
    deadband: float = 0.0  # a level is over when the value is back by more than this
    span: tuple[float, float] = (nan, nan)  # where the quantity usually lives
    plausible: tuple[float, float] = (-inf, inf)  # outside of it: a fault of the sensor or its decoding
    noise_floor: float = 0.0  # least honest spread of a reading, one sigma; 0 = not known
    noise_of_value: float = 0.0  # share of the value that is added to it
    silent_after: float = 5.0  # periods without a reading that are still normal …
    silent_floor_s: float = 60.0  # … and at least so many seconds
    rest_only: bool = False  # judged by levels only when the wearer has rested
    worn_only: bool = False  # … and not while the band is off the wrist
    standards: tuple[float, ...] = ()  # without a nominal value, the nearest of these is learned
    learns_own: bool = False  # without a nominal value, the channel's own mean is learned
    source: str = "unknown quantity: watched generically"

    @property
    def regulated(self) -> bool:
        """It measures what a gas regulator lets through."""
        return any(level.kind == "regulator_underpressure" for level in self.levels)

    def level(self, name: str) -> Level | None:
        """The level of that name, where there is one."""
        return next((level for level in self.levels if level.name == name), None)

    def silence_s(self, period_s: float) -> float:
        """The longest silence that is still normal for a channel of that period."""
        return max(self.silent_after * period_s, self.silent_floor_s)

    def spread_floor(self, value: float) -> float:
        """Least honest spread of readings around `value`, one sigma."""
        return self.noise_floor + self.noise_of_value * abs(value)


def defaults_for(channel: Channel) -> Defaults:
    """The defaults of a channel, its operator's own `low` and `high` put in their place.

    An operator's limit replaces the number of the default level and keeps its meaning; where there is no such
    level it is added. A quantity, medium or unit without defaults gets those of an unknown one.
    """
    entry = _entry_of(channel)
    if entry is None:
        return Defaults(levels=_with_operator((), channel, _Entry([], "", "", ""), _Class(60.0, 60.0, 2)))
    known = _table()
    delays = known.classes[entry.class_]
    scale, offset = conversion(QUANTITIES[channel.quantity].unit, channel.unit)
    levels = tuple(
        _level(name, level, entry, delays, channel, (scale, offset))
        for name in LEVEL_NAMES
        if (level := getattr(entry, name)) is not None
    )
    share = entry.deadband_of_nominal
    deadband = (
        entry.deadband * scale if share is None or isnan(channel.nominal) else share * abs(channel.nominal)
    )
    return Defaults(
        levels=_with_operator(levels, channel, entry, delays),
        deadband=deadband,
        span=(entry.span[0] * scale + offset, entry.span[1] * scale + offset),
        plausible=(entry.plausible[0] * scale + offset, entry.plausible[1] * scale + offset),
        noise_floor=entry.noise * scale,
        noise_of_value=entry.noise_of_value,
        silent_after=delays.silent_after if entry.silent_after is None else entry.silent_after,
        silent_floor_s=delays.silent_floor_s,
        rest_only=entry.rest_only,
        worn_only=entry.worn_only,
        standards=tuple(standard * scale + offset for standard in entry.standards),
        learns_own=entry.learns_own,
        source=entry.source,
    )


def is_life_safety(medium: str, quantity: str) -> bool:
    """Whether life may hang on such a channel: one of its levels says so, or it tells of an event."""
    return any(
        entry.class_ == "event"
        or any(level is not None and level.life_safety for level in (getattr(entry, n) for n in LEVEL_NAMES))
        for entry in _by_name().get((medium, quantity), ())
    )


class _Level(msgspec.Struct, forbid_unknown_fields=True):
    """A level as the table says it."""

    kind: str
    at: float | None = None
    of_nominal: float | None = None
    severity: Severity = "alarm"
    on_delay_s: float | None = None
    off_delay_s: float | None = None
    on_samples: int | None = None
    latching: bool = False
    life_safety: bool = False


class _Class(msgspec.Struct, forbid_unknown_fields=True):
    """Delays and counts of a class of signals."""

    on_delay_s: float
    off_delay_s: float
    on_samples: int
    silent_after: float = 5.0
    silent_floor_s: float = 60.0


class _Entry(msgspec.Struct, forbid_unknown_fields=True, rename={"class_": "class"}):
    """One `[[default]]` of the table, in canonical units."""

    medium: list[str]
    quantity: str
    class_: str
    source: str
    nominal: tuple[float, float] = (-inf, inf)
    standards: tuple[float, ...] = ()
    learns_own: bool = False
    span: tuple[float, float] = (nan, nan)
    noise: float = 0.0
    noise_of_value: float = 0.0
    deadband: float = 0.0
    deadband_of_nominal: float | None = None
    plausible: tuple[float, float] = (-inf, inf)
    silent_after: float | None = None
    rest_only: bool = False
    worn_only: bool = False
    low_low: _Level | None = None
    low: _Level | None = None
    high: _Level | None = None
    high_high: _Level | None = None
    low_means: str = "limit"
    high_means: str = "limit"


class _Table(msgspec.Struct, forbid_unknown_fields=True, rename={"classes": "class", "entries": "default"}):
    classes: dict[str, _Class]
    entries: list[_Entry]


@lru_cache(maxsize=1)
def _table() -> _Table:
    return msgspec.convert(tomllib.loads(TABLE.read_text(encoding="utf-8")), _Table)


@lru_cache(maxsize=1)
def _by_name() -> Mapping[tuple[str, str], list[_Entry]]:
    """The entries of each medium and quantity, in the order of the table."""
    named: dict[tuple[str, str], list[_Entry]] = {}
    for entry in _table().entries:
        for medium in entry.medium:
            named.setdefault((medium, entry.quantity), []).append(entry)
    return named


def _entry_of(channel: Channel) -> _Entry | None:
    """The entry that holds for a channel: the class of its nominal value, or the one that learns it."""
    fits = _by_name().get((channel.medium, channel.quantity))
    if not fits:
        return None
    try:
        scale, offset = conversion(channel.unit, QUANTITIES[channel.quantity].unit)
    except SettingsError:
        return None
    if isnan(channel.nominal):
        return next((entry for entry in fits if entry.standards), fits[0])
    nominal = channel.nominal * scale + offset
    return next((entry for entry in fits if entry.nominal[0] <= nominal < entry.nominal[1]), None)


def _level(
    name: LevelName,
    level: _Level,
    entry: _Entry,
    delays: _Class,
    channel: Channel,
    to_unit: tuple[float, float],
) -> Level:
    """A level in the channel's unit, its delays fitted to the channel's period."""
    scale, offset = to_unit
    absolute = nan if level.at is None else level.at * scale + offset
    relative = nan if level.of_nominal is None else level.of_nominal * channel.nominal
    laxer = max if name in ("high", "high_high") else min
    if not isnan(relative):
        limit = relative if isnan(absolute) else laxer(absolute, relative)
    else:
        limit = nan if entry.standards else absolute
    on_delay_s = delays.on_delay_s if level.on_delay_s is None else level.on_delay_s
    off_delay_s = delays.off_delay_s if level.off_delay_s is None else level.off_delay_s
    return Level(
        name=name,
        limit=float(f"{limit:.12g}"),  # 220 V * 1.07 is 235.4 V, not a last bit more: reaching it alarms
        kind=level.kind,
        severity=level.severity,
        on_delay_s=0.0 if channel.period_s >= on_delay_s else on_delay_s,
        off_delay_s=max(off_delay_s, channel.period_s / 2) if off_delay_s > 0 else 0.0,
        on_samples=delays.on_samples if level.on_samples is None else level.on_samples,
        latching=level.latching,
        life_safety=level.life_safety,
    )


def _with_operator(
    levels: tuple[Level, ...], channel: Channel, entry: _Entry, delays: _Class
) -> tuple[Level, ...]:
    """The levels with the operator's own limits among them, in order of LEVEL_NAMES."""
    named = {level.name: level for level in levels}
    own: tuple[tuple[LevelName, float, str], ...] = (
        ("low", channel.low, entry.low_means),
        ("high", channel.high, entry.high_means),
    )
    for name, limit, means in own:
        if isnan(limit):
            continue
        if name in named:
            named[name] = replace(named[name], limit=limit)
        else:
            spoken = _Level(kind=means)
            named[name] = replace(_level(name, spoken, entry, delays, channel, (1.0, 0.0)), limit=limit)
    return tuple(named[name] for name in LEVEL_NAMES if name in named)
