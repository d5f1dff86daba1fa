"""Bank: every detector over every channel of a site; channels alone give the built-in defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from config import kinds
from config.channels import ChannelTable
from config.defaults import Defaults, defaults_for
from config.errors import SettingsError
from config.snapshot import State, below, prefixed
from detectors.apart import neighbours
from detectors.base import BoolArray, Detector, EventDetector, IntArray, ReadingBatch, Row, recall, saved
from detectors.clock import Clock, DeviceClock
from detectors.findings import Findings, Points, Usual
from detectors.panel import Panel, Seat
from detectors.rounds import Rounds

EVENT_KINDS = ("limits", "fall", "clock", "garbled")
OF_VALUES = ("jump", "drift", "rhythm", "regime", "plateau", "novelty", "unrest", "spike", "scale", "apart")
LEVEL_KINDS = (*OF_VALUES, "stuck")  # for quantities that have a level
ROW_KINDS = (*LEVEL_KINDS, "silence")
WITHOUT_LEVEL = frozenset(
    [
        *("valve_state", "pump_state", "fall", "sos", "on_wrist", "battery", "latitude", "longitude"),
        *("steps", "acceleration_peak"),
        "trench_water",  # a pump saws it at its own pace: what matters is whether it still does, a limit
    ]
)
BRIEF_BY_NATURE = frozenset(["voltage_min", "voltage_max"])  # a sag is one row: no spike
RESTLESS_BY_NATURE = frozenset(  # here noise is the news: no fault of the sensor
    ["ch4", "co", "o2", "leak_noise", "partial_discharge", "leakage_current", "turbidity"]
)
ON_SKIN = frozenset(
    ["heart_rate", "spo2", "skin_temperature", "respiration", "hrv_rmssd", "body_temperature"]
)
FALSE_PER_CHANNEL_DAY = 0.005
"""What all learning rules of a channel together may cost in false alarms. An operator bears 144 alarms a day
(IEC 62682); a tenth of that is 0.0144 for each of 1,000 channels; the rest is for what we don't model."""


