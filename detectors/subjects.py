"""Subjects: what is looked at together, such as all quantities of a band; its newest values as columns."""

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from config.channels import Channel, ChannelTable
from config.defaults import defaults_for
from config.errors import SettingsError
from config.quantities import QUANTITIES, conversion
from detectors.base import BoolArray, FloatArray, IntArray, Memory, Points, Surveying, TimeArray
from detectors.findings import Explanation, Findings
from detectors.levels import NEVER_NS, SECOND_NS
from ingest.row import Row

NOBODY = -1
FINITE = np.finfo(np.float64).max
SHORTEST_S, LONGEST_S = 1.0, 3600.0  # the periods of rows
Seats = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]


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
        periods = np.clip(channels.period_s, SHORTEST_S, LONGEST_S)
        self.period_s = np.where(self.has, periods[self.member], np.nan)
        ours = {n: _units(channels[n]) for n in np.unique(self.member[self.has]).tolist()}
        nothing = (1.0, 0.0, np.inf, -np.inf)
        known = np.array([ours.get(n, nothing) for n in self.member.ravel().tolist()]).reshape(-1, 4)
        self.scale, self.offset, self.least, self.most = known.T.reshape(4, *self.member.shape)
        self.points = self._points(chosen, wanted)

    def __len__(self) -> int:
        return self.size

    def seats(self, members: IntArray) -> Seats:
        """(subject, role, column in a row of these channels) of each seat that such a row can fill."""
        column = {n: at for at, n in enumerate(members.tolist())}
        subject, role = np.nonzero(np.isin(self.member, members) & self.has)
        at = np.array([column[n] for n in self.member[subject, role].tolist()], dtype=np.intp)
        return subject, role, at

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
    """What a settled row brought to the subjects."""

    site: Site
    end_ns: int  # of the row
    period_s: float  # of the row
    heard: BoolArray  # (subjects, roles): a level came with this row
    value: FloatArray  # (subjects, roles): the newest, NaN before the first of an epoch
    time_ns: TimeArray  # (subjects, roles): the end of its row
    before_ns: TimeArray  # (subjects, roles): the end of the row of the one before
    pace_s: int  # what comes faster is looked at so often

    def of(self, role: str) -> tuple[BoolArray, FloatArray, TimeArray]:
        """(heard, value, time_ns) of a role, each (subjects,)."""
        column = self.site.role(role)
        return self.heard[:, column], self.value[:, column], self.time_ns[:, column]

    def whole(self, pace_s: int) -> bool:
        """The row is the first to end in such a step: time for what need not be done each minute."""
        return opens(self.end_ns, self.period_s, pace_s)

    def since_s(self, role: str, most_periods: float = 2.0) -> FloatArray:
        """Seconds that the newest reading of a role speaks of: since the one before it that was looked at,
        no gap counted."""
        column = self.site.role(role)
        period_s = np.maximum(self.site.period_s[:, column], self.pace_s)
        gap_s = (self.time_ns[:, column] - self.before_ns[:, column]) / SECOND_NS
        known = self.heard[:, column] & (self.before_ns[:, column] != NEVER_NS)
        return np.where(known, np.minimum(gap_s, most_periods * period_s), 0.0)


