"""Power scenarios: on the CIGRE grids and on that of the Upper Rhine, with a load profile in Chinese time."""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from config.channels import Channel, ChannelTable, Planned
from simulators.instruments import channel, position, tree
from simulators.loadflow import LoadFlow, PowerGrid
from simulators.network import Network
from simulators.play import Entry, Parameter, Request, Site
from simulators.scenarios import Event

HOUR_S, DAY_S = 3600.0, 86400.0
Staged = tuple[Site, Sequence[Event], Sequence[Planned]]
PEAK = 1.62  # of the load profile against its mean: the grids' loads are those of their busiest hour
EV_LOAD = 1.6  # further load where every home charges a car in the evening, of the usual evening's
LV_BUSES = ("R1", "R4", "R6", "R10", "R11", "R15", "R16", "R17", "R18", "C1", "C9", "C13", "C17")
MV_BUSES = (1, 3, 5, 7, 9, 11, 12, 13, 14)
TRENCH = {"lv.r4": ("leakage_current", "partial_discharge", "trench_water"), "lv.r6": ("leakage_current",)}
FAULT_SHARE = {"3ph": 1.0, "2ph": 0.6}  # depth of the lowest phase, of that of a three-phase fault (typ.)


def _site(
    request: Request, net: Any, named: Mapping[int, str], zone: str, volts: float, *, period_s: float = 60.0,
    sags: Mapping[str, float] | None = None,
) -> Site:  # fmt: skip
    """Meters at some buses: current of the feeding line, or of the transformer that stands there."""
    import networkx
    import pandapower
    import pandapower.topology

    pandapower.runpp(net)
    graph = networkx.Graph(pandapower.topology.create_nxgraph(net))
    source = "grid"  # from which every grid connection is fed
    graph.add_edges_from((source, int(bus)) for bus in net.ext_grid["bus"])
    paths = networkx.single_source_shortest_path(graph, source)
    low = {int(bus): row for row, bus in enumerate(net.trafo["lv_bus"])}
    bus = {place: node for node, place in named.items()}
    trafo = {place: low[node] for place, node in bus.items() if node in low}
    line = {place: _feeding(net, paths[node]) for place, node in bus.items() if place not in trafo}
    links = tree(graph, source, named, "cable")
    load_at = tuple(
        next((named[each] for each in reversed(paths.get(int(at), [])) if each in named), "")
        for at in net.load["bus"]
    )
    rated = {place: 1000.0 * float(net.line.loc[index, "max_i_ka"]) for place, index in line.items()}
    channels: list[Channel] = []
    for number, (place, node) in enumerate(bus.items()):
        channels += _meter(place, zone, volts, rated.get(place), number, period_s, trafo=node in low)
    table = ChannelTable(channels)
    grid = PowerGrid(net, bus, line, trafo, load_at, sags or {})
    physics = LoadFlow(table, Network(table, links, "power"), request.seed, grid)
    return Site(table, links, (physics,))


def _feeding(net: Any, path: Sequence[Any]) -> int:
    """The line over which a bus is fed: the last one on the way to it."""
    for one, other in zip(path[-2::-1], path[:0:-1]):
        between = net.line[
            (net.line["from_bus"].isin((one, other))) & (net.line["to_bus"].isin((one, other)))
        ]
        if len(between):
            return int(between.index[0])
    return int(net.line.index[0])


