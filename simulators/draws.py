"""Draws: what events take out of a network of pipes or cables, and how they change what its users take."""

from collections.abc import Sequence

import numpy as np

from simulators.network import Network
from simulators.noise import FloatArray
from simulators.scenarios import Event

BURST_S = 8.0  # a main tears open within seconds
HYDRANT_S = 30.0  # a hydrant is opened by hand
LINE_PACK_S = 60.0  # first-order lag of gas pressure and flow (simulation-facts §1: 1-3 min)
LEAK_AT_70_LEL = 2.5  # gas lost, of the zone's mean inflow, by a tear that fills its well to 70 %LEL
CROWD_S = 2 * 3600.0  # a festival, a frost or a heat wave comes and goes within hours
OVERLOAD_S = 300.0

LEAKS = ("burst", "slow_leak", "hydrant_test", "third_party_damage")
SURGES = ("festival", "frost", "heat_wave")


def leak(event: Event, time_s: FloatArray) -> FloatArray:
    """What the event draws at its place (times,), as a share of the mean inflow of its zone."""
    if event.kind == "burst":
        return event.size * event.rise(time_s, BURST_S)
    if event.kind == "hydrant_test":
        return event.size * event.rise(time_s, HYDRANT_S)
    if event.kind == "third_party_damage":
        return LEAK_AT_70_LEL * event.size / 70.0 * event.rise(time_s, LINE_PACK_S)
    return event.size * event.grown(time_s)


def taken(
    place: str, usual: FloatArray, events: Sequence[Event], time_s: FloatArray, network: Network
) -> FloatArray:
    """What the users of a place take (times,), given what they usually would."""
    for event in events:
        if event.kind in SURGES and event.place in network:
            if network.root(event.place) == network.root(place):
                usual = usual * (1.0 + event.size * event.rise(time_s, CROWD_S))
        elif event.kind in ("overload", "ev_evening") and event.place == place:
            usual = usual * (1.0 + event.size * event.rise(time_s, OVERLOAD_S))
    return usual


def leaks_at(events: Sequence[Event], network: Network) -> list[Event]:
    """The events that draw something out of this network."""
    return [event for event in events if event.kind in LEAKS and event.place in network]


def edges_s(events: Sequence[Event]) -> FloatArray:
    """Whole seconds around which events change a network quickly, ascending."""
    after = np.array([-1.0, 0.0, 15.0, 30.0, 60.0, 120.0, 240.0, 480.0])
    turns = [np.ceil(turn) + after for event in events for turn in (event.start_s, event.end_s)]
    return np.unique(np.concatenate(turns)) if turns else np.empty(0)
