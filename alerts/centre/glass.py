"""Glass: who breaks it sees a wearer's vital signs once; they come sealed, and stay nowhere."""

import asyncio
import time
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from alerts.alert import rfc3339
from alerts.centre.accounts import Account
from alerts.centre.casebook import CasebookFailed
from alerts.centre.desk import Desk
from alerts.centre.events import Sealed, Word
from alerts.centre.gate import FORM_MOST
from alerts.centre.intake import JSON, RETRY_S, TooLarge, read_body
from alerts.centre.people.areas import Areas
from alerts.sealing import Opener, SealBroken
from config.errors import SettingsError

WAIT_S = 60.0  # for the gateway's answer; then the key is forgotten, and with it whatever comes later
LOOK_S = 0.25  # between looks whether the gateway has refused
HEADERS = {"cache-control": "no-store"}


class Wish(Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for."""

    person: Word  # the wearer's place, a pseudonym
    reason: Annotated[str, Meta(min_length=8, max_length=500)]
    minutes: Annotated[int, Meta(ge=1, le=60)] = 30


class Glass:
    """`POST /api/v1/gateways/{gateway}/vitals`. Each look stands in both logs."""

    def __init__(self, desk: Desk, areas: Areas) -> None:
        self.desk = desk
        self.areas = areas
        self._waiting: dict[str, asyncio.Future[Sealed]] = {}  # by public key
        desk.on_sealed = self._hear

    async def look(self, request: Request, account: Account) -> Response:
        """The last value of each quantity, once; refusals and silence say why."""
        gateway = request.path_params["gateway"]
        if gateway not in self.desk.gateways:
            return _answer({"error": "not_found", "text": "there is no such gateway"}, 404)
        try:
            wish = msgspec.json.decode(await read_body(request, FORM_MOST), type=Wish)
            opener = Opener()
        except TooLarge:
            return _answer({"error": "too_large", "text": f"at most {FORM_MOST} bytes"}, 413)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _answer({"error": "bad_content", "text": str(error)}, 400)
        except SettingsError as error:
            return _answer({"error": "not_installed", "text": str(error)}, 501)
        if not self.areas.covers(account, wish.person):
            self.desk.refused["vital signs of another area"] += 1
            await self._note("refused", account, gateway, wish)
            text = f"your account is kept to {account.area}"
            return _answer({"error": "forbidden", "text": text}, 403)
        try:
            return await self._ask(gateway, wish, opener, account)
        except CasebookFailed:
            return Response(status_code=503, headers={"retry-after": str(RETRY_S)})

    async def _ask(self, gateway: str, wish: Wish, opener: Opener, account: Account) -> Response:
        """The question goes down as a command, after it stands in the log; the answer is opened here."""
        await self._note("asked", account, gateway, wish)
        until_ns = self.desk.clock() + int(WAIT_S * 1e9)
        body = {**msgspec.to_builtins(wish), "key": opener.public, "until": rfc3339(until_ns)}
        answered = self._waiting[opener.public] = asyncio.get_running_loop().create_future()
        try:
            command = await self.desk.order(gateway, "vitals", body, actor=account.name)
            sealed = await self._answered(answered, command)
        finally:
            del self._waiting[opener.public]
        if isinstance(sealed, Response):
            return sealed
        if sealed.error:
            return _answer({"error": "refused", "text": f"the gateway says: {sealed.error}"}, 409)
        try:
            vitals = msgspec.json.decode(opener.open(sealed.sealed, command))
        except (SealBroken, msgspec.DecodeError) as error:
            return _answer({"error": "broken", "text": str(error)}, 502)
        await self._note("shown", account, gateway, wish)
        return _answer({"person": wish.person, "vitals": vitals})

    async def _answered(self, answered: "asyncio.Future[Sealed]", command: str) -> Sealed | Response:
        """What the gateway sealed, or why there is nothing."""
        end_s = time.monotonic() + WAIT_S
        while not answered.done():
            result = self.desk.board.result_of(command)
            if result is not None and result.result == "refused":
                return _answer({"error": "refused", "text": f"the gateway says: {result.reason}"}, 409)
            if time.monotonic() > end_s or self.desk.stopping:
                return _answer(
                    {"error": "no_answer", "text": "the gateway does not answer; call the carers"}, 504
                )
            await asyncio.wait({answered}, timeout=LOOK_S)
        return answered.result()

    def _hear(self, sealed: Sealed) -> None:
        waiting = self._waiting.get(sealed.key)
        if waiting is not None and not waiting.done():
            waiting.set_result(sealed)

    async def _note(self, what: str, account: Account, gateway: str, wish: Wish) -> None:
        reason = f"{wish.person} at {gateway}: {wish.reason}"
        await self.desk.note(f"city.linkage.vitals.{what}.v1", actor=account.name, reason=reason)


def _answer(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, HEADERS, JSON)
