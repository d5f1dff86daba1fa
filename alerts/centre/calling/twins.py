"""Twins: incidents that several gateways tell of, and that have one cause; the centre handles them as one."""

from collections.abc import Callable, Iterator, Sequence

from alerts.centre.calling import noticed
from alerts.centre.cases import Incident
from alerts.centre.events import Fact
from alerts.centre.stages import STEPS
from alerts.incidents import EVERYWHERE, Merging
from config.grades import FAULT

SECOND_NS = 1_000_000_000
LOOKED_AT = 50  # of another gateway's, those nearest in time: a flood must not ask the directory for ever
PERSON = "wristband"


class Twins:
    """Finds the pairs. `near` says whether two places are one to the directory, `within_s` how far in time.

    One person is one incident, whichever gateway hears the band, for as long as both are open. Of things the
    medium must be the same; at the very same place that is enough, near it the kind must be the same too, and
    what comes to a whole network at once (a sag) is one wherever it was seen within two minutes.
    """

    def __init__(self, near: Callable[[str, str], bool], within_s: float) -> None:
        self._near = near
        self._within_ns = int(within_s * SECOND_NS)
        self._network_ns = int(Merging().network_s * SECOND_NS)

    def mergers(self, changed: Sequence[Incident], every: Sequence[Incident], now_ns: int) -> Iterator[Fact]:
        """What must be merged because these changed; the one that people work on, then the older, stays."""
        fit = [one for one in every if one.gateway != noticed.CENTRE and _is_event(one)]
        if len({one.gateway for one in fit}) < 2:
            return
        gone: set[str] = set()
        for incident in changed:
            if incident not in fit or incident.key in gone:
                continue
            rivals = [one for one in fit if one.gateway != incident.gateway and one.key not in gone]
            rivals = [one for one in rivals if one.lead.now.medium == incident.lead.now.medium]
            rivals.sort(key=lambda one: (abs(one.since_ns - incident.since_ns), one.key))
            twin = next((one for one in rivals[:LOOKED_AT] if self._is_same(incident, one)), None)
            if twin is not None:
                whole, part = sorted((incident, twin), key=_stays)
                gone.add(part.key)
                yield noticed.act("merged", part.key, now_ns, into=whole.key, supersedes=[part.id])

    def _is_same(self, one: Incident, other: Incident) -> bool:
        here, there = _places(one), _places(other)
        shared = not here.isdisjoint(there)
        medium, kind = one.lead.now.medium, one.lead.said.kind
        if medium == PERSON:
            return shared
        apart_ns = abs(one.since_ns - other.since_ns)
        if apart_ns > self._within_ns and not (shared and not one.in_band and not other.in_band):
            return False
        if shared:
            return True
        if kind != other.lead.said.kind:
            return False
        if kind in EVERYWHERE and apart_ns <= self._network_ns:
            return True
        return any(self._near(place, place_there) for place in here for place_there in there)


def _is_event(incident: Incident) -> bool:
    return not incident.quiet and not incident.lead.said.kind.startswith(FAULT)


def _places(incident: Incident) -> set[str]:
    """The first few are enough to tell where it is."""
    return set(sorted({alarm.now.place for alarm in incident.alarms.values()})[:LOOKED_AT])


def _stays(incident: Incident) -> tuple[bool, int, str]:
    worked_on = any(act.kind in STEPS for act in incident.acts.values())
    return not worked_on, incident.since_ns, incident.key
