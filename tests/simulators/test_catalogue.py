"""The scenarios of the catalogue, on the libraries that solve them."""

from fnmatch import fnmatch
from functools import cache

import numpy as np
import pytest

from simulators.entries import entries, entry_named
from simulators.noise import FloatArray
from simulators.play import Play
from simulators.scenarios import SECOND_NS, nanoseconds

pytest.importorskip("wntr", reason="needs the extra `sim`: pip install 'watchline[sim]'")
MONDAY = nanoseconds("2026-01-05T00:00:00+08:00")
MINUTE, HOUR = 60.0, 3600.0
TRUTH = {  # kinds that each scenario is about, in order of time
    "water/net3_night_burst": ["burst"],
    "water/net1_background_leak": ["slow_leak"],
    "water/net3_lake_pump_off": ["pump_trip"],
    "water/net3_cross_connection": ["contamination"],
    "water/tank_overflow": ["tank_overflow"],
    "water/festival_weekend": ["festival"],
    "water/hydrant_test": ["hydrant_test"] * 3,
    "gas/schutterwald_spur_break": ["third_party_damage"],
    "gas/star_seep": ["slow_leak"],
    "gas/regulator_creep": ["regulator_overpressure"],
    "gas/filter_clogging": ["regulator_underpressure"],
    "gas/frost_week": ["frost"],
    "gas/sewer_methane": ["sewer_methane"],
    "gas/sensor_bump_check": ["bump_test"],
    "power/cigre_lv_ev_street": ["overload"],
    "power/cigre_mv_fault_sag": ["voltage_sag"],
    "power/oberrhein_trafo_out": ["transformer_outage"],
    "power/joint_corrosion": ["joint_overheat"],
    "power/damp_insulation": ["earth_fault"],
    "power/pumped_sump": ["pumped_sump"],
    "power/heat_wave": ["heat_wave"],
    "band/slow_brady": ["bradycardia"],
    "band/af_paroxysm": ["atrial_fibrillation"],
    "band/apnoea_night": ["hypoxia"],
    "band/fall_no_sos": ["fall"],
    "band/fall_with_sos": ["fall", "sos"],
    "band/wandering": ["wandering"],
    "faults/modbus_word_swap": ["sensor_fault:byte_order"],
    "faults/psi_as_kpa": ["sensor_fault:wrong_unit"],
    "faults/clock_utc_plus8": ["sensor_fault:clock_skew"],
    "faults/backlog_6h": ["sensor_fault:backlog"],
    "faults/flatline": ["sensor_fault:stuck"],
    "faults/nbiot_duplicates": ["sensor_fault:duplicates"],
    "mixed/burst_during_festival": ["festival", "burst"],
    "mixed/leak_with_dead_neighbour": ["sensor_fault:dropout", "slow_leak"],
    "mixed/fall_during_backlog": ["sensor_fault:backlog", "fall"],
}
BRIEF = {  # what takes days in the catalogue, and would in a test
    "power/joint_corrosion": {"days": "2"},
    "power/heat_wave": {"days": "1"},
    "power/pumped_sump": {"days": "1"},
    "gas/frost_week": {"days": "2"},
    "gas/sewer_methane": {"days": "1"},
    "water/net1_background_leak": {"days": "3"},
}
QUIET = ("band/gym", "band/sauna", "band/taken_off", "band/applause")
ANNOUNCED = (
    "water/festival_weekend",
    "water/hydrant_test",
    "gas/sensor_bump_check",
    "mixed/burst_during_festival",
)


@cache
def played(name: str, **given: str) -> Play:
    """A scenario with the catalogue's own seed; solved once for all tests."""
    return entry_named(name).play(given, 1, MONDAY)


