"""What can go wrong, and how it is written down."""

import json
from pathlib import Path
from typing import Any

import pytest

from config.errors import InputError
from simulators.district import demo_district
from simulators.kinds import SCENARIOS
from simulators.scenarios import (
    SECOND_NS,
    Event,
    nanoseconds,
    planned,
    read_script,
    rfc3339,
    script_row,
)

CHANNELS = demo_district(10.0).channels
FITTING = [kind for kind, scenario in SCENARIOS.items() if scenario.places(CHANNELS)]
NOON = "2026-01-07T12:00:00+08:00"
DAY = (nanoseconds(NOON), nanoseconds(NOON) + 86400 * SECOND_NS)
WEEK = (DAY[0], DAY[0] + 7 * 86400 * SECOND_NS)


def script(folder: Path, rows: Any) -> Path:
    path = folder / "script.json"
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return path


@pytest.mark.parametrize("kind", FITTING)
def test_the_seed_decides_what_is_not_given_and_always_alike(kind: str) -> None:
    events = {planned(kind, CHANNELS, seed, 0, {}, WEEK) for seed in range(20)}

    assert events == {planned(kind, CHANNELS, seed, 0, {}, WEEK) for seed in range(20)}
    assert len({event.place for event in events}) > 1 or len(SCENARIOS[kind].places(CHANNELS)) == 1
    assert len({event.start_ns for event in events}) == 20
    for event in events:
        assert event.place in CHANNELS.places
        assert WEEK[0] <= event.start_ns < event.end_ns <= WEEK[1]


def test_what_is_given_is_kept() -> None:
    given = {"place": "water.north.school", "start": NOON, "seconds": 600, "size": 1.5}

    event = planned("burst", CHANNELS, 1, 0, given)

    assert event == Event("burst", "water.north.school", DAY[0], DAY[0] + 600 * SECOND_NS, 1.5)


@pytest.mark.parametrize("kind", FITTING)
def test_a_script_says_an_event_in_full(kind: str, tmp_path: Path) -> None:
    event = planned(kind, CHANNELS, 5, 3, {}, DAY)

    assert read_script(script(tmp_path, [script_row(event)]), CHANNELS, seed=99) == (event,)


def test_no_script_means_that_nothing_happens(tmp_path: Path) -> None:
    assert read_script(tmp_path / "none.json", CHANNELS, 1) == ()


def test_every_mistake_of_a_script_is_named(tmp_path: Path) -> None:
    rows: list[Any] = [
        {"kind": "brust", "start": NOON},
        {"kind": "burst", "start": "2026-01-07 noon"},
        {"kind": "burst", "start": "2026-01-07T12:00:00"},
        {"kind": "burst"},
        {"kind": "burst", "start": NOON, "place": "gas.north.well"},
        {"kind": "fall", "start": NOON, "seconds": "long"},
        {"kind": "fall", "start": NOON, "second": 5},
        {"kind": "fall", "start": NOON, "seconds": -1},
        {"kind": "sensor_fault:stuck", "start": NOON, "channel": "gas.north.well.ch5"},
        "burst",
    ]

    with pytest.raises(InputError) as refused:
        read_script(script(tmp_path, rows), CHANNELS, 1)

    mistakes = refused.value.mistakes
    assert len(mistakes) == len(rows)
    said = (
        "did you mean burst?", "no moment", "no moment", '"start" is missing', "needs a place",
        "must be a number", "did you mean seconds?", "more than 0", "did you mean gas.north.well.ch4?",
        'must be an object with a "kind"',
    )  # fmt: skip
    for number, (mistake, words) in enumerate(zip(mistakes, said)):
        assert words in mistake
        assert f"script.json: event {number}" in mistake or number == 0


@pytest.mark.parametrize("text", ["{", '{"kind": "burst"}', "\xff"])
def test_a_script_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(InputError, match=r"script\.json"):
        read_script(path, CHANNELS, 1)


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1970-01-01T08:00:01+08:00", SECOND_NS),
        ("1970-01-01T00:00:00.25Z", SECOND_NS // 4),
        (1_767_600_000_123_456_789, 1_767_600_000_123_456_789),
    ],
)
def test_moments_are_read_with_their_zone(text: Any, time_ns: int) -> None:
    assert nanoseconds(text) == time_ns


def test_moments_are_written_so_that_they_can_be_read() -> None:
    for time_ns in (0, DAY[0], DAY[0] + 123_456_000):
        assert nanoseconds(rfc3339(time_ns)) == time_ns
