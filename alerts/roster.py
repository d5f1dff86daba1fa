"""Roster: who of a gateway's own people is on duty when, for the time in which it cannot reach its centre.

It holds ids and no address: telephone numbers stay in a file of the gateway, not in commands and archives.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from config.lists import time_ns

GRADES = ("P1", "P2", "P3", "P4")
MOST = 1_000  # lines of a roster
ID = re.compile(r"[\w.@-]{1,64}")


@dataclass(frozen=True, slots=True)
class Duty:
    """One person for one span of time; `grades` says for which."""

    person: str
    begin_ns: int
    end_ns: int
    grades: tuple[str, ...] = GRADES


def duties_of(entries: Any) -> tuple[Duty, ...]:
    """The lines of a `roster` command: {"person", "from", "until", "grades"}; ValueError names the line."""
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise ValueError('roster needs {"duties": [{"person", "from", "until"}, …]}')
    if len(entries) > MOST:
        raise ValueError(f"a roster has at most {MOST} lines, this one has {len(entries)}")
    return tuple(_duty(entry, f"duties[{number}]") for number, entry in enumerate(entries))


def on_duty(duties: Collection[Duty], now_ns: int, grade: str) -> list[str]:
    """Who is to be called now, each once, in the order of the roster; empty where nobody is on duty."""
    found = [one.person for one in duties if one.begin_ns <= now_ns < one.end_ns and grade in one.grades]
    return list(dict.fromkeys(found))


def to_json(duties: Collection[Duty]) -> list[dict[str, Any]]:
    return [asdict(duty) for duty in duties]


def from_json(saved: Sequence[Mapping[str, Any]]) -> tuple[Duty, ...]:
    return tuple(Duty(one["person"], one["begin_ns"], one["end_ns"], tuple(one["grades"])) for one in saved)


def _duty(entry: Any, where: str) -> Duty:
    if not isinstance(entry, Mapping):
        raise ValueError(f'{where} must be {{"person", "from", "until"}}')
    person, grades = entry.get("person"), entry.get("grades", list(GRADES))
    if not isinstance(person, str) or not ID.fullmatch(person):
        raise ValueError(f"{where}.person must be an id of 1 to 64 letters, digits, '.', '_', '-' or '@'")
    if not isinstance(grades, Sequence) or not grades or any(grade not in GRADES for grade in grades):
        raise ValueError(f"{where}.grades must be a list of P1 to P4")
    try:
        begin_ns, end_ns = time_ns(str(entry.get("from"))), time_ns(str(entry.get("until")))
    except ValueError as error:
        raise ValueError(f"{where}: from and until: {error}") from error
    if end_ns <= begin_ns:
        raise ValueError(f"{where}: until must come after from")
    return Duty(person, begin_ns, end_ns, tuple(grades))