@dataclass(frozen=True)
class SubjectDetector(Surveying[Site]):
    """Judges subjects whenever a settled row holds one of their channels; a kind says what they are and how.

    Levels outside of the plausible range of their quantity are not heard. Points: rule after rule, each over
    all subjects. `memory` holds, beside what a kind adds in `lessons`, `value` and `time_ns` (points, roles),
    `severity` and `surprise` (points,); of the first two, rows past the subjects stay unused.
    """

    roles: ClassVar[tuple[str, ...]] = ()
    pace_s: ClassVar[int] = 60  # of rows that come faster, the first to end in each is looked at
    momentary: ClassVar[tuple[str, ...]] = ()  # arrays of the memory that do not outlive an epoch
    replaces: ClassVar[tuple[str, ...]] = (  # rules, on `instead`
        *("jump", "drift", "rhythm", "regime", "plateau", "novelty", "unrest", "spike", "scale", "apart"),
    )

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

    def instead(self, site: Site) -> NDArray[np.int64]:
        """Channels that it knows better than rules that learn the level of each channel alone."""
        return np.zeros(0, dtype=np.int64)

    def survey(self, channels: ChannelTable) -> Site:
        """Its subjects, and of their points those that the watched channels carry."""
        return Site(channels, self.roles, self.rules(), self.subjects(channels), self.only)

    def fresh_memory(self, site: Site) -> Memory:
        return {
            "value": np.full((len(site.points), len(site.roles)), np.nan),
            "time_ns": np.full((len(site.points), len(site.roles)), NEVER_NS, dtype=np.int64),
            "severity": np.zeros(len(site.points), dtype=np.uint8),
            "surprise": np.zeros(len(site.points)),
            **{name: _padded(array, len(site.points)) for name, array in self.lessons(site).items()},
        }

    def restart(self, site: Site, memory: Memory) -> None:
        """A new epoch: what was measured before it is not news, and nothing is counted across the gap."""
        memory["value"][:] = np.nan
        memory["time_ns"][:] = NEVER_NS
        fresh = self.lessons(site) if self.momentary else {}
        for name in self.momentary:
            memory[name] = _padded(fresh[name], len(site.points))

    def judge(self, site: Site, seats: Seats, row: Row, memory: Memory) -> Findings | None:
        """The verdict on a row, `seats` by `Site.seats`; None where it says nothing of a subject."""
        subject, role, column = seats
        size = len(site)
        with np.errstate(over="ignore", invalid="ignore"):
            told = row.values[column] * site.scale[subject, role] + site.offset[subject, role]
        sound = (told >= site.least[subject, role]) & (told <= site.most[subject, role])
        if not np.count_nonzero(sound):
            return None
        if np.count_nonzero(sound) < len(sound):
            subject, role, told = subject[sound], role[sound], told[sound]
        heard = np.zeros((size, len(site.roles)), dtype=bool)
        heard[subject, role] = True
        value, time_ns = memory["value"][:size], memory["time_ns"][:size]
        before_ns = time_ns.copy()
        value[subject, role] = told
        time_ns[subject, role] = row.end_ns
        moment = Moment(site, row.end_ns, row.period_s, heard, value, time_ns, before_ns, self.pace_s)
        judged = self.weigh(moment, memory)
        speaks = site.points.speaks
        assert speaks is not None
        judged &= speaks
        if not np.count_nonzero(judged):
            return None
        surprise = memory["surprise"]
        return Findings(
            points=site.points,
            score=surprise / (surprise + 5.0),
            severity=memory["severity"] * speaks,
            heard=judged,
            event_ns=np.full(len(site.points), row.end_ns, dtype=np.int64),
            explain=lambda point: self.say(site, point, memory),
        )


def opens(end_ns: int, period_s: float, step_s: int) -> bool:
    """Whether no row of this period ended in the same step of `step_s` before this one.

    Where the period divides the step that is the row which ends with the step before; a period of 7 s has
    such a row in every minute too.
    """
    step_ns = step_s * SECOND_NS
    return end_ns // step_ns != (end_ns - round(period_s * SECOND_NS)) // step_ns


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


def phase_of(channel_id: str) -> str:
    """The phase that a channel's name ends with (`voltage_a`, `current_l1`), "" where it names none."""
    found = re.search(r"[._](l[123]|[abc])(?:_|$)", channel_id.rpartition(".")[2].lower())
    found = found or re.search(r"_(l[123]|[abc])$", channel_id.lower())
    return {"l1": "a", "l2": "b", "l3": "c"}.get(found[1], found[1]) if found else ""
