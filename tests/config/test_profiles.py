"""Profiles: each built-in device model says what its device does; each mistake is named with its line."""

from pathlib import Path

import pytest

from config.errors import SettingsError
from config.profiles import Profile, profile_names, read_profile
from config.quantities import QUANTITIES, conversion

METER = """\
title = "Acme PM210"
protocol = "modbus"
address_base = 1

[[point]]
name = "voltage"
quantity = "voltage"
unit = "V"
address = 1
type = "float32"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "acme.toml"
    path.write_text(text, "utf-8")
    return path


def mistakes(tmp_path: Path, text: str) -> str:
    with pytest.raises(SettingsError) as refusal:
        read_profile(written(tmp_path, text))
    return str(refusal.value)


@pytest.mark.parametrize("name", profile_names())
def test_each_built_in_profile_reads_points_of_known_quantities_in_fitting_units(name: str) -> None:
    profile = read_profile(name)

    assert profile.name == name
    assert profile.title
    for point in profile.points:
        conversion(point.unit, QUANTITIES[point.quantity].unit)
        assert profile.protocol == "mqtt" or point.words <= profile.max_registers


def test_the_gas_rtu_reads_pressure_and_methane_as_scaled_integers_and_a_status_bit() -> None:
    rtu = read_profile("gas_rtu")
    pressure, methane, valve = rtu.point("pressure"), rtu.point("ch4"), rtu.point("valve_state")

    assert (pressure.table, pressure.address, pressure.type, pressure.scale) == ("input", 0, "uint16", 0.1)
    assert (methane.unit, methane.type, methane.sentinel) == ("%{LEL}", "uint16", (65535,))
    assert (valve.type, valve.bit) == ("bit", 0)
    assert rtu.point("outlet_pressure").type == "int16"


def test_the_power_meter_reads_word_swapped_floats() -> None:
    meter = read_profile("power_meter")

    assert {(point.type, point.order, point.table) for point in meter.points} == {
        ("float32", "CDAB", "holding")
    }
    assert {"voltage", "voltage_min", "current", "active_power", "frequency", "joint_temperature"} == {
        point.quantity for point in meter.points
    }


def test_the_water_rtu_reads_big_endian_floats_from_input_registers() -> None:
    rtu = read_profile("water_rtu")

    assert {(point.type, point.order, point.table) for point in rtu.points} == {("float32", "ABCD", "input")}
    assert [(point.name, point.address) for point in rtu.points] == [("pressure", 0), ("flow", 2)]


def test_the_wristband_knows_what_a_band_sends_when_it_could_not_measure() -> None:
    band = read_profile("wristband")

    assert band.protocol == "mqtt"
    assert band.point("heart_rate").sentinel == (0, 255)
    assert {
        "fall",
        "sos",
        "on_wrist",
        "acceleration_peak",
        "steps",
        "battery",
        "spo2",
        "skin_temperature",
    } < {point.name for point in band.points}


def test_registers_that_a_manual_counts_from_one_are_counted_from_zero_on_the_wire(tmp_path: Path) -> None:
    assert read_profile(written(tmp_path, METER)).point("voltage").address == 0


def test_a_profile_must_say_from_where_it_counts(tmp_path: Path) -> None:
    assert "address_base: missing" in mistakes(tmp_path, METER.replace("address_base = 1\n", ""))


def test_every_mistake_is_named_with_its_line_at_once(tmp_path: Path) -> None:
    text = METER.replace('"voltage"\nunit = "V"', '"volt"\nunit = "Volt"').replace("float32", "float23")

    lines = mistakes(tmp_path, text.replace("address = 1\n", "adress = 1\n")).splitlines()

    kinds = "bit, int16, uint16, int32, uint32, int64, uint64, float32, float64"
    assert lines == [
        'acme.toml:7: point[0].quantity: unknown quantity "volt"; did you mean voltage?',
        'acme.toml:8: point[0].unit: unknown unit "Volt"; did you mean V?',
        "acme.toml:9: point[0].adress: unknown key; did you mean address? (its value: 1)",
        f'acme.toml:10: point[0].type: must be one of {kinds}, not "float23"; did you mean float32?',
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('unit = "V"', 'unit = "Cel"'), "cannot be converted"),
        (("address = 1", "address = 65536"), "reach beyond register 65535"),
        (("address = 1", "address = 0"), "lies below address_base 1"),
        (('type = "float32"', 'type = "bit"'), "bit: is needed"),
        (('type = "float32"', 'type = "float32"\nbit = 3'), "bit: is only for"),
        (('type = "float32"', 'type = "float32"\ntable = "coil"'), "holds single bits"),
        (('type = "float32"', 'type = "float32"\nscale = 0'), "must not be 0"),
        (('name = "voltage"', 'name = "a b"'), "must be letters"),
        (("address_base = 1", "address_base = 1\nmax_registers = 126"), "less than or equal to 125"),
        (("address_base = 1", "address_base = 1\nmax_registers = 1"), "takes 2 registers"),
    ],
)
def test_what_no_device_could_do_is_refused(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    assert told in mistakes(tmp_path, METER.replace(*change))


def test_two_points_of_one_name_are_refused(tmp_path: Path) -> None:
    twin = METER[METER.index("[[point]]") :]
    assert '"voltage" is taken by the point in line' in mistakes(tmp_path, METER + twin)


def test_registers_mean_nothing_to_mqtt(tmp_path: Path) -> None:
    text = METER.replace('"modbus"', '"mqtt"').replace("address_base = 1\n", "")
    assert "point[0].address: has no meaning for MQTT" in mistakes(tmp_path, text)


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean gas_rtu"):
        read_profile("gasrtu")


def test_an_unknown_point_names_the_nearest() -> None:
    profile: Profile = read_profile("water_rtu")
    with pytest.raises(SettingsError, match="did you mean pressure"):
        profile.point("presure")
