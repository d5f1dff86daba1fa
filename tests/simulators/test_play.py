"""A scenario made concrete: what may be set, what a seed decides, and what does not fit."""

import pytest

from config.errors import InputError
from simulators.entries import FILES, entries, entry_named
from simulators.kinds import SCENARIOS
from simulators.noise import stream
from simulators.play import Parameter
from simulators.scenarios import SECOND_NS, nanoseconds

MONDAY = nanoseconds("2026-01-05T00:00:00+08:00")
DAY_NS = 86400 * SECOND_NS
PUBLIC = [
    "water/net3_night_burst",
    "water/net1_background_leak",
    "water/net3_lake_pump_off",
    "water/net3_cross_connection",
    "water/tank_overflow",
    "water/festival_weekend",
    "water/hydrant_test",
    "gas/schutterwald_spur_break",
    "gas/star_seep",
    "gas/regulator_creep",
    "gas/filter_clogging",
    "gas/frost_week",
    "gas/sewer_methane",
    "gas/sensor_bump_check",
    "power/cigre_lv_ev_street",
    "power/cigre_mv_fault_sag",
    "power/oberrhein_trafo_out",
    "power/joint_corrosion",
    "power/damp_insulation",
    "power/pumped_sump",
    "power/heat_wave",
    "band/slow_brady",
    "band/af_paroxysm",
    "band/apnoea_night",
    "band/fall_no_sos",
    "band/fall_with_sos",
    "band/wandering",
    "band/gym",
    "band/sauna",
    "band/taken_off",
    "band/applause",
    "faults/modbus_word_swap",
    "faults/psi_as_kpa",
    "faults/clock_utc_plus8",
    "faults/backlog_6h",
    "faults/flatline",
    "faults/nbiot_duplicates",
    "mixed/burst_during_festival",
    "mixed/leak_with_dead_neighbour",
    "mixed/fall_during_backlog",
    "district",
]
KINDS = [
    "burst",
    "slow_leak",
    "pump_trip",
    "contamination",
    "freeze",
    "low_pressure",
    "tank_overflow",
    "third_party_damage",
    "regulator_overpressure",
    "regulator_underpressure",
    "valve_misclosure",
    "well_gas",
    "undervoltage",
    "overvoltage",
    "voltage_sag",
    "overload",
    "feeder_outage",
    "joint_overheat",
    "earth_fault",
    "partial_discharge",
    "trench_flood",
    "transformer_outage",
    "frequency_deviation",
    "bradycardia",
    "tachycardia",
    "atrial_fibrillation",
    "hypoxia",
    "fever",
    "fall",
    "no_activity",
    "wandering",
    "sos",
]
FAULTS = [
    "stuck",
    "drift",
    "spike",
    "dropout",
    "clock_skew",
    "duplicates",
    "out_of_order",
    "wrong_unit",
    "byte_order",
    "battery_death",
    "backlog",
]


def test_the_public_catalogue_is_there_by_its_names() -> None:
    known = entries()

    assert set(PUBLIC) <= set(known)
    assert {name.partition("/")[0] for name in known} == {*FILES, "district"}
    assert all(entry_named(name).name == name for name in known)


def test_every_kind_of_event_and_of_fault_can_be_played() -> None:
    assert set(KINDS) <= set(SCENARIOS)
    assert {f"sensor_fault:{fault}" for fault in FAULTS} <= set(SCENARIOS)


def test_an_unknown_scenario_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"did you mean water/net3_night_burst\?"):
        entry_named("water/net3_nigth_burst")
    with pytest.raises(InputError, match=r"did you mean band/gym\?"):
        entry_named("bands/gym")


def test_the_first_seed_plays_the_catalogue_and_others_vary_what_is_not_set() -> None:
    entry = entry_named("band/fall_no_sos")
    own = entry.settings({}, 1)
    others = [entry.settings({"minutes": "25"}, seed) for seed in range(2, 12)]

    assert own == {"wearer": "band.c31", "peak": 4.5, "minutes": 25, "start": "09:40"}
    assert all(other["minutes"] == 25 for other in others)
    for name in ("wearer", "peak", "start"):
        assert len({other[name] for other in others}) > 3
    assert others[0] == entry.settings({"minutes": "25"}, 2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"colour": "red"}, "no such parameter"),
        ({"wearer": "band.c13"}, r"did you mean band\.c31\?"),
        ({"peak": "hard"}, "must be a number from 3.1 to 16"),
        ({"peak": "nan"}, "must be a number"),
        ({"minutes": "2.5"}, "a whole number"),
        ({"minutes": "1e9"}, "from 1 to 1440"),
        ({"start": "25:00"}, "a time of day, such as 09:40"),
    ],
)
def test_what_cannot_be_set_is_said(given: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        entry_named("band/fall_no_sos").settings(given, 1)


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(InputError) as refused:
        entry_named("band/gym").settings({"rate": "fast", "colour": "red", "start": "noon"}, 1)

    assert len(refused.value.mistakes) == 3


def test_a_seed_moves_a_time_of_day_across_midnight() -> None:
    parameter = Parameter("00:20", "time of day", hours=1.0)

    clocks = {str(parameter.chosen(stream(seed, "start"))) for seed in range(40)}

    assert any(clock > "23:00" for clock in clocks)
    assert any(clock < "01:21" for clock in clocks)


def test_an_event_is_on_the_last_day_on_which_it_ends() -> None:
    play = entry_named("band/fall_no_sos").play({}, 1, MONDAY)

    assert play.events[0].start_ns == nanoseconds("2026-01-08T09:40:00+08:00")
    assert play.first_ns == play.events[0].start_ns


def test_too_short_a_span_says_how_long_it_must_be() -> None:
    entry = entry_named("faults/slow_drift")

    with pytest.raises(InputError, match="write --days 3 or more"):
        entry.play({}, 1, MONDAY, days=1)
    assert entry.play({}, 1, MONDAY, days=3).events[0].start_ns >= MONDAY


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_district_mixes_incidents_harmless_things_and_faults(seed: int) -> None:
    given = {"channels": "400", "physics": "trees", "incidents": "5", "benign": "4", "faults": "3"}
    play = entry_named("district").play(given, seed, MONDAY)

    classes = [row["class"] for row in play.world.truth()]
    assert {name: classes.count(name) for name in set(classes)} == {
        "incident": 5, "benign": 4, "sensor_fault": 3,
    }  # fmt: skip
    assert all(row["channels"] for row in play.world.truth())
    assert min(event.start_ns for event in play.events) >= MONDAY + 3 * DAY_NS
    assert max(event.end_ns for event in play.events) <= MONDAY + 4 * DAY_NS
    assert len(play.planned) <= 4


def test_some_harmless_things_are_announced_and_some_are_not() -> None:
    given = {"channels": "400", "physics": "trees", "benign": "4"}
    plays = [entry_named("district").play(given, seed, MONDAY) for seed in range(1, 7)]

    told = sum(len(play.planned) for play in plays)
    assert 0 < told < 24


def test_seeds_of_a_district_differ_in_kind_place_size_and_time() -> None:
    plays = [entry_named("district").play({"physics": "trees"}, seed, MONDAY) for seed in range(1, 6)]

    events = [event for play in plays for event in play.events]
    for field in ("kind", "place", "start_ns"):
        assert len({getattr(event, field) for event in events}) > 15
