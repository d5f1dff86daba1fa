"""Play: one scenario of the catalogue made concrete: a site, a span of time, a seed, what happens."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from config.channels import ChannelTable, Link, Planned
from config.errors import InputError
from config.quantities import did_you_mean
from simulators.kinds import SCENARIOS
from simulators.noise import stream, uniform
from simulators.physics import Physics
from simulators.scenarios import SECOND_NS, Event
from simulators.world import World

DAY_S, DAY_NS = 86400, 86400 * SECOND_NS
UTC_PLUS_8_NS = 8 * 3600 * SECOND_NS
OWN_SEED = 1  # with this seed a scenario is as the catalogue says; another varies what is not given
CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
Value = float | str


@dataclass(frozen=True)
class Parameter:
    """What may be set. A seed chooses from `choices`, within `span`, or within `hours` of a time of day."""

    default: Value
    means: str
    span: tuple[float, float] | None = None  # numbers: least and most that a seed chooses
    limits: tuple[float, float] = (-1e9, 1e9)  # numbers: least and most that make sense
    choices: tuple[str, ...] = ()  # texts: what a seed chooses from, and all that is known
    hours: float = 0.0  # times of day: how far a seed moves it
    whole: bool = False

    def read(self, name: str, text: str) -> Value:
        """What was given; InputError says what is possible."""
        if self.choices:
            if text not in self.choices:
                raise InputError(f"--set {name}={text}: {did_you_mean(text, self.choices)}")
            return text
        if isinstance(self.default, str):
            if CLOCK.fullmatch(str(self.default)) and not CLOCK.fullmatch(text):
                raise InputError(f"--set {name}={text}: write a time of day, such as {self.default}")
            return text
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        low, high = self.limits
        if not low <= number <= high or (self.whole and number != int(number)):
            whole = "a whole number" if self.whole else "a number"
            raise InputError(f"--set {name}={text}: must be {whole} from {low:g} to {high:g}")
        return number

    def chosen(self, key: Any) -> Value:
        """What a seed chooses."""
        chance = float(uniform(key, 0))
        if self.choices:
            return self.choices[int(chance * len(self.choices))]
        if self.hours and isinstance(self.default, str):
            hour, minute = self.default.split(":")
            moved = (int(hour) * 60 + int(minute) + round((2 * chance - 1) * self.hours * 60)) % 1440
            return f"{moved // 60:02d}:{moved % 60:02d}"
        if self.span:
            value = self.span[0] + chance * (self.span[1] - self.span[0])
            return float(round(value)) if self.whole else float(f"{value:.3g}")
        return self.default


@dataclass(frozen=True)
class Site:
    """Where a scenario plays. physics None: trees of pipes and cables."""

    channels: ChannelTable
    links: tuple[Link, ...]
    physics: tuple[Physics, ...] | None = None


@dataclass(frozen=True)
class Request:
    """What was asked for: the entry's settings, a seed and a span of time."""

    name: str
    settings: Mapping[str, Value]
    seed: int
    start_ns: int
    end_ns: int

    def number(self, name: str) -> float:
        return float(self.settings[name])

    def text(self, name: str) -> str:
        return str(self.settings[name])

    def begin_ns(self, clock: str, seconds: float) -> int:
        """The last such time of day that leaves `seconds` until the end; InputError where there is none."""
        hour, minute = clock.split(":")
        midnight = (self.end_ns + UTC_PLUS_8_NS) // DAY_NS * DAY_NS - UTC_PLUS_8_NS
        begin = midnight + (int(hour) * 60 + int(minute)) * 60 * SECOND_NS
        while begin + seconds * SECOND_NS > self.end_ns:
            begin -= DAY_NS
        if begin < self.start_ns:
            short = (self.start_ns - begin) / DAY_NS
            needed = (self.end_ns - self.start_ns) / DAY_NS + (int(short) + (short > int(short)))
            raise InputError(
                f"{self.name}: what happens takes {seconds / 3600:g} h from {clock} and does not fit into "
                f"the span asked for; write --days {needed:g} or more"
            )
        return begin

    def event(
        self, kind: str, place: str, clock: str, seconds: float, size: float, channel: str = ""
    ) -> Event:
        """An event that begins at a time of day."""
        begin = self.begin_ns(clock, seconds)
        return Event(kind, place, begin, begin + round(seconds * SECOND_NS), size, channel)


@dataclass(frozen=True)
class Play:
    """All there is to know. Its world is made once and is the same for files and for the wire."""

    entry: "Entry"
    request: Request
    site: Site
    events: tuple[Event, ...]
    planned: tuple[Planned, ...] = ()
    world: World = field(init=False)

    def __post_init__(self) -> None:
        world = World(self.site.channels, self.site.links, self.request.seed, self.events, self.site.physics)
        object.__setattr__(self, "world", world)

    @property
    def first_ns(self) -> int:
        """When the first thing happens, harmless or not; the start where nothing does."""
        return min((event.start_ns for event in self.events), default=self.request.start_ns)


@dataclass(frozen=True)
class Entry:
    """A scenario of the catalogue. stage: what plays where; it may say what the city has announced."""

    name: str
    title: str
    engine: str
    expected: str
    parameters: Mapping[str, Parameter]
    stage: Callable[[Request], tuple[Site, Sequence[Event], Sequence[Planned]]]
    days: float = 4.0
    shown: tuple[str, ...] = ()  # patterns of the channels that its plot shows

    def play(self, given: Mapping[str, str], seed: int, start_ns: int, days: float | None = None) -> Play:
        """What is not given is the catalogue's own for seed 1, and the seed's choice for another."""
        settings = self.settings(given, seed)
        end_ns = start_ns + round((self.days if days is None else days) * DAY_NS)
        request = Request(self.name, settings, seed, start_ns, end_ns)
        site, events, planned = self.stage(request)
        return Play(self, request, site, tuple(events), tuple(planned))

    def settings(self, given: Mapping[str, str], seed: int) -> dict[str, Value]:
        """Every parameter's value; InputError names every one that is unknown or impossible."""
        settings: dict[str, Value] = {}
        mistakes = [
            f"--set {name}: {self.name} has no such parameter; {did_you_mean(name, self.parameters)}"
            for name in given
            if name not in self.parameters
        ]
        for name, parameter in self.parameters.items():
            try:
                if name in given:
                    settings[name] = parameter.read(name, given[name])
                elif seed == OWN_SEED:
                    settings[name] = parameter.default
                else:
                    settings[name] = parameter.chosen(stream(seed, self.name, name))
            except InputError as error:
                mistakes += error.mistakes
        if mistakes:
            raise InputError(mistakes)
        return settings


def announced(event: Event, place: str = "") -> Planned:
    """What the city would have said about an event: from an hour before it to an hour after."""
    kind = SCENARIOS[event.kind].planned or "works"
    hour_ns = 3600 * SECOND_NS
    return Planned(kind, place or event.place, event.start_ns - hour_ns, event.end_ns + hour_ns)
