"""Rosters: whom a gateway calls while it is cut off, from the rotas of where it stands."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from alerts.alert import rfc3339
from alerts.centre.calling.receivers import Receivers
from alerts.centre.desk import Desk
from alerts.centre.people.checking import read_rota
from alerts.centre.people.rota import SECOND_NS
from alerts.roster import GRADES, ID, MOST
from config.lists import time_ns

log = logging.getLogger(__name__)

ACTOR = "centre"
DAY_NS = 86_400 * SECOND_NS
AHEAD_NS = 14 * DAY_NS  # as far as `watchline check` looks at rotas; a gateway may be cut off for long
URGENT = ("P1", "P2")  # the duty desk hears of these too
HIGHEST = ("P1",)  # backups hear of these at once


class Rosters:
    """Ids and times, no addresses: these stand in a file of the gateway.

    `areas`: by gateway, the organisation in whose area it stands.
    """

    def __init__(self, desk: Desk, receivers: Receivers, areas: Mapping[str, str]) -> None:
        self.desk = desk
        self.receivers = receivers
        self.areas = areas
        self._looked: tuple[int, int] | None = None  # the directory's version and the day at the last look

    async def send(self) -> None:
        """Order each gateway whose roster changed to take it; looked at each day and after each import."""
        now_ns = self.desk.clock()
        looked = (self.receivers.directory.version, now_ns // DAY_NS)
        if looked == self._looked:
            return
        for gateway, area in self.areas.items():
            duties = self.duties(area, now_ns // DAY_NS * DAY_NS)
            actor, last = self._last(gateway)
            ours = actor == ACTOR or not any(time_ns(str(line["until"])) > now_ns for line in last)
            if duties and duties != last and ours:  # what staff ordered stands until its last turn is over
                await self.desk.order(gateway, "roster", {"duties": duties}, actor=ACTOR)
        self._looked = looked

    def duties(self, area: str, from_ns: int) -> list[dict[str, Any]]:
        """The lines of a roster for two weeks: the nearest rota around the area, and the duty desk."""
        directory = self.receivers.directory
        known = set(directory.rotas())
        around = [one.code for one in directory.lineage(area) if one.code in known][:1]
        desk = [self.receivers.desk] if self.receivers.desk in known else []
        found: list[dict[str, Any]] = []
        for rota in dict.fromkeys([*around, *desk]):
            grades = GRADES if rota in around or not around else URGENT
            found += self._lines(rota, grades, from_ns)
        if len(found) > MOST:
            log.warning("the roster of %s has %d lines: the first %d are sent", area, len(found), MOST)
        return sorted(found, key=lambda line: (line["from"], line["until"], line["person"]))[:MOST]

    def _lines(self, rota: str, grades: tuple[str, ...], from_ns: int) -> Iterator[dict[str, Any]]:
        for turn in read_rota(self.receivers.directory, rota).turns(from_ns, from_ns + AHEAD_NS):
            if not ID.fullmatch(turn.person):
                log.warning("rota %s: %s cannot be on a gateway's roster", rota, turn.person)
                continue
            yield {
                "person": turn.person,
                "from": rfc3339(turn.start_ns),
                "until": rfc3339(turn.end_ns),
                "grades": list(grades if turn.post == "primary" else HIGHEST),
            }

    def _last(self, gateway: str) -> tuple[str, list[dict[str, Any]]]:
        """By whom the gateway was given which roster last."""
        orders = self.desk.board.incidents.get(f"{gateway}/roster")
        if orders is None or not orders.acts:
            return ACTOR, []
        act = orders.acts[max(orders.acts)]
        return act.actor, act.body["commands"][0]["body"]["duties"]
