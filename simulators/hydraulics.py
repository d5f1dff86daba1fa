"""Hydraulics: a water network solved by EPANET, from pumps and tanks to the last tap."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from config.channels import ChannelTable
from simulators.draws import CROWD_S, leak
from simulators.noise import FloatArray, stream, wander
from simulators.plain import Plain
from simulators.rhythms import demand
from simulators.scenarios import Event

KPA_A_METRE = 9.80665
MOODS = 8  # patterns of demand; which of them a junction follows is its number modulo this
MOOD, MOOD_S = 0.06, 3600.0  # how far demand wanders from its rhythm, and how fast
FADES = 0.4  # of the chlorine is used up by one NTU of what comes in, as for foul water (typical)
SALT = 20.0  # conductivity that comes with one NTU, uS/cm


@dataclass(frozen=True, slots=True)
class Tap:
    """Where a channel is measured: what (pressure, flow, level, running, tracer) of which element."""

    what: str
    element: str


@dataclass(frozen=True)
class Scheme:
    """A network and how it is run. model: a fresh wntr model, since a run leaves its traces in it."""

    model: Callable[[], Any]
    at: Mapping[str, str]  # place -> the element that stands for it: junction, tank or pump
    schedules: Mapping[str, tuple[float, float]]  # pump -> hours of the day from and to which it runs
    floats: Mapping[str, tuple[str, float]]  # pump -> the tank and the level in m at which it stops
    step_s: int = 60
    inflow: Mapping[str, float] | None = None  # place -> its zone's mean inflow, m3/s; None: of all
    zone: Mapping[str, str] = field(default_factory=dict)  # junction -> its zone, where there are several


class Hydraulics:
    """Pressures, flows, levels and what has been let in, solved once for a whole span of time.

    EPANET is steady from step to step (no pressure wave), so that a change takes effect within one step.
    """

    def __init__(
        self,
        channels: ChannelTable,
        scheme: Scheme,
        taps: Mapping[int, Tap],
        seed: int,
        start_ns: int,
        end_ns: int,
    ) -> None:
        self.channels = channels
        self.scheme = scheme
        self.taps = taps
        self.seed = seed
        self.covers: Collection[int] = tuple(taps)
        self._start_s = start_ns // 10**9
        self._steps = -(-(end_ns // 10**9 - self._start_s) // scheme.step_s) + 2
        self.solves = _solved_by(scheme, taps)
        self._clean = Plain(channels, seed, [n for n, tap in taps.items() if tap.what == "tracer"])
        self._solved: dict[tuple[Event, ...], dict[Tap, FloatArray]] = {}

    def values(
        self, time_s: FloatArray, events: Sequence[Event], wanted: Collection[int]
    ) -> dict[int, FloatArray]:
        asked = [n for n in self.covers if n in wanted]
        if not asked:
            return {}
        here = tuple(e for e in events if e.kind in self.solves and e.place in self.scheme.at)
        calm, troubled = self._solution(()), self._solution(here)
        place = np.clip((time_s - self._start_s) / self.scheme.step_s, 0.0, self._steps - 1.0)
        step = np.floor(place).astype(np.int64)
        after = np.minimum(step + 1, self._steps - 1)
        turns = np.array([self._step_of(turn) for event in here for turn in (event.start_s, event.end_s)])
        even = place - step
        part = np.where(np.isin(after, turns), 0.0, even)  # a change is not foreseen
        answer = {}
        for n in asked:
            series, added = calm[self.taps[n]], troubled[self.taps[n]] - calm[self.taps[n]]
            value = series[step] * (1.0 - even) + series[after] * even
            value = value + added[step] * (1.0 - part) + added[after] * part
            answer[n] = self._foul(n, value, time_s) if self.taps[n].what == "tracer" else value
        return answer

    def _step_of(self, time_s: float) -> int:
        """The first step at which a change shows."""
        return int(np.ceil((time_s - self._start_s) / self.scheme.step_s))

    def _foul(self, number: int, tracer: FloatArray, time_s: FloatArray) -> FloatArray:
        """Turbidity, chlorine or conductivity, given what has been let in, NTU."""
        clean = self._clean.values(time_s, (), [number])[number]
        quantity = self.channels[number].quantity
        if quantity == "turbidity":
            return clean + tracer
        if quantity == "chlorine":
            return clean * np.maximum(1.0 - FADES * tracer, 0.03)
        return clean + SALT * tracer

    def _solution(self, events: tuple[Event, ...]) -> dict[Tap, FloatArray]:
        if events not in self._solved:
            self._solved[events] = self._solve(events)
        return self._solved[events]

    def _solve(self, events: tuple[Event, ...]) -> dict[Tap, FloatArray]:
        """Every tap's series (steps,) in canonical units."""
        import wntr

        network = self.scheme.model()
        times = network.options.time
        step = self.scheme.step_s
        times.duration = (self._steps - 1) * step
        times.hydraulic_timestep = times.report_timestep = times.pattern_timestep = step
        times.quality_timestep = step
        times.pattern_start = times.report_start = 0
        time_s = self._start_s + np.arange(self._steps, dtype=np.float64) * step
        _still(network)
        total = self._rhythm(network, events, time_s)
        for number, event in enumerate(events):
            self._happen(network, event, f"event-{number}", time_s, total)
        self._run_pumps(network, events, time_s)
        with tempfile.TemporaryDirectory(prefix="watchline-epanet-") as folder:
            simulator = wntr.sim.EpanetSimulator(network)
            results = simulator.run_sim(file_prefix=str(Path(folder) / "run"))
        return {tap: self._series(results, tap) for tap in set(self.taps.values())}

    def _rhythm(self, network: Any, events: Sequence[Event], time_s: FloatArray) -> float:
        """Every junction drawn upon in the city's rhythm; the mean of all demand, m3/s."""
        feasts = [event for event in events if event.kind == "festival"]
        zone = self.scheme.zone
        rhythm = demand("water", time_s)
        total = mean_demand(network)
        multiplier = network.options.hydraulic.demand_multiplier
        known: set[str] = set()
        for number, (name, junction) in enumerate(network.junctions()):
            here = [n for n, e in enumerate(feasts) if zone.get(self.scheme.at[e.place]) == zone.get(name)]
            pattern = "-".join(str(each) for each in ("mood", number % MOODS, *here))
            if pattern not in known:
                known.add(pattern)
                mood = stream(self.seed, "mood", str(number % MOODS))
                shares = rhythm * (1.0 + MOOD * wander(mood, time_s, MOOD_S))
                for feast in here:
                    shares = shares * (1.0 + feasts[feast].size * feasts[feast].rise(time_s, CROWD_S))
                network.add_pattern(pattern, shares.tolist())
            for series in junction.demand_timeseries_list:
                series.base_value *= _mean_of(series) * multiplier
                series.pattern_name = pattern
        network.options.hydraulic.demand_multiplier = 1.0
        return total

    def _happen(self, network: Any, event: Event, name: str, time_s: FloatArray, total: float) -> None:
        """What one event does to the network, apart from its pumps."""
        element = self.scheme.at[event.place]
        if event.kind in ("burst", "slow_leak", "hydrant_test"):
            inflow = (self.scheme.inflow or {}).get(event.place, total)
            open_s = time_s + self.scheme.step_s  # in full within the step that follows
            drawn = np.where(time_s >= event.start_s, leak(event, open_s), 0.0)
            network.add_pattern(name, drawn.tolist())
            network.get_node(element).add_demand(inflow, name)
        elif event.kind == "contamination":
            network.options.quality.parameter = "CHEMICAL"
            network.add_pattern(name, event.during(time_s).astype(np.float64).tolist())
            network.add_source(name, element, "FLOWPACED", event.size / 1000.0, name)  # kg/m3

    def _run_pumps(self, network: Any, events: Sequence[Event], time_s: FloatArray) -> None:
        """Pumps by the clock and by floats, unless they have tripped or their float has failed."""
        for pump, (first, last) in self.scheme.schedules.items():
            hour = (time_s / 3600.0 + 8.0) % 24.0
            running = (hour >= first) & (hour < last)
            for event in self._at(events, "pump_trip", pump):
                running &= ~event.during(time_s)
            _without_controls(network, pump)
            network.add_pattern(f"run-{pump}", running.astype(np.float64).tolist())
            network.get_link(pump).speed_pattern_name = f"run-{pump}"
        for pump, (tank, stop_m) in self.scheme.floats.items():
            failed = self._at(events, "tank_overflow", tank)
            if failed:
                _without_controls(network, pump)
                self._float(network, pump, tank, stop_m, failed[0])
            for event in self._at(events, "pump_trip", pump):
                start, end = (int(turn) - self._start_s for turn in (event.start_s, event.end_s))
                network.get_link(pump).add_outage(network, start, end, add_after_outage_rule=True)

    def _at(self, events: Sequence[Event], kind: str, element: str) -> list[Event]:
        return [e for e in events if e.kind == kind and self.scheme.at[e.place] == element]

    def _float(self, network: Any, pump: str, tank: str, stop_m: float, event: Event) -> None:
        """A pump that stops at a level, not while its float is stuck, and starts two metres below."""
        from wntr.network import controls

        link, level = network.get_link(pump), network.get_node(tank)
        sound = (
            controls.SimTimeCondition(network, "<", event.start_s - self._start_s),
            controls.SimTimeCondition(network, ">=", event.end_s - self._start_s),
        )
        for number, moment in enumerate(sound):
            full = controls.AndCondition(controls.ValueCondition(level, "level", ">", stop_m), moment)
            stop = controls.ControlAction(link, "status", 0)
            network.add_control(f"full-{number}", controls.Rule(full, [stop], name=f"full-{number}"))
        low = controls.ValueCondition(level, "level", "<", stop_m - 2.0)
        start = controls.ControlAction(link, "status", 1)
        network.add_control("low", controls.Rule(low, [start], name="low"))

    def _series(self, results: Any, tap: Tap) -> FloatArray:
        if tap.what == "flow":
            return self._column(results.link["flowrate"], tap) * 3600.0
        if tap.what == "running":
            return (np.abs(self._column(results.link["flowrate"], tap)) > 1e-6).astype(np.float64)
        if tap.what == "tracer":
            return np.maximum(self._column(results.node["quality"], tap), 0.0) * 1000.0
        pressure = self._column(results.node["pressure"], tap)
        return pressure if tap.what == "level" else pressure * KPA_A_METRE

    def _column(self, table: Any, tap: Tap) -> FloatArray:
        """(steps,); a run that ended early stays as it was."""
        series = table[tap.element].to_numpy().astype(np.float64)
        return np.pad(series, (0, max(self._steps - len(series), 0)), mode="edge")[: self._steps]


