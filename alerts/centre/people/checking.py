"""Checking: whether somebody is on duty at every moment, and whether every call would reach somebody."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from alerts.centre.people.directory import Directory
from alerts.centre.people.rota import SECOND_NS, Gap, Rota, rota_of

HORIZON_DAYS = 14
GAPS_SHOWN = 3  # of one rota; the others are counted


@dataclass
class Verdict:
    """What is wrong, what is odd, and how much there is."""

    mistakes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def judge(path: Path, desk: str, last: str, now_ns: int) -> Verdict:
    """The directory and its rotas for the next two weeks."""
    verdict = Verdict()
    if not path.exists():
        verdict.warnings.append(
            f"{path}: there is no directory yet, so nobody can be called; try  watchline import organisations"
        )
        return verdict
    try:
        directory = Directory(path)
        try:
            verdict.counts = directory.counts()
            verdict.mistakes += _receivers(directory, desk, last)
            for name in directory.rotas():
                _judge_rota(directory, name, now_ns, verdict)
            _judge_territory(directory, verdict)
            if verdict.counts["organisations"] and not directory.organisations("police"):
                verdict.warnings.append(
                    "directory: no organisation of kind police: of police matters the desk alone hears"
                )
        finally:
            directory.close()
    except sqlite3.Error as error:
        verdict.mistakes.append(f"{path}: cannot be used as a directory: {error}")
    return verdict


def read_rota(directory: Directory, name: str) -> Rota:
    """A rota as the directory has it."""
    return rota_of(name, directory.table("shifts", name), directory.table("changes", name))


def _receivers(directory: Directory, desk: str, last: str) -> Iterator[str]:
    if directory.organisation(desk) is None:
        yield f'[people] desk: no organisation "{desk}" in the directory; import it, or name another'
    elif desk not in directory.rotas():
        yield f'[people] desk: "{desk}" has no shifts, so nobody is on duty; try  watchline import shifts'
    if directory.person(last) is None and directory.organisation(last) is None:
        yield f'[people] last: neither a person nor an organisation "{last}" in the directory'


def _judge_rota(directory: Directory, name: str, now_ns: int, verdict: Verdict) -> None:
    rota = read_rota(directory, name)
    gaps = rota.gaps(now_ns, now_ns + HORIZON_DAYS * 86_400 * SECOND_NS)
    verdict.mistakes += [f"rota {name}: {_told(gap, rota)}" for gap in gaps[:GAPS_SHOWN]]
    if len(gaps) > GAPS_SHOWN:
        verdict.mistakes.append(
            f"rota {name}: {len(gaps) - GAPS_SHOWN} more gaps in the next {HORIZON_DAYS} days"
        )
    named = {shift.person for shift in rota.shifts} | {change.person for change in rota.changes}
    verdict.mistakes += [
        f"rota {name}: {person} is not among the people any more; give the shifts to somebody else"
        for person in sorted(named)
        if directory.person(person) is None
    ]
    verdict.warnings += [
        f"rota {name}: change {change.id} is instead of {change.instead_of}, who is not on duty then"
        for change in rota.changes
        if change.end_ns > now_ns and change.instead_of and not _took_over(rota, change.id)
    ]


def _took_over(rota: Rota, id: str) -> bool:
    change = next(one for one in rota.changes if one.id == id)
    return any(turn.why == id for turn in rota.turns(change.start_ns, change.end_ns))


def _told(gap: Gap, rota: Rota) -> str:
    zone = rota.shifts[0].when.zone
    begin, end = (datetime.fromtimestamp(ns // SECOND_NS, zone) for ns in (gap.start_ns, gap.end_ns))
    span = f"from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} ({zone.key})"
    if not gap.people:
        return f"nobody is primary {span}; add a shift or a change"
    return f"{len(gap.people)} are primary {span}: {_some(gap.people)}; make all but one of them backup"


def _judge_territory(directory: Directory, verdict: Verdict) -> None:
    """Organisations that are called and have nobody: the next on the ladder is called at once instead."""
    rotas = set(directory.rotas())
    for kind in ("sub_district", "community", "owner", "police"):
        empty = [
            one.code
            for one in directory.organisations(kind)
            if one.code not in rotas and not one.contacts and not directory.people_of(one.code)
        ]
        if empty:
            verdict.warnings.append(
                f"directory: nobody can be called at {_some(empty)} ({kind}): add people, shifts or contacts"
            )


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
