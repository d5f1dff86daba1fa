"""Mains: the networks of a generated district as wntr, pandapipes and pandapower models."""

from math import pi
from typing import Any

import numpy as np

from config.channels import ChannelTable, Link
from simulators.bands import Bands
from simulators.gas import Gas
from simulators.gasflow import M3_A_KG, GasFlow, GasGrid
from simulators.hydraulics import Hydraulics, Scheme, Tap
from simulators.loadflow import LoadFlow, PowerGrid
from simulators.network import Network
from simulators.physics import Physics
from simulators.power import POWER_FACTOR, STRETCH_DROP, Power
from simulators.water import Water

STRETCH_M = 250.0
WATER_M_S, GAS_M_S = 0.5, 3.0  # usual speeds at mean flow, by which a pipe is chosen
HEAD_M, GAS_BAR = 32.5, 4.05  # where a block is fed: a little above 300 kPa
WATER_STEP_S = {300: 60, 2000: 300}  # places: the step of the solution, s


def solvers(
    channels: ChannelTable, links: tuple[Link, ...], seed: int, start_ns: int, end_ns: int
) -> tuple[Physics, ...]:
    """A solver for each medium that the district has."""
    found: list[Physics] = []
    media = set(channels.media)
    if "water" in media:
        found.append(_water(channels, Network(channels, links, "water"), seed, start_ns, end_ns))
    if "gas" in media:
        found.append(_gas(channels, Network(channels, links, "gas"), seed))
    if "power" in media:
        found.append(_power(channels, Network(channels, links, "power"), seed))
    if "wristband" in media:
        found.append(Bands(channels, seed))
    return tuple(found)


def _water(channels: ChannelTable, network: Network, seed: int, start_ns: int, end_ns: int) -> Hydraulics:
    """Each block's tree of pipes, fed from a reservoir of its own; every third pair of ends closes a ring."""
    trees = Water(channels, network, seed)
    node = {place: f"n{number}" for number, place in enumerate(network.order)}
    ends = [place for place in network.order if network.below(place) == [place] and place in network.feeder]
    rings = [
        (one, other) for one, other in zip(ends[::3], ends[1::3]) if network.root(one) == network.root(other)
    ]

    def diameter_m(place: str) -> float:
        return float(max((4 * float(trees.mean_through[place]) / 3600 / (pi * WATER_M_S)) ** 0.5, 0.06))

    def model() -> Any:
        import wntr

        made = wntr.network.WaterNetworkModel()
        for place, name in node.items():
            made.add_junction(name, base_demand=trees.mean[place] / 3600.0, elevation=0.0)
        for place, name in node.items():
            above = node.get(network.feeder.get(place, ""))
            if above is None:
                made.add_reservoir(f"r{name}", base_head=HEAD_M)
            made.add_pipe(f"p{name}", above or f"r{name}", name, STRETCH_M, diameter_m(place), 120.0)
        for one, other in rings:
            made.add_pipe(f"o{node[one]}", node[one], node[other], STRETCH_M, diameter_m(one), 120.0)
        made.options.hydraulic.headloss = "H-W"
        return made

    taps = {}
    for number, each in enumerate(channels.channels):
        if each.medium == "water" and each.quantity == "pressure":
            taps[number] = Tap("pressure", node[each.place])
        elif each.medium == "water" and each.quantity == "flow":
            taps[number] = Tap("flow", f"p{node[each.place]}")
    inflow = {place: float(trees.mean_through[network.root(place)]) / 3600.0 for place in network.order}
    step_s = next((step for places, step in WATER_STEP_S.items() if len(node) <= places), 900)
    zone = {node[place]: network.root(place) for place in network.order}
    scheme = Scheme(model, node, {}, {}, step_s, inflow, zone)
    return Hydraulics(channels, scheme, taps, seed, start_ns, end_ns)


