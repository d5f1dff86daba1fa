"""Negative sequence from three magnitudes: exact between phases, right for small unbalance to neutral."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.findings import ALARM, WARNING
from detectors.unbalance import Unbalance, unbalance
from tests.detectors.bands import Watched, channel

RULE = "power.voltage.unbalance bus"
TURN = np.exp(2j * np.pi / 3)


def watched(nominal: float = 380.0) -> Watched:
    names = ("voltage_a", "voltage_b", "voltage_c")
    return Watched(
        Unbalance(), *(channel("bus", "voltage", 60.0, "power", name=n, nominal=nominal) for n in names)
    )


def volts(a: float, b: float, c: float) -> dict[str, float]:
    return {"bus.voltage_a": a, "bus.voltage_b": b, "bus.voltage_c": c}


@settings(deadline=None)
@given(st.floats(0.0, 0.2), st.floats(0.0, 6.28), st.floats(100.0, 40_000.0))
def test_between_phases_the_ratio_of_the_phasors_comes_back(ratio: float, angle: float, size: float) -> None:
    negative = ratio * np.exp(1j * angle)
    phasors = size * np.array([1.0 + negative, TURN**2 + TURN * negative, TURN + TURN**2 * negative])
    between = np.abs(phasors - np.roll(phasors, -1)) * (1.0 if size * 1.5 > 300.0 else 10.0)

    (percent,) = unbalance(between[None, :])

    assert percent == pytest.approx(100.0 * ratio, abs=0.02)


@settings(deadline=None)
@given(st.floats(-0.02, 0.02), st.floats(-0.02, 0.02))
def test_to_neutral_it_is_the_sum_with_the_angles_turned(b: float, c: float) -> None:
    size = 220.0 * np.array([1.0, 1.0 + b, 1.0 + c])
    phasors = size * np.array([1.0, TURN**2, TURN])
    one = np.abs(phasors.sum() * 0 + size[0] + TURN * size[1] + TURN**2 * size[2]) / np.abs(size.sum())

    assert unbalance(size[None, :])[0] == pytest.approx(100.0 * one, abs=1e-6)


def test_a_dead_place_is_not_unbalanced_and_a_lost_phase_is() -> None:
    assert np.isnan(unbalance(np.array([[0.0, 0.0, 0.0], [220.0, 0.0, 0.0]]))).all()
    assert unbalance(np.array([[220.0, 220.0, 0.0]]))[0] > 30.0


def test_ten_minutes_of_it_are_needed_and_the_deadband_holds_it() -> None:
    bus = watched()
    for minute in range(8):
        assert bus.hear(minute * 60.0, volts(400.0, 385.0, 380.0))[RULE] == 0
    for minute in range(8, 40):
        bus.hear(minute * 60.0, volts(400.0, 385.0, 380.0))
    assert bus.severity()[RULE] == WARNING
    for minute in range(40, 100):
        bus.hear(minute * 60.0, volts(400.0, 370.0, 370.0))
    assert bus.severity()[RULE] == ALARM
    for minute in range(100, 200):
        bus.hear(minute * 60.0, volts(381.0, 380.0, 380.0))
    assert bus.severity()[RULE] == 0


def test_two_phases_or_a_meter_that_tells_it_are_no_subject() -> None:
    two = [channel("bus", "voltage", 60.0, "power", name=n) for n in ("voltage_a", "voltage_b")]
    assert len(Watched(Unbalance(), *two).site) == 0
    three = [*two, channel("bus", "voltage", 60.0, "power", name="voltage_c")]
    assert len(Watched(Unbalance(), *three).site) == 1
    assert len(Watched(Unbalance(), *three, channel("bus", "unbalance", 60.0, "power")).site) == 0
