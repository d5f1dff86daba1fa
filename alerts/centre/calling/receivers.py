"""Receivers: the people behind desk, owner, sub_district …, as the directory and its rotas have them now."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alerts.centre.calling.ladder import Matter
from alerts.centre.people.checking import read_rota
from alerts.centre.people.directory import Directory, Organisation, Person
from alerts.centre.people.rota import Rota
from config.routing import Routing

MOST = 3  # people of one organisation called at once where no rota says who; more run into each other
OFFICERS = ("chief", "duty", "responder")
HANDS = {
    "sub_district": ("duty", "grid_1", "grid_2"),
    "community": ("duty", "grid_2", "grid_3"),
    "grid": ("grid_3", "grid_2"),
}  # who goes for a territory without a rota (domain facts §12)
MAINTENANCE = "maintenance"
AMBULANCE = "ambulance"  # duty of the organisation that is 120


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody to be called, or an organisation by its own telephone; `contacts` in the order to try."""

    org: str
    person: str  # "" = the organisation itself
    contacts: tuple[str, ...]


class Receivers:
    """Answers to "who is that now?"; asks the directory anew when it changed."""

    def __init__(self, directory: Directory, routing: Routing, desk: str, last: str) -> None:
        self.directory = directory
        self.routing = routing
        self.desk, self.last = desk, last
        self._version = -1
        self._rotas: dict[str, Rota] = {}
        self._rota_names: set[str] = set()

    def of(
        self, names: Iterable[str], matter: Matter, now_ns: int, before: Sequence[str] = ()
    ) -> list[Receiver]:
        """Those behind the names of a step, each once; `before`: the names of the steps below."""
        self._refresh()
        found: dict[tuple[str, str], Receiver] = {}
        for name in names:
            for receiver in self._named(name, matter, now_ns, before):
                found.setdefault((receiver.org, receiver.person), receiver)
        return list(found.values())

    def owner(self, matter: Matter) -> Organisation | None:
        """Whose thing it is: by the asset's credit code, else whoever answers for it in the district."""
        asset = self.directory.asset(matter.place)
        if asset is not None and asset.owner and matter.owner != MAINTENANCE:
            known = self.directory.owner(asset.owner)
            if known is not None:
                return known
        return next(iter(self.directory.answering_for(matter.owner)), None)

    def _named(self, name: str, matter: Matter, now_ns: int, before: Sequence[str]) -> list[Receiver]:
        if name == "last":
            return self._last(now_ns)
        if name == "backups":
            orgs = [org for one in before if (org := self._org(one, matter)) is not None]
            return [receiver for org in orgs for receiver in self._backups(org, now_ns)]
        if name == "chief":
            chiefs = self.directory.people_of(self.desk, ["chief"])[:MOST]
            return [_receiver(person, self.desk) for person in chiefs]
        if name == "community":
            return self._community(matter, now_ns)
        org = self._org(name, matter)
        return [] if org is None else self._hands(org, HANDS.get(name, OFFICERS), now_ns)

    def _org(self, name: str, matter: Matter) -> Organisation | None:
        if name == "desk":
            return self.directory.organisation(self.desk)
        if name == "owner":
            return self.owner(matter)
        if name == AMBULANCE:
            return next(iter(self.directory.answering_for(AMBULANCE)), None)
        if name == "police":
            return next(iter(self.directory.organisations("police")), None)
        around = self.directory.around(matter.place)
        return next((one for one in around if one.kind == name), None)

    def _community(self, matter: Matter, now_ns: int) -> list[Receiver]:
        """A resident's own carers first, then the workers of the grid, then those of the community."""
        resident = self.directory.resident(matter.place)
        carers = [self.directory.person(id) for id in resident.carers] if resident else []
        found = [_receiver(person, person.org) for person in carers if person is not None]
        for one in self.directory.around(matter.place):
            if one.kind in ("grid", "community") and len(found) < MOST:
                found += self._hands(one, HANDS[one.kind], now_ns)[: MOST - len(found)]
            if one.kind == "grid" and self._volunteers_may_go(matter):
                found += [
                    _receiver(p, one.code) for p in self.directory.people_of(one.code, ["volunteer"])[:MOST]
                ]
        return found

    def _volunteers_may_go(self, matter: Matter) -> bool:
        return self.routing.volunteers.may_go(
            matter.medium, matter.kind, police=matter.police or matter.kind in self.routing.police.copied
        )

    def _hands(self, org: Organisation, roles: Sequence[str], now_ns: int) -> list[Receiver]:
        """Whoever is on duty; else people of these roles, the first role that has any; else its telephone."""
        turns = self._rota(org.code).on_duty(now_ns) if org.code in self._rota_names else []
        for post in ("primary", "backup"):  # a backup where a primary is missing: a gap is not silence
            there = [self.directory.person(turn.person) for turn in turns if turn.post == post]
            if any(there):
                return [_receiver(person, org.code) for person in there if person is not None]
        for role in roles:
            people = self.directory.people_of(org.code, [role])[:MOST]
            if people:
                return [_receiver(person, org.code) for person in people]
        return [Receiver(org.code, "", _ways(org.contacts))] if org.contacts else []

    def _backups(self, org: Organisation, now_ns: int) -> list[Receiver]:
        if org.code not in self._rota_names:
            return []
        turns = self._rota(org.code).on_duty(now_ns)
        people = [self.directory.person(turn.person) for turn in turns if turn.post == "backup"]
        return [_receiver(person, org.code) for person in people if person is not None]

    def _last(self, now_ns: int) -> list[Receiver]:
        person = self.directory.person(self.last)
        if person is not None:
            return [_receiver(person, person.org)]
        org = self.directory.organisation(self.last)
        return [Receiver(self.last, "", ())] if org is None else self._hands(org, OFFICERS, now_ns)

    def _rota(self, name: str) -> Rota:
        if name not in self._rotas:
            self._rotas[name] = read_rota(self.directory, name)
        return self._rotas[name]

    def _refresh(self) -> None:
        version = self.directory.version
        if version != self._version:
            self._version = version
            self._rotas.clear()
            self._rota_names = set(self.directory.rotas())


def _receiver(person: Person, org: str) -> Receiver:
    return Receiver(org, person.id, _ways(person.contacts))


def _ways(contacts: str) -> tuple[str, ...]:
    return tuple(way.strip() for way in contacts.split(";") if way.strip())