def _gas(channels: ChannelTable, network: Network, seed: int) -> GasFlow:
    """Each block's tree of mains, fed from a station of its own."""
    import pandapipes

    trees = Gas(channels, network, seed)
    net = pandapipes.create_empty_network(fluid="hgas")
    count = len(network.order)
    nodes = pandapipes.create_junctions(net, 2 * count, pn_bar=GAS_BAR, tfluid_k=283.15)
    junction = {place: int(nodes[number]) for number, place in enumerate(network.order)}
    starts, diameters_mm = [], []
    for number, place in enumerate(network.order):
        above = network.feeder.get(place)
        area_m2 = float(trees.mean_through[place]) / 3600 / 4.0 / GAS_M_S  # at four bar
        diameters_mm.append(1000 * max((4 * area_m2 / pi) ** 0.5, 0.03))
        starts.append(int(nodes[count + number]) if above is None else junction[above])
        if above is None:
            pandapipes.create_ext_grid(net, starts[-1], p_bar=GAS_BAR, t_k=283.15)
    ends = [junction[place] for place in network.order]
    pipes = pandapipes.create_pipes_from_parameters(
        net, starts, ends, length_km=STRETCH_M / 1000, k_mm=0.1, inner_diameter_mm=diameters_mm
    )
    pipe = {place: int(index) for place, index in zip(network.order, pipes)}
    fed = set(net.ext_grid["junction"])
    net.junction.drop(index=[node for node in nodes[count:] if node not in fed], inplace=True)
    mean = [trees.mean[place] / M3_A_KG for place in network.order]
    pandapipes.create_sinks(net, ends, mdot_kg_per_s=mean)
    unit = {place: float(trees.mean_through[network.root(place)]) / M3_A_KG for place in network.order}
    return GasFlow(channels, network, seed, GasGrid(net, junction, pipe, leak_at=unit))


def _power(channels: ChannelTable, network: Network, seed: int) -> LoadFlow:
    """Each block's cables from a 10 kV transformer of its own."""
    import pandapower

    trees = Power(channels, network, seed)
    net = pandapower.create_empty_network()
    phase_v = 400.0 / 3**0.5
    numbers = pandapower.create_buses(net, len(network.order), vn_kv=0.4)
    bus = {place: int(number) for place, number in zip(network.order, numbers)}
    trafo: dict[str, int] = {}
    for place in network.order:
        if place not in network.feeder:
            trafo[place] = _transformer(net, bus[place], 2.2 * 3 * phase_v * float(trees.mean_through[place]))
    fed = [place for place in network.order if place in network.feeder]
    root_amps = [float(trees.mean_through[network.root(place)]) for place in fed]
    lines = pandapower.create_lines_from_parameters(
        net, [bus[network.feeder[place]] for place in fed], [bus[place] for place in fed], length_km=0.1,
        r_ohm_per_km=[STRETCH_DROP * phase_v / amps / 0.1 for amps in root_amps], x_ohm_per_km=0.08,
        c_nf_per_km=0.0, max_i_ka=[2.5 * float(trees.mean_through[place]) / 1000 for place in fed],
    ) if fed else []  # fmt: skip
    line = {place: int(index) for place, index in zip(fed, lines)}
    mw = np.array([3 * phase_v * trees.mean[place] * POWER_FACTOR / 1e6 for place in network.order])
    pandapower.create_loads(net, numbers, p_mw=mw, q_mvar=mw * np.tan(np.arccos(POWER_FACTOR)))
    rows = {place: list(net.trafo.index).index(index) for place, index in trafo.items()}
    return LoadFlow(channels, network, seed, PowerGrid(net, bus, line, rows, network.order))


def _transformer(net: Any, low: int, rated_va: float) -> int:
    """A 10/0.4 kV transformer between a grid connection of its own and a bus."""
    import pandapower

    high = pandapower.create_bus(net, vn_kv=10.0)
    pandapower.create_ext_grid(net, high, vm_pu=1.045)
    made = pandapower.create_transformer_from_parameters(
        net, high, low, sn_mva=round(rated_va / 1e6, 3), vn_hv_kv=10.0, vn_lv_kv=0.4,
        vkr_percent=1.0, vk_percent=4.0, pfe_kw=0.5, i0_percent=0.3,
    )  # fmt: skip
    return int(made)
