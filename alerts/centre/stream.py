"""Stream: open pages are told, as it happens, which incidents changed; each of its own area alone."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from alerts.centre.accounts import Account
from alerts.centre.desk import Desk
from alerts.centre.gate import Gate
from alerts.centre.people.areas import Areas

PULSE_S = 10.0  # an open page hears something at least this often
PAGES_MOST = 500  # open pages that are kept live


class Stream:
    """`/events`, server-sent events: the page then fetches itself anew."""

    def __init__(self, desk: Desk, gate: Gate, areas: Areas) -> None:
        self.desk = desk
        self.gate = gate
        self.areas = areas

    async def events(self, request: Request) -> Response:
        """For whoever is logged in, for as long as they are."""
        session = await self.gate.session(request)
        if session is None:
            return Response(status_code=401)
        if len(self.desk.listeners) >= PAGES_MOST:
            return Response(status_code=503, headers={"retry-after": "30"})
        token = request.cookies.get(self.gate.session_cookie, "")
        return StreamingResponse(
            self._stream(token), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )

    async def _stream(self, token: str) -> AsyncIterator[str]:
        listener = self.desk.listen()
        try:
            yield f"retry: 2000\nevent: hello\ndata: {self.desk.board.number}\n\n"
            while not self.desk.stopping:
                changed = await listener.wait(PULSE_S)
                session = await self.gate.session_of(token)
                if session is None:
                    yield "event: over\ndata: 0\n\n"
                    return
                keys = sorted(key for key in changed if self._sees(session.account, key))
                if keys:
                    yield f"event: change\ndata: {msgspec.json.encode(keys).decode()}\n\n"
                else:
                    yield ": still here\n\n"
                await asyncio.sleep(0.1)  # a storm of changes becomes ten refreshes a second at most
        finally:
            self.desk.leave(listener)

    def _sees(self, account: Account, key: str) -> bool:
        """Changes of gateways are told to all, those of incidents to whoever may see them."""
        incident = self.desk.board.incidents.get(key)
        return incident is None or self.areas.sees(account, incident)
