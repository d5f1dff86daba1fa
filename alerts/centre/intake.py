"""Intake: what gateways POST, believed only when signed, and answered with what is stored and what to do."""

import logging
import time
from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from alerts.alert import rfc3339
from alerts.centre.casebook import CasebookFailed
from alerts.centre.desk import Desk
from alerts.centre.events import GATEWAY_SOURCE, BadBatch, read_batch
from alerts.signing import ID, SIGNATURE, SignatureRefused, sign, verify

log = logging.getLogger(__name__)

GATEWAY_HEADER = "watchline-gateway"
BODY_MOST = 4 * 2**20  # bytes of one POST
TOLERANCE_S = 300  # how far the clocks may differ (Standard Webhooks)
COMMANDS_MOST = 200  # in one answer; the rest come with the next
RETRY_S = 5
JSON = "application/json"


class TooLarge(Exception):
    """A body is longer than it may be."""


class Intake:
    """`POST /api/v1/changes`. `secrets` by site id."""

    def __init__(self, desk: Desk, secrets: Mapping[str, str]) -> None:
        self.desk = desk
        self.secrets = secrets
        self._seen: dict[str, float] = {}  # signatures of the last minutes, and when they may be forgotten

    async def changes(self, request: Request) -> Response:
        site = request.headers.get(GATEWAY_HEADER, "")
        secret = self.secrets.get(site)
        if secret is None:
            return self._refuse(
                401, "unknown gateway", f"{GATEWAY_HEADER}: this centre knows no gateway {site[:64]!r}"
            )
        try:
            body = await read_body(request, BODY_MOST)
        except TooLarge:
            return self._refuse(
                413, "too large", f"a POST may have at most {BODY_MOST} bytes: send fewer events at a time"
            )
        try:
            verify(secret, request.headers, body, int(time.time()), TOLERANCE_S)
        except SignatureRefused as refusal:
            return self._refuse(401, self._why(secret, request, body), str(refusal))
        try:
            events = read_batch(body, GATEWAY_SOURCE + site)
        except BadBatch as problem:
            return self._refuse(400, "bad content", str(problem))
        try:
            stored = await self.desk.receive(site, events, fresh=self._first_time(request.headers[SIGNATURE]))
        except CasebookFailed as failure:
            log.error("nothing stored: %s", failure)
            return Response(status_code=503, headers={"retry-after": str(RETRY_S)})
        return self._answer(site, secret, request.headers[ID], stored)

    def _answer(self, site: str, secret: str, message_id: str, stored: list[str]) -> Response:
        """Signed as well: nobody else may give commands to a gateway."""
        commands = [
            {
                "id": command.id,
                "kind": command.kind,
                "actor": command.actor,
                "issued": rfc3339(command.issued_ns),
                "body": command.body,
            }
            for command in self.desk.board.pending(site)[:COMMANDS_MOST]
        ]
        body = msgspec.json.encode({"stored": stored, "commands": commands})
        return Response(body, media_type=JSON, headers=sign(secret, message_id, int(time.time()), body))

    def _refuse(self, status: int, reason: str, text: str) -> Response:
        """Counted by reason, shown to administrators; the first of each kind is logged."""
        self.desk.refused[reason] += 1
        if self.desk.refused[reason] == 1:
            log.warning("refused a POST (%s): %s", reason, text)
        return Response(msgspec.json.encode({"error": text}), status, media_type=JSON)

    def _why(self, secret: str, request: Request, body: bytes) -> str:
        """unsigned, stale (the right key, but old: perhaps a replay) or forged."""
        if not request.headers.get(SIGNATURE):
            return "unsigned"
        try:
            verify(secret, request.headers, body, int(time.time()), tolerance_s=10**12)
        except SignatureRefused:
            return "forged"
        return "stale"

    def _first_time(self, signature: str) -> bool:
        """False for a POST that is a copy of an earlier one; an honest repeat has a new timestamp."""
        now_s = time.monotonic()
        for old in [one for one, until in self._seen.items() if until < now_s]:
            del self._seen[old]
        first = signature not in self._seen
        self._seen.setdefault(signature, now_s + 2 * TOLERANCE_S)
        return first


async def read_body(request: Request, most: int) -> bytes:
    """The whole body; TooLarge as soon as it is known to be longer than `most` bytes."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > most:
        raise TooLarge
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise TooLarge
        parts.append(part)
    return b"".join(parts)
