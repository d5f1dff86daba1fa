"""Whom a gateway calls while it is cut off comes from the rotas, and is sent again when they change."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.centre.calling.rosters import Rosters
from alerts.roster import duties_of, on_duty
from config.lists import time_ns
from tests.alerts.centre.calling.office import START_NS, Office
from tests.alerts.centre.people.district import bring, settle

STREET, GRID = "510108003", "510108003002-01"
HOUR_NS = 3600 * 10**9


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    directory = settle(tmp_path / "people.sqlite", 60)
    shift = {"shift": "s1", "rota": STREET, "person": "duty-510108003", "start": "00:00", "end": "24:00",
             "first": "2026-01-01"}  # fmt: skip
    assert not bring(directory, "shifts", [shift]).bad
    there = Office(tmp_path, directory)
    yield there
    there.close()


def rosters(office: Office, **areas: str) -> Rosters:
    return Rosters(office.desk, office.caller.receivers, areas)


def ordered(office: Office) -> list[Any]:
    """The rosters that wait for the gateway to take them."""
    return [one.body["duties"] for one in office.desk.board.pending("gw") if one.kind == "roster"]


def test_a_gateway_calls_by_the_nearest_rota_and_the_desk_hears_of_what_is_urgent(office: Office) -> None:
    asyncio.run(rosters(office, gw=GRID).send())

    (roster,) = ordered(office)
    duties = duties_of(roster)
    assert on_duty(duties, START_NS, "P3") == ["duty-510108003"]
    assert set(on_duty(duties, START_NS, "P2")) == {"duty-510108003", "desk-1"}
    assert set(on_duty(duties, START_NS, "P1")) == {"duty-510108003", "desk-1", "desk-3"}, "and its backup"
    assert set(on_duty(duties, START_NS + 12 * HOUR_NS, "P2")) == {"duty-510108003", "desk-0"}
    assert on_duty(duties, START_NS + 13 * 24 * HOUR_NS, "P3"), "for as long as it may be cut off"


def test_without_a_rota_of_its_own_the_desk_is_called_for_everything(office: Office) -> None:
    asyncio.run(rosters(office, gw="510108009").send())

    assert on_duty(duties_of(ordered(office)[0]), START_NS, "P3") == ["desk-1"]


def test_it_is_sent_again_when_a_rota_changes_or_the_day_does_and_not_otherwise(office: Office) -> None:
    there = rosters(office, gw=GRID)
    for _ in range(3):
        asyncio.run(there.send())
    assert len(ordered(office)) == 1
    office.kill()  # what was sent is on the record
    there = rosters(office, gw=GRID)
    asyncio.run(there.send())
    assert len(ordered(office)) == 1

    change = {"change": "c1", "rota": STREET, "start": "2026-01-01T00:00:00+08:00",
              "end": "2026-01-02T00:00:00+08:00", "person": "desk-2", "reason": "ill"}  # fmt: skip
    assert not bring(office.directory_path, "changes", [change]).bad
    asyncio.run(there.send())
    assert on_duty(duties_of(ordered(office)[-1]), START_NS, "P3") == ["desk-2"]
    office.now_s = 86_400
    asyncio.run(there.send())
    assert len(ordered(office)) == 3


def test_what_staff_ordered_stands_until_its_last_turn_is_over(office: Office) -> None:
    until = "2026-01-02T00:00:00Z"
    body = {"duties": [{"person": "wang", "from": "2026-01-01T00:00:00Z", "until": until}]}
    asyncio.run(office.desk.order("gw", "roster", body, actor="zhao"))
    there = rosters(office, gw=GRID)

    asyncio.run(there.send())
    assert len(ordered(office)) == 1
    office.now_s = (time_ns(until) - START_NS) / 1e9 + 86_400
    asyncio.run(there.send())
    assert on_duty(duties_of(ordered(office)[-1]), office.now_ns, "P3") == ["duty-510108003"]


def test_the_caller_sends_it_in_its_rounds(office: Office) -> None:
    office.caller.rosters = rosters(office, gw=GRID)

    office.sweep()

    assert len(ordered(office)) == 1
