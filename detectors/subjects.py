"""Subjects: what is looked at together, such as all quantities of a band; its newest values as columns."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from config.channels import Channel, ChannelTable
from config.defaults import defaults_for
from config.errors import SettingsError
from config.quantities import QUANTITIES, conversion
from detectors.base import BoolArray, EventDetector, FloatArray, IntArray, Memory, Points, TimeArray
from detectors.findings import Explanation, Findings
from detectors.levels import NEVER_NS, SECOND_NS
from ingest.readings import GOOD, UNUSUAL, ReadingBatch, Recurring

NOBODY = -1
FINITE = np.finfo(np.float64).max


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a detector; its point at a subject is carried by the first of these roles that is there."""

    name: str
    kind: str  # what it means, in the words of grades.toml; "" = ask the evidence
    carriers: tuple[str, ...]
    on_delay_s: float = 0.0
    off_delay_s: float = 60.0  # at least a period of the carrier
    on_samples: int = 1
    latching: bool = False


class Site:
    """The subjects of a table. Columns have shape (subjects,) or (subjects, roles).

    Values are in the canonical unit of their quantity; what is not plausible there is not heard.
    """

    def __init__(
        self,
        channels: ChannelTable,
        roles: Sequence[str],
        rules: Sequence[Rule],
        subjects: Sequence[Mapping[str, int]],
        only: IntArray | None,
    ) -> None:
        self.channels, self.roles, self.rules = channels, tuple(roles), tuple(rules)
        wanted = None if only is None else set(only.tolist())
        chosen = [
            of for of in subjects if wanted is None or wanted & {_carrier(of, rule) for rule in self.rules}
        ]
        self.size = len(chosen)
        self.member = np.array(
            [[of.get(role, NOBODY) for role in self.roles] for of in chosen], dtype=np.int64
        ).reshape(self.size, len(self.roles))
        self.has: BoolArray = self.member != NOBODY
        self.period_s = np.where(self.has, channels.period_s[self.member], np.nan)
        self.ours = np.unique(self.member[self.has])
        self.local = np.full(len(channels), NOBODY, dtype=np.int64)
        self.local[self.ours] = np.arange(len(self.ours))
        self.seat = np.where(self.has, self.local[self.member], len(self.ours))
        known = [_units(channels[n]) for n in self.ours.tolist()]
        self.scale, self.offset, self.least, self.most = (
            np.array([of[i] for of in known], dtype=np.float64) for i in range(4)
        )
        self.points = self._points(chosen, wanted)
        self.plans = Recurring(self.mine)

    def __len__(self) -> int:
        return self.size

    def mine(self, channel: NDArray[Any]) -> NDArray[np.intp]:
        """Which of these readings are of our channels."""
        return np.flatnonzero(self.local[channel] != NOBODY)

    def channel_of(self, point: int) -> Channel:
        """The channel that carries a point."""
        return self.channels[int(self.points.channel[point])]

    def role(self, name: str) -> int:
        """The column of a role."""
        return self.roles.index(name)

    def _points(self, chosen: Sequence[Mapping[str, int]], wanted: set[int] | None) -> Points:
        rules = [(rule, of) for rule in self.rules for of in chosen]
        carrier = [_carrier(of, rule) for rule, of in rules]
        channel = [next(iter(of.values())) if n == NOBODY else n for n, (_, of) in zip(carrier, rules)]
        watched = [n != NOBODY and (wanted is None or n in wanted) for n in carrier]
        period_s = self.channels.period_s[np.array(channel, dtype=np.int64)]
        return Points(
            rule=tuple(rule.name for rule, _ in rules),
            channel=np.array(channel, dtype=np.int32),
            kind=tuple(rule.kind for rule, _ in rules),
            on_delay_s=np.array([rule.on_delay_s for rule, _ in rules]),
            off_delay_s=np.maximum([rule.off_delay_s for rule, _ in rules], period_s),
            on_samples=np.array([rule.on_samples for rule, _ in rules], dtype=np.int32),
            latching=np.array([rule.latching for rule, _ in rules], dtype=bool),
            speaks=np.array(watched, dtype=bool),
        )


@dataclass(frozen=True)
class Moment:
    """What one tick, or a part of it with one reading a channel, brought to the subjects."""

    site: Site
    heard: BoolArray  # (subjects, roles): a newer reading came
    value: FloatArray  # (subjects, roles): the newest, NaN before the first of an epoch
    time_ns: TimeArray  # (subjects, roles): when that was measured
    before_ns: TimeArray  # (subjects, roles): when the one before it was

    def of(self, role: str) -> tuple[BoolArray, FloatArray, TimeArray]:
        """(heard, value, time_ns) of a role, each (subjects,)."""
        column = self.site.role(role)
        return self.heard[:, column], self.value[:, column], self.time_ns[:, column]

    def since_s(self, role: str, most_periods: float = 2.0) -> FloatArray:
        """Seconds that the newest reading of a role speaks of: since the one before, no gap counted."""
        column = self.site.role(role)
        period_s = self.site.period_s[:, column]
        gap_s = (self.time_ns[:, column] - self.before_ns[:, column]) / SECOND_NS
        known = self.heard[:, column] & (self.before_ns[:, column] != NEVER_NS)
        return np.where(known, np.minimum(gap_s, most_periods * period_s), 0.0)


