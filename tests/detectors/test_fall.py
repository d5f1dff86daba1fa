"""A fall is an impact and then stillness: found in time, and nothing else is one."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.channels import Channel, ChannelTable
from config.snapshot import Keyed, pack, unpack
from detectors.base import Memory
from detectors.fall import Fall
from detectors.falling import Wearer
from detectors.findings import ALARM, CALM, Findings
from ingest.readings import BAD, CONFLICT, EARLY, GOOD, LATE, STAMPED, ReadingBatch

S = 10**9
T0 = 1_767_600_000 * S
PERIODS = {"acceleration_peak": 60.0, "steps": 60.0, "heart_rate": 60.0, "fall": 60.0, "on_wrist": 300.0}
UNITS = {
    "acceleration_peak": "[g]",
    "steps": "{steps}/min",
    "heart_rate": "/min",
    "fall": "1",
    "on_wrist": "1",
}
FULL = ("acceleration_peak", "steps", "heart_rate", "fall", "on_wrist")


def band(name: str, *quantities: str) -> list[Channel]:
    return [Channel(f"{name}.{q}", "wristband", name, q, UNITS[q], PERIODS[q]) for q in quantities or FULL]


class Watched:
    """Fall over some bands, fed a tick at a time."""

    def __init__(self, *channels: Channel, fall: Fall | None = None) -> None:
        self.table = ChannelTable(channels)
        self.fall = fall or Fall()
        self.points = self.fall.points(self.table)
        self.memory: Memory = self.fall.fresh_memory(self.table)
        self.last: Findings | None = None

    def tick(self, *readings: tuple[Any, ...], place: str = "anna", now: float | None = None) -> int:
        """Readings (quantity, seconds after T0, value, flags, quality); the fall's severity afterwards."""
        rows = [(*r, *(STAMPED, GOOD)[len(r) - 3 :]) for r in readings]
        batch = ReadingBatch.of(
            [self.table.number[f"{place}.{r[0]}"] for r in rows],
            [T0 + round(r[1] * S) for r in rows],
            [r[2] for r in rows],
            [r[4] for r in rows],
            None,
            [r[3] for r in rows],
        ).sorted()
        seconds = max((r[1] for r in rows), default=0.0) if now is None else now
        self.last = self.fall.judge(batch, T0 + round((seconds + 1) * S), self.memory)
        return self.severity(place)

    def minute(
        self, number: int, peak: float, steps: float, beat: float | None = 70.0, late: bool = False
    ) -> int:
        """What a band sends once a minute."""
        flags = STAMPED | LATE if late else STAMPED
        at = number * 60
        rows: list[tuple[Any, ...]] = [("acceleration_peak", at, peak, flags), ("steps", at, steps, flags)]
        if beat is not None:
            rows.append(("heart_rate", at, beat, flags))
        return self.tick(*rows)

    def severity(self, place: str = "anna", rule: str = "wristband.fall") -> int:
        return 0 if self.last is None else int(self.last.severity[self.point(place, rule)])

    def news(self, place: str = "anna") -> bool:
        """Whether the last tick told of a fall that had just happened."""
        assert self.last is not None and self.last.anew is not None
        return bool(self.last.anew[self.point(place)])

    def point(self, place: str = "anna", rule: str = "wristband.fall") -> int:
        return next(
            p
            for p, n in enumerate(self.points.channel.tolist())
            if self.table.place[n] == place and self.points.rule[p] == rule
        )


def test_an_impact_and_a_still_reading_are_a_fall_one_period_later() -> None:
    anna = Watched(*band("anna"))
    assert anna.minute(0, 1.4, 30) == CALM
    assert anna.minute(1, 4.5, 22) == CALM
    assert anna.minute(2, 1.02, 0) == ALARM
    assert anna.last is not None
    assert anna.last.event_ns[anna.point()] == T0 + 60 * S


def test_lying_on_the_floor_stays_an_alarm_until_the_wearer_walks() -> None:
    anna = Watched(*band("anna"))
    anna.minute(1, 4.5, 0)
    seen = [anna.minute(minute, 1.02, 0) for minute in range(2, 30)]
    assert set(seen) == {ALARM}
    assert anna.minute(30, 1.3, 4) == ALARM
    assert anna.minute(31, 1.8, 40) == CALM


