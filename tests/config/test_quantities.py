"""Quantities and units: converted exactly, never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import SettingsError
from config.quantities import QUANTITIES, UNITS, conversion, did_you_mean, quantity_named, unit_named

CONTRACT = [
    "pressure", "flow", "temperature", "ch4", "co", "o2", "valve_state", "level", "chlorine",
    "turbidity", "ph", "conductivity", "leak_noise", "pump_state", "voltage", "voltage_min",
    "voltage_max", "current", "active_power", "frequency", "unbalance", "thd", "transformer_load",
    "oil_temperature", "joint_temperature", "leakage_current", "partial_discharge", "trench_water",
    "heart_rate", "spo2", "respiration", "skin_temperature", "hrv_rmssd", "steps", "acceleration_peak",
    "fall", "sos", "on_wrist", "battery", "latitude", "longitude", "body_temperature", "systolic",
]  # fmt: skip
FIELD_UNITS = [
    "Pa", "bar", "m", "mm", "mA", "ms", "dB", "pC", "/min", "%", "[g]", "{steps}/min", "uS/cm",
    "mm[Hg]", "deg", "1", "kPa", "MPa", "m3/h", "L/s", "mg/L", "Cel", "Hz", "V", "A", "kW.h", "m[H2O]",
    "{NTU}", "%{LEL}", "K", "kV", "W", "kW",
]  # fmt: skip


def converted(value: float, source: str, target: str) -> float:
    scale, offset = conversion(source, target)
    return value * scale + offset


def test_every_quantity_of_the_contract_is_known_with_a_unit_that_is_known_too() -> None:
    assert set(QUANTITIES) == {*CONTRACT, "spectral_kurtosis", "pressure_swing"}
    assert all(quantity.unit in UNITS for quantity in QUANTITIES.values())


def test_every_unit_that_field_devices_use_is_known() -> None:
    assert [unit for unit in FIELD_UNITS if unit not in UNITS] == []


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (1.0, "bar", "kPa", 100.0),
        (10.0, "m[H2O]", "kPa", 98.0665),
        (0.14, "MPa", "m[H2O]", 14.27602),
        (120.0, "mm[Hg]", "kPa", 15.99868),
        (1.0, "[psi]", "kPa", 6.894757),
        (30.0, "L/s", "m3/h", 108.0),
        (20.0, "Cel", "K", 293.15),
        (98.6, "[degF]", "Cel", 37.0),
        (0.4, "kV", "V", 400.0),
        (1.2, "Hz", "/min", 72.0),
        (0.3, "A", "mA", 300.0),
        (100.0, "[ppm]", "%", 0.01),
        (1.0, "kW.h", "MJ", 3.6),
        (2.0, "[g]", "m/s2", 19.6133),
    ],
)
def test_a_known_value_is_converted(value: float, source: str, target: str, expected: float) -> None:
    assert converted(value, source, target) == pytest.approx(expected, rel=1e-6)


@given(st.data(), st.floats(-1e6, 1e6))
def test_there_and_back_is_where_one_was(data: st.DataObject, value: float) -> None:
    source = data.draw(st.sampled_from(sorted(UNITS)))
    alike = sorted(unit.code for unit in UNITS.values() if unit.dimension == UNITS[source].dimension)
    target = data.draw(st.sampled_from(alike))
    there = converted(value, source, target)
    scale = max(abs(value), 1000.0)  # temperatures lose digits to their offsets
    assert converted(there, target, source) == pytest.approx(value, abs=1e-9 * scale)


@given(st.sampled_from(sorted(UNITS)))
def test_a_unit_becomes_itself_to_the_bit(unit: str) -> None:
    assert conversion(unit, unit) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("kpa", "kPa"),
        ("°C", "Cel"),
        ("bpm", "/min"),
        ("m³/h", "m3/h"),
        ("%LEL", "%{LEL}"),
        ("NTU", "{NTU}"),
        ("kWh", "kW.h"),
        ("mmHg", "mm[Hg]"),
        ("µS/cm", "uS/cm"),
        ("kPaa", "kPa"),
    ],
)
def test_a_unit_as_people_write_it_is_refused_and_the_right_one_named(written: str, meant: str) -> None:
    with pytest.raises(SettingsError, match="unknown unit") as refusal:
        unit_named(written)
    assert f"did you mean {meant}?" in str(refusal.value)


def test_pressure_is_not_converted_to_a_temperature() -> None:
    with pytest.raises(
        SettingsError, match=r'"Cel" \(temperature\) cannot be converted to "kPa" \(pressure\)'
    ):
        conversion("Cel", "kPa")


def test_metres_of_water_are_no_metres() -> None:
    with pytest.raises(SettingsError):
        conversion("m[H2O]", "m")


def test_a_misspelt_quantity_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean heart_rate"):
        quantity_named("hart_rate")


def test_what_resembles_nothing_gets_the_list() -> None:
    assert did_you_mean("zzzzzz", ["pipe", "cable"]) == "known: pipe, cable"
    many = [f"water.block{number:03d}" for number in range(1000)]
    assert did_you_mean("zzzzzz", many).endswith(", … (1000 in all)")
    assert len(did_you_mean("zzzzzz", many)) < 450
