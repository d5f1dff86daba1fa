"""Why: an alert says what was expected, what tipped it, what would have kept it silent; no wearer's does."""

import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import Any

import pytest

from alerts.belief import PATTERNS
from alerts.incidents import Alarm
from alerts.why import silent_where
from config.chinese import read_chinese
from detectors.findings import ALARM
from tests.alerts.world import Around, Site

DAYS = [{"date": "2026-01-04", "value": 301.5}, {"date": "2026-01-03", "value": 299.0}]


class Known(Around):
    """Beside the last levels, how it was at this hour on the days before."""

    def recent(self, channel: int) -> Mapping[str, Any] | None:
        return {"values": [300.0] * 60, "period_s": 60.0, "end": "2026-01-05T00:00:00.000Z", "days": DAYS}


def burst() -> Site:
    site = Site()
    site.around = Known()
    site.set("jump", "w.a.pressure", ALARM, -1)
    site.set("jump", "w.a.flow", ALARM, +1, value=80.0)
    site.tick()
    return site


def alarm(rule: str, direction: int = 0, **given: Any) -> Alarm:
    one = Alarm(rule, "f", "a", rule, 0, "water", "w.a", "north", "pressure", 60.0, "", direction=direction)
    one.numbers, one.observed = given.get("numbers", {}), given.get("observed")
    return one


def test_an_alert_says_what_was_expected_and_how_it_was_on_the_days_before() -> None:
    raised = next(change for change in burst().changes if change.channel == "w.a.pressure")
    why = raised.cloud_event("urn:x")["data"]["why"]

    assert why["value"] == 251.0
    assert why["expected"] == 300.0
    assert why["days"] == DAYS
    assert "This hour on the 2 days before: 299 to 301.5 kPa." in why["text"]
    assert "此前 2 天同一时段为 299 至 301.5 kPa" in why["text_zh"]


def test_contributions_name_rules_and_channels_and_their_shares_add_up() -> None:
    site = burst()
    site.score = 0.8
    site.set("drift", "w.b.pressure", ALARM, -1)
    last = site.tick()[-1].extra["why"]

    assert {one["channel"] for one in last["by_channel"]} <= {"w.a.pressure", "w.a.flow", "w.b.pressure"}
    for shares in (last["by_rule"], last["by_channel"]):
        assert shares
        assert sum(one["share"] for one in shares) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (alarm("w.p.high", 1, observed={"value": 9.0, "limit": 8.0, "op": ">="}), {"below": 8.0}),
        (alarm("w.p.low", -1, observed={"value": 1.0, "limit": 2.0, "op": "<="}), {"above": 2.0}),
        (alarm("jump", -1, numbers={"low": 312.04, "high": 340.0}), {"above": 312.04}),
        (alarm("rhythm", 1, numbers={"low": 312.04, "high": 340.0}), {"below": 340.0}),
        (alarm("silence", numbers={"limit_s": 900.0, "age_s": 1000.0}), {"within_s": 900.0}),
        (alarm("novel"), {}),
    ],
)
def test_the_nearest_value_that_would_have_kept_it_silent(one: Alarm, expected: dict[str, float]) -> None:
    assert silent_where(one) == expected


def test_what_people_are_told_brings_a_small_picture_that_a_browser_need_not_trust() -> None:
    told = next(change for change in burst().changes if change.notify)
    folded = next(change for change in burst().changes if not change.notify)
    svg = told.extra["plot"]["svg"]

    assert len(svg.encode()) < 30_000
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "<script" not in svg
    assert "svg" not in folded.extra["plot"]


def test_a_picture_is_drawn_in_well_under_a_second() -> None:
    began = time.perf_counter()
    burst()

    assert time.perf_counter() - began < 60  # a few milliseconds; the machine may be busy


def test_nothing_of_it_is_said_of_a_person() -> None:
    site = Site()
    site.around = Known()
    site.set("jump", "band-7.heart_rate", ALARM, +1, value=140.0)
    site.set("fall", "band-7.fall", ALARM)
    changes = site.tick()

    assert changes
    for change in changes:
        assert not {"why", "plot"} & change.extra.keys()
        assert not any(sign.isdigit() for sign in change.extra["because_zh"])


def test_the_chinese_sentence_says_what_the_english_one_says() -> None:
    first = burst().changes[0]

    assert first.extra["because_zh"].startswith("w.a ")
    assert "很可能是供水管爆裂" in first.extra["because_zh"]
    assert "251 kPa，预期 300" in next(
        change.extra["because_zh"] for change in burst().changes if change.channel == "w.a.pressure"
    )


def test_a_clearing_is_told_in_both_languages() -> None:
    site = burst()
    site.calm()
    site.tick()
    cleared = [change for change in site.changes if change.type == "cleared"]

    assert cleared
    assert all(change.extra["because_zh"].endswith("已恢复正常。") for change in cleared)


def test_reasons_of_the_table_of_signs_have_chinese_words() -> None:
    """Where one is new: a line in config/chinese.toml."""
    reasons = {pattern.reason for pattern in PATTERNS if pattern.reason}

    assert reasons - read_chinese().reason.keys() == set()