@dataclass(frozen=True)
class SubjectDetector(EventDetector):
    """Judges subjects whenever one of their channels has spoken; a kind says what they are and how.

    Only GOOD readings that came in time and lie in the plausible range of their quantity are heard.
    Points: rule after rule, each over all subjects. `memory` holds, beside what a kind adds in `lessons`,
    `value` and `time_ns` (points, roles), `severity` and `surprise` (points,); rows past the subjects of
    the first two stay unused.
    """

    roles: ClassVar[tuple[str, ...]] = ()
    momentary: ClassVar[tuple[str, ...]] = ()  # arrays of the memory that do not outlive an epoch

    only: IntArray | None = field(default=None, init=False, repr=False, compare=False)
    site: Site | None = field(default=None, init=False, repr=False, compare=False)

    @abstractmethod
    def rules(self) -> Sequence[Rule]:
        """Its rules, in the order of their points."""

    @abstractmethod
    def subjects(self, channels: ChannelTable) -> Sequence[Mapping[str, int]]:
        """For each subject the channel number of each role that it has."""

    @abstractmethod
    def lessons(self, site: Site) -> Memory:
        """What it learns or accumulates, as on the first day; axis 0 = subjects."""

    @abstractmethod
    def weigh(self, moment: Moment, memory: Memory) -> BoolArray:
        """Move what was learned (subjects,) and `severity`, `surprise` (points,); which points it judged."""

    @abstractmethod
    def say(self, site: Site, point: int, memory: Memory) -> Explanation:
        """Why a point turned."""

    def over(self, numbers: IntArray) -> Self:
        """The same, watching the points that these channels carry."""
        narrowed = copy(self)
        object.__setattr__(narrowed, "only", np.asarray(numbers, dtype=np.int32))
        object.__setattr__(narrowed, "site", None)
        return narrowed

    def points(self, channels: ChannelTable) -> Points:
        return self._bound(channels).points

    def fresh_memory(self, channels: ChannelTable) -> Memory:
        site = self._bound(channels)
        return {
            "value": np.full((len(site.points), len(site.roles)), np.nan),
            "time_ns": np.full((len(site.points), len(site.roles)), NEVER_NS, dtype=np.int64),
            "severity": np.zeros(len(site.points), dtype=np.uint8),
            "surprise": np.zeros(len(site.points)),
            **{name: _padded(array, len(site.points)) for name, array in self.lessons(site).items()},
        }

    def restart(self, memory: Memory, clock_good: bool) -> None:
        """A new epoch: what was measured before it is not news, and nothing is counted across the gap."""
        memory["value"][:] = np.nan
        memory["time_ns"][:] = NEVER_NS
        if self.site is not None and self.momentary:
            fresh = self.lessons(self.site)
            for name in self.momentary:
                memory[name] = _padded(fresh[name], len(memory[name]))

    def judge(self, readings: ReadingBatch, now_ns: int, memory: Memory) -> Findings | None:
        site = self.site
        if site is None:
            raise RuntimeError("points(channels) must be called before judge: it says which site this is")
        if not len(site):
            return None
        plan = site.plans.of(readings)
        rows = site.mine(readings.channel) if plan is None else plan
        if not len(rows):
            return None
        judged = np.zeros(len(site.points), dtype=bool)
        for local, value, time_ns in _turns(site, readings, rows, several=plan is None):
            judged |= self._take(site, local, value, time_ns, memory)
        if not np.count_nonzero(judged):
            return None
        return self._findings(site, judged & self._speaks(site), memory)

    def _take(
        self, site: Site, local: NDArray[Any], value: FloatArray, time_ns: TimeArray, memory: Memory
    ) -> BoolArray:
        """At most one reading a channel: the newest values move on, and what they mean is weighed."""
        told = np.full(len(site.ours) + 1, np.nan)
        told_ns = np.full(len(site.ours) + 1, NEVER_NS, dtype=np.int64)
        told[local], told_ns[local] = value, time_ns
        told, told_ns = told[site.seat], told_ns[site.seat]
        size = len(site)
        before_ns = memory["time_ns"][:size].copy()
        heard = told_ns > before_ns
        np.copyto(memory["value"][:size], told, where=heard)
        np.copyto(memory["time_ns"][:size], told_ns, where=heard)
        moment = Moment(site, heard, memory["value"][:size], memory["time_ns"][:size], before_ns)
        return self.weigh(moment, memory)

    def _findings(self, site: Site, heard: BoolArray, memory: Memory) -> Findings:
        newest_ns = memory["time_ns"][: len(site)].max(axis=1)
        surprise = memory["surprise"]
        return Findings(
            points=site.points,
            score=surprise / (surprise + 5.0),
            severity=memory["severity"] * self._speaks(site),
            heard=heard,
            event_ns=np.tile(newest_ns, len(site.rules)),
            explain=lambda point: self.say(site, point, memory),
        )

    def _speaks(self, site: Site) -> BoolArray:
        speaks = site.points.speaks
        assert speaks is not None
        return speaks

    def _bound(self, channels: ChannelTable) -> Site:
        if self.site is None or self.site.channels is not channels:
            site = Site(channels, self.roles, self.rules(), self.subjects(channels), self.only)
            object.__setattr__(self, "site", site)
        assert self.site is not None
        return self.site


