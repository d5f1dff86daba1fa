"""Load flow: a grid solved by pandapower; what a meter makes of it is the same as on any power site."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from config.channels import ChannelTable
from simulators.draws import CROWD_S, OVERLOAD_S
from simulators.network import Network
from simulators.noise import FloatArray, stream, wander
from simulators.power import RISE, Power
from simulators.rhythms import demand
from simulators.scenarios import Event
from simulators.steady import Steady

STEP_S = 900.0
MOODS, MOOD, MOOD_S = 12, 0.08, 1800.0
OUTAGES = ("feeder_outage", "transformer_outage")
LOADS = ("overload", "ev_evening", "heat_wave")


@dataclass(frozen=True)
class PowerGrid:
    """A pandapower network, its loads at their mean, and where its sensors stand."""

    net: Any
    bus: Mapping[str, int]  # place -> bus
    line: Mapping[str, int]  # place -> the line that feeds it, whose current its meter sees
    trafo: Mapping[str, int]  # place -> the transformer that stands there
    load_at: tuple[str, ...]  # of each load, the place behind which it is
    sags: Mapping[str, float] = field(default_factory=dict)  # place -> depth of a sag of size 1


class LoadFlow(Power):
    """Steady power flow: voltage, current and the load of transformers; the rest as in `Power`."""

    solves = Power.solves | {"feeder_outage", "transformer_outage", "ev_evening"}

    def __init__(self, channels: ChannelTable, network: Network, seed: int, grid: PowerGrid) -> None:
        super().__init__(channels, network, seed)
        self.grid = grid
        self.places = tuple(network.order)
        self._loaded = frozenset(
            n for n, c in enumerate(channels.channels)
            if c.quantity == "transformer_load" and c.place in grid.trafo
        )  # fmt: skip
        self.covers: Collection[int] = (*self.covers, *sorted(self._loaded))
        self._mean_mw = grid.net.load["p_mw"].to_numpy(copy=True)
        self._mean_mvar = grid.net.load["q_mvar"].to_numpy(copy=True)
        self._mood = np.arange(len(self._mean_mw)) % MOODS
        self._buses = grid.net.bus.index.get_indexer([grid.bus[place] for place in self.places])
        self._steady = Steady(STEP_S, self._solve)
        self._warm = False
        mean = self._run(np.ones(len(self._mean_mw)), ())
        self.mean_through = {
            place: np.array(max(mean[3 * n + 1], 0.1)) for n, place in enumerate(self.places)
        }

    def values(
        self, time_s: FloatArray, events: Sequence[Event], wanted: Collection[int]
    ) -> dict[int, FloatArray]:
        answer = super().values(time_s, events, frozenset(wanted) - self._loaded)
        for n in self._loaded:
            if n in wanted:
                answer[n] = self._at(time_s, events)[self.channels[n].place][2]
        return answer

    def _through(self, time_s: FloatArray, events: Sequence[Event]) -> dict[str, FloatArray]:
        return {place: solved[1] for place, solved in self._at(time_s, events).items()}

    def _dropped(
        self, through: Mapping[str, FloatArray], time_s: FloatArray, events: Sequence[Event]
    ) -> dict[str, FloatArray]:
        return {place: 1.0 + RISE - solved[0] for place, solved in self._at(time_s, events).items()}

    def _depth(self, event: Event, place: str) -> float:
        return min(event.size * self.grid.sags.get(place, 0.9), 1.0)

    def _at(self, time_s: FloatArray, events: Sequence[Event]) -> dict[str, FloatArray]:
        """(3, times) of each place: voltage as a share of nominal, current in A, transformer load in %."""
        felt = [e for e in events if e.kind in (*OUTAGES, *LOADS) and e.place in self.network]
        solved = self._steady.at(time_s, felt).T
        return {place: solved[3 * n : 3 * n + 3] for n, place in enumerate(self.places)}

    def _solve(self, second: float, events: tuple[Event, ...]) -> FloatArray:
        time_s = np.array([second])
        moods = np.array(
            [float(wander(stream(self.seed, "mood", str(mood)), time_s, MOOD_S)[0]) for mood in range(MOODS)]
        )
        share = float(demand("power", time_s)[0]) * (1.0 + MOOD * moods[self._mood])
        for event in events:
            if event.kind in LOADS:
                tau_s = CROWD_S if event.kind == "heat_wave" else OVERLOAD_S
                below = self.network.zone if event.kind == "heat_wave" else self.network.below
                behind = set(below(event.place))
                more = np.array([place in behind for place in self.grid.load_at])
                share = share * (1.0 + more * event.size * float(event.rise(time_s, tau_s)[0]))
        out = tuple(e for e in events if e.kind in OUTAGES and e.start_s <= second < e.end_s)
        return self._run(share, out)

    def _run(self, share: FloatArray, out: tuple[Event, ...]) -> FloatArray:
        """One power flow, each load at a share of its mean."""
        import pandapower

        net = self.grid.net
        net.load["p_mw"], net.load["q_mvar"] = self._mean_mw * share, self._mean_mvar * share
        stopped = [self._element(event) for event in out]
        for kind, element in stopped:
            net[kind].loc[element, "in_service"] = False
        quick = self._warm and not stopped
        options = {"init": "results", "recycle": {"bus_pq": True, "gen": False, "trafo": False}}
        pandapower.runpp(net, **(options if quick else {}), numba=True)
        for kind, element in stopped:
            net[kind].loc[element, "in_service"] = True
        self._warm = not stopped  # after an outage nothing of it may be taken over
        volts = np.nan_to_num(net.res_bus["vm_pu"].to_numpy()[self._buses])
        amps = np.nan_to_num(self._amps(net))
        loading = np.nan_to_num(net.res_trafo["loading_percent"])
        trafo = [loading[self.grid.trafo[p]] if p in self.grid.trafo else 0.0 for p in self.places]
        return np.column_stack([volts, amps, trafo]).ravel()

    def _amps(self, net: Any) -> FloatArray:
        """Current a phase that the meter of each place sees."""
        lines = net.res_line["i_ka"].to_numpy() * 1000.0
        low = net.res_trafo["i_lv_ka"].to_numpy() * 1000.0
        rows = {index: row for row, index in enumerate(net.line.index)}
        return np.array(
            [
                low[self.grid.trafo[place]]
                if place in self.grid.trafo
                else lines[rows[self.grid.line[place]]]
                for place in self.places
            ]
        )

    def _element(self, event: Event) -> tuple[str, int]:
        """What is out: the line that feeds a place, or the transformer above it."""
        if event.kind == "feeder_outage" and event.place in self.grid.line:
            return "line", self.grid.line[event.place]
        above = [place for place in self.network.above(event.place) if place in self.grid.trafo]
        return "trafo", int(self.grid.net.trafo.index[self.grid.trafo[above[0]]])
