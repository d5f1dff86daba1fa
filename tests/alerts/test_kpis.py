"""Kpis: the figures of ISA-18.2 on logs that are easily counted by hand."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.alarmlog import Entry, Log, Setting, Taken, entry_of
from alerts.flood import TEN_MINUTES_NS
from alerts.kpis import DAY_NS, SECOND_NS, Period, floods, report
from config.lists import time_ns

START_NS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * SECOND_NS
JANUARY = Period(START_NS, START_NS + 31 * DAY_NS, UTC)


def entry(at_s: float, alert: str = "a", **given: Any) -> Entry:
    """An alert raised and told, unless said otherwise."""
    usual: dict[str, Any] = {
        "type": "raised", "incident": f"i-{alert}", "rule": "jump", "subject": "w.a.pressure",
        "grade": "P4", "kind": "burst", "state": "ACTIVE_UNACK", "told": True,
    }  # fmt: skip
    return Entry(at_ns=START_NS + round(at_s * SECOND_NS), alert=alert, **{**usual, **given})


def cleared(at_s: float, alert: str = "a", **given: Any) -> Entry:
    return entry(at_s, alert, **{"type": "cleared", "state": "NORMAL", "told": True, **given})


def told(log: list[Entry], **given: Any) -> dict[str, Any]:
    return report(Log(log, **given), JANUARY)


def kpi(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in found["kpis"] if one["name"] == name)


def test_what_people_were_told_is_counted_and_a_clearing_is_not() -> None:
    found = told([entry(0), entry(5, "b", told=False), cleared(60), entry(90, "c", type="updated")])

    assert found["annunciated"] == 2
    assert found["activations"] == 2
    assert found["per_day"][0]["annunciated"] == 2
    assert kpi(found, "annunciated a day and operator")["value"] == pytest.approx(2 / 31, rel=1e-4)


def test_eleven_in_ten_minutes_are_a_flood_and_ten_are_none() -> None:
    ten = [entry(60.0 * n, f"a{n}", subject=f"c{n}") for n in range(10)]

    assert told(ten)["floods"] == []
    flood = told([*ten, entry(555.0, "last", subject="last")])
    assert flood["floods"][0]["annunciated"] == 11
    assert kpi(flood, "10-minute periods with more than 10")["value"] == pytest.approx(100 / 4464, rel=1e-4)
    assert flood["floods"][0]["to"] == "2026-01-01T00:16:00.000Z"  # four are younger than 10 min then


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 7200), max_size=60))
def test_a_flood_is_found_as_by_looking_at_every_second(seconds: list[int]) -> None:
    times = sorted(second * SECOND_NS for second in seconds)
    inside, expected = False, []
    for now in range(3 * 7200):
        recent = sum(now * SECOND_NS - TEN_MINUTES_NS < when <= now * SECOND_NS for when in times)
        inside = recent >= 5 if inside else recent > 10
        expected.append(inside)
    found = floods(times, 3 * 7200 * SECOND_NS)

    assert [any(b <= now * SECOND_NS < e for b, e in found) for now in range(3 * 7200)] == expected


def test_three_times_within_a_minute_is_chattering_and_a_short_one_alone_is_fleeting() -> None:
    flapping = [one for n in range(3) for one in (entry(20.0 * n, f"f{n}"), cleared(20.0 * n + 5, f"f{n}"))]
    lonely = [entry(3600, "x", subject="w.b.flow"), cleared(3608, "x", subject="w.b.flow")]
    found = told([*flapping, *lonely])

    assert [(one["subject"], one["times"]) for one in found["chattering"]] == [("w.a.pressure", 1)]
    assert [one["subject"] for one in found["fleeting"]] == ["w.a.pressure", "w.b.flow"]
    assert found["fleeting"][0]["times"] == 1  # the last of the three did not come again


def test_an_alarm_that_stands_for_more_than_a_day_is_stale_on_each_day_after() -> None:
    found = told([entry(12 * 3600), cleared(3.5 * 86400), entry(0, "b", subject="x"), cleared(3600, "b")])

    assert [(one["subject"], one["hours"]) for one in found["stale"]] == [("w.a.pressure", 72.0)]
    assert [day["stale"] for day in found["per_day"][:5]] == [0, 1, 1, 1, 0]


def test_what_began_before_the_month_still_stands_in_it() -> None:
    assert len(told([entry(-5 * 86400)])["stale"]) == 1


def test_the_ten_most_frequent_and_the_mix_of_priorities() -> None:
    log = [entry(60.0 * n, f"a{n}", subject=f"c{n % 12}", grade="P1" if n == 0 else "P4") for n in range(36)]
    found = told(log)

    assert len(found["top"]) == 10
    assert found["top"][0]["count"] == 3
    assert found["priorities"]["highest"] == {"count": 1, "percent": pytest.approx(2.778)}
    assert kpi(found, "highest priority")["met"] is False


def test_time_to_acknowledge_counts_from_the_call_to_whoever_took_it_first() -> None:
    log = [
        entry(0, "a", grade="P1"),
        entry(100, "a", type="acknowledged", state="ACTIVE_ACK", told=False, grade="P1"),
        entry(1000, "b", grade="P1"),
        entry(2000, "c", grade="P1"),
    ]
    found = told(log, taken=[Taken(START_NS + 1300 * SECOND_NS, "i-b", "li.wei")])["acknowledged"]["P1"]

    assert (found["annunciated"], found["acknowledged"], found["in_time"]) == (3, 2, 1)
    assert (found["median_s"], found["longest_s"]) == (200.0, 300.0)


def test_a_shelf_without_reason_name_or_right_is_unauthorised() -> None:
    until = START_NS + 600 * SECOND_NS

    def shelf(**given: Any) -> Entry:
        usual = {"type": "shelved", "told": False, "actor": "li.wei", "reason": "works", "until_ns": until}
        return entry(0, **{**usual, **given})

    def whys(one: Entry) -> list[str]:
        return [found["why"] for found in told([one], staff=frozenset({"li.wei"}))["unauthorised"]]

    assert whys(shelf()) == []
    assert whys(shelf(reason=" ")) == ["no reason given"]
    assert whys(shelf(actor="mallory")) == ["no such account at the centre"]
    assert whys(shelf(grade="P1")) == ["P1 may not be shelved"]
    assert whys(shelf(grade="P2", until_ns=START_NS + 2 * 3600 * SECOND_NS)) == [
        "longer than 60 min, the most for P2"
    ]


def test_changed_settings_want_somebodys_approval() -> None:
    log = Log(
        [], settings=[Setting(START_NS + 1, "site-1", "abc123"), Setting(START_NS + 2, "site-1", "def")]
    )

    assert [one["why"] for one in report(log, JANUARY, approved=["abc"])["unauthorised"]] == [
        "settings def without approval"
    ]


def test_days_are_those_of_the_city_also_when_clocks_change() -> None:
    zone = ZoneInfo("Europe/Berlin")
    start, end = (int(datetime(2026, 3, day, tzinfo=zone).timestamp()) * SECOND_NS for day in (28, 31))
    lengths = [(e - b) // (3600 * SECOND_NS) for _, b, e in Period(start, end, zone).dates()]

    assert lengths == [24, 23, 24]


def test_an_empty_month_has_a_report_that_json_can_say() -> None:
    found = told([])

    assert json.loads(json.dumps(found)) == found
    assert all(one["met"] is not False for one in found["kpis"])


def test_an_alert_change_is_read_as_it_goes_over_the_wire() -> None:
    event = {
        "type": "city.linkage.alert.shelved.v1",
        "data": {
            "alert_id": "a", "incident": "i", "rule": {"id": "jump", "version": 1}, "place": "w.a",
            "grade": "P3", "kind": "burst", "state": "ACTIVE_ACK", "notify": False, "actor": "li.wei",
            "reason": "works", "t": {"detected": "2026-01-01T00:00:00.000Z"},
            "shelved_until": "2026-01-01T00:10:00.000Z",
        },
    }  # fmt: skip
    read = entry_of(event, time_ns)

    assert read is not None
    assert (read.subject, read.rule, read.until_ns - read.at_ns) == ("w.a", "jump", 600 * SECOND_NS)
    assert entry_of({"type": "city.linkage.node.heartbeat.v1", "data": {}}, time_ns) is None