def of_places(channels: ChannelTable, medium: str, roles: Sequence[str]) -> list[dict[str, int]]:
    """For each place of a medium the channels of these quantities; of several of one the first by id."""
    found: dict[str, dict[str, int]] = {}
    for n in sorted(range(len(channels)), key=lambda n: channels.ids[n]):
        if channels.medium[n] == medium and channels.quantity[n] in roles:
            found.setdefault(channels.place[n], {}).setdefault(channels.quantity[n], n)
    return [of for _, of in sorted(found.items())]


def local_hour(time_ns: TimeArray, timezone: str) -> FloatArray:
    """Local hours since midnight, in [0, 24), at each of these moments."""
    time_s = np.maximum(time_ns // SECOND_NS, 0)
    quarter = time_s // 900
    first = int(quarter[0]) if len(quarter) else 0
    offset_s: Any = _offset_s(timezone, first)
    if np.count_nonzero(quarter != first):
        distinct, which = np.unique(quarter, return_inverse=True)
        offset_s = np.array([_offset_s(timezone, int(each)) for each in distinct])[which]
    return np.asarray((time_s + offset_s) / 3600.0 % 24.0)


@lru_cache(maxsize=64)
def _offset_s(timezone: str, quarter: int) -> float:
    """Local time minus UTC in that quarter of an hour since 1970."""
    offset = datetime.fromtimestamp(quarter * 900, UTC).astimezone(ZoneInfo(timezone)).utcoffset()
    return offset.total_seconds() if offset else 0.0


def _turns(
    site: Site, readings: ReadingBatch, rows: NDArray[np.intp], *, several: bool
) -> list[tuple[NDArray[Any], FloatArray, TimeArray]]:
    """(local channel, value, time_ns) with at most one reading a channel, in the order of time."""
    local = site.local[readings.channel[rows]]
    with np.errstate(over="ignore", invalid="ignore"):
        value = readings.value[rows] * site.scale[local] + site.offset[local]
    sound = (value >= site.least[local]) & (value <= site.most[local])
    sound &= (readings.quality[rows] == GOOD) & (readings.flags[rows] & UNUSUAL == 0)
    if np.count_nonzero(sound) < len(sound):
        rows, local, value = rows[sound], local[sound], value[sound]
    time_ns = readings.time_ns[rows]
    if not several or not len(rows):
        return [(local, value, time_ns)] if len(rows) else []
    begins = np.flatnonzero(np.diff(local, prepend=NOBODY - 1))
    rank = np.arange(len(rows)) - np.repeat(begins, np.diff(begins, append=len(rows)))  # sorted
    return [
        (local[rank == turn], value[rank == turn], time_ns[rank == turn]) for turn in range(rank.max() + 1)
    ]


def _units(channel: Channel) -> tuple[float, float, float, float]:
    """(scale, offset) to the canonical unit and the plausible range there; unknown units as they are."""
    try:
        scale, offset = conversion(channel.unit, QUANTITIES[channel.quantity].unit)
    except (SettingsError, KeyError):
        scale, offset = 1.0, 0.0
    low, high = (bound * scale + offset for bound in defaults_for(channel).plausible)
    return scale, offset, max(low, -FINITE), min(high, FINITE)


def _carrier(of: Mapping[str, int], rule: Rule) -> int:
    return next((of[role] for role in rule.carriers if role in of), NOBODY)


def _padded(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """With zero rows behind it, so that axis 0 is that of the points."""
    padded = np.zeros((rows, *array.shape[1:]), dtype=array.dtype)
    padded[: len(array)] = array
    return padded
