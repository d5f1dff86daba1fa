"""Counter: staff take down what people report, by telephone, in person or from a camera; and its list."""

import sqlite3
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from alerts.centre.accounts import Session
from alerts.centre.calling.reports import ReportRefused, Reports
from alerts.centre.cases import Incident
from alerts.centre.events import ALERT, CENTRE_SOURCE, Fact
from alerts.centre.pages.room import House, Room, StaffOnly
from alerts.centre.sight import Eye

ADDRESS = "/reports/new"
CHANNELS = ("hotline", "walk_in", "camera", "app", "110", "12345")
LISTED_MOST = 100
LOOKED_AT = 2_000  # of the newest facts of the centre, to find those of one area among them


class Counter(Room):
    """A list and a form. `once` is the report's number, so that a form sent twice is one report."""

    address, name = "/reports", "reports"

    def __init__(self, house: House, reports: Reports) -> None:
        super().__init__(house)
        self.reports = reports

    def routes(self, staff_only: StaffOnly) -> list[Route]:
        return [
            Route(self.address, staff_only(self.list)),
            Route(ADDRESS, staff_only(self.show)),
            Route(ADDRESS, staff_only(self.take), methods=["POST"]),
        ]

    async def list(self, request: Request, session: Session) -> Response:
        """What came in last, and how far it is; of the account's own area."""
        facts = await self.desk.read(_reported)
        eye = self.eye(request)
        rows = [
            self._line(fact, eye) for fact in facts if self.areas.sees(session.account, self._incident(fact))
        ]
        return self.render(request, "reports.html", session, rows=rows[:LISTED_MOST], address=ADDRESS)

    async def show(self, request: Request, session: Session) -> Response:
        return self._form(request, session)

    async def take(self, request: Request, session: Session) -> Response:
        """Store it and show its incident; refused, the form comes back as it was and says why."""
        form = await self.gate.form(request, session)
        written = {name: form.get(name, "").strip() for name in ("channel", "category", "place", "text")}
        try:
            report = self.reports.read(msgspec.json.encode({"id": form.get("once", ""), **written}))
            taken = await self.reports.take(report, session.account.name)
        except ReportRefused as refusal:
            return self._form(request, session, status=400, refusal=str(refusal), **written)
        return RedirectResponse(f"/incidents/{taken.incident}", 303)

    def _form(self, request: Request, session: Session, *, status: int = 200, **shown: str) -> Response:
        categories = [(name, one.title, one.title_zh) for name, one in self.reports.routing.category.items()]
        blank = {"refusal": "", "channel": "", "category": "", "place": "", "text": ""}
        return self.render(
            request,
            "counter.html",
            session,
            status=status,
            address=ADDRESS,
            channels=CHANNELS,
            categories=categories,
            **{**blank, **shown},
        )

    def _incident(self, fact: Fact) -> Incident:
        """The incident in which a report stands now."""
        known = self.desk.board.incidents[fact.incident]
        return self.desk.board.incidents[self.desk.board.moved_to(known) or known.key]

    def _line(self, fact: Fact, eye: Eye) -> dict[str, Any]:
        data = msgspec.json.decode(fact.data)
        category = self.reports.routing.category.get(data["report"]["category"])
        incident = self._incident(fact)
        key = incident.key
        chinese = eye.words.language == "zh"
        quiet = "information" if incident.open else "over"
        return {
            "at": eye.clock(fact.received_ns),
            "iso": eye.iso(fact.received_ns),
            "ago": eye.ago(fact.received_ns),
            "channel": eye.words.of("channel", data["report"]["channel"]),
            "title": (category.title_zh if chinese else category.title) if category else data["kind"],
            "place": data["place"],
            "by": data["report"]["source"],
            "flag": data.get("flag") == "unknown_category",
            "police": category is not None and category.police,
            "merged": key != fact.incident,
            "grade": incident.grade,
            "grade_word": eye.words.of("grade", incident.grade),
            "stage": str(incident.stage),
            "stage_word": eye.words.of("stage", quiet if incident.quiet else str(incident.stage)),
            "path": f"/incidents/{key}",
        }


def _reported(connection: sqlite3.Connection) -> list[Fact]:
    """The newest reports, the newest first."""
    rows = connection.execute(
        "SELECT number, received_ns, source, id, type, incident, data FROM"
        " (SELECT * FROM fact WHERE source = ? ORDER BY number DESC LIMIT ?)"
        " WHERE type = ? AND CAST(data AS TEXT) ->> '$.report.channel' IS NOT NULL",
        (CENTRE_SOURCE, LOOKED_AT, f"{ALERT}raised.v1"),
    )
    return [Fact(*row) for row in rows]