def _meter(
    place: str, zone: str, volts: float, rated: float | None, number: int, period_s: float, *, trafo: bool
) -> list[Channel]:
    at = position(400.0 * (number % 4 - 1.5), 400.0 * (number // 4 - 1.5))
    points: list[tuple[str, float]] = [("voltage", volts), ("voltage_min", volts)]
    points += [("current", rated or float("nan")), ("active_power", float("nan"))]
    if trafo:
        points += [("transformer_load", float("nan")), ("frequency", 50.0)]
    else:
        points += [("joint_temperature", float("nan"))]
    points += [(quantity, float("nan")) for quantity in TRENCH.get(place, ())]
    return [
        channel(place, quantity, medium="power", zone=zone, at=at, nominal=nominal, period_s=period_s)
        for quantity, nominal in points
    ]


def _lv(request: Request) -> Site:
    """CIGRE's European low-voltage grid: a residential, an industrial and a commercial transformer."""
    import pandapower.networks

    net = pandapower.networks.create_cigre_network_lv()
    net.ext_grid["vm_pu"] = 1.04
    _at_mean(net, 0.8)
    wanted = {f"Bus {name}": f"lv.{name.lower()}" for name in LV_BUSES}
    named = {int(n): wanted[name] for n, name in net.bus["name"].items() if name in wanted}
    return _site(request, net, named, "lv", 220.0)


def _mv(request: Request, sags: Mapping[str, float] | None = None) -> Site:
    """CIGRE's European medium-voltage grid, 20 kV."""
    net = _mv_net()
    return _site(request, net, {bus: f"mv.bus{bus}" for bus in MV_BUSES}, "mv", 20000.0, sags=sags)


def _mv_net() -> Any:
    import pandapower.networks

    net = pandapower.networks.create_cigre_network_mv()
    _at_mean(net, 0.75)
    return net


def _at_mean(net: Any, share: float) -> None:
    net.load["p_mw"] *= share / PEAK
    net.load["q_mvar"] *= share / PEAK


def _rhine(request: Request) -> Site:
    """A 20 kV grid of the Upper Rhine with two transformers from 110 kV."""
    import pandapower.networks

    net = pandapower.networks.mv_oberrhein()
    net.sgen["p_mw"] *= 0.2
    _at_mean(net, 0.9)
    low = [int(bus) for bus in net.trafo["lv_bus"]]
    buses = [int(bus) for bus in net.load["bus"].unique() if int(bus) not in low][::11][:12]
    named = {bus: f"rhine.trafo{number}" for number, bus in enumerate(low)}
    named |= {bus: f"rhine.station{bus}" for bus in buses}
    return _site(request, net, named, "rhine", 20000.0)


def _ev(request: Request) -> Staged:
    share = request.number("share") / 100.0
    kind = "overload" if share >= 0.5 else "ev_evening"
    event = request.event(kind, "lv.r1", "18:30", 4.5 * HOUR_S, EV_LOAD * share)
    return _lv(request), [event], []


def _sag(request: Request) -> Staged:
    import pandapower.shortcircuit

    bus, net = int(request.text("bus")), _mv_net()
    net.ext_grid[["s_sc_max_mva", "s_sc_min_mva", "rx_max", "rx_min"]] = [2000.0, 1500.0, 0.1, 0.1]
    net.line["endtemp_degree"] = 80.0
    logging.getLogger("pandapower").setLevel(logging.ERROR)  # it says of each run that this is new to it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of pandas, about pandapower's own code
        pandapower.shortcircuit.calc_sc(net, bus=bus, fault="3ph", case="max", branch_results=True)
    left: dict[int, float] = {}
    for end in ("from", "to"):
        for node, volts in zip(net.line[f"{end}_bus"], net.res_line_sc[f"vm_{end}_pu"]):
            left[int(node)] = min(float(volts), left.get(int(node), 1.0))
    sags = {f"mv.bus{node}": 1.0 - volts for node, volts in left.items()}
    event = request.event(
        "voltage_sag", f"mv.bus{bus}", request.text("at"), request.number("ms") / 1000.0,
        FAULT_SHARE[request.text("fault")],
    )  # fmt: skip
    return _mv(request, sags), [event], []


def _trafo_out(request: Request) -> Staged:
    place = f"rhine.trafo{request.text('trafo')}"
    seconds = request.number("minutes") * 60.0
    return _rhine(request), [request.event("transformer_outage", place, request.text("at"), seconds, 0.0)], []


def _corrosion(request: Request) -> Staged:
    days = request.number("days")
    grown = float((1.0 + request.number("growth")) ** days) - 1.0
    event = request.event("joint_overheat", f"lv.{request.text('joint')}", "00:00", days * DAY_S, grown)
    return _lv(request), [event], []


def _damp(request: Request) -> Staged:
    event = request.event(
        "earth_fault",
        "lv.r4",
        request.text("rain"),
        request.number("hours") * HOUR_S,
        request.number("leakage"),
    )
    return _lv(request), [event], []


def _sump(request: Request) -> Staged:
    event = request.event(
        "pumped_sump", "lv.r4", "00:00", request.number("days") * DAY_S, request.number("depth")
    )
    return _lv(request), [event], []


def _heat(request: Request) -> Staged:
    event = request.event(
        "heat_wave", "lv.r1", "00:00", request.number("days") * DAY_S, request.number("more")
    )
    return _lv(request), [event], []


def _entry(
    name: str, title: str, engine: str, expected: str, stage: Callable[[Request], Staged], days: float,
    shown: tuple[str, ...], /, **parameters: Parameter,
) -> Entry:  # fmt: skip
    return Entry(f"power/{name}", title, f"pandapower, {engine}", expected, parameters, stage, days, shown)


ENTRIES = (
    _entry(
        "cigre_lv_ev_street", "A street charges its cars", "CIGRE LV",
        "overload at a high share, nothing at 20 %", _ev, 4.0,
        ("lv.r1.transformer_load", "lv.r1.current", "lv.r18.voltage", "lv.r4.joint_temperature"),
        share=Parameter(80.0, "homes that charge a car, %", (20.0, 80.0), (0.0, 100.0)),
    ),
    _entry(
        "cigre_mv_fault_sag", "A short circuit is felt at every station", "CIGRE MV with short circuit",
        "voltage_sag at all sites, grouped to one", _sag, 4.0,
        ("mv.bus1.voltage_min", "mv.bus5.voltage_min", "mv.bus13.voltage_min"),
        bus=Parameter("7", "bus of the fault", choices=tuple(str(bus) for bus in MV_BUSES)),
        fault=Parameter("3ph", "kind of fault", choices=("3ph", "2ph")),
        ms=Parameter(300.0, "how long, ms", (100.0, 500.0), (20.0, 3000.0)),
        at=Parameter("15:20", "time of day", hours=6.0),
    ),
    _entry(
        "oberrhein_trafo_out", "A transformer trips", "Oberrhein", "transformer_outage", _trafo_out, 4.0,
        ("rhine.trafo*.voltage", "rhine.trafo*.transformer_load", "rhine.station*.current"),
        trafo=Parameter("0", "transformer", choices=("0", "1")),
        minutes=Parameter(40.0, "how long, min", (20.0, 90.0), (1.0, 1440.0)),
        at=Parameter("11:05", "time of day", hours=6.0),
    ),
    _entry(
        "joint_corrosion", "A cable joint corrodes for two weeks", "CIGRE LV",
        "joint_overheat, from temperature against load", _corrosion, 18.0,
        ("lv.r4.joint_temperature", "lv.r6.joint_temperature", "lv.r4.current"),
        joint=Parameter("r4", "joint", choices=("r4", "r6", "r10", "r16")),
        growth=Parameter(0.05, "growth of its resistance a day", (0.05, 0.12), (0.005, 1.0)),
        days=Parameter(14.0, "how long, days", (12.0, 14.0), (1.0, 60.0), whole=True),
    ),
    _entry(
        "damp_insulation", "Rain gets into the insulation", "CIGRE LV", "earth_fault, a warning", _damp, 4.0,
        ("lv.r4.leakage_current", "lv.r6.leakage_current"),
        leakage=Parameter(82.0, "leakage added, mA", (75.0, 150.0), (1.0, 1000.0)),
        rain=Parameter("13:00", "time of day when it rains", hours=5.0),
        hours=Parameter(8.0, "how long, h", (5.0, 10.0), (0.5, 72.0)),
    ),
    _entry(
        "pumped_sump", "Water in a trench, pumped out again and again", "CIGRE LV", "no alert", _sump, 5.0,
        ("lv.r4.trench_water",),
        depth=Parameter(90.0, "depth at which the pump starts, mm", (70.0, 95.0), (30.0, 150.0)),
        days=Parameter(2.0, "how long, days", (1.0, 2.0), (1.0, 30.0), whole=True),
    ),
    _entry(
        "heat_wave", "Three hot days: cooling takes a third more", "CIGRE LV",
        "no alert unless a rating is exceeded", _heat, 7.0,
        ("lv.r1.transformer_load", "lv.r18.voltage", "lv.r4.joint_temperature"),
        more=Parameter(0.3, "further load, of the usual", (0.2, 0.35), (0.0, 2.0)),
        days=Parameter(3.0, "how long, days", (2.0, 3.0), (1.0, 14.0), whole=True),
    ),
)  # fmt: skip
