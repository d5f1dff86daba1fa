"""Working time: limits in the units of local rules, over nights, weekends, holidays and make-up days."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.clocks import read_clocks, with_limits
from config.errors import SettingsError
from config.grades import GRADES
from config.workdays import SECOND_NS, WorkCalendar, country_unknown, hours, limit, work_calendar

HOURS = "09:00-12:00 13:00-17:00"
CHENGHUA = work_calendar("Asia/Shanghai", HOURS, "CN")


def ns(text: str, zone: str = "Asia/Shanghai") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND_NS


@pytest.mark.parametrize(
    ("start", "allowed", "due"),
    [
        ("2026-11-24T10:00", "2 h", "2026-11-24T12:00"),
        ("2026-11-24T10:00", "4 working hours", "2026-11-24T15:00"),  # over lunch
        ("2026-11-24T16:00", "4 工作时", "2026-11-25T12:00"),  # over night
        ("2026-11-27T16:00", "4 working hours", "2026-11-30T12:00"),  # over a weekend
        ("2026-11-27T16:00", "1 工作日", "2026-11-30T17:00"),
        ("2026-09-30T16:00", "2 working hours", "2026-10-08T10:00"),  # National Day
        ("2026-10-09T16:00", "1 working day", "2026-10-10T17:00"),  # a Saturday that is worked
        ("2026-11-28T10:00", "1 working day", "2026-11-30T17:00"),  # begun on a Saturday
        ("2026-11-24T03:00", "1 working hour", "2026-11-24T10:00"),
    ],
)
def test_a_limit_ends_when_the_district_says_so(start: str, allowed: str, due: str) -> None:
    assert CHENGHUA.due_ns(ns(start), limit(allowed)) == ns(due)


def test_a_night_shift_over_a_change_of_the_clock_has_its_true_length() -> None:
    berlin = work_calendar("Europe/Berlin", "00:00-06:00", "", working=[date(2026, 3, 29)])

    assert (
        berlin.worked_s(ns("2026-03-29T00:00", "Europe/Berlin"), ns("2026-03-29T06:00", "Europe/Berlin"))
        == 5 * 3600
    )


@given(
    start=st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31)),
    amount=st.integers(1, 200),
)
def test_just_so_much_is_worked_until_a_limit_in_working_hours_is_over(start: datetime, amount: int) -> None:
    start_ns = int(start.replace(tzinfo=UTC).timestamp()) * SECOND_NS
    due_ns = CHENGHUA.due_ns(start_ns, limit(f"{amount} working hours"))

    assert CHENGHUA.worked_s(start_ns, due_ns) == amount * 3600
    assert CHENGHUA.worked_s(start_ns, due_ns - SECOND_NS) < amount * 3600
    assert due_ns <= CHENGHUA.due_ns(start_ns, limit(f"{amount + 1} working hours"))


@pytest.mark.parametrize(
    "text", ["", "soon", "0 h", "-1 h", "1.5 working days", "1 fortnight", "9" * 9 + " h"]
)
def test_a_limit_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        limit(text)


@pytest.mark.parametrize("text", ["", "9-17", "12:00-09:00", "09:00-12:00 11:00-17:00", "25:00-26:00"])
def test_hours_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="spans"):
        hours(text)


def test_an_unknown_country_is_named() -> None:
    with pytest.raises(SettingsError, match="Atlantis"):
        work_calendar("UTC", HOURS, "Atlantis")


@pytest.mark.parametrize(
    ("written", "said"),
    [("Chna", '"CN"'), ("chn", '"CN"'), ("cn", '"CN"'), ("Germny", '"DE"'), ("Xyzzyqq", "two letters")],
)
def test_a_country_that_is_misspelt_is_told_the_nearest(written: str, said: str) -> None:
    assert said in country_unknown(written)


@pytest.mark.parametrize("country", ["CN", "CHN", "DE", ""])
def test_a_country_that_is_known_is_no_mistake(country: str) -> None:
    assert country_unknown(country) == ""
    work_calendar("UTC", HOURS, country)


def test_a_calendar_on_which_nobody_ever_works_is_said_and_does_not_hang() -> None:
    never = WorkCalendar(ZoneInfo("UTC"), hours(HOURS), lambda day: False)
    for allowed in ("1 working hour", "1 working day"):
        with pytest.raises(ValueError, match="holidays"):
            never.due_ns(ns("2026-11-24T10:00"), limit(allowed))


def test_each_stage_has_a_clock_for_each_grade_and_graver_ones_are_never_slower() -> None:
    start_ns = ns("2026-11-23T09:00")
    for stage, by_grade in read_clocks().items():
        due = [CHENGHUA.due_ns(start_ns, by_grade[grade]) for grade in GRADES]
        assert due == sorted(due), stage


def test_settings_override_one_clock_and_mistakes_are_named() -> None:
    changed = with_limits(read_clocks(), {"handling": {"P3": "4 工作时"}})
    assert changed["handling"]["P3"].unit == "working hours"
    assert changed["handling"]["P4"] == read_clocks()["handling"]["P4"]
    wrongs: list[dict[str, dict[str, str]]] = [
        {"dance": {}},
        {"handling": {"P9": "1 h"}},
        {"handling": {"P3": "soon"}},
    ]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"dance|P9|handling\.P3"):
            with_limits(read_clocks(), wrong)
