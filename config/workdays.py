"""Workdays: hours and days on which people work, and when a limit such as "4 working hours" is over."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from typing import Any, Literal
from zoneinfo import ZoneInfo

from config.errors import SettingsError

SECOND_NS = 10**9
HORIZON_DAYS = 3660  # a limit that is not over within ten years is a mistake
Unit = Literal["clock", "working hours", "working days"]

_UNITS: dict[str, tuple[Unit, float]] = {
    "s": ("clock", 1.0),
    "min": ("clock", 60.0),
    "分钟": ("clock", 60.0),
    "h": ("clock", 3600.0),
    "小时": ("clock", 3600.0),
    "d": ("clock", 86400.0),
    "天": ("clock", 86400.0),
    "working hour": ("working hours", 3600.0),
    "working hours": ("working hours", 3600.0),
    "工作时": ("working hours", 3600.0),
    "working day": ("working days", 1.0),
    "working days": ("working days", 1.0),
    "工作日": ("working days", 1.0),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """A time in which something must be done, in the unit that local rules use."""

    amount: float  # seconds (clock, working hours) or whole days
    unit: Unit
    text: str  # as it was written


def limit(text: str) -> Limit:
    """ "15 min", "2 h", "4 working hours" or "4 工作时", "1 working day" or "1 工作日"; ValueError else."""
    written = re.fullmatch(r"\s*([0-9]{1,6}(?:\.[0-9]{1,3})?)\s*(.+?)\s*", text)
    unit = _UNITS.get(written[2]) if written else None
    if written is None or unit is None or float(written[1]) <= 0:
        raise ValueError(
            'must be a time such as "15 min", "2 h", "4 working hours" (工作时) or "1 working day" (工作日)'
        )
    if unit[0] == "working days" and not written[1].isdecimal():
        raise ValueError("working days must be a whole number; write the hours as working hours")
    return Limit(float(written[1]) * unit[1], unit[0], " ".join(text.split()))


def hours(text: str) -> tuple[tuple[time, time], ...]:
    """ "09:00-12:00 13:00-17:00" as spans in order; ValueError else."""
    spans = []
    for part in text.split():
        written = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", part)
        if written is None:
            raise ValueError(f'must be spans such as "09:00-12:00 13:00-17:00", not "{part}"')
        spans.append((time(int(written[1]), int(written[2])), time(int(written[3]), int(written[4]))))
    ends = [moment for span in spans for moment in span]
    if not spans or any(later <= earlier for earlier, later in pairwise(ends)):
        raise ValueError("spans must not be empty, follow one another and not overlap")
    return tuple(spans)


@dataclass(frozen=True)
class WorkCalendar:
    """Which moments are working time. `works` says of a date whether people work on it."""

    zone: ZoneInfo
    spans: Sequence[tuple[time, time]]
    works: Callable[[date], bool]

    def due_ns(self, start_ns: int, limit: Limit) -> int:
        """When a limit that began at `start_ns` is over, UTC nanoseconds.

        Working days count from the day after (as local rules do), to the end of work of the last.
        """
        if limit.unit == "clock":
            return start_ns + int(limit.amount * SECOND_NS)
        if limit.unit == "working days":
            return self._end_of_day(start_ns, int(limit.amount))
        left_ns = int(limit.amount * SECOND_NS)
        for begin_ns, end_ns in self._working(start_ns):
            if end_ns - begin_ns >= left_ns:
                return begin_ns + left_ns
            left_ns -= end_ns - begin_ns
        raise ValueError(
            f"{limit.text} is not over within {HORIZON_DAYS} days: check work_hours and holidays"
        )

    def worked_s(self, start_ns: int, end_ns: int) -> float:
        """Working time between two moments, in seconds."""
        total_ns = 0
        for begin_ns, until_ns in self._working(start_ns):
            if begin_ns >= end_ns:
                break
            total_ns += min(until_ns, end_ns) - begin_ns
        return total_ns / SECOND_NS

    def _end_of_day(self, start_ns: int, days: int) -> int:
        first = self._date(start_ns)
        for number in range(1, HORIZON_DAYS):
            day = first + timedelta(days=number)
            days -= self.works(day)
            if days == 0:
                return self._ns(day, self.spans[-1][1])
        raise ValueError(f"no {days} working days within {HORIZON_DAYS} days: check holidays")

    def _working(self, start_ns: int) -> Iterator[tuple[int, int]]:
        """Working spans from `start_ns` on; the first may be cut by it."""
        first = self._date(start_ns)
        for number in range(HORIZON_DAYS):
            day = first + timedelta(days=number)
            if not self.works(day):
                continue
            for begin, end in self.spans:
                begin_ns, end_ns = max(self._ns(day, begin), start_ns), self._ns(day, end)
                if begin_ns < end_ns:
                    yield begin_ns, end_ns

    def _date(self, moment_ns: int) -> date:
        return datetime.fromtimestamp(moment_ns // SECOND_NS, self.zone).date()

    def _ns(self, day: date, moment: time) -> int:
        return int(datetime.combine(day, moment, self.zone).timestamp()) * SECOND_NS


def work_calendar(
    zone: str, spans: str, country: str, free: Sequence[date] = (), working: Sequence[date] = ()
) -> WorkCalendar:
    """A calendar of Monday to Friday, a country's holidays and make-up working days, and exceptions.

    SettingsError where the holidays of a country are not known.
    """
    official = _official(country) if country else (lambda day: day.weekday() < 5)
    exceptions = {**dict.fromkeys(free, False), **dict.fromkeys(working, True)}
    known: dict[date, bool] = {}

    def works(day: date) -> bool:
        if day not in known:
            known[day] = exceptions.get(day, official(day))
        return known[day]

    return WorkCalendar(ZoneInfo(zone), hours(spans), works)


@cache
def _official(country: str) -> Callable[[date], bool]:
    """Whether a date is a working day of a country, by the library `holidays` (make-up days included)."""
    try:
        import holidays
    except ImportError as error:
        raise SettingsError(
            "[cases] holidays needs a library: pip install 'watchline[centre]', or set holidays = \"\""
        ) from error
    try:
        days: Any = holidays.country_holidays(country)
    except NotImplementedError as error:
        raise SettingsError(f"[cases] holidays: {country_unknown(country)}") from error
    return lambda day: bool(days.is_working_day(day))


def country_unknown(country: str) -> str:
    """What is wrong with a country whose holidays are asked for, with the nearest one; "" where nothing is.

    Nothing is said where the library that knows them is missing: the centre's extra brings it.
    """
    from difflib import get_close_matches

    try:
        from holidays import registry
    except ImportError:
        return ""
    codes = {name.lower(): names[1] for names in registry.COUNTRIES.values() for name in names}
    if not country or country in {name for names in registry.COUNTRIES.values() for name in names}:
        return ""
    close = get_close_matches(country.strip().lower(), codes, n=1, cutoff=0.55)
    nearest = f'did you mean "{codes[close[0]]}"?' if close else 'use its two letters, such as "CN"'
    return f'no country "{country}"; {nearest}'
