"""Networks solved by EPANET, pandapipes and pandapower behind the one protocol of physics."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from config.channels import ChannelTable, Link
from simulators.city import SHARES, city
from simulators.instruments import channel
from simulators.kinds import SCENARIOS
from simulators.network import Network
from simulators.scenarios import SECOND_NS, Event, nanoseconds, planned
from simulators.world import IntArray, World

pytest.importorskip("wntr", reason="needs the extra `sim`: pip install 'watchline[sim]'")
from simulators.gasflow import GasFlow, GasGrid
from simulators.mains import solvers

MONDAY = nanoseconds("2026-01-05T00:00:00+08:00")
DAY_NS = 86400 * SECOND_NS
BUILT = city(130, tuple(SHARES))
CHANNELS, LINKS = ChannelTable(BUILT.channels), tuple(BUILT.links)
SPAN = (MONDAY, MONDAY + DAY_NS)
FITTING = [
    kind
    for kind, scenario in SCENARIOS.items()
    if scenario.places(CHANNELS) and scenario.seconds[0] <= 86400 and scenario.category != "device"
    and set(scenario.media) & {"water", "gas", "power"}
]  # fmt: skip


@cache
def physics() -> tuple[object, ...]:
    """One set of solvers for all tests: what it has solved once it knows."""
    return solvers(CHANNELS, LINKS, 3, *SPAN)


def world(*events: Event) -> World:
    return World(CHANNELS, LINKS, 3, events, physics())  # type: ignore[arg-type]


def moments(start_ns: int, seconds: float, step_s: float) -> IntArray:
    return start_ns + np.arange(0, seconds, step_s).astype(np.int64) * SECOND_NS


def of(medium: str, quantity: str) -> list[int]:
    return [n for n, c in enumerate(CHANNELS.channels) if (c.medium, c.quantity) == (medium, quantity)]


def test_a_calm_day_lives_around_the_nominal_values() -> None:
    at = moments(MONDAY, 86400, 1800)

    def span(medium: str, quantity: str) -> tuple[float, float]:
        numbers = [n for n in of(medium, quantity) if not (CHANNELS[n].nominal < 10)]
        share = world().values(at, numbers) / CHANNELS.nominal[numbers]
        return float(share.min()), float(share.max())

    assert 0.75 < span("water", "pressure")[0] < span("water", "pressure")[1] < 1.1
    assert 0.75 < span("gas", "pressure")[0] < span("gas", "pressure")[1] < 1.1
    assert 0.93 < span("power", "voltage")[0] < span("power", "voltage")[1] < 1.07


def test_pressure_falls_and_voltage_sags_with_demand() -> None:
    at = moments(MONDAY, 86400, 900)
    flow, pressure = of("water", "flow")[0], of("water", "pressure")[-1]
    current, voltage = of("power", "current")[0], of("power", "voltage")[-1]
    values = world().values(at, [flow, pressure, current, voltage]).T

    assert np.corrcoef(values[0], values[1])[0, 1] < -0.8
    assert np.corrcoef(values[2], values[3])[0, 1] < -0.4


def test_a_value_follows_from_seed_and_second_however_it_is_asked_for() -> None:
    events = [planned(kind, CHANNELS, 3, 0, {}, SPAN) for kind in ("burst", "third_party_damage", "overload")]
    at = moments(MONDAY, 86400, 4999)
    solved = [n for n, c in enumerate(CHANNELS.channels) if c.quantity in ("pressure", "flow", "voltage")]
    together = world(*events).values(at, solved)
    fresh = World(CHANNELS, LINKS, 3, events, solvers(CHANNELS, LINKS, 3, *SPAN))

    for row in (11, 3, 16):
        alone = fresh.values(at[row : row + 1], solved[::3])

        np.testing.assert_allclose(alone[0], together[row, ::3], rtol=0, atol=0.11)  # one step of a register
        assert np.mean(alone[0] == together[row, ::3]) > 0.95


def test_before_an_event_nothing_shows_of_it() -> None:
    for kind in FITTING:
        event = planned(kind, CHANNELS, 3, 0, {}, SPAN)
        at = moments(max(event.start_ns - 600 * SECOND_NS, MONDAY), 599, 61)
        at = at[at < event.start_ns]

        np.testing.assert_array_equal(world(event).values(at), world().values(at), err_msg=kind)


@pytest.mark.parametrize("kind", FITTING)
def test_every_kind_of_event_moves_its_place_and_is_told(kind: str) -> None:
    event = planned(kind, CHANNELS, 3, 0, {}, SPAN)

    (row,) = world(event).truth()

    assert row["class"] == SCENARIOS[kind].category
    places = {CHANNELS[CHANNELS.number[id]].place for id in row["channels"]}
    assert event.place in places or kind in ("slow_leak", "hydrant_test", "frost", "heat_wave", "festival")


def test_a_feeder_that_is_out_has_no_voltage_and_no_current_below() -> None:
    power = Network(CHANNELS, LINKS, "power")
    place = next(p for p in power.order if p in power.feeder and power.below(p) != [p])
    event = Event("feeder_outage", place, MONDAY + 36000 * SECOND_NS, MONDAY + 39600 * SECOND_NS, 0.0)
    dark = [
        n
        for n in (*of("power", "voltage"), *of("power", "current"))
        if CHANNELS.place[n] in power.below(place)
    ]
    lit = [n for n in of("power", "voltage") if CHANNELS.place[n] not in power.below(place)]
    at = event.start_ns + np.array([-5, 5, 3595, 3605]) * SECOND_NS

    assert (world(event).values(at, dark)[[1, 2]] < 1).all()  # the noise of a meter that measures nothing
    assert (world(event).values(at, dark)[[0, 3]] > 5).all()
    assert (world(event).values(at, lit) > 195).all()


def test_the_star_of_the_textbook_has_the_pressures_of_the_textbook() -> None:
    import pandapipes

    net = pandapipes.create_empty_network(fluid="hgas")
    nodes = [pandapipes.create_junction(net, pn_bar=4.0, tfluid_k=283.15) for _ in range(5)]
    pandapipes.create_ext_grid(net, nodes[0], p_bar=4.0, t_k=283.15)
    for one, other in ((0, 1), (1, 2), (2, 3), (3, 4), (4, 1)):
        pandapipes.create_pipe_from_parameters(
            net, nodes[one], nodes[other], length_km=1.2, inner_diameter_mm=100.0, k_mm=0.1
        )
    for node in (2, 3, 4):
        pandapipes.create_sink(net, nodes[node], mdot_kg_per_s=0.04)
    names = ["a", "b", "c", "d", "e"]
    table = ChannelTable([channel(name, "pressure", medium="gas", nominal=300.0) for name in names])
    links = [Link(one, other, "pipe") for one, other in pairwise(names)]
    star = GasFlow(table, Network(table, links, "gas"), 1, GasGrid(net, dict(zip(names, nodes))))
    at = np.arange(MONDAY // SECOND_NS, MONDAY // SECOND_NS + 86400, 600, dtype=np.float64)

    flow = star._flows(at, ())["a"]
    usual = int(np.argmin(np.abs(flow - 0.12 / 0.79 * 3600)))  # when the sinks draw what the textbook says
    shares = star._shares(at, ())

    found = [float(shares[name][usual]) * 300.0 for name in names]
    np.testing.assert_allclose(found, [298.7, 290.0, 287.7, 287.4, 287.7], atol=0.8)


def test_water_that_bursts_out_is_water_that_flows_in() -> None:
    place = next(c.place for c in CHANNELS.channels if c.quantity == "flow" and c.medium == "water")
    event = Event("burst", place, MONDAY + 10800 * SECOND_NS, MONDAY + 18000 * SECOND_NS, 1.0)
    inlet = of("water", "flow")[:1]
    at = event.start_ns + np.array([-300, -1, 120, 3600, 7300]) * SECOND_NS

    more = (world(event).values(at, inlet) - world().values(at, inlet))[:, 0]

    mean = float(np.mean(world().values(moments(MONDAY, 86400, 600), inlet)))
    assert more[:2].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(more[2:4], mean, rtol=0.15)
    assert abs(more[4]) < 0.1 * mean
