"""Candidates: where the cause of an incident may lie, ranked by flow, by time and by strength."""

from collections.abc import Sequence
from typing import Any

from alerts.alert import rfc3339
from alerts.incidents import Alarm
from alerts.why import surprise
from config.channels import Link

MOST = 5  # named in an alert
LOOKED_AT = 16  # places of an incident, those that turned first
DEEPEST = 8  # links down


class Candidates:
    """Ranks the places of an incident. Links do not change while a watch lives, so reaches are kept.

    Three voices with one vote each (a design choice): the share of the other strange places that lie
    downstream of it, for what is felt there may come from here; how early it turned; and how unusual it is
    beside the most unusual. Flow says nothing where no links lead from one to another.
    """

    def __init__(self, links: Sequence[Link]) -> None:
        self._fed: dict[str, list[str]] = {}
        for link in links:
            self._fed.setdefault(link.source, []).append(link.target)
        self._below: dict[str, frozenset[str]] = {}

    def among(self, alarms: Sequence[Alarm]) -> list[dict[str, Any]]:
        """The likeliest first: `place`, `share` (of all votes), `since`, and `feeds`, how many of the others.

        alarms: those of one incident that are on. Empty where there is but one place: it is the only
        candidate.
        """
        first: dict[str, int] = {}
        strength: dict[str, float] = {}
        for alarm in alarms:
            strength[alarm.place] = max(surprise(alarm.score), strength.get(alarm.place, 0.0))
            first[alarm.place] = min(alarm.event_ns, first.get(alarm.place, alarm.event_ns))
        places = sorted(first, key=lambda place: (first[place], place))[:LOOKED_AT]
        if len(places) < 2:
            return []
        begin_ns, end_ns = first[places[0]], first[places[-1]]
        most = max(strength[place] for place in places) or 1.0
        others = len(places) - 1
        feeds = {place: sum(one in self._reach(place) for one in places if one != place) for place in places}
        votes = {
            place: feeds[place] / others
            + (1.0 if end_ns == begin_ns else (end_ns - first[place]) / (end_ns - begin_ns))
            + strength[place] / most
            for place in places
        }
        total = sum(votes.values()) or 1.0
        ranked = sorted(places, key=lambda place: (-votes[place], first[place], place))
        return [
            {
                "place": place,
                "share": round(votes[place] / total, 3),
                "since": rfc3339(first[place]),
                "feeds": feeds[place],
            }
            for place in ranked[:MOST]
        ]

    def _reach(self, place: str) -> frozenset[str]:
        """The places downstream."""
        if place not in self._below:
            reached, ring = {place}, [place]
            for _ in range(DEEPEST):
                following = dict.fromkeys(target for one in ring for target in self._fed.get(one, ()))
                ring = [one for one in following if one not in reached]
                reached.update(ring)
            self._below[place] = frozenset(reached - {place})
        return self._below[place]
