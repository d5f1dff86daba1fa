"""A wearer who does not move is missed at the hours at which this wearer moves, and not in the night."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from detectors.activity import Activity
from detectors.findings import ALARM
from tests.detectors.bands import DAY, HOUR, Watched, channel

STILL, RULE, OFF = (
    {"anna.steps": 0.0, "anna.acceleration_peak": 1.04},
    "wristband.no_activity anna",
    ("wristband.off_wrist anna"),
)


def watched(activity: Activity | None = None) -> Watched:
    return Watched(
        activity or Activity(),
        channel("anna", "steps", 300.0),
        channel("anna", "acceleration_peak", 300.0),
        channel("anna", "on_wrist", 300.0),
    )


def days(
    first: int, last: int, rest_of: tuple[float, float] = (0.0, 0.0), seed: int = 3
) -> Iterator[tuple[float, Mapping[str, float]]]:
    """A wearer up from seven to ten, who walks for some minutes every hour or so; none in `rest_of`."""
    rng = np.random.default_rng(seed)
    walk_until = 0.0
    for second in np.arange(first * DAY, last * DAY, 300.0).tolist():
        hour = second % DAY / HOUR
        if 7 <= hour < 22 and rng.random() < 1 / 12:
            walk_until = second + 300.0
        walks = second < walk_until and not rest_of[0] <= second < rest_of[1]
        yield second, {"anna.steps": 80.0, "anna.acceleration_peak": 1.9} if walks else STILL


def test_a_calm_fortnight_with_its_nights_calls_nobody() -> None:
    assert watched().live(days(0, 14)) == {}


def test_a_morning_without_any_movement_is_missed_in_the_afternoon() -> None:
    quiet_from = 5 * DAY + 7 * HOUR

    rose = watched().live(days(0, 6, (quiet_from, 6 * DAY)))

    assert list(rose) == [RULE]
    (told,) = rose[RULE]
    assert quiet_from + 3 * HOUR < told < quiet_from + 10 * HOUR


def test_movement_ends_it() -> None:
    anna = watched()
    anna.live(days(0, 6, (5 * DAY + 7 * HOUR, 6 * DAY)))
    assert anna.severity()[RULE] == ALARM

    anna.hear(6 * DAY, {"anna.steps": 30.0, "anna.acceleration_peak": 1.8})

    assert anna.severity()[RULE] == 0


def test_neither_a_band_in_a_drawer_nor_silence_counts_as_stillness() -> None:
    anna = watched()
    anna.live(days(0, 5))
    drawer = [(5 * DAY + 8 * HOUR + n * 300.0, STILL | {"anna.on_wrist": 0.0}) for n in range(120)]
    assert anna.live(drawer) == {}
    silent = watched()
    silent.live(days(0, 5))
    silent.hear(5 * DAY + 8 * HOUR, STILL)

    assert silent.hear(5 * DAY + 18 * HOUR, STILL)[RULE] == 0


def test_a_band_that_nobody_wears_for_a_day_is_a_note() -> None:
    anna = watched()
    drawer = [(n * 300.0, {"anna.on_wrist": 0.0}) for n in range(2 * 288)]

    rose = anna.live(drawer)

    assert list(rose) == [OFF] and DAY <= rose[OFF][0] < DAY + HOUR
    assert anna.hear(3 * DAY, {"anna.on_wrist": 1.0})[OFF] == 0


def test_a_new_epoch_forgets_how_long_it_was_still_and_not_what_was_learned() -> None:
    anna = watched()
    anna.live(days(0, 6, (5 * DAY + 7 * HOUR, 6 * DAY)))
    learned = anna.memory["rested_s"].copy()
    anna.restart()

    assert anna.memory["cost"].max() == 0.0
    assert np.array_equal(anna.memory["rested_s"], learned)


def test_what_is_said_holds_no_number() -> None:
    for said in watched().said():
        assert said.sentence and not any(sign.isdigit() for sign in said.sentence)
        assert said.observed is None and not said.numbers
