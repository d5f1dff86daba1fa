"""A wearer's vital signs are compared with the wearer's own, at rest; whoever walks is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest

from detectors.vitals import Vitals
from tests.detectors.bands import DAY, HOUR, Watched, channel

Change = Callable[[float, dict[str, float]], None]
PERIODS = dict.fromkeys(("heart_rate", "spo2", "skin_temperature", "hrv_rmssd", "steps"), 300.0)
ONSET = 2 * DAY + 15 * HOUR


def watched(vitals: Vitals | None = None) -> Watched:
    return Watched(vitals or Vitals(), *(channel("anna", q, p) for q, p in PERIODS.items()))


def life(
    first: float, last: float, change: Change | None = None, seed: int = 5
) -> Iterator[tuple[float, Mapping[str, float]]]:
    """Slower and warmer asleep, walks on which the heart races, noise as bands have it; a row in 5 min."""
    rng = np.random.default_rng(seed)
    for second in np.arange(first, last, 300.0).tolist():
        awake = 7 <= second % DAY / HOUR < 22
        walks = awake and second % 7200 < 900
        values = {
            "heart_rate": 60.0 + 8.0 * awake + 45.0 * walks + rng.normal(0, 1.5),
            "steps": 90.0 * walks,
            "spo2": 96.5 + rng.normal(0, 0.7),
            "skin_temperature": 34.0 - 0.7 * awake + rng.normal(0, 0.15),
            "hrv_rmssd": 30.0 * (1.2 - 0.3 * awake) * rng.normal(1, 0.1),
        }
        if change is not None and second >= ONSET:
            change(second, values)
        yield second, {f"anna.{name}": round(value, 1) for name, value in values.items()}


def set_to(sign: str, value: float) -> Change:
    def change(second: float, values: dict[str, float]) -> None:
        values |= {"steps": 0.0, sign: value}

    return change


def test_a_week_of_walks_and_nights_calls_nobody() -> None:
    assert watched().live(life(0, 7 * DAY)) == {}


@pytest.mark.parametrize(
    ("rule", "sign", "value"),
    [
        ("heart_rate_above_own", "heart_rate", 115.0),
        ("heart_rate_below_own", "heart_rate", 45.0),
        ("spo2_below_own", "spo2", 91.0),
        ("skin_above_own", "skin_temperature", 35.0),
        ("pulse_irregular", "hrv_rmssd", 75.0),
    ],
)
def test_a_sign_that_leaves_the_own_usual_at_rest_is_found_within_the_half_hour(
    rule: str, sign: str, value: float
) -> None:
    rose = watched().live(life(0, ONSET + HOUR, set_to(sign, value)))

    assert set(rose) <= {f"wristband.{rule} anna", "wristband.spo2_dips anna"}
    assert ONSET <= rose[f"wristband.{rule} anna"][0] <= ONSET + 0.5 * HOUR


def test_the_same_heart_rate_on_a_walk_is_none_of_our_business() -> None:
    def climbs(second: float, values: dict[str, float]) -> None:
        values["steps"], values["heart_rate"] = 110.0, 140.0

    assert watched().live(life(0, ONSET + HOUR, climbs)) == {}


def test_dips_of_the_saturation_are_counted_although_none_lasts() -> None:
    def dips(second: float, values: dict[str, float]) -> None:
        if second % 1200 < 300:
            values["spo2"] = 86.0

    rose = watched().live(life(0, ONSET + 3 * HOUR, dips))

    assert list(rose) == ["wristband.spo2_dips anna"]


def test_a_fever_teaches_nothing_until_it_has_lasted_for_days() -> None:
    anna = watched()
    anna.live(life(0, ONSET))
    before = anna.memory["usual"].copy()
    anna.live(life(ONSET, ONSET + 6 * HOUR, set_to("skin_temperature", 36.0)))

    assert anna.memory["usual"][0, 2] == pytest.approx(before[0, 2], abs=0.05)


def test_rules_are_told_after_hours_where_hours_are_needed() -> None:
    points = watched().points
    delays = dict(zip(points.rule, points.on_delay_s.tolist()))

    assert delays["wristband.skin_above_own"] == 2 * HOUR
    assert delays["wristband.pulse_irregular"] == 0.0


def test_what_is_said_holds_no_number() -> None:
    for said in watched().said():
        assert said.sentence and not any(sign.isdigit() for sign in said.sentence)
