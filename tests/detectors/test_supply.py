"""Pressures and flows of a zone together tell a burst from a lost supply, a closed valve, and mere demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from config.channels import Channel
from detectors.supply import Supply, _at_largest, _spread
from tests.detectors.bands import DAY, HOUR, Watched, channel

METERS = {"meter": 1.0, "left_meter": 0.4, "right_meter": 0.3}  # share of the inflow that passes
DEPTHS = {
    "inlet": 0.2,
    "left": 0.5,
    "right": 0.6,
    "far": 1.0,
}  # share of the loss of pressure that lies before
Changed = Callable[[float, str, str, float], float]


def zone() -> list[Channel]:
    flows = [channel(place, "flow", 300.0, "water", zone="north") for place in METERS]
    return flows + [channel(place, "pressure", 300.0, "water", zone="north") for place in DEPTHS]


def life(last: float, changed: Changed) -> Iterator[tuple[float, Mapping[str, float]]]:
    """People use water by day; friction takes pressure; `changed` (second, place, quantity, value)."""
    rng = np.random.default_rng(4)
    for second in np.arange(0.0, last, 300.0).tolist():
        use = 1.0 - 0.6 * np.cos(2 * np.pi * (second - 3 * HOUR) / DAY)
        true = {(place, "flow"): 100.0 * share * use for place, share in METERS.items()}
        true |= {(place, "pressure"): 300.0 - 20.0 * depth * use**1.85 for place, depth in DEPTHS.items()}
        yield (
            second,
            {
                f"{place}.{quantity}": changed(second, place, quantity, value) * rng.normal(1.0, 0.005)
                for (place, quantity), value in true.items()
            },
        )


def rules(changed: Changed, days: float = 4.0) -> dict[str, list[float]]:
    return Watched(Supply(), *zone()).live(life(days * DAY, changed))


SINCE = 3 * DAY + 10 * HOUR


def test_days_like_all_others_call_nobody() -> None:
    assert rules(lambda second, place, quantity, value: value) == {}


def test_a_burst_draws_water_and_bends_pressure_down_towards_itself() -> None:
    def burst(second: float, place: str, quantity: str, value: float) -> float:
        if second < SINCE:
            return value
        if quantity == "flow":
            return value + 80.0 * (place in ("meter", "left_meter"))
        return value * {"left": 0.6, "far": 0.8}.get(place, 0.98)

    rose = rules(burst, 3.5)
    assert set(rose) == {"water.zone.burst left", "water.zone.burst far"}
    assert all(SINCE <= times[0] <= SINCE + 600 for times in rose.values())


def test_where_all_pressures_and_the_inflow_fall_the_supply_is_lost() -> None:
    rose = rules(lambda second, place, quantity, value: value * (0.7 if second >= SINCE else 1.0), 3.5)
    assert {name.split()[0] for name in rose} == {"water.zone.supply_lost"}


def test_a_pressure_that_falls_without_more_inflow_is_cut_off() -> None:
    def shut(second: float, place: str, quantity: str, value: float) -> float:
        return value * (0.4 if second >= SINCE and (place, quantity) == ("far", "pressure") else 1.0)

    assert set(rules(shut, 3.5)) == {"water.zone.cut_off far"}


def test_a_festival_moves_all_meters_alike_and_is_demand() -> None:
    def festival(second: float, place: str, quantity: str, value: float) -> float:
        more = 0.25 * (1.0 - float(np.exp(-max(second - SINCE, 0.0) / 7200.0)))
        return value * (1.0 + more) if quantity == "flow" else value - 8.0 * DEPTHS[place] * more

    rose = rules(festival)
    assert list(rose) == ["water.zone.demand far"] and rose["water.zone.demand far"][0] < SINCE + 4 * HOUR


def test_a_leak_that_shows_at_the_meters_above_it_only_is_no_demand() -> None:
    def leak(second: float, place: str, quantity: str, value: float) -> float:
        above = quantity == "flow" and place in ("meter", "left_meter")
        return value + 40.0 * above * min(max(second - SINCE, 0.0) / DAY, 1.0)

    assert rules(leak, 5.0) == {}


def test_a_hydrant_is_a_brief_draw() -> None:
    def hydrant(second: float, place: str, quantity: str, value: float) -> float:
        open_ = SINCE <= second < SINCE + 1200
        return value * 1.17 if open_ and (place, quantity) == ("meter", "flow") else value

    assert list(rules(hydrant, 3.5)) == ["water.zone.draw far"]


def test_after_a_pause_of_the_gateway_nothing_is_sudden() -> None:
    watched = Watched(Supply(), *zone())
    days = list(life(4 * DAY, lambda second, place, quantity, value: value))
    watched.live(days[:900])
    watched.restart()
    assert (
        watched.live(
            (second, {id: 0.8 * value for id, value in told.items()}) for second, told in days[900:905]
        )
        == {}
    )


def test_a_zone_without_a_meter_is_not_judged() -> None:
    assert len(Supply().watch(Watched(Supply(), *zone()[3:]).table)) == 0


def test_the_inlet_is_the_largest_meter_of_each_zone() -> None:
    zones = np.array([[0, 2, -1], [1, 3, 4]])
    size, values = np.array([1.0, -1.0, 5.0, -1.0, -1.0]), np.array([10.0, 11.0, 12.0, 13.0, 14.0])
    told = _at_largest(zones, size, values)
    assert told[0] == 12.0 and np.isnan(told[1])
    assert _spread(zones, np.array([7.0, 8.0])).tolist() == [7.0, 8.0, 7.0, 8.0, 8.0]
