"""Demand: what a whole zone does in proportion to its day is nobody's fault; what one channel does is."""

from __future__ import annotations

import numpy as np
import pytest

from config.channels import Channel, ChannelTable
from detectors.demand import LEAST, Demand
from detectors.findings import CALM
from detectors.panel import Panel, Seat
from detectors.rhythm import Rhythm
from tests.detectors.rows import START_NS, Values, row

PERIOD_S, DAY, DAYS = 300.0, 288, 6
SWINGS = (
    -12.0,
    -8.0,
    -20.0,
    30.0,
    -5.0,
)  # what a day's demand does to four pressures and, the fourth, a flow


def zone(name: str = "north", count: int = 5) -> ChannelTable:
    quantities = ("pressure", "pressure", "pressure", "flow", "pressure")
    units = {"pressure": "kPa", "flow": "m3/h"}
    return ChannelTable(
        [
            Channel(f"w{n}.{q}", "water", f"w{n}", q, units[q], PERIOD_S, zone=name)
            for n, q in enumerate(quantities[:count])
        ]
    )


def panel(channels: ChannelTable) -> Panel:
    count = len(channels)
    seat = Seat("rhythm", Rhythm(timezone="UTC"), np.ones(count, dtype=bool), "rhythm")
    return Panel(channels, np.arange(count, dtype=np.int32), PERIOD_S, [seat], 0.005)


def hours() -> Values:
    """Of the day (rows,), UTC, at the middle of each row."""
    of_day: Values = (START_NS / 3.6e12 + (np.arange(DAYS * DAY) + 0.5) * PERIOD_S / 3600) % 24
    return of_day


def demand() -> Values:
    """(rows,), of a usual day: little in the night, most in the evening."""
    course: Values = np.sin((hours() - 9.0) * np.pi / 12)
    return course


def record(course: Values) -> Values:
    """(rows, channels) of a zone with this course of demand."""
    dice = np.random.default_rng(4)
    values: Values = (
        300.0 + course[:, None] * np.array(SWINGS) + dice.normal(scale=0.5, size=(len(course), 5))
    )
    return values


def strange(channels: ChannelTable, values: Values) -> Values:
    """Rows of the last two days in which each channel is strange."""
    judge = panel(channels)
    severities = np.array([judge.judge(row(one, n, PERIOD_S)).severity for n, one in enumerate(values)])
    counted: Values = (severities[-2 * DAY :] > CALM).sum(axis=0)
    return counted


def risen(by: float) -> Values:
    """The course of demand, higher on the last two days, but for the night."""
    course, awake = demand(), (hours() < 1.5) | (hours() > 4.5)
    course[-2 * DAY :] += by * awake[-2 * DAY :]
    return course


def test_more_demand_in_all_of_a_zone_is_no_fault_of_any_channel() -> None:
    values = record(risen(0.6))

    assert strange(zone(), values).sum() < 10
    assert (strange(zone(name=""), values)[:4] > 50).all()


def test_a_channel_that_goes_its_own_way_is_strange_as_before() -> None:
    values = record(demand())
    values[-2 * DAY :, 1] -= 12.0

    counted = strange(zone(), values)

    assert counted[1] > 300 and counted[[0, 2, 3, 4]].sum() < 10


def test_demand_excuses_only_what_it_explains() -> None:
    values = record(risen(0.6))
    values[-2 * DAY :, 2] += 15.0  # pressure up where demand would have it down

    counted = strange(zone(), values)

    assert counted[2] > 50 and counted[[0, 1, 3, 4]].sum() < 20


def test_more_flow_in_the_night_is_no_demand() -> None:
    course = demand()
    course[-2 * DAY :] += 0.6
    asleep = (hours() >= 2.0) & (hours() < 4.0)
    judge, severities = panel(zone()), []
    for n, one in enumerate(record(course)):
        severities.append(judge.judge(row(one, n, PERIOD_S)).severity[3])

    assert (np.array(severities)[-DAY:][asleep[-DAY:]] > CALM).mean() > 0.8


def test_fewer_than_four_channels_tell_of_no_demand() -> None:
    few = LEAST - 1
    values = record(risen(0.6))[:, :few]

    assert (strange(zone(count=few), values) > 50).all()


def test_the_order_of_channels_means_nothing() -> None:
    values, order = record(risen(0.6)), [3, 1, 4, 0, 2]
    channels = zone()
    shuffled = ChannelTable([channels[n] for n in order])

    assert strange(shuffled, values[:, order]).tolist() == strange(channels, values)[order].tolist()


@pytest.mark.parametrize("garbage", [np.nan, 1e29, -1e29, 0.0])
def test_garbage_in_one_channel_changes_little_for_the_others(garbage: float) -> None:
    values = record(risen(0.6))
    values[-2 * DAY :, 0] = garbage

    assert strange(zone(), values)[1:].sum() < 20


def test_a_zone_that_was_not_heard_is_left_alone() -> None:
    watch = Demand(zone(), np.arange(5, dtype=np.int32), np.ones(5, dtype=bool), "UTC")
    memory = Rhythm(timezone="UTC").fresh_memory(5)
    memory["loading"][:] = SWINGS
    watch.take_out(row(np.full(5, np.nan), 0, PERIOD_S), memory)

    assert np.isnan(memory["residual"]).all() and np.isnan(memory["raw"]).all()
