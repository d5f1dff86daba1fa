"""Floor: every room about people that a centre with a directory has, and the way to each of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.centre.accounts import Session
from alerts.centre.calling.reports import Reports
from alerts.centre.pages.counter import Counter
from alerts.centre.pages.exchange import Exchange
from alerts.centre.pages.register import Register
from alerts.centre.pages.room import House, Room
from alerts.centre.pages.rotas import Rotas
from alerts.centre.pages.rounds import Rounds
from alerts.centre.sight import Eye


@dataclass(frozen=True)
class Floor:
    """Without a directory there is no room. `duty` says who sits at the duty desk, as a line of its rota."""

    rooms: Sequence[Room] = ()
    duty: Callable[[Eye], dict[str, Any] | None] = lambda eye: None

    @classmethod
    def of(cls, house: House, reports: Reports, partners: Sequence[str]) -> "Floor":
        """All of them, in the order of the navigation."""
        rotas = Rotas(house)
        rooms = (
            Counter(house, reports),
            rotas,
            Register(house),
            Rounds(house),
            Exchange(house, partners),
        )
        desk = house.caller.receivers.desk
        return cls(rooms, lambda eye: rotas.line(desk, eye))

    def ways(self, session: Session) -> list[tuple[str, str]]:
        """(address, word) of the navigation; nothing where there is but one page."""
        ways = [("/", "board"), *((room.address, room.name) for room in self.rooms)]
        if session.account.is_administrator:
            ways += [("/report", "system_report"), ("/administration", "administration")]
        return ways if len(ways) > 1 else []
