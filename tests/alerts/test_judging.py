"""Judging: small runs whose worth anyone can work out by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.judging import AFTERMATH_NS, GRACE_NS, HOUR_NS, MINUTE_NS, Case, Judgement, Told, judge
from alerts.pooling import pooled
from alerts.truth import happenings_of
from config.channels import Channel, ChannelTable, Link
from config.errors import InputError

CHANNELS = ChannelTable(
    [
        Channel("w1.pressure", "water", "w1", "pressure", "kPa", 300.0, zone="north"),
        Channel("w2.pressure", "water", "w2", "pressure", "kPa", 60.0, zone="north"),
        Channel("w9.pressure", "water", "w9", "pressure", "kPa", 60.0, zone="south"),
        Channel("g1.ch4", "gas", "g1", "ch4", "%{LEL}", 60.0),
    ]
)
DAYS = 10


def hours(number: float) -> int:
    return round(number * HOUR_NS)


def event(class_: str, kind: str, place: str, start: float, end: float, **more: Any) -> dict[str, Any]:
    """One event of a truth file, in hours."""
    return {"class": class_, "kind": kind, "place": place, "start": start, "end": end, **more}


def told(at: float, place: str = "w1", kind: str = "burst", **more: Any) -> Told:
    """One raised alert, at an hour."""
    fields: dict[str, Any] = {
        "type": "raised", "incident": "i1", "grade": "P2", "medium": "water", "channel": f"{place}.pressure",
        "notify": True, "warmup": False,
    }  # fmt: skip
    return Told(**{**fields, "kind": kind, "place": place, "detected_ns": hours(at), **more})


def run(events: list[dict[str, Any]], *alerts: Told, links: tuple[Link, ...] = ()) -> Judgement:
    happened = happenings_of({"events": events}, CHANNELS, links, hours, "truth.json")  # type: ignore[arg-type]
    return judge(Case(alerts, happened, CHANNELS, 0, hours(24 * DAYS)))


BURST = event("incident", "burst", "w1", 100, 102, channels=["w1.pressure"], near_places=["w2"])


@pytest.mark.parametrize(
    ("at", "hit"), [(99.99, False), (100, True), (102, True), (102.5, True), (102.51, False)]
)
def test_an_incident_may_be_noticed_from_its_start_until_half_an_hour_after_its_end(
    at: float, hit: bool
) -> None:
    assert bool(run([BURST], told(at)).outcomes[0].hits) is hit


def test_a_near_place_will_do_another_place_will_not() -> None:
    near, far = run([BURST], told(100.5, "w2")), run([BURST], told(100.5, "w9"))

    assert near.outcomes[0].hits == 1
    assert not near.outcomes[0].place_right
    assert far.outcomes[0].hits == 0
    assert far.false == 1


def test_places_that_are_linked_are_near() -> None:
    joined = run([BURST], told(100.5, "w9"), links=(Link("w9", "w1", "pipe"),))

    assert joined.outcomes[0].hits == 1


def test_delay_counts_from_the_start_in_minutes_and_in_periods_of_the_channel_that_told() -> None:
    by_own, by_neighbour = run([BURST], told(100.5)), run([BURST], told(100.5, "w2"))

    assert by_own.outcomes[0].delay_s == pytest.approx(1800)
    assert by_own.outcomes[0].delay_periods == pytest.approx(6)
    assert by_neighbour.outcomes[0].delay_periods == pytest.approx(30)


@pytest.mark.parametrize("more", [{"grade": "P4"}, {"notify": False}, {"warmup": True}, {"type": "updated"}])
def test_what_is_information_untold_in_the_warm_up_or_no_new_alert_is_not_counted(
    more: dict[str, Any],
) -> None:
    on_it, beside = run([BURST], told(100.5, **more)), run([BURST], told(50, **more))

    assert on_it.outcomes[0].hits == 0
    assert beside.false == 0


@pytest.mark.parametrize(("at", "false"), [(102.6, 0), (106, 0), (106.01, 1)])
def test_four_hours_after_an_event_count_as_neither(at: float, false: int) -> None:
    judged = run([BURST], told(at))

    assert judged.false == false
    assert judged.neither == 1 - false


def test_sensor_faults_are_recognised_by_their_own_kind_of_alert_also_untold() -> None:
    stuck = event("sensor_fault", "sensor_fault:stuck", "w1", 50, 60, channels=["w1.pressure"])
    untold = run([stuck], told(51, kind="sensor_fault:stuck", notify=False, grade="P3"))
    other = run([stuck], told(51, kind="sensor_fault:spike"))
    city = run([stuck], told(51, kind="burst"))

    assert untold.outcomes[0].hits == 1
    assert untold.outcomes[0].kind_right
    assert untold.outcomes[0].messages == 0
    assert other.outcomes[0].hits == 1
    assert not other.outcomes[0].kind_right
    assert city.outcomes[0].hits == 0
    assert city.false == 1


def test_a_sensor_fault_does_not_hit_an_incident() -> None:
    judged = run([BURST], told(100.5, kind="sensor_fault:spike"))

    assert judged.outcomes[0].hits == 0
    assert judged.false == 1


def test_a_benign_event_is_quiet_where_no_counted_alert_is_on_it() -> None:
    festival = event("benign", "festival", "w1", 20, 40, channels=["w1.pressure"])

    assert run([festival], told(30, grade="P4")).outcomes[0].hits == 0
    loud = run([festival], told(30))
    assert loud.outcomes[0].hits == 1
    assert loud.false == 1


def test_a_burst_during_a_festival_is_not_the_festivals_noise() -> None:
    festival = event("benign", "festival", "w1", 90, 120, channels=["w1.pressure"])
    judged = run([festival, BURST], told(100.5))

    assert [outcome.hits for outcome in judged.outcomes] == [0, 1]
    assert judged.false == 0


def test_false_alerts_of_one_place_within_an_hour_are_one_episode() -> None:
    judged = run([], told(10), told(10.9), told(11.8), told(13), told(13.2, "w9"))

    assert judged.false == 5
    assert [(one.place, one.alerts) for one in judged.episodes] == [("w1", 3), ("w1", 1), ("w9", 1)]


def test_the_last_word_on_an_incident_counts_for_its_kind_and_messages_are_all_that_was_told() -> None:
    judged = run(
        [BURST],
        told(100.1, kind="low_pressure"),
        told(100.2, "w2", notify=False),
        told(100.3, type="updated", grade="P1"),
        told(101, type="updated", notify=False),
        told(103, type="cleared"),
    )

    (outcome,) = judged.outcomes
    assert (outcome.kind_first, outcome.kind_right) == (False, True)
    assert outcome.messages == 2


def test_the_placebo_is_the_share_of_time_that_the_incident_takes() -> None:
    one = run([BURST], told(3)).outcomes[0].placebo
    many = run([BURST], *[told(3 + n / 100) for n in range(500)]).outcomes[0].placebo

    assert one == pytest.approx(2.5 / 240, abs=0.02)
    assert many == pytest.approx(1 - (1 - 2.5 / 240) ** 500, abs=0.03)
    assert run([BURST], told(3, "w9")).outcomes[0].placebo == 0.0


def test_the_same_seed_gives_the_same_placebo() -> None:
    assert run([BURST], told(3)) == run([BURST], told(3))


def test_runs_are_pooled_by_kind_medium_and_in_all() -> None:
    gas = event("incident", "well_gas", "g1", 10, 11, channels=["g1.ch4"])
    report = pooled([run([BURST, gas], told(100.5)), run([BURST], told(30))])
    rows = {(row["medium"], row["kind"]): row for row in report["incidents"]}

    assert rows["water", "burst"]["recall"]["k"] == 1
    assert rows["water", "burst"]["n"] == 2
    assert rows["gas", "all"]["recall"]["share"] == 0
    assert rows["all", "all"]["n"] == 3
    assert report["alerts"]["precision"]["share"] == 0.5
    water = next(row for row in report["false"] if row["medium"] == "water")
    assert water["per_channel_day"]["rate"] == pytest.approx(1 / (2 * DAYS * 3))
    assert water["per_operator_day"]["rate"] == pytest.approx(1 / (2 * DAYS))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"channels": ["w1.presure"]}, 'event 0 (burst at w1): channel "w1.presure" is not in the channel'),
        ({"channels": [], "place": "w77"}, 'place "w77" is not in the channel list'),
        ({"class": "disaster"}, 'class "disaster" is not known'),
        ({"end": 1}, "ends before it starts"),
    ],
)
def test_what_a_truth_file_gets_wrong_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=r"truth\.json: event 0") as caught:
        run([{**BURST, **change}])
    assert says in str(caught.value)


def test_an_event_of_a_zone_or_of_the_whole_city_is_at_all_its_places() -> None:
    (zone,) = run([event("benign", "festival", "north", 1, 2)]).outcomes
    (city,) = run([event("benign", "holiday", "*", 1, 2)]).outcomes

    assert {"w1", "w2"} <= zone.happening.places
    assert "w9" not in zone.happening.places
    assert {"w1", "w9", "g1"} <= city.happening.places


alerts_ = st.lists(
    st.tuples(
        st.floats(0, 24 * DAYS),
        st.sampled_from(["w1", "w2", "w9"]),
        st.sampled_from(["burst", "sensor_fault:stuck", "limit"]),
        st.sampled_from(["P1", "P3", "P4"]),
        st.booleans(),
    ),
    max_size=40,
)
events_ = st.lists(
    st.tuples(
        st.sampled_from(["incident", "benign", "sensor_fault"]),
        st.sampled_from(["w1", "w2", "w9"]),
        st.floats(0, 24 * DAYS),
        st.floats(0, 48),
    ),
    max_size=8,
)


@given(events_, alerts_)
def test_every_counted_alert_is_right_or_neither_or_false_and_in_one_episode(
    events: list[Any], alerts: list[Any]
) -> None:
    said = [told(at, place, kind, grade=g, notify=n) for at, place, kind, g, n in alerts]
    judged = run([event(c, "burst", place, at, at + long) for c, place, at, long in events], *said)

    assert judged.right + judged.neither + judged.false == sum(one.counted for one in said)
    assert sum(episode.alerts for episode in judged.episodes) == judged.false
    gaps = [
        b.start_ns - a.end_ns
        for place in ("w1", "w2", "w9")
        for a, b in zip(*[[e for e in judged.episodes if e.place == place][n:] for n in (0, 1)])
    ]
    assert all(gap >= HOUR_NS for gap in gaps)


@given(events_, alerts_)
def test_more_alerts_never_make_an_incident_less_noticed(events: list[Any], alerts: list[Any]) -> None:
    said = [told(at, place, kind, grade=g, notify=n) for at, place, kind, g, n in alerts]
    happened = [event(c, "burst", place, at, at + long) for c, place, at, long in events]
    fewer, more = run(happened, *said[::2]), run(happened, *said)

    for one, other in zip(fewer.outcomes, more.outcomes):
        if one.happening.category == "incident":
            assert other.hits >= one.hits
            if one.delay_s is not None:
                assert other.delay_s is not None
                assert other.delay_s <= one.delay_s


def test_the_spans_are_those_of_the_contract() -> None:
    assert (GRACE_NS, AFTERMATH_NS) == (30 * MINUTE_NS, 4 * HOUR_NS)
