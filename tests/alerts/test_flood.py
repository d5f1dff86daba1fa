"""A flood of alarms is said, P3 wait for its end, P1 and P2 do not, and nothing is lost in it."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from alerts.alert import AlertChange
from alerts.flood import FLOOD
from alerts.judging import told_of
from config.channels import Channel, ChannelTable
from detectors.findings import ALARM
from tests.alerts.world import START_NS, Site

PLACES = 60
MINUTE = 60.0
CHANNELS = ChannelTable(
    [Channel(f"b.{n}.level", "water", f"b.{n}", "level", "m", 60.0, zone=f"zone {n}") for n in range(PLACES)]
)
RULES = [
    *(("level", id, "limit") for id in CHANNELS.ids),  # P3
    *(("burst", id, "burst") for id in CHANNELS.ids),  # P1 or P2
]


def site() -> Site:
    return Site(RULES, channels=CHANNELS)


def strike(town: Site, numbers: range, rule: str = "level", every_s: float = 1.0) -> list[AlertChange]:
    """One place after the other turns strange; what was said of it."""
    return [change for one in struck(town, numbers, rule, every_s) for change in one]


def struck(town: Site, numbers: range, rule: str, every_s: float) -> Iterator[list[AlertChange]]:
    for number in numbers:
        town.set(rule, f"b.{number}.level", ALARM)
        yield town.tick(every_s)


def notices(changes: list[AlertChange]) -> list[AlertChange]:
    return [change for change in changes if change.kind == FLOOD]


def told(changes: list[AlertChange]) -> list[str]:
    return [change.place for change in changes if change.notify and change.kind != FLOOD]


def test_the_eleventh_alarm_within_ten_minutes_begins_a_flood_and_people_hear_so_once() -> None:
    town = site()

    before = strike(town, range(10))
    assert notices(before) == []
    assert len(told(before)) == 10
    said = strike(town, range(10, 20))

    (notice,) = notices(said)
    assert (notice.type, notice.grade, notice.medium, notice.notify) == ("raised", "P3", "system", True)
    assert "11 alarms" in notice.because
    assert told(said) == []
    data = said[0].cloud_event("urn:x")["data"]
    assert data["overlays"] == ["SUPPRESSED_BY_DESIGN"]
    assert data["suppressed_by"] == notice.alert_id
    assert data["flood"] is True


def test_ten_alarms_in_ten_minutes_again_and_again_are_no_flood() -> None:
    said = strike(site(), range(50), every_s=MINUTE)

    assert notices(said) == []
    assert len(told(said)) == 50


def test_one_incident_of_many_alarms_is_one_call_and_no_flood() -> None:
    near = ChannelTable(
        [Channel(f"b.{n}", "water", f"b.{n}", "level", "m", 60.0, zone="one") for n in range(40)]
    )
    town = Site([("level", id, "limit") for id in near.ids], channels=near)
    for id in near.ids:
        town.set("level", id, ALARM)

    assert notices(town.tick()) == []


def test_a_burst_in_a_flood_is_told_at_once_also_where_its_place_was_held() -> None:
    town = site()
    strike(town, range(15))

    said = strike(town, range(13, 17), "burst")

    assert told(said) == [f"b.{n}" for n in range(13, 17)]
    assert all(change.grade < "P3" for change in said if change.notify)


def test_when_it_is_over_what_is_still_on_is_told_and_what_went_by_is_counted() -> None:
    town = site()
    strike(town, range(14))
    town.calm(("level", "b.12.level"))
    town.tick()

    said = town.wait(11 * MINUTE)

    over = [change for change in notices(said) if change.type == "cleared"]
    assert [change.notify for change in over] == [True]
    assert told(said) == ["b.10", "b.11", "b.13"]
    assert over[0].extra["summarised"] == {"water/limit": 4}
    assert notices(town.wait(60 * MINUTE)) == []  # what was let go begins no flood of its own
    assert not town.lifecycle.overlays.flood.on


def test_it_ends_with_fewer_than_five_in_ten_minutes_and_not_before() -> None:
    town = site()
    strike(town, range(12))
    said = strike(town, range(12, 40), every_s=2 * MINUTE)

    assert town.lifecycle.overlays.flood.on
    assert not [change for change in said if change.type == "cleared"]
    assert [change.type for change in town.wait(4 * MINUTE) if change.kind == FLOOD] == ["cleared"]


def test_every_ten_minutes_people_hear_how_many_were_held() -> None:
    said = strike(site(), range(40), every_s=50.0)

    updates = [change for change in notices(said) if change.type == "updated"]
    gaps = [(b.detected_ns - a.detected_ns) / 1e9 for a, b in pairwise(updates)]
    assert updates and all(change.notify for change in updates)
    assert all(600 <= gap < 650 for gap in gaps)
    assert updates[-1].extra["summarised"]["water/limit"] > updates[0].extra["summarised"]["water/limit"]


def test_a_shelf_that_ends_in_a_flood_is_told_when_the_flood_is_over() -> None:
    town = site()
    (first,) = strike(town, range(1))
    town.order("shelve", alert_id=first.alert_id, seconds=MINUTE, reason="known")
    strike(town, range(1, 13))

    said = town.wait(11 * MINUTE)

    assert "b.0" in told(said)
    assert next(c for c in said if c.type == "unshelved").notify is False


@pytest.mark.parametrize("at", [5, 11, 13])
def test_a_flood_goes_on_over_a_restart(at: int) -> None:
    through, restarted = site(), site()
    for town in (through, restarted):
        strike(town, range(at))
        if town is restarted:
            town.restart()
        strike(town, range(at, 15))
        town.wait(30 * MINUTE)

    assert [(c.id, c.type, c.notify) for c in restarted.changes] == [
        (c.id, c.type, c.notify) for c in through.changes
    ]
    assert notices(restarted.changes)


def test_a_snapshot_of_before_there_were_floods_is_read() -> None:
    town = site()
    strike(town, range(3))
    state = dict(town.lifecycle.state())
    overlays = state["overlays"]
    assert isinstance(overlays, dict)
    del overlays["flood"]
    town.lifecycle.restore(state)

    assert notices(strike(town, range(3, 14))) == notices(town.changes)[:1]


def test_the_notice_can_be_acknowledged_and_a_later_flood_is_a_new_one() -> None:
    town = site()
    (first,) = notices(strike(town, range(12)))
    acknowledged = town.order("ack", alert_id=first.alert_id)
    town.wait(60 * MINUTE)
    town.calm()
    town.tick()
    town.wait(60 * MINUTE)
    (second,) = notices(strike(town, range(12)))

    assert [(c.type, c.state) for c in acknowledged] == [("acknowledged", "ACTIVE_ACK")]
    assert second.alert_id != first.alert_id
    assert second.notify


def test_the_notice_counts_neither_as_hit_nor_as_false() -> None:
    (notice,) = notices(strike(site(), range(12)))

    judged = told_of(notice.cloud_event("urn:x"), lambda text: START_NS)

    assert judged is not None
    assert not judged.counted
