"""Ladder: the order in which receivers are called about one matter; pure.

部件先属主后属地、事件先属地后属主: a fault of a thing goes to its owner first, an incident to the
territory first (CJ/T 214, CJ/T 315; domain facts §1, §12). The last step is called for ever.
"""

from dataclasses import dataclass

from config.routing import Routing

TIERS = ("community", "sub-district", "district")
ARM = {"community": "community", "sub-district": "sub_district", "district": "sub_district"}
"""Who goes there for a tier; the district's own hands are those of its sub-district."""

NO_COMPANY = frozenset({"", "community", "owner"})  # owners that are nobody's stock of things


@dataclass(frozen=True, slots=True)
class Matter:
    """What an incident is, as far as it decides who is called."""

    grade: str
    medium: str
    kind: str
    tier: str
    owner: str  # in the words of grades.toml: gas_company, community …
    place: str
    police: bool = False
    flagged: bool = False  # nobody knows its kind: the hub decides (domain facts §12)

    def is_thing(self, routing: Routing) -> bool:
        """Whether a thing is at fault (部件), and not somebody doing or suffering something (事件)."""
        if self.kind.startswith("sensor_fault:"):
            return True
        return self.kind not in routing.order.incidents and self.owner not in NO_COMPANY


@dataclass(frozen=True, slots=True)
class Step:
    """Receivers that are called when so much time has gone by without an answer."""

    after_s: float
    to: tuple[str, ...]


def ladder_of(matter: Matter, routing: Routing) -> tuple[Step, ...]:
    """The steps; the last one is ("last",) and is repeated for ever."""
    rules = routing.ladder[matter.grade]  # type: ignore[index]
    tier = matter.tier if matter.tier in TIERS else "sub-district"
    owner = [] if matter.owner in NO_COMPANY else ["owner"]
    first, second = [ARM[tier]], owner
    if matter.police:
        first, second = ["police", "desk"], [ARM[tier]]
    elif matter.is_thing(routing):
        first, second = owner or first, [ARM[tier]]
    copied = ["police"] if matter.kind in routing.police.copied else []
    groups = [[*rules.at_once, *first, *(["desk"] if matter.flagged else []), *copied], second]
    if matter.grade == "P1":
        groups.append(["community"])
    groups += [[ARM[upper]] for upper in TIERS[TIERS.index(tier) + 1 : -1]]
    groups += [["desk"], ["chief"], ["last"]]
    called: set[str] = set()
    steps: list[tuple[str, ...]] = []
    for group in groups:
        fresh = tuple(name for name in dict.fromkeys(group) if name not in called)
        called |= set(fresh)
        if fresh:
            steps.append(fresh)
    times = [0.0, *rules.climb_s]
    pace_s = times[-1] - times[-2]
    while len(times) < len(steps):
        times.append(times[-1] + pace_s)
    return tuple(
        Step(after_s, to if number == 0 else (*to, "backups"))
        for number, (after_s, to) in enumerate(zip(times, steps))
    )
