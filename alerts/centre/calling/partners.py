"""Partners: what partner centres say, believed only when signed: reports, and how far a case is."""

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from alerts.alert import short_hash
from alerts.centre.acts import ActRefused
from alerts.centre.calling.reports import ReportRefused, Reports
from alerts.centre.casebook import CasebookFailed
from alerts.centre.cases import Incident
from alerts.centre.desk import Desk
from alerts.centre.events import Id, Text, Word
from alerts.centre.intake import JSON, RETRY_S, TOLERANCE_S, TooLarge, read_body
from alerts.centre.stages import NEXT
from alerts.signing import ID, SignatureRefused, sign, verify

BODY_MOST = 256 * 1024
EVENTS_MOST = 100
REPORT = "city.linkage.report.v1"
STATUS = "city.linkage.status.v1"
WAYS: Mapping[str, tuple[str, ...]] = {  # what a partner says -> the steps by which a case gets there
    "accepted": ("acknowledged", "filed", "dispatched", "engaged"),
    "arrived": ("acknowledged", "filed", "dispatched", "engaged", "started"),
    "done": ("acknowledged", "filed", "dispatched", "engaged", "started", "reported"),
    "returned": ("returned",),
}


class Status(Struct, frozen=True):
    """How far a partner is with a case."""

    case: Word  # as the call named it
    status: Word
    outcome: Word = "real"
    note: Text = ""


class Said(Struct, frozen=True):
    """A CloudEvents envelope."""

    id: Id
    type: Word
    data: msgspec.Raw


class Partners:
    """`POST /api/v1/partners/{organisation}`. `secrets` by the organisation's code."""

    def __init__(self, desk: Desk, reports: Reports, secrets: Mapping[str, str]) -> None:
        self.desk = desk
        self.reports = reports
        self.secrets = secrets

    async def hear(self, request: Request) -> Response:
        """Every event is answered by itself: taken with what came of it, or refused with the reason."""
        partner = request.path_params["organisation"]
        secret = self.secrets.get(partner)
        if secret is None:
            return self._refuse(401, "unknown partner", f"this centre knows no partner {partner[:64]!r}")
        try:
            body = await read_body(request, BODY_MOST)
            verify(secret, request.headers, body, int(time.time()), TOLERANCE_S)
            events = msgspec.json.decode(body, type=list[Said])
        except TooLarge:
            return self._refuse(413, "partner: too large", f"at most {BODY_MOST} bytes")
        except SignatureRefused as refusal:
            return self._refuse(401, "partner: signature", str(refusal))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return self._refuse(400, "partner: bad content", f"a list of CloudEvents is needed: {error}")
        if len(events) > EVENTS_MOST:
            return self._refuse(413, "partner: too large", f"at most {EVENTS_MOST} events")
        try:
            results = [await self._take(partner, event) for event in events]
        except CasebookFailed:
            return Response(status_code=503, headers={"retry-after": str(RETRY_S)})
        answer = msgspec.json.encode({"results": results})
        headers = sign(secret, request.headers[ID], int(time.time()), answer)
        return Response(answer, media_type=JSON, headers=headers)

    async def _take(self, partner: str, event: Said) -> dict[str, Any]:
        try:
            if event.type == REPORT:
                taken = await self.reports.take(self.reports.read(bytes(event.data)), partner)
                return {"id": event.id, **msgspec.to_builtins(taken)}
            if event.type == STATUS:
                return {"id": event.id, "stage": await self._status(partner, event)}
        except (ReportRefused, ActRefused, msgspec.DecodeError) as refusal:
            self.desk.refused["partner: event"] += 1
            return {"id": event.id, "error": str(refusal)}
        return {"id": event.id, "error": f"type: must be {REPORT} or {STATUS}, got {event.type}"}

    async def _status(self, partner: str, event: Said) -> str:
        """Walk the case to where the partner says it is; steps that it is past are left out."""
        status = msgspec.json.decode(bytes(event.data), type=Status)
        steps = WAYS.get(status.status)
        if steps is None:
            raise ActRefused("unknown_status", known=list(WAYS))
        incident = self._called_about(status.case, partner)
        form = {"to": partner, "outcome": status.outcome, "note": status.note, "reason": status.note}
        for step in steps:
            incident = self.desk.board.incidents[incident.key]
            again = step == "acknowledged" and not incident.acknowledged
            if (incident.stage, step) not in NEXT and not again:
                continue
            once = short_hash(partner, event.id, step)
            seen = {"seen": str(incident.known)}
            await self.desk.act(incident.key, step, {**form, **seen}, actor=partner, once=once)
        return str(self.desk.board.incidents[incident.key].stage)

    def _called_about(self, key: str, partner: str) -> Incident:
        """The incident, if this partner was called about it or has it in hand; no others are theirs."""
        incident = self.desk.board.incidents.get(key)
        if incident is not None and not incident.alarms:
            incident = self.desk.board.incidents.get(self.desk.board.moved_to(incident))
        told = incident is not None and (
            incident.assigned == partner
            or any(
                receiver.get("org") == partner
                for act in incident.acts.values()
                for receiver in act.body.get("receivers", ())
            )
        )
        if incident is None or not told:
            raise ActRefused("no_such_incident")
        return incident

    def _refuse(self, status: int, reason: str, text: str) -> Response:
        self.desk.refused[reason] += 1
        return Response(msgspec.json.encode({"error": text}), status, media_type=JSON)
