"""Defaults: every quantity has some, each with its source, in the channel's unit; noise touches none."""

from __future__ import annotations

import re
from itertools import pairwise
from math import inf, isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.channels import Channel
from config.defaults import LEVEL_NAMES, TABLE, Defaults, defaults_for
from config.quantities import QUANTITIES, conversion

EVERY = [(medium, quantity.name) for quantity in QUANTITIES.values() for medium in quantity.media]
GRADES = Path(__file__).parents[2] / "config" / "grades.toml"


def of(medium: str, quantity: str, unit: str | None = None, **more: Any) -> Channel:
    unit = QUANTITIES[quantity].unit if unit is None else unit
    return Channel(f"{medium}.x", medium, "x", quantity, unit, more.pop("period_s", 60.0), **more)


def limits(known: Defaults) -> dict[str, float]:
    return {level.name: level.limit for level in known.levels}


@pytest.mark.parametrize(("medium", "quantity"), EVERY)
def test_every_quantity_of_every_medium_has_defaults_with_a_source(medium: str, quantity: str) -> None:
    known = defaults_for(of(medium, quantity))
    assert known.source
    assert "unknown" not in known.source
    assert known.noise_floor >= 0
    assert known.plausible[0] < known.plausible[1]
    assert known.silence_s(60.0) >= 60


def test_levels_of_the_standards() -> None:
    assert limits(defaults_for(of("power", "voltage", nominal=220.0))) == {
        "low_low": 22.0,
        "low": 198.0,
        "high": 235.4,
    }
    assert limits(defaults_for(of("power", "voltage", nominal=380.0))) == {
        "low_low": 38.0,
        "low": 353.4,
        "high": 406.6,
    }
    assert limits(defaults_for(of("gas", "ch4"))) == {"high": 25.0, "high_high": 50.0}
    assert limits(defaults_for(of("gas", "pressure", nominal=2.0))) == {
        "low_low": 1.0,
        "low": 1.5,
        "high": 3.0,
        "high_high": 4.0,
    }
    assert limits(defaults_for(of("gas", "pressure", nominal=300.0))) == {
        "low_low": 240.0,
        "low": 270.0,
        "high": 330.0,
        "high_high": 360.0,
    }
    assert limits(defaults_for(of("power", "joint_temperature"))) == {"high": 60.0, "high_high": 75.0}
    assert limits(defaults_for(of("power", "voltage_min", nominal=220.0))) == {"low_low": 11.0, "low": 198.0}


@pytest.mark.parametrize(
    ("medium", "quantity", "unit", "nominal"),
    [
        ("power", "voltage", "kV", 10.0),
        ("gas", "pressure", "bar", 3.0),
        ("gas", "pressure", "mbar", 20.0),
        ("water", "pressure", "m[H2O]", 30.0),
        ("power", "joint_temperature", "[degF]", nan),
        ("power", "joint_temperature", "K", nan),
        ("power", "leakage_current", "A", nan),
    ],
)
def test_another_unit_means_the_same(medium: str, quantity: str, unit: str, nominal: float) -> None:
    canonical = QUANTITIES[quantity].unit
    scale, offset = conversion(unit, canonical)
    theirs = defaults_for(of(medium, quantity, unit, nominal=nominal))
    ours = defaults_for(of(medium, quantity, nominal=nominal * scale + offset))
    for name, limit in limits(theirs).items():
        assert limit * scale + offset == pytest.approx(limits(ours)[name], rel=1e-9)
    assert theirs.deadband * scale == pytest.approx(ours.deadband)
    assert theirs.noise_floor * scale == pytest.approx(ours.noise_floor)


def test_kinds_are_words_of_the_grades_table() -> None:
    known = set(re.findall(r"^\[kind\.\w+\.(\w+)\]", GRADES.read_text(encoding="utf-8"), re.M))
    known |= {
        f"sensor_fault:{fault}" for fault in re.findall(r"^\[fault\.(\w+)\]", GRADES.read_text("utf-8"), re.M)
    }
    for medium, quantity in EVERY:
        for nominal in (nan, 2.0, 300.0):
            for level in defaults_for(of(medium, quantity, nominal=nominal, low=1.0, high=2.0)).levels:
                assert level.kind == "" or level.kind in known, (medium, quantity, level)


def test_levels_lie_in_order_and_outside_each_others_deadband() -> None:
    for medium, quantity in EVERY:
        for nominal in (nan, 2.0, 220.0, 10000.0) if medium != "water" else (nan, 100.0, 400.0):
            known = defaults_for(of(medium, quantity, nominal=nominal))
            values = [level.limit for level in known.levels if not isnan(level.limit)]
            assert values == sorted(values), (medium, quantity)
            for lower, upper in pairwise(values):
                assert upper - lower > known.deadband, (medium, quantity)