def test_a_stumble_of_one_who_walks_on_is_no_fall() -> None:
    anna = Watched(*band("anna"))
    anna.minute(1, 3.6, 60)
    assert anna.minute(2, 1.7, 80) == CALM
    assert anna.minute(3, 1.02, 0) == CALM


def test_one_who_crawls_and_then_lies_still_fell() -> None:
    anna = Watched(*band("anna"))
    anna.minute(1, 4.1, 20)
    assert anna.minute(2, 1.6, 3) == CALM
    assert anna.minute(3, 1.03, 0) == ALARM


def test_applause_is_no_fall() -> None:
    anna = Watched(*band("anna"))
    seen = [anna.minute(minute, 3.4, 0) for minute in range(1, 5)]
    seen += [anna.minute(minute, 1.35, 0) for minute in range(5, 20)]
    assert set(seen) == {CALM}


def test_hands_that_clap_and_then_rest_are_no_fall_for_a_band_that_knows_falls() -> None:
    anna = Watched(*band("anna"))
    seen = []
    for minute in range(1, 20):
        at, peak = minute * 60, 3.6 if minute < 5 else 1.03
        seen.append(anna.tick(("acceleration_peak", at, peak), ("steps", at, 0.0), ("fall", at, 0.0)))
    assert set(seen) == {CALM}


def test_a_second_fall_is_told_after_whoever_fell_has_walked_again() -> None:
    anna = Watched(*band("anna"))
    anna.minute(1, 4.1, 0)
    assert anna.minute(2, 1.03, 0) == ALARM
    assert anna.minute(10, 1.6, 40) == CALM
    anna.minute(11, 4.4, 0)
    assert anna.minute(12, 1.03, 0) == ALARM
    assert anna.last is not None and anna.last.event_ns[0] == T0 + 11 * 60 * S


def test_whoever_lies_on_the_floor_and_falls_again_has_fallen_anew() -> None:
    anna = Watched(*band("anna"))
    anna.minute(1, 4.1, 0)
    told = [anna.news() for minute in range(2, 12) if anna.minute(minute, 1.03, 0) == ALARM]
    assert told == [True] + [False] * 9
    assert anna.minute(12, 1.5, 4) == ALARM  # tries to get up
    assert anna.minute(13, 4.4, 6) == ALARM
    assert not anna.news()
    assert anna.minute(14, 1.03, 0) == ALARM
    assert anna.news()
    assert anna.last is not None and anna.last.event_ns[anna.point()] == T0 + 13 * 60 * S


def test_blows_of_one_who_lies_on_the_floor_are_no_second_fall() -> None:
    anna = Watched(*band("anna"))
    anna.minute(1, 4.1, 0)
    told = [anna.news() for minute in range(2, 20) if anna.minute(minute, [3.5, 1.03, 1.03][minute % 3], 0)]
    assert told.count(True) == 1


def test_a_flag_that_stays_up_while_the_wearer_lies_is_one_fall_and_one_that_rises_again_a_second() -> None:
    anna = Watched(*band("anna", "acceleration_peak", "steps", "fall"))

    def told(minute: int, flag: float) -> bool:
        at = minute * 60
        anna.tick(("acceleration_peak", at, 1.03), ("steps", at, 0.0), ("fall", at, flag))
        return anna.news()

    anna.tick(("acceleration_peak", 60, 4.5), ("steps", 60, 0.0), ("fall", 60, 1.0))
    assert [told(minute, 1.0) for minute in (2, 3, 4, 9, 15)] == [True, False, False, False, False]
    assert [told(minute, 0.0) for minute in range(16, 20)] == [False] * 4
    assert [told(minute, 1.0) for minute in range(20, 23)] == [False, True, False]


def test_a_fall_soon_after_getting_up_is_a_second_one() -> None:
    anna = Watched(*band("anna"))
    anna.minute(1, 4.1, 0)
    assert anna.minute(2, 1.03, 0) == ALARM and anna.news()
    assert anna.minute(4, 1.6, 40) == CALM
    anna.minute(8, 4.4, 0)
    assert anna.minute(9, 1.03, 0) == ALARM and anna.news()


def test_sport_that_ends_in_rest_is_no_fall() -> None:
    anna = Watched(*band("anna"))
    seen = [anna.minute(minute, 4.0, 150, 140.0) for minute in range(1, 20)]
    seen += [anna.minute(20, 1.1, 0, 130.0), anna.minute(21, 1.3, 5, 120.0), anna.minute(22, 1.2, 20, 110.0)]
    assert set(seen) == {CALM}


