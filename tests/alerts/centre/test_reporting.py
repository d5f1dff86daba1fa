"""Reporting: an administrator sees how the alarm system did in a month, in both languages; others do not."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from alerts.centre.reporting import month_of
from tests.alerts.centre.world import centre

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW_NS = int(datetime(2026, 3, 5, 12, tzinfo=UTC).timestamp()) * 10**9


def test_the_page_tells_of_this_month_and_staff_are_refused(tmp_path: Path) -> None:
    users = {"chen": "administrator", "wang": "staff"}
    with centre(tmp_path, users=users) as there:
        told = there.gateway().alarm()
        there.gateway().tell(told.raised())
        chen, wang = there.person("chen"), there.person("wang")
        english, chinese = (chen.see(f"/report?lang={one}") for one in ("en", "zh"))
        report = json.loads(chen.request("GET", "/report?form=json").body)
        sheet = chen.request("GET", "/report?form=csv").body.decode("utf-8-sig")

        assert "annunciated a day and operator" in english
        assert "每人每日报警数" in chinese
        assert "water.west.main-7.pressure · jump" in english
        assert report["annunciated"] == 1
        lines = list(csv.DictReader(sheet.splitlines()))
        assert {"table": "Priorities", "row": "3", "name": "priority", "value": "medium"} in lines
        assert (
            sum(
                int(one["value"])
                for one in lines
                if one["name"] == "annunciated" and one["table"] == "per day"
            )
            == 1
        )
        assert ("kpis", "annunciated a day and operator", "most", "144.0") in [
            tuple(one.values()) for one in lines
        ]
        assert wang.request("GET", "/report").status == 403
        assert there.request("GET", "/report").status == 303


@pytest.mark.parametrize(
    ("text", "month", "days"),
    [
        ("2026-02", "2026-02", 28.0),
        ("", "2026-03", 4.83),
        ("2026-13", "2026-03", 4.83),
        ("x", "2026-03", 4.83),
    ],
)
def test_a_month_that_is_none_is_this_one_as_far_as_it_has_come(text: str, month: str, days: float) -> None:
    name, period = month_of(text, SHANGHAI, NOW_NS)

    assert name == month
    assert period.days == pytest.approx(days, abs=0.01)
