"""Administration: the pages for administrators: gateways, accounts and their areas, audit, the report."""

import asyncio

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from alerts import kpitables
from alerts.centre import accounts, casebook, reporting, sight
from alerts.centre.desk import Desk
from alerts.centre.events import ACCOUNT
from alerts.centre.gate import Gate
from alerts.centre.pages.room import Eyes, Render, StaffOnly
from alerts.centre.people.areas import keep_to
from alerts.centre.people.directory import Directory

AUDIT_MOST = 200


class Administration:
    """What an administrator sees and sets. `directory` names the areas; without one there are none."""

    def __init__(
        self, desk: Desk, gate: Gate, render: Render, eye: Eyes, directory: Directory | None
    ) -> None:
        self.desk = desk
        self.gate = gate
        self.render = render
        self.eye = eye
        self.directory = directory

    def routes(self, staff_only: StaffOnly) -> list[Route]:
        """Where its pages and forms are."""
        return [
            Route("/administration", staff_only(self.administration)),
            Route("/administration/accounts", staff_only(self.set_account), methods=["POST"]),
            Route("/administration/areas", staff_only(self.set_area), methods=["POST"]),
            Route("/report", staff_only(self.report)),
        ]

    async def administration(self, request: Request, session: accounts.Session) -> Response:
        _administrators_only(session)
        return await self._page(request, session)

    async def report(self, request: Request, session: accounts.Session) -> Response:
        """How the alarm system did in a month (ISA-18.2), as a page, JSON or CSV."""
        _administrators_only(session)
        eye = self.eye(request)
        month, period = reporting.month_of(request.query_params.get("month", ""), eye.timezone, eye.now_ns)
        report = await asyncio.to_thread(reporting.made, self.desk.casebook.path, period)
        if "error" in report:
            raise HTTPException(503)
        form = request.query_params.get("form")
        if form == "json":
            return JSONResponse(report)
        if form == "csv":
            name = {"content-disposition": f'attachment; filename="alarms-{month}.csv"'}
            marked = kpitables.csv(report).encode("utf-8-sig")  # with its mark a spreadsheet reads Chinese
            return Response(marked, media_type="text/csv; charset=utf-8", headers=name)
        one = reporting.shown(report, eye.words, eye.now_ns, eye.timezone, month)
        return self.render(request, "report.html", session, one=one)

    async def set_account(self, request: Request, session: accounts.Session) -> Response:
        """Close or open an account; nobody can lock themselves out."""
        _administrators_only(session)
        form = await self.gate.form(request, session)
        name, disabled = form.get("account", ""), form.get("disabled") == "1"
        if name == session.account.name:
            raise HTTPException(403)
        if await self.desk.run(lambda connection: accounts.set_disabled(connection, name, disabled)):
            what = "disabled" if disabled else "enabled"
            await self.desk.note(f"{ACCOUNT}{what}.v1", actor=session.account.name, account=name)
        return RedirectResponse("/administration", 303)

    async def set_area(self, request: Request, session: accounts.Session) -> Response:
        """Keep an account of staff to an organisation and what lies in it, or to nothing; at once."""
        _administrators_only(session)
        form = await self.gate.form(request, session)
        name, area = form.get("account", ""), form.get("area", "").strip()
        words = self.eye(request).words
        known = {one.name: one for one in await self.desk.read(accounts.accounts)}
        if self.directory is None or name not in known:
            raise HTTPException(404)
        if known[name].is_administrator:
            return await self._page(request, session, words("area_of_administrator", account=name))
        if area and self.directory.organisation(area) is None:
            return await self._page(request, session, words("area_unknown", area=area))
        if known[name].area != area:
            await self.desk.run(lambda connection: keep_to(connection, name, area))
            what = "kept" if area else "widened"
            await self.desk.note(f"{ACCOUNT}{what}.v1", actor=session.account.name, account=name, area=area)
        return RedirectResponse("/administration", 303)

    async def _page(self, request: Request, session: accounts.Session, refusal: str = "") -> Response:
        eye = self.eye(request)
        users = await self.desk.read(accounts.accounts)
        facts = await self.desk.read(lambda connection: casebook.audit(connection, AUDIT_MOST))
        lines = [
            sight.audit_line(fact.type, msgspec.json.decode(fact.data), fact.incident, fact.received_ns, eye)
            for fact in facts
        ]
        return self.render(
            request,
            "administration.html",
            session,
            status=409 if refusal else 200,
            gateways=[sight.gateway_line(one, self.desk, eye) for one in self.desk.gateways.values()],
            users=users,
            areas={one.name: self._called(one.area) for one in users},
            areas_known=self.directory is not None,
            refusal=refusal,
            audit=lines,
            refused=sorted(self.desk.refused.items()),
        )

    def _called(self, code: str) -> str:
        """What an organisation is called; "" of one that is no longer there."""
        known = self.directory.organisation(code) if self.directory is not None and code else None
        return "" if known is None else known.name


def _administrators_only(session: accounts.Session) -> None:
    if not session.account.is_administrator:
        raise HTTPException(403)
