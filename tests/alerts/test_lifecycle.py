"""Lifecycle: the alarms of a small site, and the invariants that no alarm system should break."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.alert import AlertChange
from alerts.states import TRANSITIONS, State, Turn, after
from config.channels import ChannelTable, Planned
from detectors.findings import ALARM, CALM, WARNING
from ingest.ticks import SECOND_NS, Command
from tests.alerts.world import CHANNELS, EVERY_RULE, START_NS, Site

JUMP = ("jump", "w.a.pressure")
HOUR = 3600.0


def states(changes: list[AlertChange]) -> list[tuple[str, str]]:
    return [(change.type, change.state) for change in changes]


def raised(
    site: Site, rule: str = "jump", channel: str = "w.a.pressure", severity: int = ALARM
) -> AlertChange:
    site.set(rule, channel, severity, direction=-1)
    return site.tick()[0]


# --- the table ---


def test_the_table_walks_from_normal_to_normal_through_both_acknowledged_and_unseen_returns() -> None:
    for walk in (
        [Turn.STRANGE, Turn.LASTED, Turn.ACKNOWLEDGED, Turn.RETURNED],
        [Turn.STRANGE, Turn.LASTED, Turn.RETURNED, Turn.ACKNOWLEDGED],
        [Turn.STRANGE, Turn.LASTED, Turn.RETURNED_LATCHING, Turn.ACKNOWLEDGED, Turn.RESET],
        [Turn.STRANGE, Turn.LASTED, Turn.ACKNOWLEDGED, Turn.RETURNED_LATCHING, Turn.RESET],
        [Turn.STRANGE, Turn.CALM],
    ):
        state: State | None = State.NORMAL
        for turn in walk:
            assert state is not None
            state = after(state, turn)
        assert state is State.NORMAL


def test_every_state_of_the_table_can_be_reached_and_left() -> None:
    assert {state for state, _ in TRANSITIONS} == set(State) == set(TRANSITIONS.values())


# --- delays ---


def test_an_alarm_needs_its_on_delay() -> None:
    site = Site(on_delay_s=10.0)
    site.set(*JUMP)

    assert site.tick() == []
    assert site.tick(9.0) == []
    assert states(site.tick(1.0)) == [("raised", "ACTIVE_UNACK")]


def test_a_condition_that_ends_within_its_on_delay_is_never_heard_of() -> None:
    site = Site(on_delay_s=10.0)
    site.set(*JUMP)
    site.tick()
    site.calm()
    site.tick(5.0)
    site.set(*JUMP)

    assert site.tick(5.0) == []
    assert site.tick(9.0) == []


def test_an_on_delay_that_ends_between_two_readings_is_a_deadline_in_stream_time() -> None:
    site = Site(on_delay_s=10.0)
    site.set(*JUMP)
    site.tick()

    assert site.lifecycle.next_deadline_ns() == site.now_ns + 10 * SECOND_NS
    (change,) = site.wait(60.0)
    assert change.detected_ns == START_NS + 11 * SECOND_NS
    assert change.event_ns == START_NS


def test_a_slow_sensor_needs_samples_and_time_alone_does_not_raise() -> None:
    site = Site(on_delay_s=10.0, on_samples=3)
    site.set(*JUMP)
    site.tick()

    assert site.wait(HOUR) == []
    assert site.tick() == []
    assert states(site.tick()) == [("raised", "ACTIVE_UNACK")]


def test_an_alarm_returns_after_its_off_delay() -> None:
    site = Site(off_delay_s=60.0)
    raised(site)
    site.calm()

    assert site.tick() == []
    assert site.tick(59.0) == []
    assert states(site.tick(1.0)) == [("cleared", "RTN_UNACK")]


def test_a_flicker_within_the_off_delay_starts_it_anew() -> None:
    site = Site(off_delay_s=60.0)
    raised(site)
    site.calm()
    site.tick()
    site.set(*JUMP)
    site.tick(30.0)
    site.calm()

    assert site.tick(30.0) == []
    assert site.tick(59.0) == []
    assert len(site.tick(1.0)) == 1


# --- invariant 1: data loss never moves an alarm towards NORMAL ---


def test_silence_never_calms_an_alarm() -> None:
    site = Site()
    raised(site)
    site.calm()

    for _ in range(5):
        assert site.tick(HOUR, heard=False) == []
    assert states(site.tick()) == [("cleared", "RTN_UNACK")]


def test_one_calm_reading_and_then_silence_does_not_end_an_off_delay() -> None:
    site = Site(off_delay_s=60.0)
    raised(site)
    site.calm()
    site.tick()

    assert site.tick(HOUR, heard=False) == []
    assert site.wait(HOUR) == []
    assert states(site.tick()) == [("cleared", "RTN_UNACK")]


def test_a_silent_sensor_raises_an_alarm_of_its_own_beside_the_old_one() -> None:
    site = Site()
    first = raised(site)
    heard = np.ones(len(site.points), dtype=bool)
    heard[[point for (_, id), point in site.number.items() if id == "w.a.pressure"]] = False
    site.calm(JUMP)
    site.set("silence", "w.a.pressure")

    (silent,) = site.tick(heard=heard)

    assert silent.kind == "sensor_fault:dropout"
    assert silent.incident != first.incident
    assert {alarm.state for alarm in site.lifecycle.open_alarms()} == {State.ACTIVE_UNACK}


# --- invariant 2: acknowledge is not resolve; a severity rise re-arms ---


def test_acknowledging_does_not_end_an_alarm() -> None:
    site = Site()
    change = raised(site)

    (seen,) = site.order("ack", alert_id=change.alert_id, reason="on my way")

    assert (seen.type, seen.state, seen.actor, seen.reason) == (
        "acknowledged",
        "ACTIVE_ACK",
        "li.wei",
        "on my way",
    )
    assert site.tick() == []
    site.calm()
    assert states(site.tick()) == [("cleared", "NORMAL")]
    assert site.lifecycle.open_alarms() == []


def test_a_rise_in_severity_asks_to_be_seen_again() -> None:
    site = Site()
    change = raised(site, "gas.ch4.high", "g.b.ch4", WARNING)
    site.order("ack", alert_id=change.alert_id)
    site.set("gas.ch4.high", "g.b.ch4", ALARM)

    (risen,) = site.tick()

    assert (change.grade, risen.grade) == ("P2", "P1")
    assert (risen.type, risen.state, risen.notify) == ("updated", "ACTIVE_UNACK", True)
    assert risen.alert_id == change.alert_id


# --- invariant 3: a shelf that ends while the condition holds re-annunciates at once ---


def test_a_shelf_that_ends_while_the_condition_holds_is_told_at_once() -> None:
    site = Site()
    change = raised(site)
    (shelved,) = site.order("shelve", alert_id=change.alert_id, seconds=600, reason="crew is there")

    assert shelved.type == "shelved"
    assert shelved.extra["shelved_until"] == "2026-01-05T00:10:02.000Z"
    (back,) = site.wait(HOUR)
    assert (back.type, back.notify, back.state) == ("unshelved", True, "ACTIVE_UNACK")
    assert back.detected_ns == START_NS + 602 * SECOND_NS


def test_a_new_activation_under_a_shelf_is_recorded_and_not_told() -> None:
    site = Site()
    change = raised(site)
    site.order("shelve", alert_id=change.alert_id, seconds=3000, reason="known")
    site.order("ack", alert_id=change.alert_id)
    site.calm()
    site.tick()
    site.wait(2000.0)

    again = raised(site)

    assert (again.type, again.notify) == ("raised", False)
    assert again.extra["overlays"] == ["SHELVED"]
    assert [change.type for change in site.wait(HOUR) if change.notify] == ["unshelved"]


def test_a_one_shot_shelf_ends_with_the_first_return() -> None:
    site = Site()
    change = raised(site)
    site.order("shelve", alert_id=change.alert_id, one_shot=True, reason="mute until resolved")
    site.calm()
    site.tick()

    assert site.lifecycle.overlays.shelves == {}


def test_out_of_service_mutes_until_its_end_and_is_then_told() -> None:
    site = Site()
    site.order("out_of_service", place="w.a", permit="W-17", until="2026-01-05T01:00:00Z")

    change = raised(site)

    assert (change.notify, change.extra["overlays"]) == (False, ["OUT_OF_SERVICE"])
    (back,) = site.wait(2 * HOUR)
    assert (back.notify, back.detected_ns) == (True, START_NS + 3600 * SECOND_NS)


# --- invariant 4: a resolve is delivered even if muted, when a firing message had been delivered ---


def test_a_resolve_is_told_although_the_alarm_was_shelved_meanwhile() -> None:
    site = Site()
    change = raised(site)
    site.order("shelve", alert_id=change.alert_id, seconds=3000, reason="known")
    site.calm()

    (cleared,) = site.tick()

    assert (cleared.type, cleared.notify) == ("cleared", True)


def test_a_resolve_is_not_told_where_the_alarm_was_never_told() -> None:
    site = Site()
    site.order("out_of_service", place="w.a", permit="W-17")
    raised(site)
    site.calm()

    (cleared,) = site.tick()

    assert not cleared.notify


# --- invariant 5: restart ---


def test_a_shelf_survives_a_restart_with_its_absolute_end() -> None:
    site = Site()
    change = raised(site)
    site.order("shelve", alert_id=change.alert_id, seconds=600, reason="known")
    site.restart()

    (back,) = site.wait(HOUR)

    assert back.detected_ns == START_NS + 602 * SECOND_NS


def test_an_unreadable_shelf_comes_back_unshelved() -> None:
    site = Site()
    change = raised(site)
    site.order("shelve", alert_id=change.alert_id, seconds=600, reason="known")
    state = dict(site.lifecycle.state())
    state["overlays"] = {"shelves": {change.alert_id: {"until_ns": "tomorrow"}}, "out_of_service": 7}

    site.lifecycle.restore(state)

    assert site.lifecycle.overlays.shelves == {}
    assert len(site.lifecycle.open_alarms()) == 1


def test_an_alarm_whose_channel_left_the_settings_is_cleared_with_the_reason() -> None:
    site = Site()
    raised(site)
    raised(site, "jump", "w.b.pressure")
    state = site.lifecycle.state()
    kept = [channel for channel in CHANNELS.channels if channel.id != "w.a.pressure"]
    smaller = Site([rule for rule in EVERY_RULE if rule[1] != "w.a.pressure"], channels=ChannelTable(kept))
    smaller.now_ns = site.now_ns
    smaller.set("jump", "w.b.pressure", direction=-1)

    smaller.lifecycle.restore(state)

    assert smaller.lifecycle.next_deadline_ns() is not None
    (change,) = smaller.tick()
    assert (change.type, change.place, change.state) == ("cleared", "w.a", "NORMAL")
    assert "no longer watched" in change.reason


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), restart_at=st.sets(st.integers(0, 79), min_size=1, max_size=4))
def test_a_watch_restarted_at_any_tick_says_what_one_that_ran_through_says(
    seed: int, restart_at: set[int]
) -> None:
    through, restarted = wander(seed, 80, set()), wander(seed, 80, restart_at)

    assert [change.cloud_event("urn:x") for change in through.changes] == [
        change.cloud_event("urn:x") for change in restarted.changes
    ]


# --- invariant 6: every transition carries actor, reason, event time, process time, rule ---


def test_every_change_says_who_when_and_by_which_rule() -> None:
    site = wander(7, 120, set())

    assert len(site.changes) > 50
    for change in site.changes:
        data: dict[str, Any] = change.cloud_event("urn:x")["data"]
        assert data["actor"] and data["rule"]["id"] and data["t"]["event"] and data["t"]["detected"]
        assert data["because"] and data["place"] and data["tier"] and data["advice"]
        if change.type in ("shelved", "suppressed", "updated"):
            assert data["reason"]


# --- the rest ---


def test_a_latched_alarm_stays_until_it_is_seen_and_reset_by_hand() -> None:
    site = Site(latching=["sos"])
    change = raised(site, "sos", "band-7.sos")
    site.calm()

    assert states(site.tick()) == [("cleared", "LATCH_UNACK")]
    assert site.order("reset", alert_id=change.alert_id) == []
    assert "acknowledge it first" in site.lifecycle.command_results()[0].reason
    assert states(site.order("ack", alert_id=change.alert_id)) == [("acknowledged", "LATCH_ACK")]
    assert states(site.order("reset", alert_id=change.alert_id)) == [("updated", "NORMAL")]
    assert site.lifecycle.open_alarms() == []


def test_a_second_sos_after_the_first_was_seen_is_told_again() -> None:
    site = Site(latching=["sos"])
    change = raised(site, "sos", "band-7.sos")
    site.order("ack", alert_id=change.alert_id)
    site.calm()
    site.tick()

    again = raised(site, "sos", "band-7.sos")

    assert (again.alert_id, again.occurrence, again.notify) == (change.alert_id, 2, True)


FALL = ("fall", "band-7.fall")


@pytest.mark.parametrize("seen", [False, True])
def test_a_second_fall_is_told_again_while_the_first_is_still_on(seen: bool) -> None:
    site = Site()
    first = raised(site, *FALL)
    if seen:
        site.order("ack", alert_id=first.alert_id)
    assert site.tick() == []

    (again,) = site.tick(anew=[FALL])

    assert (again.type, again.alert_id, again.occurrence) == ("raised", first.alert_id, 2)
    assert (again.notify, again.state, again.incident) == (True, "ACTIVE_UNACK", first.incident)
    assert site.tick() == []
    site.restart()
    assert site.tick() == []


@pytest.mark.parametrize("seen", [False, True])
def test_a_second_fall_soon_after_the_first_was_over_is_told_again(seen: bool) -> None:
    site = Site()
    first = raised(site, *FALL)
    if seen:
        site.order("ack", alert_id=first.alert_id)
    site.calm()
    site.tick()

    site.set(*FALL)
    (again,) = site.tick(anew=[FALL])

    assert (again.type, again.notify, again.incident) == ("raised", True, first.incident)


def test_a_second_fall_under_a_shelf_is_recorded_and_not_told() -> None:
    site = Site()
    first = raised(site, *FALL)
    site.order("shelve", alert_id=first.alert_id, seconds=3000, reason="in hospital")

    (again,) = site.tick(anew=[FALL])

    assert (again.occurrence, again.notify) == (2, False)


def test_an_alarm_left_unseen_makes_room_when_it_comes_again_after_its_incident() -> None:
    site = Site()
    first = raised(site)
    site.calm()
    site.tick()
    site.wait(HOUR)

    site.set(*JUMP)
    retired, second = site.tick()

    assert (retired.alert_id, retired.state, retired.notify) == (first.alert_id, "NORMAL", False)
    assert second.alert_id in retired.reason
    assert second.notify
    assert second.incident != first.incident
    assert second.alert_id != first.alert_id
    assert second.fingerprint == first.fingerprint
    assert second.extra["previous_alert"] == first.alert_id


def test_a_chattering_alarm_is_one_alert_with_occurrences_and_told_once() -> None:
    site = Site()
    for _ in range(5):
        raised(site)
        site.calm()
        site.tick()

    ons = [change for change in site.changes if change.type == "raised"]
    assert [change.occurrence for change in ons] == [1, 2, 3, 4, 5]
    assert {change.alert_id for change in ons} == {ons[0].alert_id}
    assert [change.notify for change in ons] == [True, False, False, False, False]


def test_the_second_gas_level_says_all_that_the_first_would() -> None:
    site = Site()
    first = raised(site, "gas.ch4.high", "g.b.ch4", WARNING)
    site.set("gas.ch4.high_high", "g.b.ch4")

    suppressed, second = site.tick()

    assert (suppressed.type, suppressed.alert_id) == ("suppressed", first.alert_id)
    assert suppressed.extra["suppressed_by"] == second.alert_id
    assert (second.grade, second.notify, second.incident) == ("P1", True, first.incident)
    site.calm(("gas.ch4.high_high", "g.b.ch4"))
    cleared, free = site.tick()
    assert (cleared.alert_id, free.alert_id, free.notify) == (second.alert_id, first.alert_id, False)


def test_of_a_wristband_no_number_value_plot_or_position_leaves() -> None:
    site = Site()
    site.sentence = "Heart rate rose to 141 /min"
    site.set("jump", "band-7.heart_rate", direction=1, value=141.0)
    site.set("fall", "band-7.fall")
    site.set("sos", "band-7.sos")
    site.tick()
    site.calm()
    site.tick()

    for change in site.changes:
        event = str(change.cloud_event("urn:x"))
        assert "141" not in event and "251" not in event and "300" not in event
        data = change.cloud_event("urn:x")["data"]
        assert not {"observed", "numbers", "plot", "location", "quantity"} & data.keys()
        assert not any(sign.isdigit() for sign in data["because"])


def test_a_pipe_carries_its_plot_numbers_position_and_advice_in_two_languages() -> None:
    site = Site()

    data = raised(site, "jump", "p.a.voltage").cloud_event("urn:x")["data"]

    assert data["plot"] == {"values": [1.0, 2.0], "period_s": 60.0, "expected": 300.0, "observed": 251.0}
    assert data["numbers"] == {"expected": 300.0}
    assert data["observed"]["value"] == 251.0
    assert data["location"] == {"lat": 30.66, "lon": 104.12, "datum": "WGS84"}
    assert data["advice"] and data["advice_zh"] and data["owner"] == "power_company"


def test_alerts_of_the_warm_up_are_marked_and_still_told() -> None:
    site = Site()
    site.around.warm = frozenset({CHANNELS.number["w.a.pressure"]})

    change = raised(site)

    assert (change.warmup, change.notify) == (True, True)


def test_announced_works_lower_the_grade_and_what_outlasts_them_counts_in_full() -> None:
    works = Planned("works", "w.a", START_NS, START_NS + 3600 * SECOND_NS)
    site = Site(planned=[works])

    change = raised(site)

    assert (change.grade, change.extra["announced"]) == ("P3", "works")
    assert "announced here: works" in change.because
    (full,) = site.wait(3 * HOUR)
    assert (full.type, full.grade, full.notify) == ("updated", "P2", True)
    assert full.detected_ns == START_NS + (3600 + 1800) * SECOND_NS


def test_a_bump_test_of_a_gas_detector_is_raised_as_p4_and_marked_test() -> None:
    site = Site()
    entry = {
        "kind": "bump_test",
        "place": "g.b",
        "start": "2026-01-05T00:00:00Z",
        "end": "2026-01-05T01:00:00Z",
    }
    site.order("context", planned=[entry])

    change = raised(site, "gas.ch4.high_high", "g.b.ch4")

    assert (change.grade, change.extra["test"]) == ("P4", True)


def test_works_elsewhere_do_not_explain_a_persons_fall() -> None:
    works = Planned("works", "*", START_NS, START_NS + 3600 * SECOND_NS)
    site = Site(planned=[works])

    assert raised(site, "fall", "band-7.fall").grade == "P2"


def test_a_sensor_fault_verdict_never_mutes_a_life_safety_gas_alarm() -> None:
    site = Site()
    fault = raised(site, "stuck", "g.b.ch4")

    level = raised(site, "gas.ch4.high_high", "g.b.ch4")
    learned = raised(site, "jump", "g.b.ch4")

    assert (fault.kind, fault.grade) == ("sensor_fault:stuck", "P3")
    assert (level.kind, level.grade, level.notify) == ("well_gas", "P1", True)
    assert level.incident != fault.incident
    assert not learned.kind.startswith("sensor_fault")


def test_what_a_faulty_sensor_shows_is_the_fault_and_no_event() -> None:
    site = Site()
    fault = raised(site, "stuck", "w.a.pressure")

    jump = raised(site)

    assert (jump.kind, jump.incident, jump.notify) == ("sensor_fault:stuck", fault.incident, False)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_whatever_happens_states_follow_the_table_ids_are_unique_and_seq_counts(seed: int) -> None:
    site = wander(seed, 60, set())

    assert len({change.id for change in site.changes}) == len(site.changes)
    last: dict[str, AlertChange] = {}
    told: dict[str, bool] = {}
    for change in site.changes:
        before = last.get(change.alert_id)
        was = State.NORMAL if before is None else State(before.state)
        now = State(change.state)
        assert change.seq == (1 if before is None else before.seq + 1)
        assert before is None or change.detected_ns >= before.detected_ns
        if before is None:
            assert (change.type, now) == ("raised", State.ACTIVE_UNACK)
        elif now is not was:
            assert now in {then for (state, _), then in TRANSITIONS.items() if state is was}
        if change.type == "cleared" and told.get(change.alert_id):
            assert change.notify, "people who heard that it is on must hear that it is over"
        told[change.alert_id] = change.type != "cleared" and (
            told.get(change.alert_id, False) or change.notify
        )
        last[change.alert_id] = change


def wander(seed: int, ticks: int, restart_at: set[int]) -> Site:
    """A site on which anything may happen, decided by the seed alone."""
    chance = random.Random(seed)
    delays: dict[str, Any] = {
        "on_delay_s": chance.choice([0.0, 5.0]),
        "off_delay_s": chance.choice([0.0, 30.0]),
    }
    site = Site(latching=["sos", "gas.ch4.high_high"], on_samples=chance.choice([1, 2]), **delays)
    kinds = ["ack", "ack", "shelve", "unshelve", "out_of_service", "reset", "context", "unknown", "roster"]
    for number in range(ticks):
        if number in restart_at:
            site.restart()
        for _ in range(chance.choice([0, 0, 1, 3])):
            rule, channel, _ = chance.choice(EVERY_RULE)
            site.set(rule, channel, chance.choice([CALM, WARNING, ALARM]), chance.choice([-1, 1]))
        if chance.random() < 0.05:
            site.calm()
        commands = []
        if chance.random() < 0.3 and site.changes:
            some = chance.choice(site.changes)
            body = {
                "reason": "because",
                chance.choice(["alert_id", "incident"]): chance.choice([some.alert_id, some.incident]),
                "seconds": chance.choice([10, 500, 99_999]),
                "place": some.place,
                "permit": "W-1",
                "until": "2026-01-05T00:20:00Z",
                "planned": [],
            }
            commands = [Command(f"c{number}", chance.choice(kinds), body, "li.wei", site.now_ns)]
        heard = np.array([chance.random() < 0.9 for _ in EVERY_RULE])
        site.tick(chance.choice([1, 1, 1, 20, 700]), commands=commands, heard=heard)
    return site


def test_two_rows_of_one_detector_in_one_tick_are_judged_one_after_the_other() -> None:
    site = Site()
    site.set(*JUMP)
    site.tick(0.0)
    site.calm()
    site.tick(0.0)
    site.set(*JUMP)

    (again,) = site.tick(0.0)

    assert (again.occurrence, again.seq) == (2, 3)


@pytest.mark.parametrize("rule", ["jump", "drift"])
def test_nothing_is_said_while_nothing_turns(rule: str) -> None:
    site = Site()
    raised(site, rule)

    assert [site.tick() for _ in range(100)] == [[]] * 100
