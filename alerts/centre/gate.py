"""Gate: who may see and do what on the pages; cookies, form tokens, and the headers that browsers obey."""

import asyncio
import hmac
import logging
import secrets
import sqlite3
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alerts.centre.accounts import (
    SESSION_S,
    Patience,
    Session,
    close_session,
    open_session,
    password_fits,
    session_of,
)
from alerts.centre.desk import Desk
from alerts.centre.events import SESSION
from alerts.centre.intake import read_body

log = logging.getLogger(__name__)

FORM_MOST = 64 * 1024  # bytes
FIELDS_MOST = 40
HEADERS = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    b"cross-origin-opener-policy": b"same-origin",
}
HSTS = b"max-age=31536000"


class FormRefused(Exception):
    """A form that was not given out here, is too old or too large."""


class LoginRefused(Exception):
    """Wrong name or password (which of them is not said), or too many failures: then `wait_s` is above 0."""

    def __init__(self, wait_s: float = 0.0) -> None:
        self.wait_s = wait_s
        super().__init__("login refused")


class Gate:
    """Sessions and forms. `secure` where the page is served by TLS."""

    def __init__(self, desk: Desk, *, secure: bool) -> None:
        self.desk = desk
        self.secure = secure
        prefix = "__Host-" if secure else ""
        self.session_cookie = f"{prefix}watchline"
        self.login_cookie = f"{prefix}watchline-login"
        self._by_name = Patience(most=5)  # for each name and address
        self._by_address = Patience(most=30)
        self._hashing = asyncio.Semaphore(2)  # argon2id takes 64 MiB each time

    async def session(self, request: Request) -> Session | None:
        """Who is asking, if they are logged in."""
        token = request.cookies.get(self.session_cookie, "")
        return await self.session_of(token) if token else None

    async def session_of(self, token: str) -> Session | None:
        def look(connection: sqlite3.Connection) -> Session | None:
            return session_of(connection, token, self.desk.clock())

        return await self.desk.read(look)

    async def form(self, request: Request, session: Session | None) -> dict[str, str]:
        """The fields of a POST, once it is sure that our own page sent it; FormRefused otherwise.

        With a session the form carries its token; the login form's token stands in a cookie too.
        """
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise FormRefused("sent by another site")
        body = await read_body(request, FORM_MOST)
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MOST)
        except ValueError as error:
            raise FormRefused("cannot be read") from error
        fields = dict(pairs)
        token = fields.get("form_token", "")
        if session is not None:
            good = session.owns_form(token)
        else:
            known = request.cookies.get(self.login_cookie, "")
            good = bool(known) and hmac.compare_digest(known.encode(), token.encode())
        if not good:
            raise FormRefused("token does not fit")
        return fields

    async def log_in(self, request: Request, name: str, password: str) -> str:
        """A new session's token; LoginRefused otherwise. Every attempt stands in the audit log."""
        address = request.client.host if request.client else "unknown"
        both = f"{name[:64]}\x1f{address}"
        wait_s = max(self._by_name.wait_s(both), self._by_address.wait_s(address))
        if wait_s > 0:
            self.desk.refused["login too often"] += 1
            raise LoginRefused(wait_s)
        self._by_name.failed(both)  # before the check, so that many at once count too
        self._by_address.failed(address)
        async with self._hashing:
            good = await asyncio.to_thread(self._fits, name, password)
        if not good:
            self.desk.refused["wrong password"] += 1
            await self.desk.note(f"{SESSION}refused.v1", actor=name[:64], address=address)
            raise LoginRefused
        self._by_name.succeeded(both)
        self._by_address.succeeded(address)
        now_ns = self.desk.clock()
        token: str = await self.desk.run(lambda connection: open_session(connection, name, now_ns))
        await self.desk.note(f"{SESSION}opened.v1", actor=name, address=address)
        return token

    async def log_out(self, request: Request, session: Session) -> None:
        token = request.cookies.get(self.session_cookie, "")
        await self.desk.run(lambda connection: close_session(connection, token))
        await self.desk.note(f"{SESSION}closed.v1", actor=session.account.name)

    def give_session(self, response: Response, token: str) -> None:
        self._cookie(response, self.session_cookie, token, SESSION_S)
        response.delete_cookie(
            self.login_cookie, path="/", secure=self.secure, httponly=True, samesite="strict"
        )

    def take_session(self, response: Response) -> None:
        response.delete_cookie(
            self.session_cookie, path="/", secure=self.secure, httponly=True, samesite="strict"
        )

    def give_login_token(self, response: Response, token: str) -> None:
        self._cookie(response, self.login_cookie, token, 3600)

    def login_token(self, request: Request) -> str:
        """The token of this browser's login form; kept while it is there, so that two tabs agree."""
        known = request.cookies.get(self.login_cookie, "")
        return (
            known if len(known) == 43 and known.replace("-", "").replace("_", "").isalnum() else new_token()
        )

    def _fits(self, name: str, password: str) -> bool:
        with self.desk.casebook.reading() as connection:
            return password_fits(connection, name, password)

    def _cookie(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(
            name, value, max_age=seconds, path="/", secure=self.secure, httponly=True, samesite="strict"
        )


def new_token() -> str:
    return secrets.token_urlsafe(32)


def own_path(path: str) -> str:
    """A path of ours to go on to after the login; anything else becomes the first page."""
    good = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if good else "/"


class Guarded:
    """ASGI: the same protecting headers on every answer."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self.app = app
        headers: Mapping[bytes, bytes] = HEADERS | ({b"strict-transport-security": HSTS} if secure else {})
        self._headers = list(headers.items())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message.get("headers", [])}
                caching = [] if b"cache-control" in given else [(b"cache-control", b"no-store")]
                message = {**message, "headers": [*message.get("headers", []), *self._headers, *caching]}
            await send(message)

        await self.app(scope, receive, guarded if scope["type"] == "http" else send)
