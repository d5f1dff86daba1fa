"""Register: the pages of the directory: organisations from the district down to a grid, and their people."""

import re
from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alerts.centre.accounts import Session
from alerts.centre.pages.room import Room, StaffOnly
from alerts.centre.people.admission import SEEN, OutOfArea
from alerts.centre.people.checking import read_rota
from alerts.centre.people.directory import Organisation, Person
from alerts.centre.people.lists import ROLES
from alerts.centre.sight import Eye

SHOWN_MOST = 100  # people or things on one page
FOUND_MOST = 50
TEXT_MOST = 80
LINKS = {"phone": "tel", "sms": "tel", "email": "mailto"}  # what a telephone or a browser can open
_PLAIN = re.compile(r"[\w+@. -]+")


class Register(Room):
    """Browsed from above, or searched; an account with an area sees that part alone."""

    address, name = "/people", "register"

    def routes(self, staff_only: StaffOnly) -> list[Route]:
        return [
            Route(self.address, staff_only(self.top)),
            Route(self.address, staff_only(self.search), methods=["POST"]),
            Route(self.address + "/{org}", staff_only(self.one)),
        ]

    async def top(self, request: Request, session: Session) -> Response:
        """The organisations that lie in no other, or the account's own area."""
        area = session.account.area
        if area:
            return await self._organisation(request, session, area)
        eye = self.eye(request)
        inside = [self._brief(one, eye) for one in self.directory.children("")]
        return self._page(request, session, inside=inside, counts=sorted(self.directory.counts().items()))

    async def one(self, request: Request, session: Session) -> Response:
        return await self._organisation(request, session, request.path_params["org"])

    async def search(self, request: Request, session: Session) -> Response:
        """By a part of a name or id; a POST, since it may be a name, which no log may hold."""
        text = (await self.gate.form(request, session)).get("text", "").strip()[:TEXT_MOST]
        area = session.account.area
        orgs: Sequence[Organisation] = ()
        people: Sequence[Person] = ()
        if len(text) >= 2:
            orgs, people = self.directory.found(text, area, FOUND_MOST)
            await self.desk.note(SEEN, actor=session.account.name, reason="search")
        eye = self.eye(request)
        return self._page(
            request,
            session,
            text=text,
            found=True,
            most=FOUND_MOST,
            inside=[self._brief(one, eye) for one in orgs],
            people=[self._person(one, eye) for one in people],
        )

    async def _organisation(self, request: Request, session: Session, code: str) -> Response:
        one = self.directory.organisation(code)
        if one is None:
            raise HTTPException(404)
        try:
            await self.admission.admit(session.account, code, "people")
        except OutOfArea as refusal:
            raise HTTPException(403) from refusal
        eye = self.eye(request)
        role = request.query_params.get("role", "")
        roles = self.directory.roles_of(code)
        people = self.directory.people_of(code, [role] if role in ROLES else [])
        first = _whole(request.query_params.get("from", "0"))
        assets, cameras, sites = self.directory.things_in(code, SHOWN_MOST)
        return self._page(
            request,
            session,
            one=self._brief(one, eye),
            above=self._above(code, session.account.area),
            contacts=_ways(one.contacts, eye),
            inside=[self._brief(child, eye) for child in self.directory.children(code)],
            roles=[(name, eye.words.of("role", name), roles[name]) for name in ROLES if name in roles],
            role=role,
            people=[
                self._person(person, eye)
                for person in sorted(people, key=lambda p: (ROLES.index(p.role), p.id))[first:][:SHOWN_MOST]
            ],
            before=max(0, first - SHOWN_MOST) if first else None,
            after=first + SHOWN_MOST if len(people) > first + SHOWN_MOST else None,
            total=len(people),
            duty=self._duty(code, eye),
            assets=assets,
            cameras=[
                (camera.name or camera.id, camera.link if camera.link.startswith("http") else "")
                for camera in cameras
            ],
            sites=[(site.name, self._industry(site.industry, eye)) for site in sites],
        )

    def _page(self, request: Request, session: Session, **shown: Any) -> Response:
        blank: dict[str, Any] = {name: [] for name in _LISTS}
        blank |= {"one": None, "text": "", "found": False, "most": 0, "role": "", "total": 0, "duty": None}
        blank |= {"before": None, "after": None, "address": self.address}
        return self.render(request, "register.html", session, **{**blank, **shown})

    def _above(self, code: str, area: str) -> list[tuple[str, str]]:
        """(code, name) of the organisations around one, the largest first, no higher than the area."""
        around = self.directory.lineage(code)
        if area:
            around = around[: next(n for n, one in enumerate(around) if one.code == area) + 1]
        return [(one.code, one.name) for one in reversed(around[1:])]

    def _brief(self, one: Organisation, eye: Eye) -> dict[str, Any]:
        return {
            "code": one.code,
            "name": one.name,
            "kind": eye.words.of("organisation", one.kind),
            "duty": eye.words.of("owner", one.duty) if one.duty else "",
            "credit_code": one.credit_code,
        }

    def _person(self, one: Person, eye: Eye) -> dict[str, Any]:
        return {
            "id": one.id,
            "name": one.name,
            "org": one.org,
            "org_name": self.called(one.org),
            "role": eye.words.of("role", one.role),
            "contacts": _ways(one.contacts, eye),
            "skills": one.skills,
        }

    def _duty(self, code: str, eye: Eye) -> list[tuple[str, str]] | None:
        """(post, name) of those who are on duty now; None where there is no rota."""
        if code not in self.directory.rotas():
            return None
        turns = read_rota(self.directory, code).on_duty(self.desk.clock())
        return [(eye.words.of("post", turn.post), self.named(turn.person)) for turn in turns]

    def _industry(self, name: str, eye: Eye) -> str:
        known = self.caller.routing.site_class.get(name)
        return known.name_zh if known is not None and eye.words.language == "zh" else name.replace("_", " ")


_LISTS = ("above", "contacts", "inside", "roles", "people", "assets", "cameras", "sites", "counts")


def _ways(contacts: str, eye: Eye) -> list[tuple[str, str, str]]:
    """(way, where, link or "") of each way to reach somebody."""
    found = []
    for part in filter(None, (one.strip() for one in contacts.split(";"))):
        way, _, where = part.partition(":")
        link = f"{LINKS[way]}:{where.strip()}" if way in LINKS and _PLAIN.fullmatch(where) else ""
        found.append((eye.words.of("way", way), where.strip(), link))
    return found


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 7 else 0
