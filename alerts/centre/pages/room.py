"""Room: what the pages about people have in common: how they are rendered, and whose area they keep to."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alerts.centre.accounts import Session
from alerts.centre.calling.caller import Caller
from alerts.centre.gate import Gate
from alerts.centre.people.admission import Admission
from alerts.centre.people.areas import Areas
from alerts.centre.people.directory import Organisation
from alerts.centre.sight import Eye

Handler = Callable[[Request, Session], Awaitable[Response]]
StaffOnly = Callable[[Handler], Callable[[Request], Awaitable[Response]]]
Eyes = Callable[[Request], Eye]


class Render(Protocol):
    """A page made of a template."""

    def __call__(
        self, request: Request, template: str, session: Session | None, *, status: int = 200, **shown: object
    ) -> Response: ...


@dataclass(frozen=True)
class House:
    """What every room stands in."""

    gate: Gate
    render: Render
    eye: Eyes
    caller: Caller
    areas: Areas


class Room:
    """One page or a few. `address` is where it begins, `name` its word in the navigation."""

    address: str
    name: str

    def __init__(self, house: House) -> None:
        self.gate, self.render, self.eye = house.gate, house.render, house.eye
        self.caller = house.caller
        self.desk = house.caller.desk
        self.directory = house.caller.receivers.directory
        self.areas = house.areas
        self.admission = Admission(self.desk, self.directory)

    def routes(self, staff_only: StaffOnly) -> list[Route]:
        """Where its pages are."""
        raise NotImplementedError

    def named(self, person: str) -> str:
        """What somebody is called; the id of somebody who is no longer there."""
        known = self.directory.person(person)
        return known.name if known is not None else person

    def called(self, code: str) -> str:
        """What an organisation is called."""
        known: Organisation | None = self.directory.organisation(code)
        return known.name if known is not None else code