def test_a_fall_amid_impacts_is_found_after_three_still_readings() -> None:
    anna = Watched(*band("anna"))
    for minute in range(1, 5):
        anna.minute(minute, 3.6, 40)
    seen = [anna.minute(minute, 1.03, 0) for minute in range(5, 8)]
    assert seen == [CALM, CALM, ALARM]


def test_a_band_that_is_off_the_wrist_does_not_fall() -> None:
    anna = Watched(*band("anna"))
    anna.tick(("on_wrist", 0, 0.0))
    anna.minute(1, 5.0, 0, None)
    assert anna.minute(2, 1.0, 0, None) == CALM


def test_a_band_put_on_the_table_is_waited_for_until_it_says_so() -> None:
    anna = Watched(*band("anna"))
    anna.tick(("on_wrist", 0, 1.0))
    anna.minute(1, 3.8, 0, None)
    assert anna.minute(2, 1.0, 0, None) == CALM
    assert anna.minute(3, 1.0, 0, 0.0) == CALM
    assert anna.tick(("on_wrist", 300, 0.0)) == CALM
    seen = [anna.minute(minute, 1.0, 0, None) for minute in range(5, 20)]
    assert set(seen) == {CALM}


def test_a_fallen_wearer_without_a_pulse_is_not_forgotten() -> None:
    worn = Watched(*band("anna"))
    worn.minute(1, 4.8, 0, None)
    assert worn.minute(2, 1.0, 0, None) == CALM
    assert worn.tick(("on_wrist", 180, 1.0)) == ALARM
    unknown = Watched(*band("anna"))
    unknown.minute(1, 4.8, 0, None)
    seen = [unknown.minute(minute, 1.0, 0, None) for minute in range(2, 10)]
    assert seen[-1] == ALARM


def test_the_bands_own_flag_needs_stillness_too() -> None:
    anna = Watched(*band("anna"))
    anna.tick(("fall", 70, 1.0))
    assert anna.minute(2, 1.5, 30) == CALM
    assert anna.minute(3, 1.0, 0) == CALM
    berta = Watched(*band("anna"))
    berta.tick(("fall", 70, 1.0))
    assert berta.minute(2, 4.4, 30) == CALM
    assert berta.minute(3, 1.0, 0) == ALARM


def test_a_flag_that_stays_up_is_one_fall_and_not_a_new_impact_with_each_reading() -> None:
    anna = Watched(*band("anna"))
    anna.tick(("acceleration_peak", 60, 4.5), ("steps", 60, 22), ("heart_rate", 60, 70.0), ("fall", 60, 1))
    anna.tick(
        ("acceleration_peak", 120, 1.03), ("steps", 120, 0), ("heart_rate", 120, 70.0), ("fall", 120, 1)
    )
    assert anna.severity() == ALARM


def test_without_acceleration_the_flag_is_believed() -> None:
    anna = Watched(*band("anna", "fall", "steps"))
    assert anna.tick(("fall", 10, 1.0)) == ALARM


def test_a_fall_is_found_when_the_still_reading_came_before_the_impact() -> None:
    anna = Watched(*band("anna"))
    anna.minute(2, 1.02, 0)
    assert anna.minute(1, 4.5, 20) == ALARM


def test_a_late_fall_pages() -> None:
    anna = Watched(*band("anna"))
    anna.minute(1, 4.5, 20, late=True)
    assert anna.minute(2, 1.02, 0, late=True) == ALARM
    assert anna.severity(rule="late_detected") == CALM


def test_a_late_fall_of_one_who_walks_by_now_is_only_noted() -> None:
    known = Watched(*band("anna"))
    known.minute(60, 1.6, 50)
    known.minute(1, 4.5, 20, late=True)
    assert known.severity(rule="late_detected") == ALARM
    known.minute(2, 1.02, 0, late=True)
    assert known.severity() == CALM
    backlog = Watched(*band("anna"))
    late = STAMPED | LATE
    rows = [(60, 4.5, 0), (120, 1.0, 0), (180, 1.0, 0), (240, 1.7, 60)]
    backlog.tick(
        *[("acceleration_peak", at, peak, late) for at, peak, _ in rows],
        *[("steps", at, steps, late) for at, _, steps in rows],
        *[("heart_rate", at, 70.0, late) for at, *_ in rows],
        now=3600,
    )
    assert backlog.severity() == CALM
    assert backlog.severity(rule="late_detected") == ALARM


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_no_impact(value: float) -> None:
    anna = Watched(*band("anna"))
    anna.tick(("acceleration_peak", 60, value))
    assert anna.last is None
    assert anna.minute(2, 1.02, 0) == CALM


