"""Mixed scenarios: an incident behind something that hides it."""

from collections.abc import Sequence

from config.channels import Planned
from simulators.catalogue import band, gas, water
from simulators.play import Entry, Parameter, Request, Site, announced
from simulators.scenarios import SECOND_NS, Event

HOUR_S, DAY_S = 3600.0, 86400.0
Staged = tuple[Site, Sequence[Event], Sequence[Planned]]


def _burst_during_festival(request: Request) -> Staged:
    net = water.NET3
    feast = request.event("festival", net.place("node", "163"), "00:00", 2 * DAY_S, request.number("more"))
    burst = request.event(
        "burst", net.place("node", request.text("node")), request.text("start"), 4 * HOUR_S,
        water.share_of_demand(net, request.number("flow_lps")),
    )  # fmt: skip
    return water.site(net, request), [feast, burst], [announced(feast, net.name)]


def _leak_with_dead_neighbour(request: Request) -> Staged:
    seep = request.event("slow_leak", "star.south.well", "06:00", 3 * DAY_S, gas.SEEP)
    dead = Event(
        "sensor_fault:dropout", "star.east.well", seep.start_ns - 6 * 3600 * SECOND_NS, seep.end_ns, 0.0
    )
    return gas.star(request, request.number("mdot") / gas.SEEP), [seep, dead], []


def _fall_during_backlog(request: Request) -> Staged:
    wearer = request.text("wearer")
    fell = request.event("fall", wearer, request.text("start"), 25 * 60.0, 4.5)
    held_ns = round(request.number("held") * 60 * SECOND_NS)
    backlog = Event("sensor_fault:backlog", wearer, fell.start_ns - held_ns, fell.start_ns + held_ns, 0.0)
    return band.site(), [fell, backlog], []


ENTRIES = (
    Entry(
        "mixed/burst_during_festival", "A main bursts during an announced festival", "EPANET, Net3",
        "the burst is still found",
        {
            "node": Parameter("163", "junction of Net3", choices=("163", "119", "141", "209")),
            "flow_lps": Parameter(30.0, "water lost, l/s", (25.0, 60.0), (1.0, 300.0)),
            "more": Parameter(0.25, "further demand, of the usual", (0.15, 0.3), (0.0, 2.0)),
            "start": Parameter("02:30", "time of day", hours=1.5),
        },
        _burst_during_festival, 6.0, (
            "net3.main101.flow", "net3.node163.pressure", "net3.node163.leak_noise"),
    ),
    Entry(
        "mixed/leak_with_dead_neighbour", "A joint seeps while the next well's logger is dead",
        "pandapipes, a star of five nodes", "the leak is still found",
        {"mdot": Parameter(0.001, "gas lost once grown, kg/s", (0.0008, 0.002), (1e-5, 0.1))},
        _leak_with_dead_neighbour, 7.0, ("star.south.well.ch4", "star.east.well.ch4"),
    ),
    Entry(
        "mixed/fall_during_backlog", "A fall that is told only when the radio link is back", "minute model",
        "the fall is still told, with the time at which it was measured",
        {
            "wearer": Parameter("band.c31", "whose band", choices=band.WEARERS),
            "held": Parameter(40.0, "how long before and after readings are held back, min", (30.0, 60.0),
                              (1.0, 600.0)),
            "start": Parameter("10:20", "time of day", hours=4.0),
        },
        _fall_during_backlog, 4.0, ("band.c31.acceleration_peak", "band.c31.fall", "band.c31.steps"),
    ),
)  # fmt: skip
