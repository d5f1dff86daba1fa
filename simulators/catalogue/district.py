"""District: a generated district in which the seed decides what happens, where, when and how strongly."""

from collections.abc import Sequence

import numpy as np

from config.channels import ChannelTable, Planned
from simulators.city import LEAST, MOST, SHARES, city
from simulators.kinds import SCENARIOS
from simulators.noise import stream, uniform
from simulators.play import DAY_NS, Entry, Parameter, Request, Site, announced
from simulators.scenarios import SECOND_NS, Event, planned

CALM_DAYS = 3.0  # before anything happens, where there is time for it
MOST_SOLVED = 5000  # channels up to which `auto` takes the solvers of the media
TRIES = 40
MEDIA = ("all", "lifelines", *SHARES)
PHYSICS = ("auto", "solvers", "trees")


def _stage(request: Request) -> tuple[Site, Sequence[Event], Sequence[Planned]]:
    chosen = request.text("media")
    media = {"all": tuple(SHARES), "lifelines": ("water", "gas", "power")}.get(chosen, (chosen,))
    size = int(request.number("channels"))
    built = city(size, media, request.number("period"))
    table, links = ChannelTable(built.channels), tuple(built.links)
    solved = request.text("physics") == "solvers" or (
        request.text("physics") == "auto" and size <= MOST_SOLVED and media != ("wristband",)
    )
    physics = None
    if solved:
        from simulators.mains import solvers

        physics = solvers(table, links, request.seed, request.start_ns, request.end_ns)
    events = [
        *_happening(request, table, "incident", int(request.number("incidents"))),
        *_happening(request, table, "benign", int(request.number("benign"))),
        *_happening(request, table, "sensor_fault", int(request.number("faults"))),
    ]
    told = uniform(stream(request.seed, "announced"), np.arange(len(events)))
    works = [
        announced(event)
        for event, chance in zip(events, told)
        if SCENARIOS[event.kind].category == "benign" and chance < 0.5
    ]
    return Site(table, links, physics), events, works


def _happening(request: Request, channels: ChannelTable, category: str, count: int) -> list[Event]:
    """So many events of a category, each at a place of its own where there are enough places."""
    calm_ns = round(CALM_DAYS * DAY_NS)
    length_ns = request.end_ns - request.start_ns
    first_ns = request.start_ns + (calm_ns if length_ns > calm_ns else length_ns // 4)
    room_s = (request.end_ns - first_ns) / SECOND_NS
    fitting = [
        kind
        for kind, scenario in SCENARIOS.items()
        if scenario.category == category and scenario.seconds[0] <= room_s and scenario.places(channels)
    ]
    if not fitting:
        return []
    key = stream(request.seed, "district", category)
    taken: set[str] = set()
    events: list[Event] = []
    for number in range(count):
        for attempt in range(TRIES):
            kind = fitting[int(float(uniform(key, number * TRIES + attempt)) * len(fitting))]
            event = planned(
                kind, channels, request.seed, number * TRIES + attempt, {}, (first_ns, request.end_ns)
            )
            if event.place not in taken or attempt == TRIES - 1:
                break
        taken.add(event.place)
        events.append(Event(kind, event.place, event.start_ns, min(event.end_ns, request.end_ns), event.size,
                            event.channel))  # fmt: skip
    return events


def _count(default: float, means: str) -> Parameter:
    return Parameter(default, means, limits=(0.0, 1000.0), whole=True)


DISTRICT = Entry(
    "district", "A generated district: what happens the seed decides",
    "EPANET, pandapipes and pandapower up to 5,000 channels, trees of pipes and cables beyond",
    "incidents found, harmless things left alone, sensors at fault told to maintenance",
    {
        "channels": Parameter(1000.0, "how many channels", limits=(LEAST, MOST), whole=True),
        "media": Parameter("all", "all, lifelines (no wristbands), or one medium", choices=MEDIA),
        "physics": Parameter("auto", "solvers of the libraries, or trees, which need none", choices=PHYSICS),
        "period": Parameter(0.0, "seconds between readings of every channel; 0: as is usual for each",
                            limits=(0.0, 3600.0), whole=True),
        "incidents": _count(4.0, "incidents after three calm days"),
        "benign": _count(3.0, "harmless events, half of them announced"),
        "faults": _count(3.0, "sensors or devices at fault"),
    },
    _stage,
)  # fmt: skip
