"""Gas that rises fast pages at once; a leak stays through the night, and what a sewer breathes does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest

from detectors.findings import ALARM
from detectors.methane import Methane
from tests.detectors.bands import DAY, HOUR, Watched, channel

RISING, SEEPING = "gas.ch4.rising well", "gas.ch4.seeping well"
CALM_DAYS = 3 * DAY


def watched(period_s: float = 600.0) -> Watched:
    return Watched(Methane(), channel("well", "ch4", period_s, "gas"))


def warmth(second: float) -> float:
    """-1 at four in the morning, 1 at four in the afternoon."""
    return float(np.sin((second / HOUR - 10.0) * np.pi / 12))


def life(
    last: float, added: Callable[[float], float], seed: int = 4
) -> Iterator[tuple[float, Mapping[str, float]]]:
    """A trace that warmth drives out of the ground, and from the fourth day on what is `added`."""
    rng = np.random.default_rng(seed)
    for second in np.arange(0.0, last, 600.0).tolist():
        more = added(second - CALM_DAYS) if second >= CALM_DAYS else 0.0
        yield second, {"well.ch4": max(0.8 + 0.25 * warmth(second) + more + rng.normal(0, 0.3), 0.0)}


def test_weeks_without_gas_call_nobody() -> None:
    assert watched().live(life(10 * DAY, lambda _: 0.0)) == {}


@pytest.mark.parametrize("largest", [6.0, 11.0])
def test_a_sewer_that_breathes_with_the_warmth_of_the_day_calls_nobody(largest: float) -> None:
    def sewer(since: float) -> float:
        return largest * (0.6 + 0.4 * warmth(since)) * float(1 - np.exp(-since / 10800.0))

    assert watched().live(life(8 * DAY, sewer)) == {}


@pytest.mark.parametrize("a_day", [6.0, 12.0])
def test_a_leak_that_grows_by_the_day_is_found_in_its_first_nights(a_day: float) -> None:
    rose = watched().live(life(7 * DAY, lambda since: a_day * since / DAY))

    assert list(rose) == [SEEPING]
    assert rose[SEEPING][0] <= CALM_DAYS + 32 * HOUR


def test_five_lel_a_minute_page_at_once_and_are_over_when_it_has_stood_for_an_hour() -> None:
    well = watched(60.0)
    for minute in range(10):
        assert well.hear(minute * 60.0, {"well.ch4": 1.0})[RISING] == 0
    assert well.hear(600.0, {"well.ch4": 7.0})[RISING] == 0
    assert well.hear(660.0, {"well.ch4": 14.0})[RISING] == ALARM
    for minute in range(12, 75):
        well.hear(minute * 60.0, {"well.ch4": 14.0})

    assert well.severity()[RISING] == 0


def test_ten_lel_from_one_slow_reading_to_the_next_are_as_fast() -> None:
    well = watched()
    well.hear(0.0, {"well.ch4": 1.0})

    assert well.hear(600.0, {"well.ch4": 12.0})[RISING] == ALARM


def test_an_hour_of_silence_is_no_rise() -> None:
    well = watched()
    well.hear(0.0, {"well.ch4": 1.0})

    assert well.hear(2 * HOUR, {"well.ch4": 15.0})[RISING] == 0


def test_a_rise_says_below_which_value_it_would_have_been_silent_and_so_it_is() -> None:
    severities = {}
    for value in (14.0, 11.99, 12.0):
        well = watched(60.0)
        well.hear(0.0, {"well.ch4": 7.0})
        severities[value] = well.hear(60.0, {"well.ch4": value})[RISING]
        if severities[value]:
            assert well.said()[0].numbers == {"high": 12.0}

    assert severities == {14.0: ALARM, 11.99: 0, 12.0: ALARM}


def test_a_seep_says_what_was_usual_and_below_which_mean_it_would_have_been_silent() -> None:
    well = watched()
    for second, values in life(5 * DAY, lambda since: 9.0 * since / DAY):
        if well.hear(second, values)[SEEPING]:
            break

    told = well.said()[1]
    assert told.observed is not None
    assert 0.3 < told.numbers["expected"] < 1.3
    assert told.numbers["expected"] + 2.0 <= told.numbers["high"] < told.observed["value"]
