"""Payloads: what MQTT messages say, many at once into columns; computes, never waits."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from config.errors import SettingsError
from config.profiles import Profile
from config.quantities import conversion
from gateway.waveforms import Waveform, features, heard
from ingest.readings import BAD, GOOD, STAMPED, ReadingBatch

MOST_BYTES = 256 * 1024  # of a payload that is looked at
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # a time outside is a broken clock or another unit
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_MS, _LATEST_MS = EARLIEST.timestamp() * 1000, LATEST.timestamp() * 1000
_ARRIVAL = 0  # in a column of times: none was given
_SHOWN_DETAILS = 3

Time = Annotated[datetime, msgspec.Meta(tz=True)] | int | float | None


class Entry(msgspec.Struct, gc=False):
    """One object of the built-in mapping: values by point, recordings, and when they were measured."""

    v: dict[str, float | bool] | None = None
    t: Time = None
    w: dict[str, Waveform] | None = None


_decode = msgspec.json.Decoder(Entry | list[Entry]).decode


class Left(NamedTuple):
    """Something that was left out: in words that are few enough to count by, and in detail for the log."""

    reason: str
    detail: str
    readings: int = 1


class _Unusable(Exception):
    """Nothing of a message can be used; its arguments are reason and detail."""


class Message(NamedTuple):
    topic: str
    payload: bytes
    retained: bool = False  # the broker kept it from an earlier day


@dataclass(slots=True)
class _Columns:
    """Readings being gathered: entry by entry, `size` of them share a time."""

    channel: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    time_ns: list[int] = field(default_factory=list)
    size: list[int] = field(default_factory=list)


@dataclass
class Decoded:
    """What a group of messages came to. Every message is either used, in full or in part, or dead."""

    readings: ReadingBatch
    dead: list[tuple[int, Left]]  # number of the message in the group, and why nothing of it can be used
    left: list[tuple[int, Left]]  # number of a message that was used, and what was left out of it


class Decoder:
    """The built-in mapping: topic with one `+` for the device, JSON `{"t": …, "v": {point: number, …}}`
    or an array of those; a point feeds channel `<device>.<point>`.

    Values are in the channel's unit unless `profile` has the point, which then says unit, scale, offset and
    sentinels. Channels of wristbands that `profile` does not have are read as `band` says (0 or 255: not
    worn). A sentinel is a bad reading without value. Without `t`, or with null, the arrival is the time.
    Recordings in `"w": {name: {"hz": …, "x": [samples]}}` fill the channels whose names ask for them
    (gateway/waveforms.py).
    """

    def __init__(
        self,
        channels: ChannelTable,
        topic: str,
        profile: Profile | None = None,
        band: Profile | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.most_bytes = most_bytes
        self._head, self._tail = _around_device(topic)
        self._points: dict[str, dict[str, int]] = {}  # topic: point: channel
        self._scale = np.ones(len(channels))
        self._offset = np.zeros(len(channels))
        self._sentinels: dict[float, NDArray[np.bool_]] = {}  # raw value: channels for which it means nothing
        mistakes: list[str] = []
        for number, id in enumerate(channels.ids):
            device, _, point = id.rpartition(".")
            self._points.setdefault(f"{self._head}{device}{self._tail}", {})[point] = number
            model = band if channels.is_wristband[number] else None
            try:
                self._learn(number, point, channels.unit[number], profile, model)
            except SettingsError as error:
                mistakes += [f"channel {id}: {mistake}" for mistake in error.mistakes]
        if mistakes:
            raise SettingsError(mistakes)
        self._waves = {topic: made for topic, of in self._points.items() if (made := features(of))}
        self._plain = bool((self._scale == 1).all() and (self._offset == 0).all())

    def _learn(self, number: int, name: str, unit: str, *models: Profile | None) -> None:
        points = (point for model in models if model for point in model.points if point.name == name)
        point = next(points, None)
        if point is None:
            return
        scale, offset = conversion(point.unit, unit)
        self._scale[number] = point.scale * scale
        self._offset[number] = point.offset * scale + offset
        for raw in point.sentinel:
            self._sentinels.setdefault(float(raw), np.zeros(len(self._scale), dtype=bool))[number] = True

    def decode(self, messages: Sequence[Message], arrival_ns: int) -> Decoded:
        """Columns of all messages that can be used, in their order; `arrival_ns` is when they came."""
        columns = _Columns()
        dead: list[tuple[int, Left]] = []
        left: list[tuple[int, Left]] = []
        for number, message in enumerate(messages):
            before = len(columns.channel)
            notes: list[Left] = []
            try:
                for entry in self._entries(message, notes):
                    self._take(entry, message, columns, notes)
            except _Unusable as error:
                dead.append((number, Left(*error.args)))
                continue
            if len(columns.channel) == before:
                dead.append((number, _nothing_of(notes)))
            else:
                left += [(number, note) for note in notes]
        return Decoded(self._batch(columns, arrival_ns), dead, left)

    def device_of(self, topic: str) -> str:
        """The device that a topic names; the topic itself where it does not fit."""
        end = len(topic) - len(self._tail)
        fits = topic.startswith(self._head) and topic.endswith(self._tail)
        return topic[len(self._head) : end] if fits and end > len(self._head) else topic

    def _entries(self, message: Message, notes: list[Left]) -> Iterable[Entry]:
        """What a message holds; _Unusable where nothing of it can be read."""
        if message.topic not in self._points or len(message.payload) > self.most_bytes:
            raise _Unusable(*self._trouble(message))
        try:
            found = _decode(message.payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _salvaged(message.payload, notes)
        return found if isinstance(found, list) else (found,)

    def _take(self, entry: Entry, message: Message, columns: _Columns, notes: list[Left]) -> None:
        """Append one entry's readings; note what is left out."""
        values = entry.v
        if values is None:
            if entry.w is None:
                notes.append(_no_entry())
                return
            values = {}
        time_ns = _time_ns(entry.t)
        if time_ns is None or (time_ns == _ARRIVAL and message.retained):
            notes.append(Left(*_time_trouble(entry.t), len(values)))
            return
        points = self._points[message.topic]
        try:
            numbers = [points[name] for name in values]
        except KeyError:
            unknown = [name for name in values if name not in points]
            notes += [Left("unknown point", f'no channel for point "{short(name)}"') for name in unknown]
            values = {name: value for name, value in values.items() if name in points}
            numbers = [points[name] for name in values]
        columns.channel += numbers
        columns.value += values.values()
        columns.time_ns.append(time_ns)
        columns.size.append(len(numbers))
        if entry.w:
            self._listen(entry.w, message.topic, columns, notes)

    def _listen(
        self, waves: Mapping[str, Waveform], topic: str, columns: _Columns, notes: list[Left]
    ) -> None:
        """What an entry's recordings come to, as readings of the same time."""
        for channel, value in heard(waves, self._waves.get(topic, {})):
            if isinstance(channel, str):
                notes.append(Left("recording not usable", f'"{short(channel)}": {value}'))
            else:
                columns.channel.append(channel)
                columns.value.append(float(value))
                columns.size[-1] += 1

    def _batch(self, columns: _Columns, arrival_ns: int) -> ReadingBatch:
        channel = np.array(columns.channel, dtype=np.int32)
        value, quality = self._measured(channel, np.array(columns.value, dtype=np.float64))
        time_ns = np.repeat(np.array(columns.time_ns, dtype=np.int64), columns.size)
        stamped = time_ns != _ARRIVAL
        time_ns = np.where(stamped, time_ns, arrival_ns)
        flags = np.where(stamped, np.uint8(STAMPED), np.uint8(0))
        return ReadingBatch.of(channel, time_ns, value, quality, arrival_ns, flags)

    def _measured(
        self, channel: NDArray[np.int32], raw: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """(value in the channel's unit, quality); a sentinel is NaN and bad."""
        quality = np.full(len(raw), GOOD, dtype=np.uint8)
        value = raw if self._plain else raw * self._scale[channel] + self._offset[channel]
        for sentinel, has_it in self._sentinels.items():
            nothing = (raw == sentinel) & has_it[channel]
            if nothing.any():
                value = np.where(nothing, np.nan, value)
                quality[nothing] = BAD
        return value, quality

    def _trouble(self, message: Message) -> tuple[str, str]:
        """Why a message need not be parsed: reason and detail."""
        if message.topic in self._points:
            size = len(message.payload)
            return "too large", f"{size:,} bytes; at most {self.most_bytes:,} are taken"
        device = self.device_of(message.topic)
        if device == message.topic:
            return "topic does not fit", f"expected {self._head}<device>{self._tail}"
        return "unknown device", f"no channel of channels.csv is named {short(device)}.<point>"


def _around_device(topic: str) -> tuple[str, str]:
    """The parts of a topic filter before and after its one `+`; the prefix of a shared one is left out."""
    levels = topic.split("/")
    if levels[0] == "$share":
        levels = levels[2:]
    if levels.count("+") != 1 or any("#" in level or ("+" in level and level != "+") for level in levels):
        raise SettingsError(f'topic "{topic}" must hold one + where the device stands, and no #')
    head, tail = "/".join(levels).split("+")
    return head, tail


def _time_ns(t: Time) -> int | None:
    """UTC nanoseconds of milliseconds or of a time; _ARRIVAL where there is none, None if it cannot be."""
    if t is None:
        return _ARRIVAL
    if isinstance(t, datetime):
        if not EARLIEST <= t < LATEST:
            return None
        since = t - _EPOCH
        return (since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000
    if not _EARLIEST_MS <= t < _LATEST_MS:  # NaN too
        return None
    return t * 10**6 if isinstance(t, int) else round(t * 1000) * 1000


def _salvaged(payload: bytes, notes: list[Left]) -> Iterator[Entry]:
    """What can still be used of a payload that is not quite as it should be: an SOS beside a NaN must arrive.

    Notes what was left out; _Unusable says why nothing of the payload can be read at all.
    """
    if not payload:
        raise _Unusable("empty payload", "it holds nothing")
    try:
        plain = json.loads(payload.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _Unusable("not UTF-8", f"byte {error.start} cannot be read") from error
    except RecursionError as error:
        raise _Unusable("nested too deeply", "an object within an object within …") from error
    except ValueError as error:
        raise _Unusable("not JSON", str(error)) from error
    for entry in plain if isinstance(plain, list) else [plain]:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("v", entry.get("w")), Mapping):
            notes.append(_no_entry())
            continue
        try:
            time = msgspec.convert(entry.get("t"), Time)
        except (msgspec.ValidationError, OverflowError) as error:
            wanted = "t must be RFC 3339 with Z or an offset, or milliseconds"
            notes.append(Left("not a time", f"{wanted}: {error}", len(entry.get("v", {}))))
            continue
        values: dict[str, float | bool] = {}
        for point, value in entry.get("v", {}).items():
            number = _number(value)
            if math.isfinite(number):
                values[point] = number
            else:
                notes.append(Left("not a number", f'"{short(point)}" must be a finite number or a boolean'))
        waves: dict[str, Waveform] = {}
        for name, wave in entry["w"].items() if isinstance(entry.get("w"), Mapping) else ():
            try:
                waves[name] = msgspec.convert(wave, Waveform)
            except msgspec.ValidationError as error:
                notes.append(Left("recording not usable", f'"{short(name)}": {error}'))
        yield Entry(values, time, waves)


def _no_entry() -> Left:
    return Left("not an entry", 'expected {"t": …, "v": {…}} or an array of those')


def _number(value: object) -> float:
    """NaN for what is no number, and for one too large."""
    try:
        return float(value) if isinstance(value, (bool, int, float)) else math.nan
    except OverflowError:
        return math.nan


def _time_trouble(t: Time) -> tuple[str, str]:
    """Why a time cannot be: reason and detail."""
    if t is None:
        return "retained without a time", "a retained message must hold t: nobody knows how old it is"
    if isinstance(t, (int, float)) and _EARLIEST_MS <= t * 1000 < _LATEST_MS:
        return "time out of range", "t is in seconds; milliseconds are expected"
    return "time out of range", f"t must lie in the years {EARLIEST.year} to {LATEST.year - 1}"


def _nothing_of(notes: Sequence[Left]) -> Left:
    """A message of which all was left out."""
    if not notes:
        return Left("no readings", "v holds no points")
    reasons = dict.fromkeys(note.reason for note in notes)
    details = dict.fromkeys(note.detail for note in notes)
    return Left(f"no usable reading: {', '.join(reasons)}", "; ".join(list(details)[:_SHOWN_DETAILS]))


def short(text: str) -> str:
    """A name from outside, as it may stand in a log."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= 80 else f"{shown[:80]}…"