def _without_controls(network: Any, pump: str) -> None:
    """Take away what the model itself says about when a pump runs."""
    for name, control in list(network.controls()):
        if any(action.target()[0].name == pump for action in control.actions()):
            network.remove_control(name)


def mean_demand(network: Any) -> float:
    """What all junctions of a wntr model draw in the mean of their patterns, m3/s."""
    total = 0.0
    for _, junction in network.junctions():
        for series in junction.demand_timeseries_list:
            total += max(series.base_value * _mean_of(series), 0.0)
    return total * float(network.options.hydraulic.demand_multiplier)


def _mean_of(series: Any) -> float:
    """The mean of a demand's pattern."""
    return float(np.mean(series.pattern.multipliers)) if series.pattern is not None else 1.0


def _still(network: Any) -> None:
    """Nothing in the water and nothing that reacts, whatever the model was made to show."""
    network.options.quality.parameter = "NONE"
    network.options.reaction.bulk_coeff = network.options.reaction.wall_coeff = 0.0
    for name in list(network.source_name_list):
        network.remove_source(name)
    for _, node in network.nodes():
        node.initial_quality = 0.0
    for _, pipe in network.pipes():
        pipe.bulk_coeff = pipe.wall_coeff = None


def _solved_by(scheme: Scheme, taps: Mapping[int, Tap]) -> frozenset[str]:
    """Kinds of events whose effects on its channels a network works out: those for which it has the parts."""
    kinds = {"burst", "slow_leak", "hydrant_test", "festival"}
    if scheme.schedules or scheme.floats:
        kinds.add("pump_trip")
    if scheme.floats:
        kinds.add("tank_overflow")
    if any(tap.what == "tracer" for tap in taps.values()):
        kinds.add("contamination")
    return frozenset(kinds)