@pytest.mark.parametrize(("flags", "quality"), [(EARLY, GOOD), (CONFLICT, GOOD), (STAMPED, BAD)])
def test_early_conflicting_and_bad_readings_are_not_judged(flags: int, quality: int) -> None:
    anna = Watched(*band("anna"))
    anna.tick(("acceleration_peak", 60, 4.5, flags, quality))
    assert anna.minute(2, 1.02, 0) == CALM


def test_acceleration_in_another_unit_is_understood() -> None:
    channels = [
        Channel("anna.acceleration_peak", "wristband", "anna", "acceleration_peak", "m/s2", 60.0),
        *band("anna", "steps"),
    ]
    anna = Watched(*channels)
    anna.tick(("acceleration_peak", 60, 20.0), ("steps", 60, 0))
    assert anna.tick(("acceleration_peak", 120, 9.9), ("steps", 120, 0)) == CALM
    anna.tick(("acceleration_peak", 180, 44.0), ("steps", 180, 0))
    assert anna.tick(("acceleration_peak", 240, 9.9), ("steps", 240, 0)) == ALARM


def test_a_sentence_about_a_wearer_holds_no_number() -> None:
    anna = Watched(*band("anna"))
    anna.minute(1, 4.5, 0)
    anna.minute(2, 1.02, 0)
    assert anna.last is not None
    told = anna.last.explain(anna.point())
    assert told.sentence == "A hard impact, and after it the wearer does not move"
    assert told.observed is None
    assert not told.numbers


def test_a_site_without_bands_is_no_concern() -> None:
    pipes = ChannelTable([Channel("gas.well.ch4", "gas", "well", "ch4", "%{LEL}", 60.0)])
    fall = Fall()
    assert len(fall.points(pipes)) == 0
    memory = fall.fresh_memory(pipes)
    assert fall.judge(ReadingBatch.of([0], [T0], [60.0]), T0, memory) is None
    assert fall.judge(ReadingBatch.empty(), T0, memory) is None


def test_only_the_bands_that_are_asked_for_are_watched() -> None:
    table = ChannelTable([*band("anna"), *band("berta")])
    bound = Fall()
    bound.points(table)
    points = bound.over(table.at_place("berta")).points(table)
    assert {table.place[n] for n in points.channel.tolist()} == {"berta"}
    split = [
        Fall().over(numbers).points(table)
        for numbers in (table.matching("*.fall"), table.matching("*.steps"))
    ]
    assert [len(points) for points in split] == [4, 0]


QUANTITY = st.sampled_from(FULL)
READING = st.tuples(
    st.sampled_from(["anna", "berta"]),
    QUANTITY,
    st.integers(0, 15),
    st.sampled_from([0.0, 0.0, 1.0, 1.1, 4.0, 4.5, 30.0, 70.0, math.nan, math.inf, 1e308]),
    st.sampled_from([STAMPED, STAMPED, STAMPED | LATE, EARLY]),
)
TICKS = st.lists(st.lists(READING, max_size=20), max_size=6)
Rows = list[tuple[str, str, int, float, int]]


def judged(fall: Fall, table: ChannelTable, rows: Rows, memory: Memory) -> Findings | None:
    rows = list({(r[0], r[1], r[2]): r for r in rows}.values())
    batch = ReadingBatch.of(
        [table.number[f"{r[0]}.{r[1]}"] for r in rows],
        [T0 + r[2] * 60 * S for r in rows],
        [r[3] for r in rows],
        GOOD,
        None,
        [r[4] for r in rows],
    ).sorted()
    return fall.judge(batch, T0 + 3600 * S, memory)


