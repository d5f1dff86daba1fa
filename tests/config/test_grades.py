"""Grades: every kind has a grade, a tier, an owner, advice in two languages, and why."""

from pathlib import Path

import pytest

from config.errors import SettingsError
from config.grades import FILE, GRADES, read_grades

KINDS = {
    "water": "burst slow_leak pump_trip contamination freeze low_pressure tank_overflow",
    "gas": "slow_leak third_party_damage regulator_overpressure regulator_underpressure valve_misclosure "
    "well_gas",
    "power": "undervoltage overvoltage voltage_sag interruption overload feeder_outage joint_overheat "
    "earth_fault partial_discharge trench_flood transformer_outage frequency_deviation",
    "wristband": "bradycardia tachycardia atrial_fibrillation hypoxia fever fall no_activity wandering sos "
    "news2_partial off_wrist",
}
FAULTS = (
    "stuck drift spike dropout clock_skew duplicates out_of_order wrong_unit byte_order battery_death backlog"
)
EVERY_KIND = [
    *((medium, kind) for medium, kinds in KINDS.items() for kind in kinds.split()),
    *(
        (medium, kind)
        for medium in KINDS
        for kind in ("limit", "unknown", "late_detected", "regime_change", "gateway_silent", "alarm_flood")
    ),
    *((medium, f"sensor_fault:{kind}") for medium in KINDS for kind in FAULTS.split()),
]


@pytest.mark.parametrize(("medium", "kind"), EVERY_KIND)
def test_every_kind_says_who_does_what_and_why(medium: str, kind: str) -> None:
    grading = read_grades().of(medium, kind)

    assert kind == "unknown" or grading != read_grades().of(medium, "unknown")
    for text in (
        grading.title,
        grading.advice,
        grading.why,
        grading.title_zh,
        grading.advice_zh,
        grading.owner,
    ):
        assert text.strip()
    assert grading.advice[0].isupper()
    assert grading.advice.endswith(".")
    assert any(ord(sign) > 0x4E00 for sign in grading.advice_zh)


@pytest.mark.parametrize(("medium", "kind"), [pair for pair in EVERY_KIND if ":" not in pair[1]])
def test_whatever_someone_must_act_on_is_at_least_p3(medium: str, kind: str) -> None:
    assert (read_grades().of(medium, kind).grade <= "P3") == (
        kind not in {"late_detected", "regime_change", "off_wrist"}
    )


def test_a_sensor_at_fault_is_maintenance_but_on_a_gas_detector_somebody_must_act() -> None:
    grades = read_grades()

    assert grades.of("water", "sensor_fault:stuck", quantity="pressure").grade == "P4"
    assert grades.of("gas", "sensor_fault:dropout", quantity="pressure").grade == "P4"
    assert grades.of("gas", "sensor_fault:dropout", quantity="ch4").grade == "P3"
    assert grades.of("gas", "sensor_fault:never_heard_of", quantity="ch4").owner == "maintenance"


def test_danger_to_life_is_graded_as_such() -> None:
    grades = read_grades()

    assert grades.of("wristband", "sos").grade == "P1"
    assert grades.of("wristband", "fall").grade == "P2"
    assert grades.of("wristband", "fall").tier == "community"
    assert grades.of("gas", "third_party_damage").grade == "P1"
    assert grades.of("gas", "slow_leak").grade in ("P1", "P2")
    assert grades.of("power", "well_gas").grade == "P1"


def test_a_kind_that_nobody_wrote_down_is_unknown_and_never_dropped() -> None:
    assert read_grades().of("water", "sea_monster") == read_grades().of("water", "unknown")


def test_announced_works_lower_by_one_and_a_bump_test_becomes_information() -> None:
    grades = read_grades()

    assert [grades.announced("works").lowered(grade) for grade in GRADES] == ["P2", "P3", "P4", "P4"]
    assert [grades.announced("bump_test").lowered(grade) for grade in GRADES] == ["P4"] * 4
    assert grades.announced("bump_test").test


def test_mistakes_in_a_grades_file_are_told_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "grades.toml"
    path.write_text(FILE.read_text("utf-8").replace('grade = "P2"', 'grade = "P7"', 1), "utf-8")

    with pytest.raises(SettingsError, match=r"grades\.toml:\d+: .*P7"):
        read_grades(path)
