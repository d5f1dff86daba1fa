"""Comparing: alarms are the same where rule and channel are; each is paired once, with the nearest."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alerts.comparing import REACH_NS, SECOND_NS, Raised, compared

ONE = Raised("f1", 0, "w1", "w1.flow", "water", "jump", "burst", "P2", True, "It rose.")


def at(seconds: float, fingerprint: str = "f1", **more: Any) -> Raised:
    return replace(ONE, detected_ns=round(seconds * SECOND_NS), fingerprint=fingerprint, **more)


def test_what_only_one_setting_says_is_added_or_removed() -> None:
    found = compared([at(0, "a")], [at(0, "b")])

    assert [one.fingerprint for one in found.removed] == ["a"]
    assert [one.fingerprint for one in found.added] == ["b"]


def test_the_same_alarm_at_another_moment_has_moved() -> None:
    found = compared([at(100), at(100, "b")], [at(40), at(130, "b")])

    assert [pair[1].detected_ns for pair in found.earlier] == [40 * SECOND_NS]
    assert [pair[1].detected_ns for pair in found.later] == [130 * SECOND_NS]
    assert found.as_dict()["later"][0]["moved_s"] == 30


def test_an_alarm_is_paired_with_the_nearest_and_only_once() -> None:
    found = compared([at(0), at(1000)], [at(900), at(1005)])

    assert [(a.detected_ns // SECOND_NS, b.detected_ns // SECOND_NS) for a, b in found.later] == [
        (0, 900),
        (1000, 1005),
    ]
    assert not found.earlier
    assert not [*found.added, *found.removed]


def test_alarms_of_different_hours_are_not_the_same() -> None:
    found = compared([at(0)], [at(REACH_NS / SECOND_NS + 1)])

    assert (len(found.added), len(found.removed)) == (1, 1)


def test_another_grade_at_the_same_moment_is_a_change() -> None:
    found = compared(
        [at(0), at(5, "b"), at(9, "c")], [at(0, grade="P1"), at(5, "b", notify=False), at(9, "c")]
    )

    assert [pair[1].grade for pair in found.changed] == ["P1", "P2"]
    assert found.same == 1
    assert found.counts()["changed"] == {"all": 2, "told": 2}


alarms = st.lists(
    st.builds(at, st.integers(0, 100_000), st.sampled_from("abc"), grade=st.sampled_from(["P1", "P3"])),
    max_size=15,
)


@given(alarms, alarms)
def test_every_alarm_is_counted_once_on_its_side(first: list[Raised], second: list[Raised]) -> None:
    found = compared(first, second)
    pairs = len(found.earlier) + len(found.later) + len(found.changed) + found.same

    assert len(first) == pairs + len(found.removed)
    assert len(second) == pairs + len(found.added)
    assert json.dumps(found.as_dict())


@given(alarms, alarms)
def test_seen_from_the_other_side_added_is_removed_and_earlier_later(
    first: list[Raised], second: list[Raised]
) -> None:
    found, back = compared(first, second), compared(second, first)

    assert len(found.added) == len(back.removed)
    assert len(found.earlier) + len(found.later) == len(back.earlier) + len(back.later)
    assert found.same + len(found.changed) == back.same + len(back.changed)


@given(alarms)
def test_nothing_differs_from_itself(some: list[Raised]) -> None:
    found = compared(some, some)

    assert found.added == found.removed == ()
    assert not [pair for pair in (*found.earlier, *found.later) if pair[0] == pair[1]]
