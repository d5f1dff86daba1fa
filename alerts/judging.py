"""Judging: what alerts were worth, beside what truly happened; pure, so that anyone may check it by hand.

Counted are alerts that were raised and told to people, P1 to P3, outside the warm-up, but not what the
alarm system says of itself (a flood of alarms). What happened is an incident, benign, or a sensor at fault.
An alert hits an incident when it is raised within [start, end + 30 min] on an affected channel, its place,
or a near place. Sensor faults are hit by `sensor_fault:*` only, told or not, and such alerts hit nothing
else. What comes within 4 h after an event at its places counts as neither. The rest is false; false alerts
of one place less than 1 h apart are one episode.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.alert import TYPE_PREFIX, TYPE_SUFFIX
from alerts.flood import SYSTEM
from config.channels import ChannelTable
from config.grades import FAULT

MINUTE_NS = 60 * 10**9
HOUR_NS = 60 * MINUTE_NS
GRACE_NS = 30 * MINUTE_NS  # after its end an incident may still be noticed
AFTERMATH_NS = 4 * HOUR_NS  # what comes so soon after an event is neither hit nor false
EPISODE_NS = HOUR_NS  # false alerts of a place, nearer than this, are one episode
COUNTED = frozenset({"P1", "P2", "P3"})  # P4 is information
INCIDENT, BENIGN, SENSOR = "incident", "benign", "sensor_fault"
CATEGORIES = (INCIDENT, BENIGN, SENSOR)
DRAWS = 200  # placebos


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of truth.json. `places` are those where an alert on it may be raised."""

    category: str  # incident, benign, sensor_fault
    kind: str
    medium: str
    place: str
    start_ns: int
    end_ns: int
    channels: frozenset[str]
    own_places: frozenset[str]  # its place, and those of its channels
    places: frozenset[str]  # and the near ones
    period_s: float  # shortest of its channels; NaN where none is named

    def lasts_at(self, detected_ns: int) -> bool:
        """An alert raised then may be about it."""
        return self.start_ns <= detected_ns <= self.end_ns + GRACE_NS


@dataclass(frozen=True, slots=True)
class Told:
    """What counts of an alert change."""

    type: str  # raised, updated, cleared …
    incident: str
    kind: str
    grade: str
    medium: str
    place: str
    channel: str
    detected_ns: int
    notify: bool
    warmup: bool

    @property
    def is_fault(self) -> bool:
        return self.kind.startswith(FAULT)

    @property
    def message(self) -> bool:
        """It was told to people, as something to act on."""
        said = self.notify and self.grade in COUNTED and not self.warmup and self.type != "cleared"
        return said and self.medium != SYSTEM

    @property
    def counted(self) -> bool:
        return self.type == "raised" and self.message


@dataclass(frozen=True)
class Case:
    """One run: what was said, what happened, on which channels, from when to when."""

    told: Sequence[Told]
    happenings: Sequence[Happening]
    channels: ChannelTable
    start_ns: int
    end_ns: int

    @property
    def days(self) -> float:
        return (self.end_ns - self.start_ns) / (24 * HOUR_NS)


@dataclass(frozen=True)
class Outcome:
    """What became of one happening. `placebo` is the chance that the same alerts at random times hit it."""

    happening: Happening
    hits: int
    delay_s: float | None = None
    delay_periods: float | None = None
    placebo: float = 0.0
    place_right: bool = False  # the first hit names one of its own places
    kind_first: bool = False  # the first hit names its kind
    kind_right: bool = False  # so does the last word on it while it lasts
    messages: int = 0  # told to people about it, also after it


@dataclass(frozen=True)
class Episode:
    """False alerts of one place in a row."""

    medium: str
    place: str
    kinds: tuple[str, ...]
    start_ns: int
    end_ns: int
    alerts: int


@dataclass(frozen=True)
class Judgement:
    """A case judged."""

    case: Case
    outcomes: tuple[Outcome, ...]
    right: int  # counted alerts that hit something of their sort
    neither: int  # that came in the aftermath of something
    false: int
    episodes: tuple[Episode, ...]


@dataclass
class _Said:
    """Changes as columns, found by place and by channel."""

    changes: Sequence[Told]
    _at: dict[str, list[int]] = field(default_factory=dict)
    _on: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, change in enumerate(self.changes):
            self._at.setdefault(change.place, []).append(number)
            if change.channel:
                self._on.setdefault(change.channel, []).append(number)

    @cached_property
    def when(self) -> NDArray[np.int64]:
        return np.array([change.detected_ns for change in self.changes], dtype=np.int64)

    @cached_property
    def faults(self) -> NDArray[np.bool_]:
        return np.array([change.is_fault for change in self.changes], dtype=bool)

    def about(self, happening: Happening) -> NDArray[np.intp]:
        """Numbers of the changes of its sort on its channels and places, at any time."""
        numbers = self.near(happening)
        return numbers[self.faults[numbers] == (happening.category == SENSOR)] if len(numbers) else numbers

    def near(self, happening: Happening) -> NDArray[np.intp]:
        """Numbers of all changes at its places or on its channels."""
        found = {n for place in happening.places for n in self._at.get(place, ())}
        found |= {n for channel in happening.channels for n in self._on.get(channel, ())}
        return np.array(sorted(found), dtype=np.intp)


