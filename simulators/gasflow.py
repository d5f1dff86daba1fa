"""Gas flow: gas mains solved by pandapipes; regulators and wells are those of any gas site."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from config.channels import ChannelTable
from simulators.draws import CROWD_S, LEAKS, leak
from simulators.gas import Gas
from simulators.network import Network
from simulators.noise import FloatArray, stream, wander
from simulators.rhythms import demand
from simulators.scenarios import Event
from simulators.sensors import is_outlet, nominal_of
from simulators.steady import Steady

STEP_S = 1800.0
AMBIENT_KPA = 101.325
M3_A_KG = 3600.0 / 0.79  # m3/h at standard conditions for 1 kg/s of natural gas H
MOODS, MOOD, MOOD_S = 8, 0.06, 5400.0
LEFT = 0.1  # of the nominal pressure, even beside a torn pipe
THROTTLINGS = 30


@dataclass(frozen=True)
class GasGrid:
    """A pandapipes network, its sinks at their mean, and where its sensors stand."""

    net: Any
    junction: Mapping[str, int]  # place -> junction
    pipe: Mapping[str, int] = field(default_factory=dict)  # place -> pipe of its meter; else all that flows
    leak_kg_s: float = 0.0  # what a leak as large as the mean inflow loses, where it is not that inflow
    leak_at: Mapping[str, float] = field(default_factory=dict)  # the same for each place, where zones differ


class GasFlow(Gas):
    """Steady flow in a pipe network. A line pack's lag is in the events' own rise (simulation-facts §1)."""

    def __init__(self, channels: ChannelTable, network: Network, seed: int, grid: GasGrid) -> None:
        import pandapipes

        super().__init__(channels, network, seed)
        self.grid = grid
        self.places = tuple(network.order)
        self.usual_kg_s = grid.net.sink["mdot_kg_per_s"].to_numpy(copy=True)
        self._number = {place: number for number, place in enumerate(self.places)}
        self._junctions = [grid.junction[place] for place in self.places]
        pandapipes.create_sinks(grid.net, self._junctions, mdot_kg_per_s=0.0)  # for what a place may lose
        self._rows = grid.net.junction.index.get_indexer(self._junctions)
        self._mood = np.arange(len(self.usual_kg_s)) % MOODS
        self._steady = Steady(STEP_S, self._solve)
        nominals = {
            c.place: nominal_of(c) for c in channels.channels if c.quantity == "pressure" and not is_outlet(c)
        }
        self._nominal = {place: nominals.get(place, 200.0) for place in self.places}

    def _flows(self, time_s: FloatArray, events: Sequence[Event]) -> dict[str, FloatArray]:
        solved = self._steady.at(time_s, self._felt(events))
        return {place: solved[:, 2 * n + 1] for n, place in enumerate(self.places)}

    def _shares(self, time_s: FloatArray, events: Sequence[Event]) -> dict[str, FloatArray]:
        solved = self._steady.at(time_s, self._felt(events))
        return {place: solved[:, 2 * n] / self._nominal[place] for n, place in enumerate(self.places)}

    def _felt(self, events: Sequence[Event]) -> list[Event]:
        return [e for e in events if (e.kind in LEAKS or e.kind == "frost") and e.place in self.grid.junction]

    def _solve(self, second: float, events: tuple[Event, ...]) -> FloatArray:
        """Pressure in kPa (gauge) and flow in m3/h of each place, one after the other."""
        net, time_s = self.grid.net, np.array([second])
        moods = np.array(
            [float(wander(stream(self.seed, "mood", str(mood)), time_s, MOOD_S)[0]) for mood in range(MOODS)]
        )
        drawn = self.usual_kg_s * float(demand("gas", time_s)[0]) * (1.0 + MOOD * moods[self._mood])
        lost = np.zeros(len(self.places))
        for event in events:
            if event.kind == "frost":
                drawn = drawn * (1.0 + event.size * float(event.rise(time_s, CROWD_S)[0]))
            else:
                scale = self.grid.leak_at.get(event.place) or self.grid.leak_kg_s or self.usual_kg_s.sum()
                lost[self._number[event.place]] += scale * float(leak(event, time_s)[0])
        sinks = self._flowing(drawn, lost)
        pressure = net.res_junction["p_bar"].to_numpy()[self._rows] * 100.0 - AMBIENT_KPA
        mdot = net.res_pipe["mdot_from_kg_per_s"].to_numpy()
        flow = np.array(
            [abs(mdot[self.grid.pipe[p]]) if p in self.grid.pipe else sinks.sum() for p in self.places]
        )
        return np.column_stack([pressure, flow * M3_A_KG]).ravel()

    def _flowing(self, drawn: FloatArray, lost: FloatArray) -> FloatArray:
        """Solve the network; what all sinks then take, kg/s. A torn pipe loses no more than it can carry."""
        import pandapipes
        from pandapipes.pf.pipeflow_setup import PipeflowNotConverged

        net = self.grid.net
        for _ in range(THROTTLINGS):
            sinks = np.concatenate([drawn, lost])
            net.sink["mdot_kg_per_s"] = sinks
            with contextlib.suppress(PipeflowNotConverged), np.errstate(all="ignore"):
                pandapipes.pipeflow(net, friction_model="swamee-jain", mode="hydraulics")
                lowest = float(net.res_junction["p_bar"].min()) * 100.0 - AMBIENT_KPA
                if not lost.any() or lowest > LEFT * min(self._nominal.values()):
                    return sinks
            lost = lost * 0.7
        raise RuntimeError("the gas network has no solution, not even without what is lost from it")
