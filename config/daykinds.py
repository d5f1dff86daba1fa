"""Day kinds: whether a date is a working day, a weekend or a holiday where people live."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache
from importlib import resources
from importlib.metadata import version
from threading import Thread
from typing import Any

log = logging.getLogger(__name__)

WORKDAY, WEEKEND, HOLIDAY = 0, 1, 2
KINDS = 3
_UNIX_DAY = date(1970, 1, 1).toordinal()


def day_kind(country: str, day: int) -> int:
    """Of a day, counted from 1970-01-01. A weekend on which people work (调休) is a working day.

    Where the library `holidays` is missing, or does not know the country or that year, Monday to Friday are
    working days; the log says so once.
    """
    date_of = date.fromordinal(day + _UNIX_DAY)
    return year_kinds(country, date_of.year)[date_of.timetuple().tm_yday - 1]


@cache
def year_kinds(country: str, year: int) -> bytes:
    """The kind of each day of a year."""
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(366)]
    days = [day for day in days if day.year == year]
    known, doubt = _official(country, year) if country else ({}, "")
    if doubt:
        log.warning("%s: the baselines of %d know weekends, and no holidays", doubt, year)
    return bytes(known.get(day, WEEKEND if day.weekday() >= 5 else WORKDAY) for day in days)


def doubts(country: str, years: Iterable[int]) -> list[str]:
    """Why holidays of these years are not known, a sentence each; none where they are."""
    found = {_official(country, year)[1]: None for year in years} if country else {}
    return [doubt for doubt in found if doubt]


def prepare(country: str, years: Iterable[int]) -> None:
    """Load what `day_kind` needs for these years beside what the caller does; it waits for nothing."""
    wanted = tuple(years)
    Thread(target=lambda: [year_kinds(country, year) for year in wanted], daemon=True).start()


@cache
def country_of(timezone: str) -> str:
    """The two letters of the country of a time zone, by the database of time zones; "" for none."""
    table = (resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines() if line and not line.startswith("#"))
    return next((row[0] for row in rows if row[2] == timezone), "")


@cache
def _official(country: str, year: int) -> tuple[dict[date, int], str]:
    """The days of a year that are not what their weekday says, and why none are known, "" where they are.

    China decrees each year anew which days are moved, so that a year counts as known once that is published.
    """
    try:
        import holidays
    except ImportError:
        return {}, "The library of holidays is missing (pip install 'watchline[holidays]')"
    try:
        days: Any = holidays.country_holidays(country, years=year)
    except NotImplementedError:
        return {}, f'The library of holidays knows no country "{country}"'
    decreed = getattr(days, "special_public_holidays", {}) if country == "CN" else ()
    if not days.start_year <= year <= days.end_year or (decreed and year not in decreed):
        return {}, f"The library of holidays ({version('holidays')}) does not know {country} in {year}"
    worked = {day: WORKDAY for day in getattr(days, "weekend_workdays", ()) if day.year == year}
    return {**{day: HOLIDAY for day in days if day.year == year}, **worked}, ""
