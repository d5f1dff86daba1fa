"""Twins: what two gateways tell of one cause is one case; what merely happens at the same time is two."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.centre.cases import Incident, waiting_for
from alerts.centre.desk import Desk
from alerts.centre.events import Event
from tests.alerts.centre.calling.office import START_NS, Office
from tests.alerts.centre.people.district import LAT, LON, bring, credit_code, settle
from tests.alerts.centre.world import Story

GRID = "510108003002-01"
SECOND_NS = 10**9


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = settle(tmp_path_factory.mktemp("district") / "people.sqlite", 200)
    here = {"medium": "water", "grid": GRID, "owner": credit_code(0), "lat": LAT}
    assets = [
        {"asset": "main-7", **here, "lon": LON},
        {"asset": "main-8", **here, "lon": LON + 0.0005},
        {"asset": "main-99", **here, "grid": "510108009001-01", "lat": LAT + 0.1, "lon": LON},
    ]
    bring(directory, "assets", assets)
    return directory


@pytest.fixture
def office(district: Path, tmp_path: Path) -> Iterator[Office]:
    there = Office(tmp_path, district)
    yield there
    there.close()


def tell(office: Office, gateway: str, event: dict[str, Any]) -> None:
    office.desk.gateways.setdefault(gateway, type(office.desk.gateways["gw"])(gateway))
    decoded = msgspec.json.decode(msgspec.json.encode(event), type=Event)
    office.do(office.desk.receive(gateway, [decoded]))


def said(office: Office, gateway: str, place: str, *, after_s: int = 0, **given: Any) -> Story:
    at_ns = START_NS + after_s * SECOND_NS
    story = Story(f"urn:watchline:{gateway}", place, {"event_ns": at_ns, "detected_ns": at_ns, **given})
    tell(office, gateway, story.raised())
    office.sweep()
    return story


def open_ones(desk: Desk) -> list[Incident]:
    return list(desk.board.open.values())


def test_a_main_that_two_gateways_watch_bursts_once(office: Office) -> None:
    first = said(office, "gw", "main-7")
    second = said(office, "gw-2", "main-8", after_s=60)

    (whole,) = open_ones(office.desk)
    assert whole.key == first.key
    assert whole.gateways == ("gw", "gw-2")
    assert office.desk.board.moved_to(office.desk.board.incidents[second.key]) == first.key


@pytest.mark.parametrize(
    "other",
    [
        {"place": "main-99"},
        {"place": "main-8", "kind": "contamination"},
        {"place": "main-8", "medium": "gas", "kind": "slow_leak"},
        {"place": "main-8", "after_s": 7200},
        {"place": "main-7", "kind": "sensor_fault:stuck", "grade": "P4"},
    ],
)
def test_what_is_far_away_later_or_of_another_kind_stays_apart(office: Office, other: dict[str, Any]) -> None:
    said(office, "gw", "main-7")
    said(office, "gw-2", **{"place": "main-8", **other})

    assert all(incident.gateways in (("gw",), ("gw-2",)) for incident in open_ones(office.desk))


def test_neighbours_of_one_gateway_are_its_own_to_tell_apart(office: Office) -> None:
    said(office, "gw", "main-7")
    said(office, "gw", "main-8")

    assert len(open_ones(office.desk)) == 2


def test_a_sag_on_the_feeders_of_three_gateways_is_one(office: Office) -> None:
    for number, gateway in enumerate(("gw", "gw-2", "gw-3")):
        said(office, gateway, f"feeder-{number}", after_s=number, medium="power", kind="voltage_sag")

    (whole,) = open_ones(office.desk)
    assert len(whole.alarms) == 3


def test_a_person_whose_band_is_heard_twice_is_one_case_and_called_about_once(office: Office) -> None:
    person: dict[str, Any] = {"medium": "wristband", "kind": "fall", "channel": None}
    said(office, "gw", "r-7f3a", **person)
    said(office, "gw-2", "r-7f3a", after_s=5, **person)
    said(office, "gw-2", "r-0001", after_s=5, **person)

    assert sorted(len(incident.alarms) for incident in open_ones(office.desk)) == [1, 2]
    office.run(60)
    assert len(office.calls()) == 2, "the desk calls two wearers back"


def test_cases_fold_and_orders_go_to_both_gateways(office: Office) -> None:
    second = said(office, "gw-2", "main-8")
    office.act(second.key, "acknowledged", "a-1")
    first = said(office, "gw", "main-7", after_s=-60)

    (whole,) = open_ones(office.desk)
    assert whole.key == second.key, "the one that people work on stays"
    assert [act.id for act in whole.acts.values() if act.kind == "acknowledged"] == ["a-1"]
    office.act(whole.key, "acknowledged", "a-2")
    orders = {gateway: office.desk.board.pending(gateway)[-1] for gateway in ("gw", "gw-2")}
    assert orders["gw"].body["incident"] == first.incident
    assert orders["gw-2"].body["incident"] == second.incident
    assert {order.kind for order in orders.values()} == {"ack"}


def test_both_gateways_must_say_that_it_is_over_before_it_can_be_closed(office: Office) -> None:
    first, second = said(office, "gw", "main-7"), said(office, "gw-2", "main-8", after_s=60)
    office.act(first.key, "confirmed", "a-1", outcome="real", note="valve shut")
    (whole,) = open_ones(office.desk)

    def missing() -> set[str]:
        return {one.what for one in waiting_for(whole, office.now_ns, 0, False)}

    assert missing() == {"signal"}
    tell(office, "gw", first.cleared())
    assert missing() == {"signal"}
    tell(office, "gw-2", second.cleared())
    assert missing() == set()


def test_a_merger_survives_a_restart_and_is_made_once(office: Office) -> None:
    said(office, "gw", "main-7")
    said(office, "gw-2", "main-8", after_s=1)
    office.kill()
    office.sweep()

    (whole,) = open_ones(office.desk)
    assert whole.gateways == ("gw", "gw-2")
    with office.casebook.reading() as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM fact WHERE type = 'city.linkage.case.merged.v1'"
        ).fetchone()
    assert count == 1
