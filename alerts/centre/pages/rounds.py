"""Rounds: the page of patrols at key sites: what is due, what was walked, what was left out."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from alerts.centre.accounts import Session
from alerts.centre.calling.patrols import Occurrence, PatrolRefused
from alerts.centre.pages.room import Room, StaffOnly
from alerts.centre.people.admission import REFUSED
from alerts.centre.sight import Eye

HOUR_NS = 3600 * 10**9
BACK_NS, AHEAD_NS = 24 * HOUR_NS, 24 * HOUR_NS
ORDER = ("due", "missed", "ahead", "done")


class Rounds(Room):
    """A day back and a day ahead; one tap puts a round on the record."""

    address, name = "/rounds", "rounds"

    def routes(self, staff_only: StaffOnly) -> list[Route]:
        return [
            Route(self.address, staff_only(self.list)),
            Route(self.address + "/{round}/done", staff_only(self.done), methods=["POST"]),
        ]

    async def list(self, request: Request, session: Session) -> Response:
        return await self._page(request, session)

    async def done(self, request: Request, session: Session) -> Response:
        form = await self.gate.form(request, session)
        round = request.path_params["round"]
        area = session.account.area
        rota = next((r["rota"] for r in self.directory.table("rounds") if r["round"] == round), None)
        if rota is None:
            raise HTTPException(404)
        if not self.directory.inside(rota, area):
            reason = f"round {round}: outside {area}"
            await self.desk.note(REFUSED, actor=session.account.name, reason=reason)
            raise HTTPException(403)
        try:
            await self.caller.patrols.done(round, session.account.name, form.get("note", ""))
        except PatrolRefused:
            return await self._page(request, session, status=409, late=round)
        return RedirectResponse(self.address, 303)

    async def _page(
        self, request: Request, session: Session, *, status: int = 200, late: str = ""
    ) -> Response:
        area = session.account.area
        eye = self.eye(request)
        found = await self.caller.patrols.around(eye.now_ns, BACK_NS, AHEAD_NS)
        rows = [self._line(one, eye) for one in found if self.directory.inside(one.rota, area)]
        rows.sort(key=lambda row: ORDER.index(row["state"]))
        return self.render(
            request,
            "rounds.html",
            session,
            status=status,
            rows=rows,
            refusal=eye.words("round_not_due", round=late) if late else "",
            address=self.address,
        )

    def _line(self, one: Occurrence, eye: Eye) -> dict[str, Any]:
        site = self.directory.site(one.site)
        industry = self.caller.routing.site_class.get(site.industry) if site else None
        kind = "" if site is None else site.industry.replace("_", " ")
        state = one.state(eye.now_ns)
        return {
            "round": one.round,
            "site": site.name if site else one.site,
            "industry": industry.name_zh if industry and eye.words.language == "zh" else kind,
            "rota": self.called(one.rota),
            "from": eye.minute(one.start_ns),
            "to": eye.minute(one.end_ns),
            "iso": eye.iso(one.start_ns),
            "state": state,
            "state_word": eye.words.of("round", state),
            "by": one.done_by,
            "at": eye.minute(one.done_ns) if one.done_ns else "",
        }
