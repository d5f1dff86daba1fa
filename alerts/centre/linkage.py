"""Linkage: the API of people, rotas, reports and rounds; who is kept to an area sees nobody of another."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from alerts.alert import rfc3339
from alerts.centre.accounts import Account, account_of
from alerts.centre.calling.caller import Caller
from alerts.centre.calling.partners import Partners
from alerts.centre.calling.patrols import PatrolRefused
from alerts.centre.calling.reports import ReportRefused, Reports, counts
from alerts.centre.casebook import CasebookFailed
from alerts.centre.gate import FORM_MOST
from alerts.centre.intake import JSON, RETRY_S, TooLarge, read_body
from alerts.centre.people.admission import Admission, OutOfArea
from alerts.centre.people.checking import read_rota
from alerts.centre.people.rota import SECOND_NS
from alerts.centre.people.turnover import TurnoverRefused, Turnovers
from alerts.centre.words import Words

log = logging.getLogger(__name__)

PEOPLE_MOST = 1000
DAYS_SHOWN = 7
ENGLISH = Words("en")

REASONS = {401: "no token", 403: "people of another area"}  # as refusals are counted
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
Work = Callable[[Request, Account], Awaitable[Mapping[str, Any]]]


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


class Turnover(Struct, frozen=True):
    """A change of a rota, as it is asked for."""

    person: str
    start: datetime
    end: datetime
    instead_of: str = ""
    reason: str = ""


class Linkage:
    """Its routes."""

    def __init__(self, caller: Caller, reports: Reports, partners: Partners) -> None:
        self.desk = caller.desk
        self.caller = caller
        self.reports = reports
        self.partners = partners
        self.directory = caller.receivers.directory
        self.admission = Admission(caller.desk, self.directory)
        self.turnovers = Turnovers(caller.desk, self.directory)

    def around(self, site: Any) -> Starlette:
        """The pages of the centre, with these routes before them."""

        def route(path: str, work: Work, method: str = "GET") -> Route:
            return Route(f"/api/v1/{path}", self._answered(work), methods=[method])

        routes: list[BaseRoute] = [
            Route("/api/v1/partners/{organisation}", self.partners.hear, methods=["POST"]),
            route("people", self.people),
            route("rotas/{rota}", self.rota),
            route("rotas/{rota}/changes", self.change, "POST"),
            route("reports", self.report, "POST"),
            route("rounds/{round}/done", self.walked, "POST"),
            route("linkage", self.linkage),
        ]
        return Starlette(routes=[*routes, Mount("/", site)])

    def _answered(self, work: Work) -> Callable[[Request], Awaitable[Response]]:
        async def handler(request: Request) -> Response:
            try:
                account = await self._account(request)
                return _answer(await work(request, account))
            except Refused as refusal:
                self.desk.refused[REASONS.get(refusal.status, "request")] += 1
                return _answer({"error": str(refusal)}, refusal.status)
            except (ReportRefused, PatrolRefused) as refusal:
                self.desk.refused["report" if isinstance(refusal, ReportRefused) else "round"] += 1
                return _answer({"error": str(refusal)}, 400)
            except TooLarge:
                return _answer({"error": f"at most {FORM_MOST} bytes"}, 413)
            except (CasebookFailed, sqlite3.Error) as error:
                log.error("%s cannot be answered: %s", request.url.path, error)
                return Response(status_code=503, headers={"retry-after": str(RETRY_S)})

        return handler

    async def _account(self, request: Request) -> Account:
        """Whose token it is; who has no good one learns nothing."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        known = await self.desk.read(lambda connection: account_of(connection, token.strip()))
        if known is None or scheme.lower() != "bearer":
            raise Refused(401, "authorization: Bearer TOKEN is missing or no longer good")
        return known

    async def people(self, request: Request, account: Account) -> Mapping[str, Any]:
        """`?org=CODE&role=ROLE`: those of an organisation, with the ways to reach them."""
        org = request.query_params.get("org", "")
        await self._own_area(account, org, "people")
        role = request.query_params.get("role", "")
        found = self.directory.people_of(org, [role] if role else [])[:PEOPLE_MOST]
        return {"people": [msgspec.to_builtins(person) for person in found]}

    async def rota(self, request: Request, account: Account) -> Mapping[str, Any]:
        """Who is on duty now, the turns of the next days, and where nobody or several are primary."""
        name = request.path_params["rota"]
        await self._own_area(account, name, "rota")
        now_ns = self.desk.clock()
        rota = read_rota(self.directory, name)
        until_ns = now_ns + DAYS_SHOWN * 86_400 * SECOND_NS
        return {
            "now": [{"person": turn.person, "post": turn.post} for turn in rota.on_duty(now_ns)],
            "turns": [
                {
                    "start": rfc3339(turn.start_ns),
                    "end": rfc3339(turn.end_ns),
                    "person": turn.person,
                    "post": turn.post,
                    "change": turn.why,
                }
                for turn in rota.turns(now_ns, until_ns)
            ],
            "gaps": [
                {"start": rfc3339(gap.start_ns), "end": rfc3339(gap.end_ns), "primaries": gap.people}
                for gap in rota.gaps(now_ns, until_ns)
            ],
        }

    async def change(self, request: Request, account: Account) -> Mapping[str, Any]:
        """A swap or an override: somebody is primary for a time, instead of somebody, or of whoever it is."""
        name = request.path_params["rota"]
        await self._own_area(account, name, "rota")
        asked = await self._body(request, Turnover)
        try:
            id = await self.turnovers.override(
                name, asked.person, asked.start, asked.end, asked.instead_of, asked.reason, account.name
            )
        except TurnoverRefused as refusal:
            status = 404 if refusal.code == "no_rota" else 400
            raise Refused(status, ENGLISH.of("refusal", refusal.code, **refusal.details)) from refusal
        return {"change": id}

    async def report(self, request: Request, account: Account) -> Mapping[str, Any]:
        """What somebody reported, taken down by whoever holds the token."""
        report = self.reports.read(await read_body(request, FORM_MOST))
        taken = await self.reports.take(report, account.name)
        found: Mapping[str, Any] = msgspec.to_builtins(taken)
        return found

    async def walked(self, request: Request, account: Account) -> Mapping[str, Any]:
        """A patrol round was done."""
        note = (await self._body(request, dict[str, str])).get("note", "")
        start_ns = await self.caller.patrols.done(request.path_params["round"], account.name, note)
        return {"round": request.path_params["round"], "due": rfc3339(start_ns)}

    async def linkage(self, request: Request, account: Account) -> Mapping[str, Any]:
        """What came and went between the centres."""
        return await asyncio.to_thread(counts, self.desk)

    async def _own_area(self, account: Account, org: str, what: str) -> None:
        """Refused, and on the record, where somebody asks beyond the area that they are kept to."""
        if self.directory.organisation(org) is None:
            raise Refused(404, f"org: there is no organisation {org[:80]!r} in the directory")
        try:
            await self.admission.admit(account, org, what)
        except OutOfArea as refusal:
            raise Refused(403, str(refusal)) from refusal

    async def _body(self, request: Request, shape: Any) -> Any:
        try:
            return msgspec.json.decode(await read_body(request, FORM_MOST) or b"{}", type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(400, str(error)) from error


def _answer(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, HEADERS, JSON)
