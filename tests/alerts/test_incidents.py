"""Incidents: one cause is one incident; what merely happens nearby or at the same time is not."""

import numpy as np
import pytest

from alerts.alert import AlertChange
from config.channels import Channel, ChannelTable, Link, Planned
from detectors.findings import ALARM, WARNING
from ingest.ticks import SECOND_NS
from tests.alerts.world import LINKS, START_NS, Site


def strange(site: Site, *where: tuple[str, str, int], after_s: float = 1.0) -> list[AlertChange]:
    """These (rule, channel, direction) turn strange in one tick."""
    for rule, channel, direction in where:
        site.set(rule, channel, ALARM, direction)
    return site.tick(after_s)


def incidents(changes: list[AlertChange]) -> int:
    return len({change.incident for change in changes})


def told(changes: list[AlertChange]) -> list[AlertChange]:
    return [change for change in changes if change.notify]


def test_the_alarms_of_one_place_are_one_incident_told_once() -> None:
    site = Site()

    strange(site, ("jump", "w.a.pressure", -1))
    strange(site, ("drift", "w.a.pressure", -1), after_s=600.0)
    strange(site, ("jump", "w.a.flow", 1), after_s=600.0)

    assert incidents(site.changes) == 1
    assert [change.seq for change in told(site.changes)] == [1]


def test_a_burst_on_forty_channels_is_one_incident_and_one_message() -> None:
    count = 40
    channels = ChannelTable(
        [Channel(f"w{n}.pressure", "water", f"w{n}", "pressure", "kPa", 60.0) for n in range(count)]
    )
    links = [Link(f"w{n}", f"w{n + 1}", "pipe") for n in range(count - 1)]
    site = Site([("jump", id, "") for id in channels.ids], links=links, channels=channels)
    for n in np.random.default_rng(3).permutation(count).tolist():
        strange(site, ("jump", f"w{n}.pressure", -1), after_s=20.0)

    final = {change.alert_id: change.incident for change in site.changes}
    assert len(final) == count
    assert len(set(final.values())) == 1


def test_linked_places_merge_within_a_few_hops_and_some_time() -> None:
    site = Site(links=LINKS)

    changes = strange(site, ("jump", "w.a.pressure", -1)) + strange(
        site, ("jump", "w.b.pressure", -1), after_s=300.0
    )

    assert incidents(changes) == 1
    assert len(told(changes)) == 1


def test_places_further_along_the_pipe_do_not_merge_by_themselves() -> None:
    site = Site(links=LINKS)

    assert incidents(strange(site, ("jump", "w.a.pressure", -1), ("jump", "w.c.pressure", -1))) == 2


def test_an_unrelated_neighbour_an_hour_later_is_another_incident() -> None:
    site = Site(links=LINKS)

    changes = strange(site, ("jump", "w.a.pressure", -1)) + strange(
        site, ("jump", "w.b.pressure", -1), after_s=3600.0
    )

    assert incidents(changes) == 2
    assert len(told(changes)) == 2


def test_a_late_parent_joins_what_it_caused_into_one() -> None:
    far = Link("w.b", "w.c", "pipe")
    site = Site(links=[Link("w.a", "w.b", "pipe"), far, Link("w.c", "w.d", "pipe")])
    site.lifecycle.incidents.merging = type(site.lifecycle.incidents.merging)(hops=1)
    first, second = strange(site, ("jump", "w.a.pressure", -1), ("jump", "w.c.pressure", -1))
    assert first.incident != second.incident

    changes = strange(site, ("jump", "w.b.pressure", -1))

    (moved,) = [change for change in changes if change.type == "updated"]
    (parent,) = [change for change in changes if change.type == "raised"]
    assert moved.extra["supersedes"] == parent.extra["supersedes"] == [second.incident]
    assert {moved.incident, parent.incident} == {first.incident}
    assert not told(changes)


def test_without_links_the_same_medium_and_zone_at_the_same_time_is_one() -> None:
    site = Site()

    assert incidents(strange(site, ("jump", "w.a.pressure", -1), ("jump", "w.b.pressure", -1))) == 1
    assert incidents(strange(Site(), ("jump", "w.a.pressure", -1), ("jump", "w.c.pressure", -1))) == 2
    assert incidents(strange(Site(), ("jump", "w.a.pressure", -1), ("jump", "g.a.pressure", -1))) == 2


def test_without_links_ten_minutes_apart_are_two() -> None:
    site = Site()

    changes = strange(site, ("jump", "w.a.pressure", -1)) + strange(
        site, ("jump", "w.b.pressure", -1), after_s=600.0
    )

    assert incidents(changes) == 2


def test_a_sag_on_all_feeders_is_one_across_zones() -> None:
    site = Site()

    changes = strange(site, ("jump", "p.b.voltage_min", -1), ("jump", "p.c.voltage_min", -1))

    assert incidents(changes) == 1
    assert {change.kind for change in changes} == {"voltage_sag"}


def test_one_person_is_one_incident_and_two_persons_are_two() -> None:
    site = Site()

    changes = strange(site, ("fall", "band-7.fall", 0), ("sos", "band-7.sos", 0), ("fall", "band-8.fall", 0))

    assert incidents(changes) == 2
    assert [change.kind for change in changes if change.place == "person-7"] == ["sos", "fall"]
    assert [(change.kind, change.grade) for change in told(changes)] == [("sos", "P1"), ("fall", "P2")]


def test_a_sensor_fault_never_opens_or_joins_an_event() -> None:
    site = Site()

    event, fault = strange(site, ("jump", "w.a.pressure", -1), ("stuck", "w.a.flow", 0))

    assert (event.kind, fault.kind, fault.grade) == ("burst", "sensor_fault:stuck", "P4")
    assert event.incident != fault.incident
    assert event.notify