def test_a_quiet_day_never_touches_a_level() -> None:
    """Six sigma of the sensor's own noise lie between the usual range and every level."""
    for medium, quantity in EVERY:
        known = defaults_for(of(medium, quantity))
        for level in known.levels:
            edge = known.span[1] if level.is_high else known.span[0]
            if isnan(level.limit) or isnan(edge) or quantity == "sos":
                continue
            if (quantity, level.name) in {("frequency", "high"), ("frequency", "low")}:
                continue  # the usual range is the standard's own limit: there two readings are asked for
            room = level.limit - edge if level.is_high else edge - level.limit
            if quantity in ("chlorine", "spo2", "oil_temperature", "body_temperature", "heart_rate"):
                assert room >= 2 * known.spread_floor(edge)  # and three readings are asked for
                assert level.on_samples >= 2
            else:
                assert room >= 6 * min(known.spread_floor(edge), known.noise_floor), (quantity, level.name)


def test_a_level_relative_to_a_nominal_value_is_off_until_one_is_known() -> None:
    assert all(isnan(limit) for limit in limits(defaults_for(of("gas", "pressure"))).values())
    assert all(isnan(limit) for limit in limits(defaults_for(of("power", "voltage"))).values())
    assert 220.0 in defaults_for(of("power", "voltage")).standards
    assert limits(defaults_for(of("water", "pressure")))["low"] == 140.0


def test_the_nominal_value_makes_an_absolute_level_laxer_but_never_stricter() -> None:
    assert limits(defaults_for(of("water", "pressure", nominal=120.0)))["low"] == 90.0
    assert limits(defaults_for(of("water", "pressure", nominal=400.0)))["low"] == 140.0


def test_a_slow_channel_counts_readings_instead_of_seconds() -> None:
    fast = defaults_for(of("gas", "pressure", nominal=2.0, period_s=1.0)).level("high")
    slow = defaults_for(of("gas", "pressure", nominal=2.0, period_s=300.0)).level("high")
    assert fast is not None
    assert slow is not None
    assert (fast.on_delay_s, fast.off_delay_s, fast.on_samples) == (15.0, 15.0, 2)
    assert (slow.on_delay_s, slow.off_delay_s, slow.on_samples) == (0.0, 150.0, 2)


def test_life_safety_waits_for_nothing() -> None:
    found = set()
    for medium, quantity in EVERY:
        for level in defaults_for(of(medium, quantity)).levels:
            if level.life_safety:
                found.add(quantity)
                assert level.on_delay_s == 0
                assert level.on_samples == 1
                assert level.latching
    assert found == {"ch4", "co", "o2", "sos"}


def test_operators_limits_replace_a_default_level_or_stand_beside_them() -> None:
    known = defaults_for(of("power", "joint_temperature", high=50.0, low=-5.0))
    assert limits(known) == {"low": -5.0, "high": 50.0, "high_high": 75.0}
    assert [level.kind for level in known.levels] == ["limit", "joint_overheat", "joint_overheat"]
    assert defaults_for(of("water", "level", high=4.2)).levels[0].kind == "tank_overflow"
    assert defaults_for(of("water", "flow", high=4.2)).levels[0].kind == "limit"


@pytest.mark.parametrize(
    "channel",
    [
        Channel("a", "gas", "x", "odour", "1", 60.0, high=3.0),
        Channel("a", "gas", "x", "ch4", "furlong", 60.0, high=3.0),
        Channel("a", "steam", "x", "pressure", "kPa", 60.0, high=3.0),
        Channel("a", "gas", "x", "ch4", "%", 60.0, high=3.0),
    ],
    ids=["quantity", "unit", "medium", "another dimension"],
)
def test_what_is_unknown_has_only_the_operators_limits(channel: Channel) -> None:
    known = defaults_for(channel)
    assert limits(known) == {"high": 3.0}
    assert known.levels[0].kind == "limit"
    assert known.plausible == (-inf, inf)


def test_names_of_levels_are_in_order() -> None:
    assert LEVEL_NAMES == ("low_low", "low", "high", "high_high")
    assert TABLE.exists()


def test_the_spread_floor_grows_with_the_value_where_the_sensor_says_so() -> None:
    flow = defaults_for(of("water", "flow"))
    assert flow.spread_floor(100.0) == pytest.approx(0.77)
    assert np.isfinite(flow.spread_floor(-100.0))
