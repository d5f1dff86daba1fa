"""Water scenarios: on the example networks that EPANET's users know, Net1 and Net3."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from config.channels import Channel, ChannelTable, Link, Planned
from simulators.hydraulics import Hydraulics, Scheme, Tap, mean_demand
from simulators.instruments import Position, channel, positions, tree
from simulators.play import Entry, Parameter, Request, Site, announced
from simulators.scenarios import Event

HOUR_S = 3600.0
Staged = tuple[Site, Sequence[Event], Sequence[Planned]]


@dataclass(frozen=True)
class _Net:
    """An example network and where its sensors stand."""

    name: str
    pressures: tuple[str, ...]  # junctions
    pumps: tuple[str, ...]
    tanks: tuple[str, ...]
    mains: tuple[str, ...] = ()  # pipes with a meter
    quality: tuple[str, ...] = ()  # junctions with turbidity, chlorine and conductivity
    noise: tuple[str, ...] = ()  # junctions with a leak noise logger
    root: str = ""
    schedules: Mapping[str, tuple[float, float]] | None = None
    floats: Mapping[str, tuple[str, float]] | None = None
    rims: Mapping[str, tuple[float, float]] | None = None  # tank -> operator's own high, wall of the model
    load: float = 1.0  # of the demand in the model: its tanks were made for a flatter day than ours
    period_s: float = 300.0

    def place(self, kind: str, element: str) -> str:
        return f"{self.name}.{kind}{element}"


NET3 = _Net(
    "net3", ("105", "119", "121", "141", "149", "157", "159", "163", "169", "184", "199", "209", "253"),
    ("10", "335"), ("1", "2", "3"), ("101", "60", "177"), ("121", "163", "209"), ("119", "163", "209"),
    "River",
    {"10": (4.0, 18.0)}, {"335": ("1", 5.8)}, load=0.8,
)  # fmt: skip
NET1 = _Net(
    "net1", ("11", "12", "13", "21", "22", "23", "31", "32"), ("9",), ("2",), ("10", "110"), (),
    ("12", "22", "32"), "9", None, {"9": ("2", 42.67)}, {"2": (43.4, 46.0)},
)  # fmt: skip


def _model(net: _Net) -> Any:
    import wntr

    model = wntr.library.ModelLibrary().get_model(net.name.capitalize())
    for tank, (_, wall_m) in (net.rims or {}).items():
        model.get_node(tank).max_level = wall_m
    model.options.hydraulic.demand_multiplier *= net.load
    return model


def site(net: _Net, request: Request) -> Site:
    """Sensors on a network, and their links along its pipes."""
    model = _model(net)
    at = positions({name: node.coordinates for name, node in model.nodes()})
    channels: list[Channel] = []
    taps: list[Tap] = []
    stands: dict[str, str] = {}

    def fit(place: str, point: str, tap: Tap, where: Position, **more: Any) -> None:
        period_s = more.pop("period_s", net.period_s)
        channels.append(
            channel(place, point, medium="water", zone=net.name, at=where, period_s=period_s, **more)
        )
        taps.append(tap)

    for pump in net.pumps:
        place, link = net.place("pump", pump), model.get_link(pump)
        stands[link.end_node_name] = place
        fit(place, "flow", Tap("flow", pump), at[link.end_node_name])
        fit(place, "pump_state", Tap("running", pump), at[link.end_node_name])
    for tank in net.tanks:
        rim = (net.rims or {}).get(tank, (float("nan"), 0.0))[0]
        stands[tank] = net.place("tank", tank)
        fit(stands[tank], "level", Tap("level", tank), at[tank], high=rim)
    for junction in net.pressures:
        stands.setdefault(junction, net.place("node", junction))
        fit(stands[junction], "pressure", Tap("pressure", junction), at[junction])
    for junction in net.quality:
        for quantity in ("turbidity", "chlorine", "conductivity"):
            fit(stands[junction], quantity, Tap("tracer", junction), at[junction])
    beside = []
    for pipe in net.mains:
        place, node = net.place("main", pipe), model.get_link(pipe).start_node_name
        if stands.setdefault(node, place) != place:
            beside.append(Link(stands[node], place, "pipe"))
        fit(place, "flow", Tap("flow", pipe), at[node])
    solved = dict(enumerate(taps))
    channels += [channel(stands[j], "leak_noise", medium="water", zone=net.name, at=at[j]) for j in net.noise]
    elements = {place: element for element, place in stands.items()}
    elements |= {net.place("pump", pump): pump for pump in net.pumps}
    table = ChannelTable(channels)
    links = (*tree(model.to_graph().to_undirected(), net.root, stands, "pipe"), *beside)
    scheme = Scheme(lambda: _model(net), elements, net.schedules or {}, net.floats or {})
    physics = Hydraulics(table, scheme, solved, request.seed, request.start_ns, request.end_ns)
    return Site(table, links, (physics,))


def share_of_demand(net: _Net, lps: float) -> float:
    """A flow as a share of the network's mean demand."""
    return lps / 1000.0 / mean_demand(_model(net))


