"""Comparing: what a second setting would have said of the same readings: added, removed, moved, changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.alert import AlertChange, rfc3339

SECOND_NS = 10**9
REACH_NS = 6 * 3600 * SECOND_NS  # alarms of one rule on one channel, further apart, are not the same one


@dataclass(frozen=True, slots=True)
class Raised:
    """A raised alert, as far as two runs are compared. The same alarm: the same rule on the same channel."""

    fingerprint: str
    detected_ns: int
    place: str
    channel: str
    medium: str
    rule: str
    kind: str
    grade: str
    notify: bool
    because: str
    plot: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, change: AlertChange) -> "Raised":
        return cls(
            change.fingerprint,
            change.detected_ns,
            change.place,
            change.channel or "",
            change.medium,
            change.rule,
            change.kind,
            change.grade,
            change.notify,
            change.because,
            change.extra.get("plot"),
        )

    def as_dict(self) -> dict[str, Any]:
        names = ("place", "channel", "medium", "rule", "kind", "grade", "notify", "because")
        return {"detected": rfc3339(self.detected_ns), **{name: getattr(self, name) for name in names}}


Pair = tuple[Raised, Raised]


@dataclass(frozen=True)
class Comparison:
    """Alerts of the first setting beside those of the second; pairs are (first, second)."""

    added: tuple[Raised, ...]
    removed: tuple[Raised, ...]
    earlier: tuple[Pair, ...]  # the second setting raises it before the first
    later: tuple[Pair, ...]
    changed: tuple[Pair, ...]  # at the same moment, but of another kind or grade, or told differently
    same: int

    def counts(self) -> dict[str, dict[str, int]]:
        """How many of each, and how many of them are told to people (under either setting)."""
        groups: dict[str, Sequence[Raised | Pair]] = {
            "added": self.added, "removed": self.removed,
            "earlier": self.earlier, "later": self.later, "changed": self.changed,
        }  # fmt: skip
        counts = {
            name: {"all": len(group), "told": sum(_told(one) for one in group)}
            for name, group in groups.items()
        }
        return {**counts, "same": {"all": self.same}}

    def as_dict(self) -> dict[str, Any]:
        def pairs(group: Iterable[Pair]) -> list[dict[str, Any]]:
            return [
                {
                    "first": one.as_dict(),
                    "second": other.as_dict(),
                    "moved_s": (other.detected_ns - one.detected_ns) / SECOND_NS,
                }
                for one, other in group
            ]

        return {
            "counts": self.counts(),
            "added": [one.as_dict() for one in self.added],
            "removed": [one.as_dict() for one in self.removed],
            "earlier": pairs(self.earlier),
            "later": pairs(self.later),
            "changed": pairs(self.changed),
        }


def compared(first: Sequence[Raised], second: Sequence[Raised]) -> Comparison:
    """Alarms are paired with the nearest of the same rule and channel, each at most once."""
    pairs: list[Pair] = []
    left: dict[str, list[Raised]] = {}
    for one in second:
        left.setdefault(one.fingerprint, []).append(one)
    mine: dict[str, list[Raised]] = {}
    for one in first:
        mine.setdefault(one.fingerprint, []).append(one)
    removed: list[Raised] = []
    for fingerprint, alarms in mine.items():
        found, lost, more = _paired(alarms, left.pop(fingerprint, []))
        pairs += found
        removed += lost
        left[fingerprint] = more
    added = [one for alarms in left.values() for one in alarms]
    pairs.sort(key=lambda pair: _when(pair[1]))
    moved = {
        sign: tuple(pair for pair in pairs if _sign(pair) == sign and (sign or _other(pair)))
        for sign in (-1, 0, 1)
    }
    return Comparison(
        added=tuple(sorted(added, key=_when)),
        removed=tuple(sorted(removed, key=_when)),
        earlier=moved[-1],
        later=moved[1],
        changed=moved[0],
        same=len(pairs) - sum(map(len, moved.values())),
    )


def _paired(
    first: Sequence[Raised], second: Sequence[Raised]
) -> tuple[list[Pair], list[Raised], list[Raised]]:
    """Pairs of one alarm, the nearest first; what is left of either."""
    near = sorted(
        (abs(other.detected_ns - one.detected_ns), a, b)
        for a, one in enumerate(first)
        for b, other in enumerate(second)
        if abs(other.detected_ns - one.detected_ns) <= REACH_NS
    )
    taken_first: set[int] = set()
    taken_second: set[int] = set()
    pairs = []
    for _, a, b in near:
        if a not in taken_first and b not in taken_second:
            taken_first.add(a)
            taken_second.add(b)
            pairs.append((first[a], second[b]))
    lost = [one for a, one in enumerate(first) if a not in taken_first]
    return pairs, lost, [one for b, one in enumerate(second) if b not in taken_second]


def _sign(pair: Pair) -> int:
    one, other = pair
    return (other.detected_ns > one.detected_ns) - (other.detected_ns < one.detected_ns)


def _other(pair: Pair) -> bool:
    one, other = pair
    return (one.kind, one.grade, one.notify) != (other.kind, other.grade, other.notify)


def _when(one: Raised) -> tuple[int, str, str]:
    return one.detected_ns, one.channel, one.rule


def _told(one: Raised | Pair) -> bool:
    return one.notify if isinstance(one, Raised) else one[0].notify or one[1].notify
