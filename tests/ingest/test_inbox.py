"""Inbox: beside the fast kernel its slow, obvious twin."""

from collections import deque

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config.channels import Channel, ChannelTable
from ingest.inbox import Inbox, timely
from ingest.readings import BAD, CONFLICT, EARLY, GOOD, LATE, STAMPED, UNCERTAIN, ReadingBatch
from ingest.ticks import SECOND_NS
from tests.ingest.world import NOON_NS, same_readings, site

Reading = tuple[int, int, float]  # channel, time, value


class TwinInbox:
    """Reading by reading. A group is compared with the ring as it was before, and with itself."""

    def __init__(self, ring: int) -> None:
        self.rings: dict[int, deque[tuple[int, str]]] = {}
        self.ring = ring

    def admit(self, group: list[Reading]) -> list[str]:
        """What becomes of each reading: kept, conflict or duplicate."""
        before = {channel: list(ring) for channel, ring in self.rings.items()}
        seen: dict[int, list[tuple[int, str]]] = {}
        verdicts = []
        for channel, time, value in group:
            known = before.get(channel, []) + seen.setdefault(channel, [])
            same_time = [text for moment, text in known if moment == time]
            if repr(value) in same_time:
                verdicts.append("duplicate")
                continue
            verdicts.append("conflict" if same_time else "kept")
            seen[channel].append((time, repr(value)))
            self.rings.setdefault(channel, deque(maxlen=self.ring)).append((time, repr(value)))
        return verdicts


def verdicts_of(inbox: Inbox, group: list[Reading]) -> list[str]:
    channel, time, value = (list(column) for column in zip(*group)) if group else ([], [], [])
    admitted = inbox.admit(ReadingBatch.of(channel, time, value))
    flags = iter(admitted.readings.flags.tolist())
    return [
        "duplicate" if not kept else "conflict" if next(flags) & CONFLICT else "kept"
        for kept in admitted.kept.tolist()
    ]


readings = st.tuples(st.integers(0, 2), st.integers(0, 12), st.sampled_from([1.0, 2.0, float("nan"), 3.5]))


@given(st.lists(st.lists(readings, max_size=12), max_size=12))
@example([[(0, 1, 1.0)], [(0, 1, 2.0), (0, 1, 1.0), (0, 1, 2.0), (0, 0, 1.0)]])
def test_the_inbox_agrees_with_its_twin(groups: list[list[Reading]]) -> None:
    inbox, twin = Inbox(site(), ring=4), TwinInbox(ring=4)

    for group in groups:
        assert verdicts_of(inbox, group) == twin.admit(group)


@given(st.lists(st.lists(readings, max_size=12), max_size=6), st.lists(readings, max_size=12))
def test_an_inbox_that_was_taught_again_knows_what_it_knew(
    groups: list[list[Reading]], last: list[Reading]
) -> None:
    inbox, taught = Inbox(site(), ring=4), Inbox(site(), ring=4)
    for group in filter(None, groups):
        channel, time, value = zip(*group)
        taught.remember(inbox.admit(ReadingBatch.of(channel, time, value)).readings)

    assert verdicts_of(inbox, last) == verdicts_of(taught, last)


def test_a_repeat_is_dropped_and_a_second_value_is_kept_as_conflict() -> None:
    inbox = Inbox(site())
    inbox.admit(ReadingBatch.of([0, 1], NOON_NS, [1.0, 2.0]))

    again = inbox.admit(ReadingBatch.of([0, 1, 0], NOON_NS, [1.0, 3.0, 1.0]))

    assert again.duplicates == 2
    assert again.readings.channel.tolist() == [1]
    assert again.readings.flags.tolist() == [STAMPED | CONFLICT]


def test_values_are_rounded_to_the_resolution_of_their_channel_once() -> None:
    table = ChannelTable(
        [
            Channel(f"c{n}", "gas", "p", "pressure", "kPa", 1.0, step)
            for n, step in enumerate([0.1, 0.25, 5.0, 0.0])
        ]
    )
    group = ReadingBatch.of([0, 1, 2, 3, 0], NOON_NS + np.arange(5), [0.3000001, 0.3, 12.6, 0.3000001, -0.04])

    once = Inbox(table).admit(group).readings

    assert once.value.tolist() == [0.3, 0.25, 15.0, 0.3000001, 0.0]
    assert same_readings(Inbox(table).admit(once).readings, once)


@given(st.lists(st.floats(), min_size=1, max_size=50), st.sampled_from([0.01, 0.1, 0.05, 1.0, 3.0, 1e-6]))
def test_what_is_not_a_number_is_bad_and_all_else_stays_near(values: list[float], step: float) -> None:
    table = ChannelTable([Channel("c", "gas", "p", "pressure", "kPa", 1.0, step)])
    value = np.array(values)

    admitted = (
        Inbox(table).admit(ReadingBatch.of(np.zeros(len(value)), np.arange(len(value)), value)).readings
    )

    finite = np.isfinite(value)
    assert (admitted.quality == np.where(finite, GOOD, BAD)).all()
    assert np.isnan(admitted.value[~finite]).all()
    assert admitted.value[finite] == pytest.approx(value[finite], abs=step * 0.5001, rel=1e-12)


@pytest.mark.parametrize(
    ("age_s", "period_s", "flag"),
    [
        (900, 1.0, 0),
        (901, 1.0, LATE),
        (3600, 1800.0, 0),
        (5401, 1800.0, LATE),
        (-300, 1.0, 0),
        (-301, 1.0, EARLY),
    ],
)
def test_late_and_early_are_measured_at_the_tick(age_s: int, period_s: float, flag: int) -> None:
    reading = ReadingBatch.of([0], NOON_NS - age_s * SECOND_NS, [1.0])

    judged = timely(reading, NOON_NS, np.array([period_s]), True)

    assert judged.flags.tolist() == [STAMPED | flag]
    assert judged.quality.tolist() == [UNCERTAIN if flag == EARLY else GOOD]
    assert judged.arrival_ns.tolist() == [NOON_NS]


def test_no_reading_is_late_or_early_while_the_clock_is_not_known_to_be_good() -> None:
    readings = ReadingBatch.of([0, 0], [0, 2 * NOON_NS], [1.0, 1.0])

    judged = timely(readings, NOON_NS, np.array([1.0]), False)

    assert judged.flags.tolist() == [STAMPED, STAMPED]


def test_lateness_in_columns_is_that_of_each_tick() -> None:
    readings = ReadingBatch.of([0, 0, 0], NOON_NS, [1.0, 1.0, 1.0])
    ticks = NOON_NS + np.array([0, 1000, 1000]) * SECOND_NS

    judged = timely(readings, ticks, np.array([1.0]), np.array([True, True, False]))

    assert judged.flags.tolist() == [STAMPED, STAMPED | LATE, STAMPED]
