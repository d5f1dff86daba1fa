"""Belief: what the evidence says has happened."""

from dataclasses import replace

import pytest

from alerts.belief import PATTERNS, Clue, believe
from config.grades import read_grades


def clue(text: str, *, medium: str, place: str = "a", kind: str = "", gone: bool = False) -> Clue:
    """From a text such as "pressure- jump"."""
    sign, _, rule = text.partition(" ")
    direction = {"+": 1, "-": -1}.get(sign[-1], 0)
    return Clue(medium, place, sign.rstrip("+-"), direction, rule or "level", kind, gone)


@pytest.mark.parametrize(
    ("medium", "evidence", "kind"),
    [
        ("water", ["pressure- jump"], "burst"),
        ("water", ["pressure-", "flow+ jump"], "burst"),
        ("water", ["pressure- drift"], "slow_leak"),
        ("water", ["flow+ rhythm"], "slow_leak"),
        ("water", ["pressure-"], "low_pressure"),
        ("water", ["pressure- jump", "flow- jump"], "pump_trip"),
        ("water", ["turbidity+ jump"], "contamination"),
        ("water", ["level+"], "tank_overflow"),
        ("water", ["temperature-"], "freeze"),
        ("gas", ["pressure- jump", "flow+ jump"], "third_party_damage"),
        ("gas", ["pressure- jump"], "regulator_underpressure"),
        ("gas", ["pressure+ drift"], "regulator_overpressure"),
        ("gas", ["ch4+ drift"], "slow_leak"),
        ("gas", ["ch4+"], "well_gas"),
        ("gas", ["ch4+", "flow+ drift"], "slow_leak"),
        ("gas", ["pressure- jump", "flow- jump"], "valve_misclosure"),
        ("power", ["voltage_min- jump"], "voltage_sag"),
        ("power", ["joint_temperature+ drift"], "joint_overheat"),
        ("power", ["voltage-"], "undervoltage"),
        ("power", ["voltage+"], "overvoltage"),
        ("power", ["current+ rhythm"], "overload"),
        ("power", ["leakage_current+ drift"], "earth_fault"),
        ("power", ["trench_water+"], "trench_flood"),
        ("power", ["frequency-"], "frequency_deviation"),
        ("power", ["o2-"], "well_gas"),
        ("wristband", ["heart_rate+ rhythm"], "tachycardia"),
        ("wristband", ["heart_rate- drift"], "bradycardia"),
        ("wristband", ["spo2- jump"], "hypoxia"),
        ("water", ["ph jump"], "unknown"),
    ],
)
def test_signs_are_read_as_people_of_the_trade_would(medium: str, evidence: list[str], kind: str) -> None:
    assert believe([clue(text, medium=medium) for text in evidence], {}).kind == kind


def test_a_pressure_drop_at_several_gas_sites_is_no_regulator() -> None:
    clues = [clue("pressure- jump", medium="gas", place=place) for place in "ab"]

    assert believe(clues, {}).kind == "third_party_damage"


ZONES = {
    ("gas", "flow", "z"): (1, 300.0),
    ("gas", "main", "z"): (4, 60.0),
    ("power", "voltage", "z"): (5, 60.0),
}


def gas_clues(text: str, places: str, *, outlet: bool = False) -> list[Clue]:
    return [
        replace(clue(text, medium="gas", place=place), zone="z", outlet=outlet, channel=number)
        for number, place in enumerate(places)
    ]


def test_pressure_falls_behind_a_closed_valve_and_no_more_gas_flows() -> None:
    fell = gas_clues("pressure- jump", "ab")
    rose = gas_clues("flow+ jump", "s")

    assert believe(fell, {}, ZONES, 120.0).kind == "third_party_damage", "the flow has not spoken yet"
    assert believe(fell, {}, ZONES, 700.0).kind == "valve_misclosure"
    assert believe([*fell, *rose], {}, ZONES, 700.0).kind == "third_party_damage"
    assert believe(fell, {}, {}, 700.0).kind == "third_party_damage", "where no flow is measured"


def test_an_outlet_that_falls_while_its_main_holds_is_the_regulator() -> None:
    fell = gas_clues("pressure- jump", "a", outlet=True)

    assert believe(fell, {}, ZONES, 700.0).kind == "regulator_underpressure"