def judge(case: Case, seed: int = 0) -> Judgement:
    """Every happening, and every counted alert, by the definitions above."""
    counted = _Said([change for change in case.told if change.counted])
    right, after = _right_and_after(counted, case.happenings)
    raised = [change for change in case.told if change.type == "raised" and not change.warmup]
    said = {
        INCIDENT: counted,
        BENIGN: _Said([change for change, hit in zip(counted.changes, right) if not hit]),
        SENSOR: _Said([change for change in raised if change.is_fault]),
    }
    everything = _Said([change for change in case.told if not change.warmup])
    dice = np.random.default_rng(seed)
    false = [change for change, good in zip(counted.changes, right | after) if not good]
    return Judgement(
        case,
        tuple(_outcome(one, said[one.category], everything, case, dice) for one in case.happenings),
        right=int(right.sum()),
        neither=int((after & ~right).sum()),
        false=len(false),
        episodes=tuple(episodes_of(false)),
    )


def _right_and_after(
    counted: _Said, happenings: Sequence[Happening]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which counted alerts hit something of their sort, and which came in the aftermath of anything."""
    right = np.zeros(len(counted.changes), dtype=bool)
    after = np.zeros(len(counted.changes), dtype=bool)
    for happening in happenings:
        if happening.category != BENIGN:
            mine = counted.about(happening)
            when = counted.when[mine]
            right[mine] |= (happening.start_ns <= when) & (when <= happening.end_ns + GRACE_NS)
        near = counted.near(happening)
        when = counted.when[near]
        after[near] |= (happening.end_ns < when) & (when <= happening.end_ns + AFTERMATH_NS)
    return right, after


def _outcome(
    happening: Happening, said: _Said, everything: _Said, case: Case, dice: np.random.Generator
) -> Outcome:
    mine = said.about(happening)
    hits = [said.changes[n] for n in mine.tolist() if happening.lasts_at(said.changes[n].detected_ns)]
    placebo = _placebo(happening, len(mine), case, dice)
    if not hits:
        return Outcome(happening, 0, placebo=placebo)
    first = min(hits, key=lambda told: told.detected_ns)
    about = [everything.changes[n] for n in everything.about(happening).tolist()]
    lasting = [told for told in about if happening.lasts_at(told.detected_ns)]
    of_it = [told for told in lasting if told.incident == first.incident and told.type != "cleared"]
    last = max(of_it, key=lambda told: told.detected_ns, default=first)
    until_ns = happening.end_ns + AFTERMATH_NS
    delay_s = (first.detected_ns - happening.start_ns) / 1e9
    number = case.channels.number.get(first.channel)
    period_s = happening.period_s if number is None else float(case.channels.period_s[number])
    return Outcome(
        happening,
        len(hits),
        delay_s=delay_s,
        delay_periods=delay_s / period_s if period_s > 0 else None,
        placebo=placebo,
        place_right=first.place in happening.own_places or first.channel in happening.channels,
        kind_first=first.kind == happening.kind,
        kind_right=last.kind == happening.kind,
        messages=sum(told.message and happening.start_ns <= told.detected_ns <= until_ns for told in about),
    )


def _placebo(happening: Happening, alerts: int, case: Case, dice: np.random.Generator) -> float:
    """In which share of draws one of so many alerts falls into it, at times drawn from the whole run."""
    if not alerts or case.end_ns <= case.start_ns:
        return 0.0
    when = dice.uniform(case.start_ns, case.end_ns, (DRAWS, alerts))
    inside = (when >= happening.start_ns) & (when <= happening.end_ns + GRACE_NS)
    return float(inside.any(axis=1).mean())


def episodes_of(false: Iterable[Told]) -> list[Episode]:
    """False alerts by place, those less than an hour apart as one; in order of time."""
    episodes: list[Episode] = []
    by_place: dict[str, list[Told]] = {}
    for told in false:
        by_place.setdefault(told.place, []).append(told)
    for place, alerts in by_place.items():
        run: list[Told] = []
        for told in sorted(alerts, key=lambda told: told.detected_ns):
            if run and told.detected_ns - run[-1].detected_ns >= EPISODE_NS:
                episodes.append(_episode(place, run))
                run = []
            run.append(told)
        episodes.append(_episode(place, run))
    return sorted(episodes, key=lambda episode: (episode.start_ns, episode.place))


def _episode(place: str, run: Sequence[Told]) -> Episode:
    kinds = tuple(dict.fromkeys(told.kind for told in run))
    return Episode(run[0].medium, place, kinds, run[0].detected_ns, run[-1].detected_ns, len(run))


def told_of(event: Mapping[str, Any], nanoseconds: Any) -> Told | None:
    """A line of alerts.jsonl; None where it is no alert. KeyError and TypeError where it lacks something."""
    type_ = event["type"]
    if not (type_.startswith(TYPE_PREFIX) and type_.endswith(TYPE_SUFFIX)):
        return None
    data = event["data"]
    return Told(
        type=type_.removeprefix(TYPE_PREFIX).removesuffix(TYPE_SUFFIX),
        incident=str(data["incident"]),
        kind=str(data["kind"]),
        grade=str(data["grade"]),
        medium=str(data.get("medium", "")),
        place=str(data["place"]),
        channel=str(data.get("channel") or ""),
        detected_ns=nanoseconds(data["t"]["detected"]),
        notify=bool(data.get("notify", True)),
        warmup=bool(data.get("warmup", False)),
    )
