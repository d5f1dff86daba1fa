"""Arrivals: what has reached the linkage centre, read from its casebook, beside what was injected."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alerts.alert import TYPE_PREFIX
from alerts.centre.casebook import Casebook
from config.channels import Link
from config.lists import time_ns

MILLISECOND_NS = 1_000_000


@dataclass
class Injected:
    """One incident that the simulated field was told to have, and what the centre first heard of it."""

    kind: str
    place: str
    start_ns: int
    near: frozenset[str]  # its place and those that are linked with it
    heard: "Heard | None" = None


@dataclass(frozen=True, slots=True)
class Heard:
    """One alert change as it stands in the casebook."""

    received_ns: int
    type: str
    data: Mapping[str, Any]

    @property
    def delay_s(self) -> float:
        """From the tick that raised it to its being stored at the centre."""
        return (self.received_ns - time_ns(self.data["t"]["detected"])) / 1000 / MILLISECOND_NS


class Arrivals:
    """Asked again and again for `news`; keeps which injected incidents have come."""

    def __init__(
        self, casebook: Path, injected: Sequence[tuple[str, str, int]], links: Sequence[Link]
    ) -> None:
        """injected: (kind, place, start in ns)."""
        self._casebook = Casebook(casebook)
        self._number = 0
        self.injected = [Injected(kind, place, start, _near(place, links)) for kind, place, start in injected]

    @property
    def complete(self) -> bool:
        return all(incident.heard for incident in self.injected)

    def news(self) -> list[Heard]:
        """The alert changes stored since the last call, in that order."""
        with self._casebook.reading() as connection:
            rows = connection.execute(
                "SELECT number, received_ns, type, data FROM fact WHERE number > ? AND type GLOB ?"
                " ORDER BY number",
                (self._number, f"{TYPE_PREFIX}*"),
            ).fetchall()
        news = []
        for number, received_ns, type_, data in rows:
            self._number = number
            heard = Heard(received_ns, type_.split(".")[3], json.loads(data))
            news.append(heard)
            self._match(heard)
        return news

    def _match(self, heard: Heard) -> None:
        """An alarm raised after the injection at its place or one linked with it, of a grade to act on."""
        data = heard.data
        if heard.type != "raised" or data["grade"] == "P4":
            return
        event_ns = time_ns(data["t"]["event"])
        for incident in self.injected:
            if incident.heard is None and data["place"] in incident.near and event_ns >= incident.start_ns:
                incident.heard = heard


def _near(place: str, links: Sequence[Link]) -> frozenset[str]:
    """The place and all that hang together with it."""
    near = {place}
    while True:
        more = {
            end for link in links if {link.source, link.target} & near for end in (link.source, link.target)
        }
        if more <= near:
            return frozenset(near)
        near |= more
