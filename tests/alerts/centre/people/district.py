"""District: the lists of a whole city district, made up; as large as asked for."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from alerts.centre.people.importing import Report, import_list
from config.lists import CREDIT_ALPHABET, CREDIT_WEIGHTS

DISTRICT = "510108"
SUB_DISTRICTS = 14
DEPARTMENTS = 25
COMPANIES = ("gas_company", "water_company", "power_company", "maintenance")
LAT, LON = 30.66, 104.12


def credit_code(number: int) -> str:
    """A code whose last character checks."""
    body = f"91510108{number:09d}"
    total = sum(CREDIT_ALPHABET.index(sign) * weight for sign, weight in zip(body, CREDIT_WEIGHTS))
    return body + CREDIT_ALPHABET[(31 - total % 31) % 31]


def organisations(communities: int = 2, grids: int = 2) -> Iterator[dict[str, Any]]:
    """District, sub-districts, communities and grids; centres, departments and owners."""
    yield {"code": DISTRICT, "kind": "district", "name": "Chenghua"}
    for code, kind in (
        ("hub", "centre"),
        ("police-110", "police"),
        ("services", "government_service"),
        ("urban", "urban_management"),
    ):
        yield {"code": code, "kind": kind, "name": code, "parent": DISTRICT, "contacts": "phone:96966"}
    for number in range(DEPARTMENTS):
        yield {"code": f"dept-{number:02d}", "kind": "department", "name": f"D{number}", "parent": DISTRICT}
    for number, duty in enumerate(COMPANIES):
        yield {
            "code": duty.replace("_", "-"),
            "kind": "owner",
            "name": duty,
            "duty": duty,
            "credit_code": credit_code(number),
            "contacts": f"phone:0281234{number:04d}",
        }
    for street in range(1, SUB_DISTRICTS + 1):
        sub = f"{DISTRICT}{street:03d}"
        yield {"code": sub, "kind": "sub_district", "name": f"S{street}", "parent": DISTRICT}
        for block in range(1, communities + 1):
            community = f"{sub}{block:03d}"
            yield {"code": community, "kind": "community", "name": f"C{block}", "parent": sub}
            for cell in range(1, grids + 1):
                yield {"code": f"{community}-{cell:02d}", "kind": "grid", "name": "G", "parent": community}


def people(many: int, communities: int = 2, grids: int = 2) -> Iterator[dict[str, Any]]:
    """Chief and duty officers of the hub, one worker a street and community, grid workers, volunteers."""
    yield _person("chief", "hub", "chief")
    for number in range(4):
        yield _person(f"desk-{number}", "hub", "duty")
    made = 5
    streets = [f"{DISTRICT}{street:03d}" for street in range(1, SUB_DISTRICTS + 1)]
    places = [f"{street}{block:03d}" for street in streets for block in range(1, communities + 1)]
    cells = [f"{place}-{cell:02d}" for place in places for cell in range(1, grids + 1)]
    for org, role in [(s, "grid_1") for s in streets] + [(p, "grid_2") for p in places]:
        yield _person(f"duty-{org}", org, role)
        made += 1
    for number in range(max(0, many - made)):
        role = "volunteer" if number % 2 else "grid_3"
        yield _person(f"w-{number:05d}", cells[number // 2 % len(cells)], role)


def _person(id: str, org: str, role: str) -> dict[str, Any]:
    tail = sum(ord(sign) * 31**n for n, sign in enumerate(id)) % 10**8
    return {
        "person": id,
        "name": f"某{id}",
        "org": org,
        "role": role,
        "contacts": f"sms:+86138{tail:08d}",
        "skills": "first_aid",
        "verified": "yes",
    }


def desk_shifts(first: str = "2026-01-01") -> list[dict[str, Any]]:
    """Three shifts a day at the hub, and a backup around the clock."""
    times = (("00:00", "08:00"), ("08:00", "16:00"), ("16:00", "00:00"))
    rows = [
        {"shift": f"d{n}", "rota": "hub", "person": f"desk-{n}", "start": start, "end": end, "first": first}
        for n, (start, end) in enumerate(times)
    ]
    backup = {"shift": "b", "rota": "hub", "person": "desk-3", "post": "backup", "first": first}
    return [*rows, {**backup, "start": "00:00", "end": "24:00"}]


def write(path: Path, rows: Sequence[Mapping[str, Any]], encoding: str = "utf-8") -> Path:
    """Rows as a CSV."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def bring(directory: Path, name: str, rows: Sequence[Mapping[str, Any]], **how: Any) -> Report:
    """Import rows through a CSV, as a user would."""
    return import_list(directory, name, write(directory.parent / f"{name}.csv", rows), **how)


def settle(directory: Path, many: int = 200) -> Path:
    """A small district with everything that calls people."""
    for name, rows in (
        ("organisations", list(organisations())),
        ("people", list(people(many))),
        ("shifts", desk_shifts()),
    ):
        report = bring(directory, name, rows)
        assert not report.bad, report.bad[:3]
    return directory
