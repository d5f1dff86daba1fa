"""Orders: commands from staff are carried out in their tick, or refused with a reason that helps."""

from typing import Any

import pytest

from detectors.findings import ALARM
from ingest.ticks import Command
from tests.alerts.world import Site


def burst() -> tuple[Site, str]:
    """A site with one burst, and its alert id."""
    site = Site()
    site.set("jump", "w.a.pressure", ALARM, -1)
    return site, site.tick()[0].alert_id


def result(site: Site, kind: str, **body: Any) -> tuple[bool, str]:
    site.order(kind, **body)
    (one,) = site.lifecycle.command_results()
    return one.applied, one.reason


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        ("dance", {}, "unknown command 'dance'; known are ack"),
        ("ack", {}, "needs an alert_id or an incident"),
        ("ack", {"alert_id": "nobody"}, "nothing open is named nobody"),
        ("ack", {"alert_id": 7}, "alert_id must be a text"),
        ("shelve", {"alert_id": "@", "seconds": 60}, "needs a reason"),
        ("shelve", {"alert_id": "@", "reason": "x"}, "needs seconds, or one_shot"),
        ("shelve", {"alert_id": "@", "reason": "x", "seconds": "long"}, "seconds must be a number"),
        ("shelve", {"alert_id": "@", "reason": "x", "seconds": 3601}, "for 3600 s at most"),
        ("shelve", {"alert_id": "@", "reason": "x", "seconds": -1}, "at most, not -1 s"),
        ("shelve", {"alert_id": "@", "reason": "x", "seconds": float("nan")}, "at most"),
        ("reset", {"alert_id": "@"}, "it is ACTIVE_UNACK"),
        ("out_of_service", {"place": "w.a"}, "needs a permit"),
        ("out_of_service", {"permit": "1"}, "needs a channel or a place"),
        ("out_of_service", {"place": "moon", "permit": "1"}, "no place 'moon'"),
        ("out_of_service", {"channel": "moon", "permit": "1"}, "no channel 'moon'"),
        ("out_of_service", {"place": "w.a", "permit": "1", "until": "soon"}, "not a time"),
        ("out_of_service", {"place": "w.a", "permit": "1", "until": "2020-01-01T00:00:00Z"}, "is past"),
        ("context", {"planned": 7}, "context needs"),
        ("adopt_regime", {}, "needs a channel or a place"),
        ("adopt_regime", {"channel": "moon"}, "no channel 'moon'"),
        ("adopt_regime", {"place": "moon"}, "no place 'moon'"),
        ("context", {"planned": [{"kind": "works"}]}, "planned[0].place: must be a text"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(kind: str, body: dict[str, Any], why: str) -> None:
    site, alert_id = burst()
    body = {name: alert_id if value == "@" else value for name, value in body.items()}

    applied, reason = result(site, kind, **body)

    assert not applied
    assert why in reason
    assert len(site.changes) == 1, "a refused command changes nothing"


def test_a_p1_alarm_cannot_be_shelved() -> None:
    site = Site()
    site.set("sos", "band-7.sos")
    (change,) = site.tick()

    assert result(site, "shelve", alert_id=change.alert_id, seconds=5, reason="x") == (
        False,
        "a P1 alarm cannot be shelved; acknowledge it",
    )


def test_an_incident_is_acknowledged_as_a_whole_and_twice_does_no_harm() -> None:
    site, _ = burst()
    site.set("jump", "w.a.flow", ALARM, 1)
    site.tick()
    incident = site.changes[0].incident

    assert result(site, "ack", incident=incident) == (True, "")
    assert result(site, "ack", incident=incident) == (True, "was acknowledged already")
    assert [change.type for change in site.changes] == ["raised", "raised", "acknowledged", "acknowledged"]


def test_a_command_speaks_of_what_had_been_told_before_its_tick() -> None:
    site, _ = burst()
    site.set("jump", "w.a.flow", ALARM, 1)
    site.tick(commands=[Command("c1", "ack", {"incident": site.changes[0].incident}, "li.wei")])

    states = {alarm.quantity: alarm.state for alarm in site.lifecycle.open_alarms()}
    assert states == {"pressure": "ACTIVE_ACK", "flow": "ACTIVE_UNACK"}


def test_unshelving_is_told_at_once_while_the_condition_holds() -> None:
    site, alert_id = burst()
    site.order("shelve", alert_id=alert_id, seconds=600, reason="x")
    (change,) = site.order("unshelve", alert_id=alert_id)

    assert (change.type, change.notify, change.actor) == ("unshelved", True, "li.wei")
    assert site.lifecycle.overlays.shelves == {}


def test_a_rise_to_p1_ends_a_shelf_at_once() -> None:
    site = Site()
    site.set("gas.ch4.high", "g.b.ch4", 1)
    (mild,) = site.tick()
    site.order("shelve", alert_id=mild.alert_id, seconds=3000, reason="x")
    site.set("gas.ch4.high", "g.b.ch4", ALARM)

    risen, back = site.tick()

    assert (risen.grade, risen.notify) == ("P1", False)
    assert (back.type, back.notify) == ("unshelved", True)


def test_a_place_returns_to_service_by_word() -> None:
    site = Site()
    site.order("out_of_service", place="w.a", permit="W-1")
    site.set("jump", "w.a.pressure", ALARM, -1)
    site.tick()

    (back,) = site.order("out_of_service", place="w.a", **{"return": True})

    assert (back.notify, back.actor) == (True, "li.wei")


def test_a_command_that_this_version_does_not_know_is_refused_so_that_nobody_repeats_it() -> None:
    site, _ = burst()

    site.order("dance", people=[])

    results = site.lifecycle.command_results()
    assert [one.applied for one in results] == [False]
    assert "unknown command 'dance'" in results[0].reason


def test_a_new_regime_is_told_at_the_alarms_of_its_channel() -> None:
    site, alert_id = burst()

    changes = site.order("adopt_regime", place="w.a", reason="meter exchanged")

    assert [one.applied for one in site.lifecycle.command_results()] == [True]
    assert {(one.type, one.notify, one.reason) for one in changes} == {("updated", False, "meter exchanged")}
    assert alert_id in {one.alert_id for one in changes}


def test_a_confirmation_is_a_cloud_event_for_the_outbox() -> None:
    site, alert_id = burst()
    site.order("ack", alert_id=alert_id)
    (one,) = site.lifecycle.command_results()

    event = one.cloud_event("urn:watchline:north", site.now_ns)

    assert event["type"] == "city.linkage.command.confirmed.v1"
    assert event["data"] == {"command": one.command, "result": "applied", "reason": ""}
    assert event["id"] == f"command-{one.command}"