class Bank:
    """Limits and events on each reading; what learns from levels, and silence, on each settled row."""

    def __init__(
        self,
        channels: ChannelTable,
        grids: Sequence[tuple[float, IntArray]],
        watchings: Sequence[Any] = (),
        timezone: ZoneInfo | None = None,
    ) -> None:
        """grids: (period_s, channel numbers) as the window has them; watchings: `[[watching]]` entries."""
        self._channels = channels
        self._zone = timezone or ZoneInfo("Asia/Shanghai")
        defaults = [defaults_for(channel) for channel in channels.channels]
        self._fitting = _fitting(channels, defaults, self._zone)
        self._events = _Events(channels, watchings)
        self._rounds = Rounds(channels, grids, watchings, self._zone.key)
        seats = self._seats(watchings, defaults)
        self._budget = FALSE_PER_CHANNEL_DAY / max(len(_learning(seats, watchings)), 1)
        self._panels = [self._panel(period_s, members, seats) for period_s, members in grids]
        self._home = {int(c): (g, at) for g, (_, members) in enumerate(grids) for at, c in enumerate(members)}
        self.points: tuple[Points, ...] = (
            *self._events.points,
            *(panel.points for panel in self._panels),
            *self._rounds.points,
        )

    @property
    def panels(self) -> tuple[Panel, ...]:
        """What judges the rows of each grid."""
        return tuple(self._panels)

    def judge_readings(self, readings: ReadingBatch, now_ns: int) -> list[Findings]:
        """The event detectors' verdicts after the readings of a tick (sorted by channel and time)."""
        return self._events.judge(readings, now_ns)

    def judge_row(self, grid: int, row: Row) -> list[Findings]:
        """The row detectors' verdicts on a settled row of that grid."""
        return [self._panels[grid].judge(row), *self._rounds.judge(grid, row)]

    def usual(self, channel: int) -> Usual:
        """What is usual on a channel after its last row, and how unusual each rule found that row."""
        grid, column = self._home[channel]
        return self._panels[grid].usual(column)

    def adopt(self, channels: IntArray) -> None:
        """The new regime of these channels is normal from now on, for all that learns from rows."""
        homes = [self._home[channel] for channel in channels.tolist()]
        for grid in sorted({grid for grid, _ in homes}):
            self._panels[grid].adopt(np.array([at for of, at in homes if of == grid], dtype=np.int32))

    def restart(self, clock_good: bool = True) -> None:
        """A new epoch: no silence is counted across it, and no device's clock is compared with a bad one."""
        self._events.restart(clock_good)
        for panel in self._panels:
            panel.restart()
        self._rounds.restart()

    def state(self) -> State:
        state = prefixed("events", self._events.state())
        for panel in self._panels:
            state |= prefixed(f"rows/{panel.period_s:g}", panel.state())
        return state | prefixed("rounds", self._rounds.state())

    def restore(self, state: State) -> None:
        self._events.restore(below("events", state))
        for panel in self._panels:
            panel.restore(below(f"rows/{panel.period_s:g}", state))
        self._rounds.restore(below("rounds", state))

    def device_clocks(self) -> list[DeviceClock]:
        """Each device's clock as it was seen last; may be called from another thread."""
        return self._events.device_clocks()

    def expected_alarms(self) -> list[tuple[str, IntArray, float]]:
        """(rule, channels, false alarms a day on each of them), a line a panel; limits know no chance."""
        return [one for panel in self._panels for one in panel.expected_alarms() if len(one[1])]

    def expected_alarms_per_day(self) -> list[tuple[str, int, float]]:
        """(rule, channels watched, false alarms a day on all of them)."""
        total: dict[str, tuple[int, float]] = {}
        for rule, channels, per_day in self.expected_alarms():
            before = total.get(rule, (0, 0.0))
            total[rule] = (before[0] + len(channels), before[1] + len(channels) * per_day)
        return [(rule, watched, per_day) for rule, (watched, per_day) in total.items()]

    def _seats(self, watchings: Sequence[Any], defaults: Sequence[Defaults]) -> list[Seat]:
        """Seats over all channels of the site: the defaults, then what the settings put in their place."""
        channels = self._channels
        levelled = np.array([quantity not in WITHOUT_LEVEL for quantity in channels.quantity], dtype=bool)
        everywhere = np.ones(len(channels), dtype=bool)
        on_delay = np.array([_delay(d, "on_delay_s") for d in defaults])
        off_delay = np.maximum(np.array([_delay(d, "off_delay_s") for d in defaults]), 2 * channels.period_s)
        eligible = {kind: levelled if kind in LEVEL_KINDS else everywhere for kind in ROW_KINDS}
        eligible |= {kind: levelled & self._rounds.leaves(kind) for kind in LEVEL_KINDS}
        eligible["silence"] = ~_covered(channels)
        eligible["apart"] &= self._fitting["group"] >= 0
        eligible["spike"] &= ~_is_one_of(channels, BRIEF_BY_NATURE)
        eligible["unrest"] &= ~_is_one_of(channels, BRIEF_BY_NATURE | RESTLESS_BY_NATURE)
        asked: list[Seat] = []
        taken = dict.fromkeys(eligible, ~everywhere)
        for watching in reversed([w for w in watchings if issubclass(_class_of(w.kind), Detector)]):
            mine = np.zeros(len(channels), dtype=bool)
            mine[channels.matching(watching.channels)] = True
            before = taken.get(watching.kind, ~everywhere)
            taken[watching.kind] = before | mine
            eligible[watching.kind] = eligible.get(watching.kind, everywhere) & ~mine
            if not watching.enabled:
                continue
            asked.append(
                Seat(
                    rule=watching.kind,
                    detector=self._detector(watching.kind, watching.options),
                    eligible=mine & ~before,
                    name=f"{watching.kind}#{watching.channels}",
                    warning=watching.warning,
                    alarm=watching.alarm,
                    on_delay_s=watching.hold_s,
                    off_delay_s=off_delay,
                )
            )
        built_in = []
        for kind in ROW_KINDS:
            detector = self._detector(kind, {})
            waits = np.maximum(on_delay - (detector.spans - 1) * channels.period_s, 0.0)
            built_in.append(Seat(kind, detector, eligible[kind], kind, None, None, waits, off_delay))
        return [*built_in, *reversed(asked)]

    def _detector(self, kind: str, options: Mapping[str, Any]) -> Detector:
        """With the options given, and all that can be known of the channels in the fields that were not."""
        detector: Detector = kinds.build(kinds.DETECTORS, kind, options, kind)
        open_fields = {field.name for field in fields(detector)} - options.keys()
        return replace(detector, **{name: self._fitting[name] for name in open_fields & self._fitting.keys()})

    def _panel(self, period_s: float, members: IntArray, seats: Sequence[Seat]) -> Panel:
        seated = [seat for seat in seats if seat.eligible[members].any()] or [seats[0]]  # all off: one, mute
        mine = [
            replace(
                seat,
                detector=_cut(seat.detector, members, len(self._channels)),
                eligible=seat.eligible[members],
                on_delay_s=_cut_one(seat.on_delay_s, members, len(self._channels)),
                off_delay_s=_cut_one(seat.off_delay_s, members, len(self._channels)),
            )
            for seat in seated
        ]
        return Panel(self._channels, members, period_s, mine, self._budget)