def seen(play: Play, channel: str, *after_s: float) -> FloatArray:
    """What a sensor shows so long after the (last) event began."""
    start_ns = play.events[-1].start_ns if len(play.events) == 1 else max(e.start_ns for e in play.events)
    at = np.array([start_ns + round(each * SECOND_NS) for each in after_s], dtype=np.int64)
    order = np.argsort(at)
    answer = np.empty(len(at))
    answer[order] = play.world.values(at[order], [play.world.channels.number[channel]])[:, 0]
    return answer


@pytest.mark.parametrize("name", TRUTH)
def test_the_truth_of_a_scenario_is_what_its_name_says(name: str) -> None:
    play = played(name, **BRIEF.get(name, {}))

    truth = play.world.truth()
    assert [row["kind"] for row in truth] == TRUTH[name]
    for row in truth:
        assert row["channels"]
        assert set(row["channels"]) <= set(play.world.channels.ids)
        assert set(row["near_places"]) <= set(play.world.channels.places)


@pytest.mark.parametrize("name", [*TRUTH, *QUIET])
def test_a_scenario_shows_channels_that_it_has(name: str) -> None:
    play = played(name)

    for pattern in play.entry.shown:
        assert any(fnmatch(channel, pattern) for channel in play.world.channels.ids), pattern
    assert play.request.start_ns <= play.first_ns < play.request.end_ns
    assert bool(play.planned) == (name in ANNOUNCED)
    if name in QUIET:
        assert {row["class"] for row in play.world.truth()} == {"benign"}


def test_a_night_burst_of_thirty_litres_costs_some_kilopascal_and_is_loud() -> None:
    play = played("water/net3_night_burst")
    calm = played("water/net3_night_burst", flow_lps="1")

    at = (-HOUR, 0.5 * HOUR, HOUR, 6 * HOUR)
    drop = seen(calm, "net3.node163.pressure", *at) - seen(play, "net3.node163.pressure", *at)
    assert abs(drop[0]) < 0.2
    assert (drop[1:3] > 2).all()
    assert (drop[1:3] < 30).all()
    assert seen(play, "net3.node163.leak_noise", HOUR)[0] > seen(play, "net3.node163.leak_noise", -60)[0] + 12


def test_a_tripped_pump_stands_still_and_its_zone_feels_it() -> None:
    play = played("water/net3_lake_pump_off")

    assert seen(play, "net3.pump10.pump_state", -60, 600, 3.5 * HOUR).tolist() == [1, 0, 1]
    assert seen(play, "net3.pump10.flow", 600)[0] < 1
    pressure = seen(play, "net3.node105.pressure", -60, HOUR)
    assert pressure[1] < pressure[0] - 30


def test_foul_water_travels_down_the_network() -> None:
    play = played("water/net3_cross_connection")

    near = seen(play, "net3.node121.turbidity", -60, 20 * MINUTE, HOUR, 8 * HOUR)
    assert near[0] < 0.5
    assert near[1] > 1.8
    assert near[3] < 0.6
    assert seen(play, "net3.node163.turbidity", 10 * MINUTE)[0] < 0.6  # not there yet
    assert seen(play, "net3.node163.turbidity", 1.5 * HOUR)[0] > 1.5
    assert seen(play, "net3.node121.chlorine", HOUR)[0] < 0.2


def test_a_tank_whose_float_fails_passes_its_operators_limit_before_the_rim() -> None:
    play = played("water/tank_overflow")
    tank = play.world.channels[play.world.channels.number["net1.tank2.level"]]
    calm = np.array([play.request.start_ns + hour * 3600 * SECOND_NS for hour in range(12, 70)])

    assert play.world.values(calm, [play.world.channels.number[tank.id]]).max() < tank.high
    level = seen(play, tank.id, *(np.arange(0, 10, 0.25) * HOUR))
    assert tank.high < level.max() <= 46.05


