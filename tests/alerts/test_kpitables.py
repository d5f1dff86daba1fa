"""Kpitables: the report as a sheet; whatever somebody wrote stays a text there."""

import csv
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alerts import kpis, kpitables
from alerts.alarmlog import Log

DAY_NS = 86_400 * 10**9


def empty() -> dict[str, Any]:
    return kpis.report(Log([]), kpis.Period(0, DAY_NS, ZoneInfo("UTC")))


@pytest.mark.parametrize("why", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_reason_that_somebody_gave_is_run_by_a_spreadsheet(why: str) -> None:
    told = {
        "at": "2026-01-01",
        "what": "shelf",
        "rule": "jump",
        "subject": "pump-1",
        "who": "wang",
        "why": why,
    }

    lines = list(csv.DictReader(kpitables.csv({**empty(), "unauthorised": [told]}).splitlines()))

    [found] = [one["value"] for one in lines if one["name"] == "why"]
    assert found == f"'{why}"


def test_figures_below_zero_stay_figures() -> None:
    assert kpitables.plain(-0.5) == "-0.5"
    sheet = kpitables.csv(
        {**empty(), "top": [{"rule": "r", "subject": "s", "kind": "k", "count": 3, "share": -0.5}]}
    )
    assert "Most frequent,1,share,-0.5" in sheet
