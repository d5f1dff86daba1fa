"""Counter: the page on which staff take down what people report by telephone, in person or from a camera."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from alerts.centre.accounts import Session
from alerts.centre.calling.reports import ReportRefused, Reports
from alerts.centre.gate import Gate

ADDRESS = "/reports/new"
CHANNELS = ("hotline", "walk_in", "camera", "app", "110", "12345")


class Render(Protocol):
    """A page made of a template."""

    def __call__(
        self, request: Request, template: str, session: Session | None, *, status: int = 200, **shown: Any
    ) -> Response: ...


class Counter:
    """One form. `once` is the report's number, so that a form sent twice is one report."""

    def __init__(self, gate: Gate, render: Render, reports: Reports) -> None:
        self.gate = gate
        self.render = render
        self.reports = reports

    def routes(
        self, staff_only: Callable[[Callable[[Request, Session], Awaitable[Response]]], Any]
    ) -> list[Route]:
        return [
            Route(ADDRESS, staff_only(self.show)),
            Route(ADDRESS, staff_only(self.take), methods=["POST"]),
        ]

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
