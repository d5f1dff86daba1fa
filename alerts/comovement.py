"""Comovement: places whose alarms have come together before, learned from onsets alone; bounded memory.

Where nobody wrote a link, history can: two places that nearly always turn strange within the same minutes
hang on one pipe or cable, whatever zone they stand in.
"""

from collections.abc import Iterable, Mapping
from typing import Any

SECOND_NS = 1_000_000_000
TOGETHER_NS = 120 * SECOND_NS  # onsets so near count as one coincidence
APART_NS = 1800 * SECOND_NS  # a place that flaps is one onset for so long
TIMES = 3  # so often at the least they came together …
SHARE = 0.5  # … and in so large a part of all onsets of either (Jaccard index)
COMPANY = 16  # more places at once are moved by something larger, and teach nothing about pairs
PLACES_MOST, PAIRS_MOST = 4_096, 16_384


class Comovement:
    """Onsets by place, and how often two places had one together. Chance teaches slowly: two places with an
    onset a day each meet within two minutes once a year."""

    def __init__(self) -> None:
        self._onsets: dict[str, tuple[int, int]] = {}  # (how many, when the last was)
        self._pairs: dict[tuple[str, str], int] = {}
        self._recent: list[tuple[int, str]] = []  # onsets within TOGETHER_NS
        self._partners: dict[str, set[str]] = {}  # those that it knows well enough

    def with_(self, place: str) -> frozenset[str]:
        """The places that move together with one."""
        return frozenset(self._partners.get(place, ()))

    def note(self, places: Iterable[str], now_ns: int) -> None:
        """These places turned strange in one moment; call once a moment, in the order of the stream."""
        fresh = [place for place in sorted(set(places)) if self._is_onset(place, now_ns)]
        if not fresh:
            return
        self._recent = [(at_ns, place) for at_ns, place in self._recent if now_ns - at_ns <= TOGETHER_NS]
        for place in fresh:
            count, _ = self._onsets.get(place, (0, 0))
            self._onsets[place] = (count + 1, now_ns)
        if len(self._recent) + len(fresh) <= COMPANY:
            earlier = [place for _, place in self._recent]
            for number, place in enumerate(fresh):
                for other in [*earlier, *fresh[:number]]:
                    self._meet(place, other)
        self._recent = [*self._recent, *((now_ns, place) for place in fresh)][-COMPANY:]
        for place in fresh:
            self._judge(place)
        if len(self._pairs) > PAIRS_MOST or len(self._onsets) > PLACES_MOST:
            self._age()

    def state(self) -> dict[str, Any]:
        return {
            "onsets": [[place, *onset] for place, onset in self._onsets.items()],
            "pairs": [[*pair, count] for pair, count in self._pairs.items()],
            "recent": [list(one) for one in self._recent],
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from a snapshot; one of an earlier version knows nothing of it."""
        self._onsets = {place: (count, last_ns) for place, count, last_ns in saved.get("onsets", ())}
        self._pairs = {(one, other): count for one, other, count in saved.get("pairs", ())}
        self._recent = [(at_ns, place) for at_ns, place in saved.get("recent", ())]
        self._partners = {}
        for one, other in self._pairs:
            self._judge_pair(one, other)

    def _is_onset(self, place: str, now_ns: int) -> bool:
        known = self._onsets.get(place)
        return known is None or now_ns - known[1] > APART_NS

    def _meet(self, one: str, other: str) -> None:
        if one != other:
            pair = (min(one, other), max(one, other))
            self._pairs[pair] = self._pairs.get(pair, 0) + 1
            self._judge_pair(*pair)

    def _judge(self, place: str) -> None:
        """An onset that a partner did not share counts against their acquaintance."""
        for other in list(self._partners.get(place, ())):
            self._judge_pair(place, other)

    def _judge_pair(self, one: str, other: str) -> None:
        met = self._pairs.get((min(one, other), max(one, other)), 0)
        either = self._onsets.get(one, (0, 0))[0] + self._onsets.get(other, (0, 0))[0] - met
        if met >= TIMES and met >= SHARE * either:
            self._partners.setdefault(one, set()).add(other)
            self._partners.setdefault(other, set()).add(one)
        else:
            self._partners.get(one, set()).discard(other)
            self._partners.get(other, set()).discard(one)

    def _age(self) -> None:
        """Too much to remember: everything counts half, and what was seen once is forgotten."""
        self._onsets = {place: (count // 2, at) for place, (count, at) in self._onsets.items() if count > 1}
        self._pairs = {
            pair: count // 2
            for pair, count in self._pairs.items()
            if count > 1 and pair[0] in self._onsets and pair[1] in self._onsets
        }
        self._partners = {}
        for one, other in self._pairs:
            self._judge_pair(one, other)