@settings(max_examples=100, deadline=None)
@given(TICKS, st.permutations(range(10)))
def test_the_order_of_channels_means_nothing(ticks: list[Rows], order: list[int]) -> None:
    channels = [*band("anna"), *band("berta")]
    tables = ChannelTable(channels), ChannelTable([channels[n] for n in order])
    falls = Fall(), Fall()
    memories = []
    for fall, table in zip(falls, tables):
        fall.points(table)
        memories.append(fall.fresh_memory(table))
    for rows in ticks:
        one = judged(falls[0], tables[0], rows, memories[0])
        other = judged(falls[1], tables[1], rows, memories[1])
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            for name in ("severity", "heard", "event_ns", "score"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@settings(max_examples=100, deadline=None)
@given(TICKS, TICKS)
def test_a_restart_from_the_saved_memory_changes_nothing(before: list[Rows], after: list[Rows]) -> None:
    table = ChannelTable([*band("anna"), *band("berta")])
    fall = Fall()
    points = fall.points(table)
    memory = fall.fresh_memory(table)
    for rows in before:
        judged(fall, table, rows, memory)
    keys = tuple(f"{rule}|{n}" for rule, n in zip(points.rule, points.channel.tolist()))
    saved = unpack(pack({name: Keyed(keys, array) for name, array in memory.items()}))
    copied = {name: value.array for name, value in saved.items()}
    again = Fall()
    again.points(table)
    for rows in after:
        one, other = judged(fall, table, rows, memory), judged(again, table, rows, copied)
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            np.testing.assert_array_equal(one.severity, other.severity)
            np.testing.assert_array_equal(one.event_ns, other.event_ns)


@settings(max_examples=150, deadline=None)
@given(TICKS)
def test_bands_to_which_nothing_happens_are_remembered_as_if_each_moment_had_been_looked_at(
    ticks: list[Rows],
) -> None:
    table = ChannelTable([*band("anna"), *band("berta")])
    fall = Fall()
    fall.points(table)
    memory = fall.fresh_memory(table)
    wearers = {"anna": Wearer(), "berta": Wearer()}
    bands, _ = fall.site
    for rows in ticks:
        found = judged(fall, table, rows, memory)
        sound = [row for row in rows if math.isfinite(row[3]) and row[4] != EARLY]
        for number, (name, wearer) in enumerate(wearers.items()):
            fell = False
            mine = {(row[1], row[2]): row for row in rows if row[0] == name}
            for minute in sorted({row[2] for row in sound}):
                now = [row for row in mine.values() if row[2] == minute and row in sound]
                said = {row[1]: row[3] for row in now if row[1] != "heart_rate" or row[3] >= 20}
                if now:
                    late = any(row[4] & LATE for row in now)
                    fell |= wearer.hear(T0 + minute * 60 * S, said, late, bands.rules(number, fall))[0]
            wearer.overdue &= not wearer.fallen
            if found is not None:
                assert (found.severity[number] == ALARM) == (fell or wearer.fallen)
            for column in fields(Wearer):
                assert memory[column.name][number] == getattr(wearer, column.name), column.name


def test_in_a_day_of_twenty_people_each_fall_is_found_and_nothing_else() -> None:
    """Steps, peaks and rest as people have them; one fall each."""
    rng = np.random.default_rng(5)
    names = [f"p{number:02d}" for number in range(20)]
    people = Watched(*[channel for name in names for channel in band(name, "acceleration_peak", "steps")])
    falls = {name: int(rng.integers(100, 1300)) for name in names}
    raised: dict[str, int] = {}
    for minute in range(1440):
        rows = []
        for name in names:
            walks = rng.random() < 0.2
            peak, steps = (
                (rng.uniform(1.3, 2.6), rng.integers(10, 110)) if walks else (rng.uniform(1.0, 1.5), 0)
            )
            if falls[name] <= minute < falls[name] + 25:
                peak, steps = (4.2 if minute == falls[name] else 1.02), 0
            rows += [(f"{name}.acceleration_peak", peak), (f"{name}.steps", float(steps))]
        batch = ReadingBatch.of(
            [people.table.number[id] for id, _ in rows], T0 + minute * 60 * S, [value for _, value in rows]
        ).sorted()
        found = people.fall.judge(batch, T0 + minute * 60 * S + S, people.memory)
        assert found is not None
        for point in np.flatnonzero(found.severity).tolist():
            raised.setdefault(people.table.place[int(people.points.channel[point])], minute)
    assert raised == {name: minute + 1 for name, minute in falls.items()}