def _night_burst(request: Request) -> Staged:
    event = request.event(
        "burst", NET3.place("node", request.text("node")), request.text("start"),
        request.number("hours") * HOUR_S, share_of_demand(NET3, request.number("flow_lps")),
    )  # fmt: skip
    return site(NET3, request), [event], []


def _background_leak(request: Request) -> Staged:
    days = request.number("days")
    lost = share_of_demand(NET1, request.number("growth") * days)
    event = request.event(
        "slow_leak", NET1.place("node", request.text("node")), "00:00", days * 24 * HOUR_S, lost / 0.8
    )
    return site(replace(NET1, period_s=900.0), request), [event], []


def _pump_off(request: Request) -> Staged:
    event = request.event(
        "pump_trip", NET3.place("pump", request.text("pump")), request.text("at"),
        request.number("hours") * HOUR_S, 0.0,
    )  # fmt: skip
    return site(NET3, request), [event], []


def _cross_connection(request: Request) -> Staged:
    event = request.event(
        "contamination", NET3.place("node", request.text("node")), request.text("start"),
        request.number("hours") * HOUR_S, request.number("turbidity"),
    )  # fmt: skip
    return site(NET3, request), [event], []


def _overflow(request: Request) -> Staged:
    event = request.event(
        "tank_overflow", NET1.place("tank", "2"), request.text("start"), request.number("hours") * HOUR_S, 0.0
    )
    return site(replace(NET1, period_s=60.0), request), [event], []


def _festival(request: Request) -> Staged:
    event = request.event(
        "festival", NET3.place("node", "163"), "00:00", request.number("days") * 24 * HOUR_S,
        request.number("more"),
    )  # fmt: skip
    return site(NET3, request), [event], [announced(event, NET3.name)]


def _hydrants(request: Request) -> Staged:
    first = request.begin_ns(request.text("start"), 4 * HOUR_S)
    size, minutes = share_of_demand(NET3, request.number("flow_lps")), request.number("minutes")
    events = []
    for number, node in enumerate(("119", "163", "209")):
        start_ns = first + round(number * (minutes + 10) * 60) * 10**9
        end_ns = start_ns + round(minutes * 60) * 10**9
        events.append(Event("hydrant_test", NET3.place("node", node), start_ns, end_ns, size))
    return site(NET3, request), events, [announced(event) for event in events]


