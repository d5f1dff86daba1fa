"""Attending: what the centre itself does when an incident changes: merge reports, weigh key sites, settle."""

import sqlite3
from collections.abc import Iterator, Sequence

from alerts.centre.calling import noticed
from alerts.centre.calling.receivers import Receivers
from alerts.centre.calling.twins import Twins
from alerts.centre.cases import Incident
from alerts.centre.desk import Desk
from alerts.centre.events import Fact, nanoseconds
from alerts.centre.people.directory import Asset, Site, distance_m
from config.routing import Routing

SECOND_NS = 1_000_000_000


class Attending:
    """Looks at incidents after each change. All that it does is a fact that can be done but once."""

    def __init__(self, desk: Desk, receivers: Receivers, routing: Routing) -> None:
        self.desk = desk
        self.receivers = receivers
        self.routing = routing
        self.twins = Twins(self._is_near, routing.merging.within_s)
        self._widest_m = max(one.radius_m for one in routing.site_class.values())

    async def attend(self, keys: set[str]) -> None:
        """Merge first, reports and what several gateways tell, so that what follows looks at the whole."""
        board = self.desk.board
        open_ones = [one for key in keys if (one := board.open.get(key)) is not None]
        reports = [one for one in board.open.values() if one.gateway == noticed.CENTRE and _is_report(one)]
        merging = [fact for one in open_ones for fact in self._mergers(one, reports)]
        merging += self.twins.mergers(open_ones, list(board.open.values()), self.desk.clock())
        if merging:
            await self._store(merging)
            open_ones = [one for one in open_ones if one.alarms]
        await self._store([fact for one in open_ones for fact in (*self._raised(one), *self._settled(one))])

    def match(self, report: Incident) -> Incident | None:
        """The incident of a gateway that a report is about: the nearest in time of those near in place."""
        at_ns = report.since_ns
        fitting = [
            (abs(one.since_ns - at_ns), one.key)
            for one in self.desk.board.open.values()
            if one.gateway != noticed.CENTRE and not one.quiet and self._is_same(report, one)
        ]
        return self.desk.board.open[min(fitting)[1]] if fitting else None

    def _mergers(self, incident: Incident, reports: Sequence[Incident]) -> Iterator[Fact]:
        """A report into the incident that it is about, whichever of them came first."""
        now_ns = self.desk.clock()
        if incident.gateway == noticed.CENTRE:
            if incident in reports and (whole := self.match(incident)) is not None:
                yield noticed.act("merged", incident.key, now_ns, into=whole.key)
            return
        if incident.quiet:
            return
        for report in reports:
            if self._is_same(report, incident):
                yield noticed.act("merged", report.key, now_ns, into=incident.key)

    def _raised(self, incident: Incident) -> Iterator[Fact]:
        """The grade that a key site at or beside the place makes of it."""
        if incident.quiet:
            return
        lead = incident.lead.now
        now = incident.grade
        for site in self.sites_of(lead.place):
            grade = self.routing.site_class[site.industry].raised(lead.grade, lead.medium)
            if grade < now:
                now = grade
                yield noticed.act(
                    "regraded",
                    incident.key,
                    self.desk.clock(),
                    grade=grade,
                    reason=f"{lead.grade} → {grade}: {site.name} ({site.industry})",
                    site=site.id,
                )

    def sites_of(self, place: str) -> list[Site]:
        """Key sites that hold the place, or within whose reach it lies; the nearest first."""
        directory = self.receivers.directory
        found = {site.id: site for site in directory.sites_at(place)}
        asset = directory.asset(place)
        if asset is not None and asset.lat is not None and asset.lon is not None:
            for away_m, site in directory.sites_near(asset.lat, asset.lon, self._widest_m):
                if away_m <= self.routing.site_class[site.industry].radius_m:
                    found.setdefault(site.id, site)
        return list(found.values())

    def _settled(self, incident: Incident) -> Iterator[Fact]:
        """What no sensor can take back is over with the field's word."""
        finding = incident.finding
        if finding is not None:
            for alarm in list(incident.alarms.values()):
                if noticed.is_noticed(alarm) and not alarm.in_band:
                    because = f"{finding.actor} was there: {finding.body.get('outcome', '')}"
                    yield noticed.cleared(alarm, because, self.desk.clock())

    def _is_same(self, report: Incident, other: Incident) -> bool:
        """One medium, near in place, near in time (or still going on)."""
        rules = self.routing.merging
        said = report.lead.said
        if not said.medium:
            return False
        apart_ns = report.since_ns - other.since_ns
        within_ns = int(rules.within_s * SECOND_NS)
        last_ns = max(nanoseconds(alarm.now.t.detected) for alarm in other.alarms.values())
        lasts = not other.in_band and apart_ns >= 0
        if not (lasts or abs(apart_ns) <= within_ns or 0 <= report.since_ns - last_ns <= within_ns):
            return False
        places = {alarm.now.place for alarm in other.alarms.values() if alarm.now.medium == said.medium}
        return any(self._is_near(said.place, place) for place in places)

    def _is_near(self, one: str, other: str) -> bool:
        if one == other or one.startswith(f"{other}.") or other.startswith(f"{one}."):
            return True
        directory = self.receivers.directory
        here, there = directory.asset(one), directory.asset(other)
        apart_m = _apart_m(here, there)
        if apart_m is not None:
            return apart_m <= self.routing.merging.near_m
        grids = {asset.grid if asset else place for asset, place in ((here, one), (there, other))}
        return len(grids) == 1

    async def _store(self, facts: Sequence[Fact]) -> None:
        if not facts:
            return

        def work(connection: sqlite3.Connection) -> list[Fact]:
            return self.desk.append(connection, facts)

        await self.desk.record(work)


def _is_report(incident: Incident) -> bool:
    return any(noticed.is_noticed(alarm) for alarm in incident.alarms.values())


def _apart_m(here: Asset | None, there: Asset | None) -> float | None:
    """Metres between two assets that say where they are."""
    if here is None or there is None:
        return None
    if here.lat is None or here.lon is None or there.lat is None or there.lon is None:
        return None
    return distance_m(here.lat, here.lon, there.lat, there.lon)