def test_a_torn_spur_fills_its_well_and_lowers_the_pressure_at_its_end() -> None:
    play = played("gas/schutterwald_spur_break")

    methane = seen(play, "town.spur_a.well.ch4", -60, 10 * MINUTE)
    assert methane[0] < 5
    assert methane[1] > 50
    pressure = seen(play, "town.spur_a.pressure", -60, 10 * MINUTE)
    assert pressure[1] < pressure[0] - 3
    small = played("gas/schutterwald_spur_break", mdot="0.001")
    more = seen(play, "town.station.flow", 10 * MINUTE) - seen(small, "town.station.flow", 10 * MINUTE)
    assert more[0] == pytest.approx(0.029 / 0.79 * 3600, rel=0.2)  # m3/h


def test_a_seep_fills_the_well_over_days_and_a_creeping_regulator_stays_below_the_danger() -> None:
    seep, creep = played("gas/star_seep"), played("gas/regulator_creep")

    well = seen(seep, "star.south.well.ch4", -60, 24 * HOUR, 60 * HOUR)
    assert well[0] < 2
    assert 6 < well[1] < 15
    assert 23 < well[2] < 30
    outlet = seen(creep, "star.south.outlet_pressure", -60, 10 * HOUR, 29 * HOUR)
    assert outlet[0] < 2.15
    assert outlet[1] - outlet[0] == pytest.approx(0.5, abs=0.15)
    assert 3.2 < outlet[2] < 3.6


def test_a_street_overloads_its_transformer_only_when_most_homes_charge_a_car() -> None:
    full, few = played("power/cigre_lv_ev_street"), played("power/cigre_lv_ev_street", share="20")

    evening = tuple(np.arange(0.25, 4.5, 0.25) * HOUR)
    assert seen(full, "lv.r1.transformer_load", *evening).max() > 110
    assert seen(few, "lv.r1.transformer_load", *evening).max() < 100
    assert few.world.truth()[0]["class"] == "benign"


def test_a_fault_on_the_grid_is_deepest_where_it_is_and_felt_where_that_is_fed() -> None:
    play = played("power/cigre_mv_fault_sag")

    lowest = {bus: seen(play, f"mv.bus{bus}.voltage_min", 30)[0] / 20_000 for bus in (1, 3, 5, 7)}
    assert lowest[7] < 0.1
    assert lowest[7] < min(lowest[5], lowest[3]) < lowest[1] < 0.95
    assert seen(play, "mv.bus13.voltage_min", 30)[0] > 19_000  # behind the other transformer
    assert seen(play, "mv.bus7.voltage_min", 90)[0] > 19_000


def test_a_transformer_that_trips_leaves_its_stations_dark_and_the_others_lit() -> None:
    play = played("power/oberrhein_trafo_out")

    assert seen(play, "rhine.trafo0.voltage", -60, MINUTE, 39 * MINUTE, 41 * MINUTE)[[1, 2]].tolist() == [
        0,
        0,
    ]
    assert seen(play, "rhine.trafo0.voltage", -60, 41 * MINUTE).min() > 19_000
    assert seen(play, "rhine.trafo1.voltage", MINUTE)[0] > 19_000
    dark = [row for row in play.world.truth()[0]["channels"] if row.endswith(".voltage")]
    assert len(dark) > 3


def test_a_fibrillating_heart_varies_more_than_twice_as_much() -> None:
    play = played("band/af_paroxysm")

    calm, wild = seen(play, "band.c31.hrv_rmssd", -10 * MINUTE, 10 * MINUTE)
    assert wild > 2 * calm


def test_thirty_dips_of_a_night_and_no_more() -> None:
    play = played("band/apnoea_night")

    at = play.events[0].start_ns + np.arange(0, 7 * 3600, 20) * SECOND_NS
    low = play.world.values(at, [play.world.channels.number["band.c31.spo2"]])[:, 0] < 90
    dips = int(np.sum(low[1:] & ~low[:-1]))
    assert 24 <= dips <= 45


def test_other_seeds_play_other_variants_without_a_mistake() -> None:
    for seed in (2, 3):
        for entry in entries().values():
            if entry.name.startswith(("band/", "faults/")):
                play = entry.play({}, seed, MONDAY)
                assert play.world.truth()
