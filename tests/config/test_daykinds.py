"""On which days people work: Monday to Friday, but for holidays and the weekends that make up for them."""

from __future__ import annotations

import sys
from datetime import date

import pytest

from config import daykinds
from config.daykinds import HOLIDAY, WEEKEND, WORKDAY, country_of, day_kind, doubts, prepare, year_kinds


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    year_kinds.cache_clear()
    daykinds._official.cache_clear()


def kind(country: str, year: int, month: int, day: int) -> int:
    return day_kind(country, date(year, month, day).toordinal() - date(1970, 1, 1).toordinal())


def test_a_chinese_weekend_that_makes_up_for_a_holiday_is_a_working_day() -> None:
    assert kind("CN", 2026, 2, 14) == WORKDAY  # Saturday before the Spring Festival
    assert kind("CN", 2026, 2, 18) == HOLIDAY  # Wednesday
    assert kind("CN", 2026, 2, 22) == WEEKEND  # Sunday within it
    assert kind("CN", 2026, 3, 7) == WEEKEND
    assert kind("CN", 2026, 3, 9) == WORKDAY


def test_a_year_that_is_not_decreed_yet_falls_back_to_weekdays_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert [kind("CN", 2093, 10, day) for day in (1, 2, 3, 4)] == [WORKDAY, WORKDAY, WEEKEND, WEEKEND]
    assert caplog.text.count("does not know CN in 2093") == 1
    assert doubts("CN", [2026]) == []
    assert "2093" in doubts("CN", [2026, 2093])[0]


def test_no_country_means_weekends_alone() -> None:
    assert kind("", 2026, 1, 1) == WORKDAY
    assert doubts("", [2026]) == []


def test_an_unknown_country_is_named() -> None:
    assert kind("Atlantis", 2026, 1, 1) == WORKDAY
    assert "Atlantis" in doubts("Atlantis", [2026])[0]


def test_without_the_library_weekends_are_known_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    assert kind("CN", 2026, 2, 18) == WORKDAY and kind("CN", 2026, 3, 7) == WEEKEND
    assert "pip install" in doubts("CN", [2026])[0]
    daykinds._official.cache_clear()


def test_a_time_zone_has_a_country() -> None:
    assert [country_of(zone) for zone in ("Asia/Shanghai", "Europe/Berlin", "UTC")] == ["CN", "DE", ""]


def test_what_is_prepared_elsewhere_is_the_same() -> None:
    prepare("CN", [2025])
    assert kind("CN", 2025, 10, 1) == HOLIDAY
