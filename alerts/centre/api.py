"""API: what staff can see and do, as JSON for programs that carry a token of one of the accounts."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from alerts.alert import rfc3339
from alerts.centre.accounts import Account, account_of
from alerts.centre.acts import FIELDS, ActRefused, NotYet, allowed
from alerts.centre.casebook import CasebookFailed
from alerts.centre.cases import Incident, timeline, waiting_for
from alerts.centre.desk import Desk, by_urgency
from alerts.centre.gate import FORM_MOST
from alerts.centre.intake import JSON, RETRY_S, TooLarge, read_body
from alerts.centre.people.areas import Areas
from alerts.centre.words import Words
from alerts.roster import duties_of

BEARER = "bearer "
LIST_MOST = 1_000
ENGLISH = Words("en")

Handler = Callable[[Request, Account], Awaitable[Response]]


class Api:
    """`/api/v1/incidents`: the list, one incident, and acts; refusals say why, and change nothing.

    Of other areas than that of its account a token is told nothing, and the attempt stands in the log.
    """

    def __init__(self, desk: Desk, packet: Callable[[Incident], dict[str, Any]], areas: Areas) -> None:
        self.desk = desk
        self._packet = packet
        self._areas = areas

    def token_only(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Who has no good token learns nothing."""

        async def checked(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            token = given[len(BEARER) :].strip() if given.lower().startswith(BEARER) else ""
            account = (
                await self.desk.read(lambda connection: account_of(connection, token)) if token else None
            )
            if account is None:
                self.desk.refused["wrong token" if token else "no token"] += 1
                text = "authorization: Bearer TOKEN is missing or no longer good"
                return _answer({"error": "unauthorized", "text": text}, 401)
            return await handler(request, account)

        return checked

    async def incidents(self, request: Request, account: Account) -> Response:
        """The open incidents, the most urgent first; information only with `?all=1`."""
        everything = request.query_params.get("all") == "1"
        found = [
            one
            for one in self.desk.board.open.values()
            if (everything or not one.quiet) and self._areas.sees(account, one)
        ]
        return _answer({"incidents": [self._brief(one) for one in by_urgency(found)[:LIST_MOST]]})

    async def incident(self, request: Request, account: Account) -> Response:
        incident = await self._incident(request, account)
        return incident if isinstance(incident, Response) else _answer(self._whole(incident))

    async def evidence(self, request: Request, account: Account) -> Response:
        """What whoever is sent out needs: what, where, since when, how sure, why, and what to do."""
        incident = await self._incident(request, account)
        return incident if isinstance(incident, Response) else _answer(self._packet(incident))

    async def act(self, request: Request, account: Account) -> Response:
        """One act; `idempotency-key` makes a repeat of the same request safe."""
        incident = await self._incident(request, account)
        if isinstance(incident, Response):
            return incident
        once = request.headers.get("idempotency-key", "") or secrets.token_hex(12)
        if not (8 <= len(once) <= 64 and once.isascii() and once.isalnum()):
            return _answer({"error": "bad_key", "text": "idempotency-key: 8 to 64 letters or digits"}, 400)
        try:
            body = await read_body(request, FORM_MOST)
            form = msgspec.json.decode(body or b"{}", type=dict[str, str])
        except TooLarge:
            return _answer({"error": "too_large", "text": f"at most {FORM_MOST} bytes"}, 413)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _answer({"error": "bad_content", "text": f"an object of texts is needed: {error}"}, 400)
        kind = request.path_params["act"]
        try:
            await self.desk.act(incident.key, kind, form, actor=account.name, once=once)
        except NotYet as refusal:
            return _answer(
                {
                    "error": refusal.code,
                    "text": ENGLISH.of("refusal", refusal.code),
                    "waiting_for": [one.what for one in refusal.waiting],
                },
                409,
            )
        except ActRefused as refusal:
            text = ENGLISH.of("refusal", refusal.code, **refusal.details)
            return _answer({"error": refusal.code, "text": text, **refusal.details}, 409)
        except CasebookFailed:
            return Response(status_code=503, headers={"retry-after": str(RETRY_S)})
        return _answer(self._whole(incident))

    async def roster(self, request: Request, account: Account) -> Response:
        """Who is called by a gateway while it cannot reach the centre: ids and times, no addresses."""
        gateway = request.path_params["gateway"]
        if gateway not in self.desk.gateways:
            return _answer({"error": "not_found", "text": "there is no such gateway"}, 404)
        if not account.is_administrator:
            return _answer({"error": "forbidden", "text": "an administrator's token is needed"}, 403)
        try:
            body = msgspec.json.decode(await read_body(request, FORM_MOST), type=dict[str, Any])
            duties_of(body.get("duties"))
            command = await self.desk.order(gateway, "roster", {"duties": body["duties"]}, actor=account.name)
        except TooLarge:
            return _answer({"error": "too_large", "text": f"at most {FORM_MOST} bytes"}, 413)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
            return _answer({"error": "bad_content", "text": str(error)}, 400)
        except CasebookFailed:
            return Response(status_code=503, headers={"retry-after": str(RETRY_S)})
        return _answer({"command": command})

    async def _incident(self, request: Request, account: Account) -> Incident | Response:
        """The incident, or why it is not told."""
        found = self.desk.board.incidents.get("{gateway}/{incident}".format(**request.path_params))
        if found is not None and not found.alarms:
            found = self.desk.board.incidents.get(self.desk.board.moved_to(found))
        if found is None or not found.alarms:
            return _answer({"error": "not_found", "text": "there is no such incident"}, 404)
        if not await self._areas.refuses(self.desk, account, found):
            return found
        text = f"your account is kept to {account.area}; this incident lies outside of it"
        return _answer({"error": "forbidden", "text": text}, 403)

    def _brief(self, incident: Incident) -> dict[str, Any]:
        lead = incident.lead.said
        due_ns = self.desk.clocks.due_ns(incident)
        return {
            "incident": incident.key,
            "grade": incident.grade,
            "kind": lead.kind,
            "medium": lead.medium,
            "place": lead.place,
            "because": lead.because,
            "since": rfc3339(incident.since_ns),
            "stage": incident.stage,
            "acknowledged": incident.acknowledged,
            "assigned": incident.assigned,
            "due": None if due_ns is None else rfc3339(due_ns),
            "in_band": incident.in_band,
            "seen": str(incident.known),
        }

    def _whole(self, incident: Incident) -> dict[str, Any]:
        waiting = waiting_for(incident, self.desk.clock(), self.desk.verify_ns, self.desk.unheard(incident))
        return {
            **self._brief(incident),
            "steps": {act: FIELDS[act] for act in allowed(incident)},
            "waiting_for": [one.what for one in waiting],
            "timeline": [_line(line) for line in timeline(incident)],
        }


def _line(line: Any) -> dict[str, Any]:
    if line.act is not None:
        said = {name: value for name, value in line.act.body.items() if name not in ("actor", "commands")}
        return {"at": rfc3339(line.at_ns), "what": line.act.kind, "who": line.act.actor, **said}
    change = line.told.change
    return {"at": rfc3339(line.at_ns), "what": line.told.type, "who": change.actor, "because": change.because}


def _answer(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type=JSON)