def test_mains_that_are_low_in_a_whole_zone_are_its_station() -> None:
    low = believe(gas_clues("pressure- level", "abcd"), {}, ZONES, 700.0)

    assert (low.kind, "whole zone" in low.reason) == ("regulator_underpressure", True)


def test_several_rules_on_one_dead_channel_are_one_voltage_that_is_gone() -> None:
    rules = ("jump", "rhythm", "power.voltage.low_low")
    dead = [
        Clue("power", place, "voltage", -1, rule, gone=True, channel=number, zone="z", kind="")
        for number, place in enumerate("abcde")
        for rule in rules
    ]

    assert believe(dead[:6], {}, ZONES).kind == "feeder_outage"
    assert believe(dead, {}, ZONES).kind == "transformer_outage"


def test_a_voltage_that_stays_low_is_no_sag() -> None:
    dip = clue("voltage_min- power.voltage_min.low", medium="power", kind="voltage_sag")
    low = clue("voltage- power.voltage.low", medium="power", kind="undervoltage")

    assert believe([dip, clue("voltage- jump", medium="power")], {}).kind == "voltage_sag"
    assert believe([dip, low], {}).kind == "undervoltage"


def test_a_voltage_that_is_gone_for_a_moment_is_an_interruption_and_with_the_rest_an_outage() -> None:
    dip = clue("voltage_min- power.voltage_min.low", medium="power", kind="voltage_sag")
    blink = clue("voltage_min- power.voltage_min.low_low", medium="power", kind="interruption", gone=True)
    dead = clue("voltage- power.voltage.low_low", medium="power", kind="feeder_outage", gone=True)

    assert believe([dip, blink], {}).kind == "interruption"
    assert believe([blink, clue("current- jump", medium="power")], {}).kind == "feeder_outage"
    assert believe([dip, blink, dead], {}).kind == "feeder_outage"


def test_pressure_lost_all_over_the_site_is_a_pump_and_in_a_corner_a_burst() -> None:
    clues = [clue("pressure- jump", medium="water", place=place) for place in "abcd"]

    pumped = {("water", "pump_state"): 1}
    assert believe(clues, {("water", "pressure"): 5, **pumped}).kind == "pump_trip"
    assert believe(clues, {("water", "pressure"): 20, **pumped}).kind == "burst"
    assert believe(clues, {("water", "pressure"): 5}).kind == "burst"


def test_a_dead_feeder_is_told_from_a_low_voltage() -> None:
    assert believe([clue("voltage-", medium="power", gone=True)], {}).kind == "feeder_outage"


def test_what_a_detector_names_stands_unless_evidence_refines_it() -> None:
    named = clue("pressure-", medium="water", kind="low_pressure")
    hot = clue("joint_temperature+", medium="power", kind="joint_overheat")

    assert believe([named], {}).kind == "low_pressure"
    assert believe([named, clue("flow+ jump", medium="water")], {}).kind == "burst"
    assert believe([clue("voltage_min- jump", medium="power"), hot], {}).kind == "joint_overheat"


def test_where_only_a_limit_is_known_it_is_called_a_limit() -> None:
    assert believe([clue("thd+", medium="power", kind="limit")], {}).kind == "limit"


def test_every_pattern_names_a_kind_that_has_a_grade() -> None:
    grades = read_grades()
    for pattern in PATTERNS:
        medium = pattern.medium or "gas"
        assert grades.of(medium, pattern.kind) != grades.of(medium, "unknown"), pattern


def test_what_the_whole_zone_says_goes_before_what_its_channels_look_like() -> None:
    shut = clue("pressure- water.zone.cut_off", medium="water", kind="low_pressure")
    burst = clue("pressure- water.zone.burst", medium="water", kind="burst")
    looks = [clue("pressure- jump", medium="water"), clue("flow+ jump", medium="water")]

    assert believe(looks, {}).kind == "burst"
    assert believe([*looks, shut], {}).kind == "low_pressure"
    assert believe([*looks, shut, burst], {}).kind == "burst"
    assert believe([*looks, shut, shut, burst], {}).kind == "low_pressure"
