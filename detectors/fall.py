"""Fall: a hard impact, and after it a wearer who does not move."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from config.errors import SettingsError
from config.quantities import conversion
from detectors.base import (
    BoolArray,
    EventDetector,
    FloatArray,
    IntArray,
    Memory,
    Points,
    Surveying,
    TimeArray,
)
from detectors.falling import Rules, Wearer
from detectors.findings import ALARM, Explanation, Findings
from detectors.levels import LATE_CALM_S, NEVER_NS, SECOND_NS
from detectors.words import late_words, wearer_words
from ingest.readings import BAD, CONFLICT, EARLY, LATE, ReadingBatch, Recurring

ACCELERATION, FLAG, STEPS, WRIST, BEAT = range(5)
ROLES = ("acceleration_peak", "fall", "steps", "on_wrist", "heart_rate")
UNITS = ("[g]", "1", "{steps}/min", "1", "/min")
LEAST_BEAT = 20.0  # a heart rate below it was not taken from a wrist
SCORE = 10.0 / 15.0  # s / (s + 5) with -log10 p = 10: an impact and stillness are hardly ever anything else


@dataclass(frozen=True)
class Fall(Surveying["tuple[Bands, Recurring[_Quiet]]"], EventDetector):
    """An impact (over `impact_g`, or the band's own `fall` flag), then stillness in the readings after it.

    Still: no step and no acceleration above `still_g`, in readings of both that were taken after the impact.
    Impact and first stillness raise the alarm, at most two periods + 5 s after the impact. Impacts in a row
    (clapping, sport) are one only if a band that can tell falls takes them for it; of a band that can't they
    need `still_readings`. Who walks on did not fall, and a band that is off the wrist doesn't. Where no heart
    beat came since the impact the band may lie on a table: a newer `on_wrist` is waited for, one of its
    periods at most. A band without acceleration has its flag believed at once.

    Whoever lies there and falls again, more than three periods after the last impact, has fallen anew: that
    is told again, though the first fall is still on. A flag that stays up is no second fall, and neither are
    impacts in a row.

    What arrives late or out of order is taken by its time of measurement: a late fall pages, unless newer
    readings show the wearer walking; then it is a `late_detected`. UNCERTAIN readings count, BAD, EARLY and
    CONFLICT do not.
    """

    impact_g: float = 3.0  # a fall is more than 3 g, then stillness
    still_g: float = 1.2  # a wrist that lies: 1 g and a little (D)
    walking: float = 10.0  # steps a minute that nobody on the floor makes (D)
    window_periods: float = 3.0  # stillness is looked for so long after an impact (D)
    still_readings: int = 3  # asked for after impacts in a row (D)
    off_delay_s: float = 300.0  # of walking, before it is over (D)

    def survey(self, channels: ChannelTable) -> "tuple[Bands, Recurring[_Quiet]]":
        """The bands whose `fall` channel (else acceleration) is watched, and how they usually report."""
        bands = Bands(channels, self.only, self.off_delay_s)
        return bands, Recurring(lambda channel: _Quiet(bands, channel))

    def points(self, channels: ChannelTable) -> Points:
        """The fall of each band, then for each `late_detected`; from now on this site is watched."""
        return self.watch(channels)[0].points

    def fresh_memory(self, channels: ChannelTable) -> Memory:
        size = len(self.watch(channels)[0].points)
        return {column.name: np.full(size, column.default) for column in fields(Wearer)}

    def judge(self, readings: ReadingBatch, now_ns: int, memory: Memory) -> Findings | None:
        bands, usual = self.site
        size = len(bands)
        if not size:
            return None
        calm_readings = readings.everyday
        plan = None if calm_readings is None else usual.of(calm_readings)
        if calm_readings is not None and plan is not None:
            if not np.count_nonzero(plan.heard):
                return None
            if plan.passes(calm_readings, self, memory):
                return bands.nothing(plan.heard, memory, now_ns)
        sound = (readings.quality < BAD) & (readings.flags & (EARLY | CONFLICT) == 0)
        sound &= np.isfinite(readings.value) & (bands.of[readings.channel] >= 0)
        if not sound.any():
            return None
        readings = readings.where(sound)
        band, role = bands.of[readings.channel], bands.role[readings.channel]
        value = readings.value * bands.scale[readings.channel]
        impact = (role == ACCELERATION) & (value > self.impact_g) | (role == FLAG) & (value >= 0.5)
        stirred = (memory["impact_ns"][:size] != NEVER_NS) | memory["fallen"][:size]
        stirred[band[impact]] = True
        calm = ~stirred[band]
        if calm.any():
            self._note(readings.channel[calm], readings.time_ns[calm], value[calm], memory)
        heard = np.zeros(2 * size, dtype=bool)
        heard[band] = heard[band + size] = True
        before_ns = memory["fallen_ns"][:size].copy()
        reached = np.tile(memory["fallen"][:size], 2)
        reached[size:] = False
        rows = np.flatnonzero(~calm)
        for number, part in _runs(rows, band):
            fell, late = self._follow(number, readings.where(part), role[part], value[part], memory)
            reached[number] = fell or memory["fallen"][number]
            reached[number + size] = late
        anew = np.zeros(2 * size, dtype=bool)
        anew[:size] = reached[:size] & (memory["fallen_ns"][:size] != before_ns)
        return bands.findings(reached, anew, heard, memory, now_ns)

    def _follow(
        self, band: int, readings: ReadingBatch, role: IntArray, value: FloatArray, memory: Memory
    ) -> tuple[bool, bool]:
        """Moment after moment of one band: (it fell, on time; something that came late is over by now)."""
        bands, _ = self.site
        columns = [column.name for column in fields(Wearer)]
        wearer = Wearer(**{name: memory[name][band].item() for name in columns})
        rules = bands.rules(band, self)
        fell = late_over = False
        for time_ns in np.unique(readings.time_ns).tolist():
            at = np.flatnonzero(readings.time_ns == time_ns)
            said = {ROLES[role[row]]: float(value[row]) for row in at.tolist()}
            if said.get("heart_rate", LEAST_BEAT) < LEAST_BEAT:
                del said["heart_rate"]
            late = bool((readings.flags[at] & LATE).any())
            fell_now, over_now = wearer.hear(time_ns, said, late, rules)
            fell |= fell_now
            late_over |= over_now
        wearer.overdue &= not wearer.fallen  # paged by now: what follows is news
        for name in columns:
            memory[name][band] = getattr(wearer, name)
        return fell, late_over

    def _note(self, channel: IntArray, time_ns: NDArray[Any], value: FloatArray, memory: Memory) -> None:
        """Bands to which nothing happens: keep what is newest, as `Wearer` would."""
        bands, _ = self.site
        size = len(bands)
        newest = np.full(len(bands.of) + 1, NEVER_NS, dtype=np.int64)
        level = np.zeros(len(bands.of) + 1)
        newest[channel], level[channel] = time_ns, value
        for role, name, times in (
            (ACCELERATION, "acceleration", "acceleration_ns"),
            (STEPS, "steps", "steps_ns"),
            (WRIST, "off", "wrist_ns"),
        ):
            of = bands.member[role]
            newer = newest[of] > memory[times][:size]
            memory[times][:size] = np.where(newer, newest[of], memory[times][:size])
            told = level[of] < 0.5 if role == WRIST else level[of]
            memory[name][:size] = np.where(newer, told, memory[name][:size])
        role_of = bands.role[channel]
        for role, least, times in ((STEPS, self.walking, "walked_ns"), (BEAT, LEAST_BEAT, "beat_ns")):
            fits = (role_of == role) & (value >= least)
            newest[:] = NEVER_NS
            newest[channel[fits]] = time_ns[fits]
            memory[times][:size] = np.maximum(memory[times][:size], newest[bands.member[role]])


class Bands:
    """The wristbands of a table that can tell of a fall, in the order of their places' names."""

    def __init__(self, channels: ChannelTable, only: IntArray | None, off_delay_s: float) -> None:
        self.channels = channels
        self.of = np.full(len(channels), -1, dtype=np.int32)  # each channel's band
        self.role = np.full(len(channels), -1, dtype=np.int32)
        self.scale = np.ones(len(channels))
        wanted = set(range(len(channels)) if only is None else only.tolist())
        found: dict[str, dict[int, int]] = {}
        for n in sorted(np.flatnonzero(channels.is_wristband).tolist(), key=lambda n: channels.ids[n]):
            if channels.quantity[n] in ROLES:
                found.setdefault(channels.place[n], {}).setdefault(ROLES.index(channels.quantity[n]), n)
        able = [of for _, of in sorted(found.items()) if ACCELERATION in of or FLAG in of]
        self.members = [of for of in able if _carrier(of) in wanted]
        self.member = np.full((len(ROLES), len(self.members)), len(channels), dtype=np.int64)
        for band, of in enumerate(self.members):
            for role, n in of.items():
                self.of[n], self.role[n], self.member[role, band] = band, role, n
                self.scale[n] = _scale(channels.unit[n], UNITS[role])
        carrier = np.array([_carrier(of) for of in self.members], dtype=np.int32)
        size = len(self.members)
        self.points = Points(
            rule=("wristband.fall",) * size + ("late_detected",) * size,
            channel=np.tile(carrier, 2),
            kind=("fall",) * size + ("late_detected",) * size,
            on_delay_s=np.zeros(2 * size),
            off_delay_s=np.repeat([off_delay_s, LATE_CALM_S], size),
            on_samples=np.ones(2 * size, dtype=np.int32),
            latching=np.zeros(2 * size, dtype=bool),
        )

    def __len__(self) -> int:
        return len(self.members)

    def rules(self, band: int, fall: Fall) -> Rules:
        """What holds for one band."""

        def period_ns(role: int) -> int | None:
            number = self.members[band].get(role)
            return None if number is None else round(float(self.channels.period_s[number]) * SECOND_NS)

        return Rules(
            impact_g=fall.impact_g,
            still_g=fall.still_g,
            walking=fall.walking,
            window_periods=fall.window_periods,
            still_readings=fall.still_readings,
            acceleration_ns=period_ns(ACCELERATION),
            steps_ns=period_ns(STEPS),
            wrist_ns=period_ns(WRIST),
            has_beat=BEAT in self.members[band],
        )

    def nothing(self, heard: BoolArray, memory: Memory, now_ns: int) -> Findings:
        """What `findings` says where nothing is reached."""
        size = len(self)
        event_ns = np.empty(2 * size, dtype=np.int64)
        np.maximum(memory["acceleration_ns"][:size], memory["steps_ns"][:size], out=event_ns[:size])
        event_ns[size:] = event_ns[:size]
        severity = np.zeros(2 * size, dtype=np.uint8)
        return self._said(np.zeros(2 * size), severity, heard, event_ns, now_ns)

    def findings(
        self, reached: BoolArray, anew: BoolArray, heard: BoolArray, memory: Memory, now_ns: int
    ) -> Findings:
        """Falls and late notices where `reached` (points,), and which of the falls were found just now."""
        size = len(self)
        newest_ns = np.maximum(memory["acceleration_ns"][:size], memory["steps_ns"][:size])
        event_ns = np.tile(np.where(reached[:size], memory["fallen_ns"][:size], newest_ns), 2)
        event_ns[size:] = np.where(reached[size:], memory["last_ns"][:size], event_ns[size:])

        severity = (reached * ALARM).astype(np.uint8)
        return self._said(np.where(reached, SCORE, 0.0), severity, heard, event_ns, now_ns, anew)

    def _said(
        self,
        score: FloatArray,
        severity: NDArray[np.uint8],
        heard: BoolArray,
        event_ns: TimeArray,
        now_ns: int,
        anew: BoolArray | None = None,
    ) -> Findings:
        def explain(point: int) -> Explanation:
            late_s = (now_ns - int(event_ns[point])) / SECOND_NS
            if point >= len(self):
                return late_words(self.channels[int(self.points.channel[point])], np.nan, late_s)
            return Explanation(wearer_words("fall", "fall", 0, late_s))

        return Findings(self.points, score, severity, heard, event_ns, explain, anew)


class _Quiet:
    """The short way for channels that often speak together, each once, while nothing stirs.

    It leaves the memory as `Fall._note` would; a test holds the two equal.
    """

    def __init__(self, bands: Bands, channel: NDArray[np.intp]) -> None:
        self.size = len(bands)
        band, role = bands.of[channel], bands.role[channel]
        ours = band >= 0
        self.heard: BoolArray = np.zeros(2 * self.size, dtype=bool)
        self.heard[band[ours]] = self.heard[band[ours] + self.size] = True
        self.scale = bands.scale[channel]
        self.scaled = bool((self.scale[ours] != 1.0).any())
        self.row = [np.flatnonzero(ours & (role == number)) for number in range(len(ROLES))]
        self.band = [band[row].astype(np.intp) for row in self.row]

    def passes(self, readings: ReadingBatch, fall: Fall, memory: Memory) -> bool:
        """Whether nothing stirs; then what is newest is noted."""
        value, time_ns = readings.value, readings.time_ns
        if self.scaled:
            value = value * self.scale
        if np.count_nonzero(memory["fallen"]) or np.count_nonzero(memory["impact_ns"] != NEVER_NS):
            return False
        acceleration, flag = value[self.row[ACCELERATION]], value[self.row[FLAG]]
        if np.count_nonzero(acceleration > fall.impact_g) or np.count_nonzero(flag >= 0.5):
            return False
        steps, beat = value[self.row[STEPS]], value[self.row[BEAT]]
        self._keep(ACCELERATION, acceleration, time_ns, memory, "acceleration", "acceleration_ns")
        self._keep(STEPS, steps, time_ns, memory, "steps", "steps_ns")
        self._keep(WRIST, value[self.row[WRIST]] < 0.5, time_ns, memory, "off", "wrist_ns")
        self._raise(STEPS, steps >= fall.walking, time_ns, memory["walked_ns"])
        self._raise(BEAT, beat >= LEAST_BEAT, time_ns, memory["beat_ns"])
        return True

    def _keep(
        self, role: int, told: NDArray[Any], time_ns: TimeArray, memory: Memory, name: str, times: str
    ) -> None:
        """What a role told, where it is news."""
        band, told_ns = self.band[role], time_ns[self.row[role]]
        newer = told_ns > memory[times][band]
        if np.count_nonzero(newer) < len(newer):
            band, told_ns, told = band[newer], told_ns[newer], told[newer]
        memory[times][band] = told_ns
        memory[name][band] = told

    def _raise(self, role: int, fits: BoolArray, time_ns: TimeArray, times: TimeArray) -> None:
        """The newest time at which a role's reading was fitting."""
        if np.count_nonzero(fits):
            band = self.band[role][fits]
            times[band] = np.maximum(times[band], time_ns[self.row[role]][fits])


def _runs(rows: NDArray[Any], band: IntArray) -> Iterator[tuple[int, NDArray[Any]]]:
    """The rows of each band."""
    rows = rows[np.argsort(band[rows], kind="stable")]
    for part in np.split(rows, np.flatnonzero(np.diff(band[rows])) + 1):
        if len(part):
            yield int(band[part[0]]), part


def _carrier(of: Mapping[int, int]) -> int:
    """The channel under whose name a band's fall is told."""
    return of[FLAG] if FLAG in of else of[ACCELERATION]


def _scale(unit: str, canonical: str) -> float:
    """A factor to the canonical unit; one that is unknown (a replay may have it) is taken as it is."""
    try:
        return conversion(unit, canonical)[0]
    except SettingsError:
        return 1.0