def test_the_sensors_of_a_zone_that_fall_silent_together_are_one_notice() -> None:
    site = Site()

    changes = strange(
        site, ("silence", "w.a.pressure", 0), ("silence", "w.b.pressure", 0), ("silence", "w.a.flow", 0)
    )

    assert incidents(changes) == 1
    assert {change.grade for change in changes} == {"P4"}
    assert told(changes) == [], "maintenance is told by the list, not by a call"


def test_information_is_recorded_quietly_and_told_once_it_is_worth_more() -> None:
    test = Planned("bump_test", "g.b", START_NS, START_NS + 600 * SECOND_NS)
    site = Site(planned=[test])
    (quiet,) = strange(site, ("gas.ch4.high_high", "g.b.ch4", 1))

    loud = site.wait(3600.0)

    assert (quiet.grade, quiet.notify) == ("P4", False)
    assert [(change.grade, change.notify) for change in loud] == [("P1", True)]
    assert loud[0].incident == quiet.incident


def test_an_incident_that_grows_worse_is_told_again() -> None:
    site = Site()
    site.set("jump", "w.a.pressure", WARNING, -1)
    (mild,) = site.tick()

    worse, _ = strange(site, ("jump", "w.a.flow", 1))

    assert (mild.grade, mild.notify) == ("P3", True)
    assert (worse.grade, worse.notify, worse.incident) == ("P2", True, mild.incident)


@pytest.mark.parametrize(("later_s", "is_told"), [(60.0, False), (7200.0, True)])
def test_a_danger_of_another_name_does_not_drown_in_an_old_incident(later_s: float, is_told: bool) -> None:
    at = "p.b.voltage_min"
    site = Site([("out", at, "feeder_outage"), ("high", at, "overvoltage"), ("sag", at, "voltage_sag")])
    (opened,) = strange(site, ("out", at, -1))
    site.restart()

    other = told(strange(site, ("high", at, 1), after_s=later_s))
    soon_after = told(strange(site, ("sag", at, -1), after_s=60.0))

    assert opened.notify
    assert [change.incident for change in other] == ([opened.incident] if is_told else [])
    assert soon_after == [], "people were told just now"


def test_signs_that_agree_make_two_warnings_a_certainty() -> None:
    site = Site()
    site.set("jump", "w.a.pressure", WARNING, -1)
    site.set("jump", "w.a.flow", WARNING, 1)

    assert [(change.kind, change.grade, change.notify) for change in site.tick()] == [
        ("burst", "P2", True),
        ("burst", "P2", False),
    ]


def test_a_channel_that_swings_back_is_no_new_evidence_and_nothing_worse() -> None:
    site = Site()
    site.set("jump", "band-7.heart_rate", WARNING, 1)
    site.set("drift", "w.a.pressure", WARNING, -1)
    site.tick()
    site.calm()
    site.tick(600.0)

    changes = strange(site, ("jump", "band-7.heart_rate", -1), ("jump", "w.a.pressure", 1))

    assert {(change.kind, change.grade, change.notify) for change in changes if change.type == "raised"} == {
        ("tachycardia", "P3", False),
        ("slow_leak", "P3", False),
    }


def test_a_kind_is_refined_when_evidence_comes_and_told_when_that_is_worse() -> None:
    site = Site()
    (slow,) = strange(site, ("drift", "g.a.pressure", -1))

    changes = strange(site, ("jump", "g.a.flow", 1))

    assert (slow.kind, slow.grade) == ("regulator_underpressure", "P3")
    assert [(change.type, change.kind, change.grade, change.notify) for change in changes] == [
        ("raised", "third_party_damage", "P1", True),
        ("updated", "third_party_damage", "P1", False),
    ]
    assert changes[1].alert_id == slow.alert_id


def test_an_incident_is_over_when_all_has_been_calm_for_half_an_hour() -> None:
    site = Site()
    strange(site, ("jump", "w.a.pressure", -1))
    site.calm()
    site.tick()

    site.wait(1790.0)
    assert len(site.lifecycle.incidents.open) == 1
    site.wait(20.0)
    assert site.lifecycle.incidents.open == {}
    assert site.lifecycle.next_deadline_ns() is None


def test_ids_come_from_identity_and_first_tick_alone() -> None:
    (here,) = strange(Site(), ("jump", "w.a.pressure", -1))
    (there,) = strange(Site(links=LINKS), ("jump", "w.a.pressure", 1))
    (later,) = strange(Site(), ("jump", "w.a.pressure", -1), after_s=2.0)

    assert (here.alert_id, here.incident, here.fingerprint) == (
        there.alert_id,
        there.incident,
        there.fingerprint,
    )
    assert later.fingerprint == here.fingerprint
    assert later.alert_id != here.alert_id
    assert here.id == f"{here.alert_id}-1"


@pytest.mark.parametrize("shuffled", [1, 2, 3])
def test_order_inside_a_tick_means_nothing(shuffled: int) -> None:
    where = [
        ("jump", "w.a.pressure", -1),
        ("jump", "w.b.pressure", -1),
        ("jump", "w.a.flow", 1),
        ("drift", "g.a.flow", 1),
    ]
    rules = [(rule, channel, "") for rule, channel, _ in where]
    np.random.default_rng(shuffled).shuffle(rules)
    plain, mixed = Site(links=LINKS), Site([(r, c, "") for r, c, _ in [tuple(x) for x in rules]], links=LINKS)

    assert [change.id for change in strange(plain, *where)] == [
        change.id for change in strange(mixed, *where)
    ]
