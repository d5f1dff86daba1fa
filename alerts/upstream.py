"""Upstream: from where a place is fed, along links.csv against the flow; where a valve could shut it off."""

from collections.abc import Sequence
from typing import Any

from config.channels import ChannelTable, Link

MOST = 5
DEEPEST = 8  # links back


class Upstream:
    """Answers are kept: links do not change while a watch lives."""

    def __init__(self, links: Sequence[Link], channels: ChannelTable) -> None:
        self._feeding: dict[str, list[str]] = {}
        for link in links:
            self._feeding.setdefault(link.target, []).append(link.source)
        self._valves: dict[str, str] = {}
        for id, place, quantity in zip(channels.ids, channels.place, channels.quantity):
            if quantity == "valve_state":
                self._valves.setdefault(place, id)
        self._known: dict[str, list[dict[str, Any]]] = {}

    def of(self, place: str) -> list[dict[str, Any]]:
        """The nearest valves on the way to a place, its own too; where none is known, what feeds it.

        Each with `place`, `hops` (links back) and, where it is a valve, `valve`: the channel of its state.
        """
        if place not in self._known:
            walked = self._walk(place)
            valves = [
                {**one, "valve": self._valves[one["place"]]} for one in walked if one["place"] in self._valves
            ]
            self._known[place] = (valves or [one for one in walked if one["hops"] == 1])[:MOST]
        return self._known[place]

    def _walk(self, place: str) -> list[dict[str, Any]]:
        """Every place that feeds it, itself first; nobody looks further behind a valve."""
        found, seen, ring = [], {place}, [place]
        for hops in range(DEEPEST + 1):
            found += [{"place": one, "hops": hops} for one in ring]
            behind = [
                source
                for one in ring
                if one not in self._valves
                for source in sorted(self._feeding.get(one, ()))
            ]
            ring = [one for one in dict.fromkeys(behind) if one not in seen]
            seen.update(ring)
        return found
