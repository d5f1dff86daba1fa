"""Web: the pages of the linkage centre, made on the server; handlers read the desk and append facts."""

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import jinja2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from alerts.centre import accounts, casebook, sight
from alerts.centre.acts import OUTCOMES, ActRefused
from alerts.centre.administration import Administration
from alerts.centre.api import Api
from alerts.centre.calling.caller import Caller
from alerts.centre.calling.receivers import Receivers
from alerts.centre.calling.reports import Reports
from alerts.centre.cases import GRADES, Incident
from alerts.centre.desk import Desk, by_urgency
from alerts.centre.evidence import packet
from alerts.centre.gate import FormRefused, Gate, Guarded, LoginRefused, own_path
from alerts.centre.glass import Glass
from alerts.centre.intake import Intake, TooLarge
from alerts.centre.pages.counter import ADDRESS
from alerts.centre.pages.floor import Floor
from alerts.centre.pages.room import House
from alerts.centre.people.areas import Areas
from alerts.centre.stream import Stream
from alerts.centre.words import LANGUAGES, Words

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
SHOWN_MOST = 60  # incidents of one grade on the board
RECENT_MOST = 8
CLOSED_MOST = 200  # looked through for those of an account's area
LANGUAGE_COOKIE = "watchline-language"

Handler = Callable[[Request, accounts.Session], Awaitable[Response]]


def application(
    desk: Desk,
    gateways: Mapping[str, str],
    *,
    secure: bool,
    timezone: str,
    caller: Caller | None = None,
    reports: Reports | None = None,
    partners: Sequence[str] = (),
) -> ASGIApp:
    """The whole site. `gateways` are signing secrets by site id; `caller` knows who and what is near."""
    zone = ZoneInfo(timezone)
    receivers = None if caller is None else caller.receivers
    areas = Areas(None if receivers is None else receivers.directory)
    pages = Pages(desk, Gate(desk, secure=secure), zone, receivers, areas)
    if caller is not None and reports is not None:
        pages.floor = Floor.of(House(pages.gate, pages._page, pages._eye, caller, areas), reports, partners)
    api = Api(desk, pages.packet, areas)
    incident = "/incidents/{gateway}/{incident}"
    routes = [
        Route("/healthz", pages.health),
        Route("/api/v1/changes", Intake(desk, gateways).changes, methods=["POST"]),
        Route("/api/v1/incidents", api.token_only(api.incidents)),
        Route("/api/v1/gateways/{gateway}/vitals", api.token_only(Glass(desk, areas).look), methods=["POST"]),
        Route("/api/v1/gateways/{gateway}/roster", api.token_only(api.roster), methods=["POST"]),
        Route("/api/v1" + incident, api.token_only(api.incident)),
        Route("/api/v1" + incident + "/evidence", api.token_only(api.evidence)),
        Route("/api/v1" + incident + "/{act}", api.token_only(api.act), methods=["POST"]),
        Route("/", pages.staff_only(pages.board)),
        Route(incident, pages.staff_only(pages.incident)),
        Route(incident + "/evidence", pages.staff_only(pages.evidence)),
        Route(incident + "/{act}", pages.staff_only(pages.act), methods=["POST"]),
        *(route for room in pages.floor.rooms for route in room.routes(pages.staff_only)),
        Route("/events", Stream(desk, pages.gate, areas).events),
        Route("/login", pages.show_login),
        Route("/login", pages.log_in, methods=["POST"]),
        Route("/logout", pages.staff_only(pages.log_out), methods=["POST"]),
        *Administration(desk, pages.gate, pages._page, pages._eye, areas.directory).routes(pages.staff_only),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    site = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: pages.problem,
            FormRefused: pages.problem,
            TooLarge: pages.problem,
            casebook.CasebookFailed: pages.problem,
            Exception: pages.problem,
        },
    )
    return Guarded(site, secure=secure)


