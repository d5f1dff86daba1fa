"""Gas scenarios: on a star of medium-pressure mains and on the gas network of a real small town."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from config.channels import Channel, ChannelTable, Link, Planned
from simulators.gasflow import GasFlow, GasGrid
from simulators.instruments import Position, channel, position, positions, tree
from simulators.network import Network
from simulators.play import Entry, Parameter, Request, Site, announced
from simulators.scenarios import Event

HOUR_S, DAY_S = 3600.0, 86400.0
Staged = tuple[Site, Sequence[Event], Sequence[Planned]]
_STAR = ("station", "junction", "east", "south", "west")  # of snippet 2 of the simulation facts
_STAR_PIPES = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 1))
_STAR_PLAN = ((0, 1200), (0, 0), (1000, -400), (0, -1200), (-1000, -400))  # metres east and north
_OUTLETS, _WELLS = ("east", "south", "west"), ("junction", "east", "south", "west")
SEEP = 0.42  # size of a slow leak that brings 25 %LEL into its well
SPURS = ("spur_a", "spur_b", "spur_c")


def star(request: Request, leak_kg_s: float = 0.0, ch4_s: float = 600.0) -> Site:
    """Five nodes at 300 kPa, three of them with a regulator to 2.0 kPa and a valve well."""
    import pandapipes

    net = pandapipes.create_empty_network(fluid="hgas")
    nodes = [pandapipes.create_junction(net, pn_bar=4.0, tfluid_k=283.15) for _ in _STAR]
    pandapipes.create_ext_grid(net, nodes[0], p_bar=4.0, t_k=283.15)
    for one, other in _STAR_PIPES:
        pandapipes.create_pipe_from_parameters(
            net, nodes[one], nodes[other], length_km=1.2, inner_diameter_mm=100.0, k_mm=0.1
        )
    for node in (2, 3, 4):
        pandapipes.create_sink(net, nodes[node], mdot_kg_per_s=0.02)
    places = {node: f"star.{name}" for node, name in enumerate(_STAR)}
    at = {places[node]: position(*plan) for node, plan in enumerate(_STAR_PLAN)}
    channels: list[Channel] = []
    for name, place in zip(_STAR, places.values()):
        channels += _mains(place, at[place], "star", 300.0, flow=name == "station")
        if name in _OUTLETS:
            channels.append(
                channel(place, "outlet_pressure", medium="gas", quantity="pressure", zone="star",
                        at=at[place], nominal=2.0)
            )  # fmt: skip
        if name in _WELLS:
            channels += _well(place, at[place], "star", ch4_s)
    return _solved(request, channels, net, places, "station", leak_kg_s)


def _town(request: Request, leak_kg_s: float) -> Site:
    """Schutterwald: 2,559 junctions and 1,506 consumers, here at 100 kPa, with sensors at fourteen."""
    import networkx
    import pandapipes.networks
    import pandapipes.topology

    net = pandapipes.networks.schutterwald_gas(True, None)
    net.ext_grid["p_bar"] = 2.0
    net.sink["mdot_kg_per_s"] *= 0.8
    root = int(net.ext_grid["junction"].iloc[0])
    graph = pandapipes.topology.create_nxgraph(net)
    far = networkx.single_source_dijkstra_path_length(graph, root)
    ends = sorted((node for node in far if graph.degree(node) == 1), key=lambda node: (-far[node], node))
    along = sorted(far, key=lambda node: (far[node], node))
    inner = along[len(along) // 12 :: len(along) // 10][:10]
    named = {root: "town.station"} | {node: f"town.street{n + 1}" for n, node in enumerate(inner)}
    named |= {node: f"town.{name}" for name, node in zip(SPURS, ends[:: len(ends) // 3])}
    plan = net.junction_geodata
    at = positions({node: (float(plan.x[node]), float(plan.y[node])) for node in named})
    channels: list[Channel] = []
    for node, place in named.items():
        channels += _mains(place, at[node], "town", 100.0, flow=node == root)
        if node != root:
            channels += _well(place, at[node], "town", 300.0)
    return _solved(request, channels, net, named, "station", leak_kg_s, graph)


def _mains(place: str, at: Position, zone: str, nominal: float, *, flow: bool) -> list[Channel]:
    fitted = [channel(place, "pressure", medium="gas", zone=zone, at=at, nominal=nominal)]
    if flow:
        fitted.append(channel(place, "flow", medium="gas", zone=zone, at=at))
    return fitted


def _well(place: str, at: Position, zone: str, period_s: float) -> list[Channel]:
    """A battery logger in a well, which sends by radio: a place of its own, so that it can fail alone."""
    return [channel(f"{place}.well", "ch4", medium="gas", zone=zone, at=at, period_s=period_s, via="mqtt")]


def _solved(
    request: Request, channels: list[Channel], net: Any, stands_at: Mapping[int, str], root: str,
    leak_kg_s: float, graph: Any = None,
) -> Site:  # fmt: skip
    import pandapipes.topology

    graph = pandapipes.topology.create_nxgraph(net) if graph is None else graph
    source = next(node for node, place in stands_at.items() if place.endswith(root))
    links = list(tree(graph, source, stands_at, "pipe"))
    junction = {place: node for node, place in stands_at.items()}
    for place in list(junction):
        if any(each.place == f"{place}.well" for each in channels):
            links.append(Link(place, f"{place}.well", "pipe"))
            junction[f"{place}.well"] = junction[place]
    table = ChannelTable(channels)
    physics = GasFlow(
        table, Network(table, links, "gas"), request.seed, GasGrid(net, junction, leak_kg_s=leak_kg_s)
    )
    return Site(table, tuple(links), (physics,))


def _spur_break(request: Request) -> Staged:
    methane = 70.0
    site = _town(request, request.number("mdot") / 2.5)
    event = request.event(
        "third_party_damage", f"town.{request.text('spur')}.well", request.text("start"),
        request.number("hours") * HOUR_S, methane,
    )  # fmt: skip
    return site, [event], []


def _seep(request: Request) -> Staged:
    site = star(request, request.number("mdot") / SEEP)
    place = f"star.{request.text('node')}.well"
    event = request.event("slow_leak", place, "06:00", request.number("days") * DAY_S, SEEP)
    return site, [event], []


def _creep(request: Request) -> Staged:
    seconds = request.number("hours") * HOUR_S
    rise = request.number("creep") * request.number("hours") * 0.8
    place = f"star.{request.text('node')}"
    return star(request), [request.event("regulator_overpressure", place, "00:00", seconds, rise)], []


def _clogging(request: Request) -> Staged:
    days = request.number("days")
    event = request.event(
        "regulator_underpressure", f"star.{request.text('node')}", "00:00", days * DAY_S,
        min(request.number("droop") * days, 0.95),
    )  # fmt: skip
    return star(request), [event], []


def _frost(request: Request) -> Staged:
    event = request.event(
        "frost", "star.station", "00:00", request.number("days") * DAY_S, request.number("more")
    )
    return star(request), [event], []


def _sewer(request: Request) -> Staged:
    event = request.event(
        "sewer_methane", f"star.{request.text('node')}.well", "00:00", request.number("days") * DAY_S,
        request.number("methane"),
    )  # fmt: skip
    return star(request), [event], []


def _bump(request: Request) -> Staged:
    event = request.event(
        "bump_test", f"star.{request.text('node')}.well", request.text("start"), 2 * 600.0,
        request.number("methane"),
    )  # fmt: skip
    return star(request), [event], [announced(event)]


_NODE = Parameter("south", "node of the star", choices=("south", "east", "west"))


def _days(default: float, least: float, most: float) -> Parameter:
    return Parameter(default, "how long, days", (least, most), (1.0, 60.0), whole=True)


def _entry(
    name: str, title: str, expected: str, stage: Callable[[Request], Staged], days: float,
    shown: tuple[str, ...], engine: str = "pandapipes, a star of five nodes", /, **parameters: Parameter,
) -> Entry:  # fmt: skip
    return Entry(f"gas/{name}", title, engine, expected, parameters, stage, days, shown)


ENTRIES = (
    _entry(
        "schutterwald_spur_break", "An excavator tears a spur", "third_party_damage, critical", _spur_break,
        4.0, ("town.spur_a.well.ch4", "town.spur_a.pressure", "town.station.flow"),
        "pandapipes, Schutterwald",
        mdot=Parameter(0.03, "gas lost, kg/s", (0.02, 0.06), (0.001, 0.5)),
        spur=Parameter("spur_a", "which spur", choices=SPURS),
        start=Parameter("10:30", "time of day", hours=4.0),
        hours=Parameter(2.0, "how long, h", (1.0, 3.0), (0.25, 24.0)),
    ),
    _entry(
        "star_seep", "A joint begins to seep", "slow_leak while the well is below 20 %LEL", _seep,
        7.0, ("star.south.well.ch4", "star.south.pressure", "star.station.flow"),
        mdot=Parameter(0.001, "gas lost once grown, kg/s", (0.0008, 0.002), (1e-5, 0.1)),
        node=_NODE, days=_days(3.0, 3.0, 4.0),
    ),
    _entry(
        "regulator_creep", "A regulator no longer shuts", "regulator_overpressure before 3.5 kPa", _creep,
        5.0, ("star.south.outlet_pressure", "star.east.outlet_pressure"),
        creep=Parameter(0.05, "rise of the outlet, kPa an hour", (0.04, 0.08), (0.001, 5.0)),
        hours=Parameter(36.0, "how long, h", (30.0, 40.0), (1.0, 240.0)), node=_NODE,
    ),
    _entry(
        "filter_clogging", "A filter clogs, day by day", "regulator_underpressure at the peak of day 3-4",
        _clogging, 8.0, ("star.south.outlet_pressure", "star.east.outlet_pressure"),
        droop=Parameter(0.1, "droop at the peak, growth a day", (0.08, 0.13), (0.01, 0.5)),
        days=_days(5.0, 4.0, 6.0), node=_NODE,
    ),
    _entry(
        "frost_week", "Frost: two fifths more demand", "no alert", _frost,
        8.0, ("star.station.flow", "star.south.pressure"),
        more=Parameter(0.4, "further demand, of the usual", (0.3, 0.5), (0.0, 2.0)),
        days=_days(4.0, 3.0, 4.0),
    ),
    _entry(
        "sewer_methane", "Sewer gas comes and goes with the warmth", "at most information", _sewer,
        7.0, ("star.south.well.ch4", "star.station.flow"),
        methane=Parameter(11.0, "in the warmest hour, %LEL", (8.0, 12.0), (0.0, 24.0)),
        days=_days(3.0, 2.0, 4.0), node=_NODE,
    ),
    _entry(
        "sensor_bump_check", "A detector is tried with test gas, announced", "P4, marked test", _bump,
        4.0, ("star.south.well.ch4",),
        methane=Parameter(50.0, "test gas, %LEL", (48.0, 52.0), (5.0, 100.0)),
        start=Parameter("10:00", "time of day", hours=3.0), node=_NODE,
    ),
)  # fmt: skip
