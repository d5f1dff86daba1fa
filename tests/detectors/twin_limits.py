"""Twin of limits: the same rules, one reading after another in plain Python; held equal by a test."""

from dataclasses import dataclass, field
from math import isfinite, isnan, nan

from config.channels import ChannelTable
from config.defaults import Level, defaults_for
from detectors.findings import ALARM, CALM, WARNING
from ingest.readings import BAD, CONFLICT, EARLY, LATE, UNCERTAIN

NEVER = -(2**62)
REST_NS = 300 * 10**9
REST_STEPS = 10.0


@dataclass
class Point:
    """One level of one channel, or (level None) what came late on it."""

    channel: int
    level: Level | None
    active: bool = False
    passing_ns: int | None = None  # without delay: the newest reading of this tick that reached it
    heard: bool = False
    newest_ns: int = NEVER
    event_ns: int = NEVER
    value: float = nan

    @property
    def severity(self) -> int:
        if not (self.active or self.passing_ns is not None):
            return CALM
        return WARNING if self.level is not None and self.level.severity == "warning" else ALARM


@dataclass
class Reading:
    channel: int
    time_ns: int
    value: float
    quality: int
    flags: int


@dataclass
class TwinLimits:
    """Limits of a table in which every nominal value is given."""

    channels: ChannelTable
    levels: list[Point] = field(default_factory=list)
    late: dict[int, Point] = field(default_factory=dict)
    moved_ns: dict[str, int] = field(default_factory=dict)
    wrist: dict[str, tuple[int, bool]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.defaults = [defaults_for(channel) for channel in self.channels.channels]
        for number, known in enumerate(self.defaults):
            self.levels += [Point(number, level) for level in known.levels]
            if known.levels:
                self.late[number] = Point(number, None)

    def points(self) -> list[Point]:
        return [*self.levels, *self.late.values()]

    def judge(self, readings: list[Reading]) -> list[Point] | None:
        for point in self.points():
            point.passing_ns, point.heard = None, False
            point.event_ns = point.newest_ns
        before = {id(point): point.newest_ns for point in self.levels}
        sound = [
            r for r in readings if r.quality < BAD and not r.flags & (EARLY | CONFLICT) and isfinite(r.value)
        ]
        for reading in sound:
            self._wear(reading)
        usable = [reading for reading in sound if self._usable(reading)]
        if not usable:
            return None
        for reading in usable:
            if not reading.flags & LATE:
                self._hear(reading, before)
        self._hear_late([reading for reading in usable if reading.flags & LATE])
        for point in self.levels:
            if point.passing_ns is not None and not point.active:
                point.event_ns = point.passing_ns
        return self.points()

    def _wear(self, reading: Reading) -> None:
        place, quantity = self.channels.place[reading.channel], self.channels.quantity[reading.channel]
        if quantity == "steps" and reading.value > REST_STEPS:
            self.moved_ns[place] = max(self.moved_ns.get(place, NEVER), reading.time_ns)
        if quantity == "on_wrist" and reading.time_ns > self.wrist.get(place, (NEVER, False))[0]:
            self.wrist[place] = (reading.time_ns, reading.value < 0.5)

    def _usable(self, reading: Reading) -> bool:
        known, place = self.defaults[reading.channel], self.channels.place[reading.channel]
        if not known.levels or not known.plausible[0] <= reading.value <= known.plausible[1]:
            return False
        if known.worn_only and self.wrist.get(place, (NEVER, False))[1]:
            return False
        return not (known.rest_only and reading.time_ns < self.moved_ns.get(place, NEVER) + REST_NS)

    def _beyond(self, point: Point, value: float) -> float:
        assert point.level is not None
        return value - point.level.limit if point.level.is_high else point.level.limit - value

    def _of(self, channel: int) -> list[Point]:
        return [point for point in self.levels if point.channel == channel]

    def _hear(self, reading: Reading, before: dict[int, int]) -> None:
        here = self._of(reading.channel)
        doubtful = reading.quality == UNCERTAIN
        if doubtful and not any(self._beyond(point, reading.value) >= 0 for point in here):
            return
        for point in here:
            assert point.level is not None
            beyond = self._beyond(point, reading.value)
            if reading.time_ns > before[id(point)]:
                point.heard = True
                point.newest_ns = point.event_ns = max(point.newest_ns, reading.time_ns)
                if beyond >= 0:
                    point.active, point.value = True, reading.value
                elif beyond < -self.defaults[point.channel].deadband and not doubtful:
                    point.active = False
            if beyond >= 0 and point.level.on_delay_s == 0 and point.level.on_samples <= 1:
                point.passing_ns, point.heard = reading.time_ns, True
                point.value = reading.value
        late = self.late[reading.channel]
        if reading.time_ns > late.newest_ns:
            late.newest_ns = late.event_ns = reading.time_ns
            late.heard, late.active = True, False

    def _hear_late(self, readings: list[Reading]) -> None:
        noted: set[int] = set()
        paged: set[int] = set()
        for reading in readings:
            for point in self._of(reading.channel):
                assert point.level is not None
                beyond = self._beyond(point, reading.value)
                news = point.level.life_safety and reading.time_ns > point.newest_ns
                calms = beyond < -self.defaults[point.channel].deadband and reading.quality != UNCERTAIN
                if news and (beyond >= 0 or calms):
                    point.active = beyond >= 0
                    point.heard = True
                    point.newest_ns = point.event_ns = reading.time_ns
                    (paged.add if point.active else paged.discard)(point.channel)
                    if point.active:
                        point.value = reading.value
                if beyond >= 0:
                    late = self.late[reading.channel]
                    late.event_ns, late.value = reading.time_ns, reading.value
                    noted.add(reading.channel)
        for channel in noted - paged:
            self.late[channel].active = self.late[channel].heard = True


def scores(points: list[Point], deadbands: list[float]) -> list[float]:
    """The score of each point, from its definition."""
    found = []
    for point in points:
        if point.level is not None and isnan(point.level.limit):
            found.append(nan)
        elif point.severity == CALM:
            found.append(0.0)
        else:
            beyond = 0.0
            if point.level is not None:
                past = (
                    point.value - point.level.limit
                    if point.level.is_high
                    else point.level.limit - point.value
                )
                beyond = max(past / max(deadbands[point.channel], 2.2250738585072014e-308), 0.0)
            surprise = 7.0 + min(beyond, 293.0)
            found.append(surprise / (surprise + 5))
    return found