class Pages:
    """Every page and form."""

    def __init__(
        self, desk: Desk, gate: Gate, timezone: ZoneInfo, receivers: Receivers | None, areas: Areas
    ) -> None:
        self.desk = desk
        self.areas = areas
        self.receivers = receivers
        self.gate = gate
        self.floor = Floor()
        self.timezone = timezone
        self.templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def staff_only(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Those who are not logged in are asked to, and come back afterwards."""

        async def checked(request: Request) -> Response:
            session = await self.gate.session(request)
            if session is None:
                there = quote(request.url.path, safe="/") if request.method == "GET" else "/"
                return RedirectResponse(f"/login?next={there}", 303)
            return await handler(request, session)

        return checked

    async def health(self, request: Request) -> Response:
        """For a load balancer or a watchdog; tells nothing about the district."""
        return JSONResponse({"status": "stopping" if self.desk.stopping else "ok"})

    async def board(self, request: Request, session: accounts.Session) -> Response:
        eye = self._eye(request)
        account = session.account
        seen = [one for one in self.desk.board.open.values() if self.areas.sees(account, one)]
        opened = by_urgency([incident for incident in seen if not incident.quiet])
        quiet = by_urgency([incident for incident in seen if incident.quiet])
        closed = [
            one for one in self.desk.board.recently_closed(CLOSED_MOST) if self.areas.sees(account, one)
        ]
        by_grade = {grade: [one for one in opened if one.grade == grade] for grade in GRADES}
        gateways = [sight.gateway_line(one, self.desk, eye) for one in self.desk.gateways.values()]
        return self._page(
            request,
            "board.html",
            session,
            counts={grade: len(those) for grade, those in by_grade.items()},
            cards=[self._card(one, eye) for those in by_grade.values() for one in those[:SHOWN_MOST]],
            more=sum(max(0, len(those) - SHOWN_MOST) for those in by_grade.values()),
            quiet=[self._card(one, eye) for one in quiet[:RECENT_MOST]],
            quiet_more=max(0, len(quiet) - RECENT_MOST),
            recent=[self._card(one, eye) for one in closed[:RECENT_MOST]],
            gateways=gateways,
            counter=ADDRESS if self.floor.rooms else "",
            duty=self.floor.duty(eye),
            learning=[one["id"] for one in gateways if one["state"] == "learning"],
            calm=all(one["state"] in ("well", "learning") for one in gateways),
        )

    async def incident(self, request: Request, session: accounts.Session) -> Response:
        await self._own_area(request, session)
        return self._incident_page(request, session)

    async def evidence(self, request: Request, session: accounts.Session) -> Response:
        """The packet of an incident as JSON, in both languages."""
        await self._own_area(request, session)
        incident = self.desk.board.incidents.get("{gateway}/{incident}".format(**request.path_params))
        if incident is None or not incident.alarms:
            raise HTTPException(404)
        return JSONResponse(self.packet(incident))

    def packet(self, incident: Incident) -> dict[str, Any]:
        """The evidence of an incident now."""
        return packet(incident, self.timezone, self.desk.clock(), self.receivers, self.desk.rationale)

    async def act(self, request: Request, session: accounts.Session) -> Response:
        """One thing done about an incident; refused, the page comes back and says why."""
        form = await self.gate.form(request, session)
        once = form.get("once", "")
        if len(once) != 24 or not once.isalnum() or not once.isascii():
            raise FormRefused("has no number of its own")
        await self._own_area(request, session)
        key = "{gateway}/{incident}".format(**request.path_params)
        try:
            await self.desk.act(key, request.path_params["act"], form, actor=session.account.name, once=once)
        except ActRefused as refusal:
            words = self._eye(request).words
            text = words.of("refusal", refusal.code, **refusal.details)
            return self._incident_page(request, session, refusal=text, status=409)
        except casebook.CasebookFailed as failure:
            log.error("nothing stored: %s", failure)
            return self._incident_page(
                request, session, refusal=self._eye(request).words("trouble"), status=503
            )
        return RedirectResponse("/" if form.get("from") == "board" else _path(key), 303)

    async def show_login(self, request: Request) -> Response:
        if await self.gate.session(request) is not None:
            return RedirectResponse("/", 303)
        return self._login_page(request, next=own_path(request.query_params.get("next", "/")))

    async def log_in(self, request: Request) -> Response:
        words = self._eye(request).words
        try:
            form = await self.gate.form(request, None)
        except FormRefused:
            return self._login_page(request, next="/", message=words("login_stale"), status=403)
        there = own_path(form.get("next", "/"))
        try:
            token = await self.gate.log_in(request, form.get("name", ""), form.get("password", ""))
        except LoginRefused as refusal:
            if refusal.wait_s > 0:
                text = words("login_wait", seconds=int(refusal.wait_s) + 1)
                response = self._login_page(request, next=there, message=text, status=429)
                response.headers["retry-after"] = str(int(refusal.wait_s) + 1)
                return response
            return self._login_page(request, next=there, message=words("login_failed"), status=403)
        response = RedirectResponse(there, 303)
        self.gate.give_session(response, token)
        return response

    async def log_out(self, request: Request, session: accounts.Session) -> Response:
        await self.gate.form(request, session)
        await self.gate.log_out(request, session)
        response = RedirectResponse("/login", 303)
        self.gate.take_session(response)
        return response

    async def problem(self, request: Request, error: Exception) -> Response:
        """A page for what went wrong, in plain words; details go to the log alone."""
        status, word = 500, "trouble"
        if isinstance(error, HTTPException):
            status, word = (
                error.status_code,
                {403: "forbidden", 404: "not_found"}.get(error.status_code, "error"),
            )
        elif isinstance(error, FormRefused):
            status, word = 403, "form_stale"
        elif isinstance(error, TooLarge):
            status, word = 413, "too_large"
        elif isinstance(error, casebook.CasebookFailed):
            status = 503
        return self._page(
            request, "problem.html", None, status=status, message=self._eye(request).words(word)
        )

    async def _own_area(self, request: Request, session: accounts.Session) -> None:
        """Refused, and on the record, where somebody asks beyond the area that they are kept to."""
        incident = self.desk.board.incidents.get("{gateway}/{incident}".format(**request.path_params))
        if incident is None or not incident.alarms:
            return
        if await self.areas.refuses(self.desk, session.account, incident):
            raise HTTPException(403)

    def _eye(self, request: Request) -> sight.Eye:
        asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE, "")
        return sight.Eye(Words(asked), self.timezone, self.desk.clock())

    def _card(self, incident: Incident, eye: sight.Eye) -> dict[str, Any]:
        return {**sight.card(incident, self.desk, eye), "path": _path(incident.key)}

    def _incident_page(
        self, request: Request, session: accounts.Session, *, refusal: str = "", status: int = 200
    ) -> Response:
        incident = self.desk.board.incidents.get("{gateway}/{incident}".format(**request.path_params))
        if incident is None:
            raise HTTPException(404)
        if not incident.alarms:
            elsewhere = self.desk.board.moved_to(incident)
            if not elsewhere:
                raise HTTPException(404)
            return RedirectResponse(_path(elsewhere), 303)
        eye = self._eye(request)
        return self._page(
            request,
            "incident.html",
            session,
            status=status,
            one={**sight.whole(incident, self.desk, eye, self.receivers), "path": _path(incident.key)},
            refusal=refusal,
            outcomes=[(name, eye.words.of("outcome", name)) for name in OUTCOMES],
        )

    def _login_page(self, request: Request, *, next: str, message: str = "", status: int = 200) -> Response:
        token = self.gate.login_token(request)
        response = self._page(
            request, "login.html", None, status=status, next=next, message=message, form_token=token
        )
        self.gate.give_login_token(response, token)
        return response

    def _page(
        self,
        request: Request,
        template: str,
        session: accounts.Session | None,
        *,
        status: int = 200,
        **shown: Any,
    ) -> Response:
        eye = self._eye(request)
        context = {
            "t": eye.words,
            "language": eye.words.language,
            "other": next(one for one in LANGUAGES if one != eye.words.language),
            "here": request.url.path if request.method == "GET" else "/",
            "account": session.account if session else None,
            "form_token": session.form_token if session else "",
            "once": lambda: secrets.token_hex(12),
            "number": self.desk.board.number,
            "grades": GRADES,
            "ways": [] if session is None else self.floor.ways(session),
            **shown,
        }
        response = HTMLResponse(self.templates.get_template(template).render(context), status)
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE,
                eye.words.language,
                max_age=400 * 86400,
                secure=self.gate.secure,
                httponly=True,
                samesite="lax",
            )
        return response


def _path(key: str) -> str:
    return f"/incidents/{quote(key, safe='/')}"