_NODES3 = Parameter("163", "junction of Net3", choices=("163", "119", "141", "157", "169", "199", "209"))
_NODES1 = Parameter("22", "junction of Net1", choices=("22", "12", "21", "23", "31"))
_HOURS = Parameter(5.0, "how long, h", (3.0, 7.0), (0.25, 72.0))
ENTRIES = (
    Entry(
        "water/net3_night_burst", "A main bursts at night", "EPANET, Net3",
        "burst at a near site within 30 min",
        {
            "node": _NODES3,
            "flow_lps": Parameter(30.0, "water lost, l/s", (20.0, 60.0), (1.0, 300.0)),
            "start": Parameter("02:30", "time of day", hours=1.5),
            "hours": _HOURS,
        },
        _night_burst, shown=("net3.node163.pressure", "net3.node119.pressure", "net3.main101.flow",
                             "net3.node163.leak_noise"),
    ),
    Entry(
        "water/net1_background_leak", "A leak that nobody sees grows for days", "EPANET, Net1",
        "slow_leak within 3 days, from the night flow",
        {
            "node": _NODES1,
            "growth": Parameter(0.8, "growth, l/s a day", (0.6, 1.6), (0.05, 20.0)),
            "days": Parameter(6.0, "how long, days", (5.0, 7.0), (1.0, 60.0), whole=True),
        },
        _background_leak, days=11.0, shown=("net1.node22.pressure", "net1.node22.leak_noise",
                                            "net1.pump9.flow", "net1.main110.flow"),
    ),
    Entry(
        "water/net3_lake_pump_off", "The lake pump trips in the morning", "EPANET, Net3",
        "pump_trip, one incident and not one a sensor",
        {
            "pump": Parameter("10", "pump of Net3", choices=("10",)),
            "at": Parameter("05:00", "time of day", hours=2.0),
            "hours": Parameter(3.0, "how long, h", (2.0, 4.0), (0.25, 24.0)),
        },
        _pump_off, shown=("net3.pump10.*", "net3.node105.pressure", "net3.node184.pressure"),
    ),
    Entry(
        "water/net3_cross_connection", "Foul water is sucked in through a cross connection",
        "EPANET with transport, Net3", "contamination, critical",
        {
            "node": Parameter("121", "junction of Net3", choices=("121", "119", "163")),
            "start": Parameter("14:00", "time of day", hours=4.0),
            "hours": Parameter(2.0, "how long, h", (1.5, 4.0), (0.25, 48.0)),
            "turbidity": Parameter(2.0, "turbidity that comes in, NTU", (2.0, 5.0), (0.1, 500.0)),
        },
        _cross_connection, shown=("net3.node*.turbidity", "net3.node*.chlorine"),
    ),
    Entry(
        "water/tank_overflow", "The float of a tank fails and its pump runs on", "EPANET, Net1",
        "tank_overflow before the rim",
        {
            "start": Parameter("01:00", "time of day from which the float is stuck", hours=1.0),
            "hours": Parameter(10.0, "how long, h", (8.0, 12.0), (1.0, 72.0)),
        },
        _overflow, shown=("net1.tank2.level", "net1.pump9.flow"),
    ),
    Entry(
        "water/festival_weekend", "A festival: a quarter more demand for two days, announced", "EPANET, Net3",
        "no alert",
        {
            "more": Parameter(0.25, "further demand, of the usual", (0.15, 0.3), (0.0, 2.0)),
            "days": Parameter(2.0, "how long, days", (1.0, 2.0), (1.0, 14.0), whole=True),
        },
        _festival, days=6.0, shown=("net3.node163.pressure", "net3.main101.flow", "net3.tank1.level"),
    ),
    Entry(
        "water/hydrant_test", "Three hydrants are tried one after another, announced", "EPANET, Net3",
        "no alert above information",
        {
            "flow_lps": Parameter(12.0, "water drawn, l/s", (8.0, 15.0), (1.0, 100.0)),
            "minutes": Parameter(20.0, "how long each, min", (15.0, 25.0), (1.0, 120.0)),
            "start": Parameter("10:00", "time of day", hours=2.0),
        },
        _hydrants, shown=("net3.node119.pressure", "net3.node163.pressure", "net3.node209.pressure"),
    ),
)  # fmt: skip
