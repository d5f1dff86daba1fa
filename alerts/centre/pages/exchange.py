"""Exchange: the page of partner centres and 110: what was passed on, what was taken over, what came of it."""

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alerts.centre.accounts import Session
from alerts.centre.calling.reports import counts
from alerts.centre.pages.room import House, Room, StaffOnly
from alerts.centre.sight import Eye

FIGURES = ("handed_to_110", "taken_over_from_110", "flagged_unknown", "merged_with_sensors", "police_matters")


class Exchange(Room):
    """`partners`: the organisations that hear and answer by signed webhook."""

    address, name = "/linkage", "linkage"

    def __init__(self, house: House, partners: Sequence[str]) -> None:
        super().__init__(house)
        self.partners = partners

    def routes(self, staff_only: StaffOnly) -> list[Route]:
        return [Route(self.address, staff_only(self.show))]

    async def show(self, request: Request, session: Session) -> Response:
        eye = self.eye(request)
        totals = await asyncio.to_thread(counts, self.desk)
        channels = sorted(totals["by_channel"].items(), key=lambda one: -one[1])
        return self.render(
            request,
            "linkage.html",
            session,
            figures=[(name, eye.words.of("linkage", name), totals[name]) for name in FIGURES],
            reports=totals["reports"],
            channels=[(eye.words.of("channel", name), many) for name, many in channels],
            partners=self._partners(eye),
        )

    def _partners(self, eye: Eye) -> list[dict[str, Any]]:
        """Of each: how many incidents it was called about, how many it answered, and when it last did."""
        called: dict[str, set[str]] = {one: set() for one in self.partners}
        answered: dict[str, set[str]] = {one: set() for one in self.partners}
        heard_ns = dict.fromkeys(self.partners, 0)
        for key, incident in self.desk.board.incidents.items():
            for act in incident.acts.values():
                for receiver in act.body.get("receivers", ()):
                    if receiver.get("org") in called:
                        called[receiver["org"]].add(key)
                if act.actor in answered:
                    answered[act.actor].add(key)
                    heard_ns[act.actor] = max(heard_ns[act.actor], act.at_ns)
        return [
            {
                "code": one,
                "name": self.called(one),
                "called": len(called[one]),
                "answered": len(answered[one]),
                "waiting": len(called[one] - answered[one]),
                "heard": eye.clock(heard_ns[one]) if heard_ns[one] else "",
                "ago": eye.ago(heard_ns[one]) if heard_ns[one] else "",
            }
            for one in self.partners
        ]