class _Events:
    """The event detectors of a site with their memories.

    A watching replaces the built-in detector on its channels; delays and levels are its options, so that
    `warning`, `alarm` and `hold_s` mean nothing here.
    """

    def __init__(self, channels: ChannelTable, watchings: Sequence[Any]) -> None:
        self._channels = channels
        self._detectors: dict[str, EventDetector] = {}
        left = {kind: np.ones(len(channels), dtype=bool) for kind in EVENT_KINDS}
        asked = [w for w in watchings if issubclass(_class_of(w.kind), EventDetector)]
        for watching in reversed(asked):
            free = left.setdefault(watching.kind, np.ones(len(channels), dtype=bool))
            mine = np.zeros(len(channels), dtype=bool)
            mine[channels.matching(watching.channels)] = True
            if watching.enabled:
                name = f"{watching.kind}#{watching.channels}"
                self._watch(watching.kind, name, watching.options, mine & free)
            free &= ~mine
        for kind in EVENT_KINDS:
            self._watch(kind, kind, {}, left[kind])
        self._points = {name: detector.points(channels) for name, detector in self._detectors.items()}
        self._memories = {name: detector.fresh_memory(channels) for name, detector in self._detectors.items()}

    def _watch(self, kind: str, name: str, options: Mapping[str, Any], mine: BoolArray) -> None:
        if mine.any():
            detector: EventDetector = kinds.build(kinds.DETECTORS, kind, options, kind)
            self._detectors[name] = (
                detector if mine.all() else detector.over(np.flatnonzero(mine).astype(np.int32))
            )

    @property
    def points(self) -> tuple[Points, ...]:
        return tuple(self._points.values())

    def device_clocks(self) -> list[DeviceClock]:
        return [
            clock
            for name, detector in self._detectors.items()
            if isinstance(detector, Clock)
            for clock in detector.clocks(self._memories[name])
        ]

    def judge(self, readings: ReadingBatch, now_ns: int) -> list[Findings]:
        verdicts = [
            detector.judge(readings, now_ns, self._memories[kind])
            for kind, detector in self._detectors.items()
        ]
        return [findings for findings in verdicts if findings is not None]

    def restart(self, clock_good: bool) -> None:
        for name, detector in self._detectors.items():
            detector.restart(self._memories[name], clock_good)

    def state(self) -> State:
        return saved(self._memories, self._points, self._channels)

    def restore(self, state: State) -> None:
        recall(self._memories, self._points, self._channels, state)


def _learning(seats: Sequence[Seat], watchings: Sequence[Any]) -> set[str]:
    """The rules that share the budget, by the settings alone: a part of a site judges as the whole does."""
    off = {watching.kind for watching in watchings if not watching.enabled and watching.channels == "*"}
    off -= {watching.kind for watching in watchings if watching.enabled}
    return {seat.rule for seat in seats if seat.detector.calibrated} - off


def _covered(channels: ChannelTable) -> BoolArray:
    """(channels,) what needs skin, on a band that says whether it is worn: it may rightly fall silent."""
    bands = {place for place, quantity in zip(channels.place, channels.quantity) if quantity == "on_wrist"}
    pairs = zip(channels.place, channels.quantity)
    return np.array([place in bands and quantity in ON_SKIN for place, quantity in pairs], dtype=bool)


def _is_one_of(channels: ChannelTable, quantities: frozenset[str]) -> BoolArray:
    """(channels,) whose quantity is one of these."""
    return np.array([quantity in quantities for quantity in channels.quantity], dtype=bool)


def _fitting(channels: ChannelTable, defaults: Sequence[Defaults], zone: ZoneInfo) -> dict[str, Any]:
    """What a detector's field of that name is, unless the settings say otherwise."""
    usual = [abs(nominal) if np.isfinite(nominal) else 0.0 for nominal in channels.nominal]
    noise = np.array([d.spread_floor(value) for d, value in zip(defaults, usual)])
    rounding = channels.resolution / np.sqrt(12.0)
    silence = np.array([d.silence_s(float(period)) for d, period in zip(defaults, channels.period_s)])
    return {
        "noise_floor": np.maximum(noise, rounding),
        "resolution": channels.resolution,
        "group": neighbours(channels, defaults),
        "stale_after_s": silence,
        "timezone": zone.key,
    }


def _delay(defaults: Defaults, name: str) -> float:
    """The delay of a quantity's own levels; a minute where it has none."""
    return max(
        (float(getattr(level, name)) for level in defaults.levels if not level.life_safety), default=60.0
    )


def _class_of(kind: str) -> type[Any]:
    try:
        return kinds.kind_class(kinds.DETECTORS, kind)
    except SettingsError as error:
        raise SettingsError([f"watching.kind: {mistake}" for mistake in error.mistakes]) from error


def _cut(detector: Detector, members: IntArray, channels: int) -> Detector:
    """The detector for some channels: its fields that hold a value per channel are cut to these."""
    return replace(
        detector,
        **{
            field.name: _cut_one(getattr(detector, field.name), members, channels)
            for field in fields(detector)
        },
    )


def _cut_one(value: Any, members: IntArray, channels: int) -> Any:
    return value[members] if isinstance(value, np.ndarray) and value.shape == (channels,) else value
