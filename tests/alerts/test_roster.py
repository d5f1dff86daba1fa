"""The roster of a gateway's own people: what may stand on it, who is on duty, and a restart."""

from typing import Any

import pytest

from alerts.roster import duties_of, from_json, on_duty, to_json
from config.lists import time_ns
from tests.alerts.world import Site

EVENING = {"person": "wang", "from": "2026-01-05T16:00:00Z", "until": "2026-01-06T00:00:00Z"}
NIGHT = {"person": "li", "from": "2026-01-06T00:00:00Z", "until": "2026-01-06T08:00:00Z", "grades": ["P1"]}


def test_who_is_on_duty_changes_at_the_boundary_and_by_grade() -> None:
    duties = duties_of([EVENING, NIGHT])

    assert on_duty(duties, time_ns("2026-01-05T23:59:59Z"), "P3") == ["wang"]
    assert on_duty(duties, time_ns("2026-01-06T00:00:00Z"), "P1") == ["li"]
    assert on_duty(duties, time_ns("2026-01-06T00:00:00Z"), "P3") == []
    assert from_json(to_json(duties)) == duties


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        (None, "duties"),
        ("wang", "duties"),
        ([EVENING] * 1001, "at most"),
        (["wang"], r"duties\[0\]"),
        ([EVENING, {**NIGHT, "person": "mailto:li@example.org?x=<y>"}], r"duties\[1\].person"),
        ([{**NIGHT, "grades": ["P9"]}], "grades"),
        ([{**NIGHT, "from": "soon"}], "from and until"),
        ([{**NIGHT, "until": NIGHT["from"]}], "until must come after from"),
    ],
)
def test_a_roster_that_cannot_be_used_is_refused_and_says_where(entries: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        duties_of(entries)


def test_the_centre_sets_the_roster_by_command_and_it_survives_a_restart() -> None:
    site = Site()
    site.order("roster", duties=[EVENING, NIGHT])
    site.order("roster", duties="nonsense")
    assert [one.applied for one in site.lifecycle.command_results()] == [True, False]

    later = Site()
    later.lifecycle.restore(site.lifecycle.state())

    assert [duty.person for duty in later.lifecycle.duties] == ["wang", "li"]
