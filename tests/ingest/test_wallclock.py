"""Wall clock: stream time goes by the second, whatever the wall clock does."""

import threading

from ingest.ticks import SECOND_NS
from ingest.wallclock import WallClock
from tests.ingest.world import NOON_NS, Hands


def test_a_small_correction_moves_nothing() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.wind(10)
    hands.wall_ns += 3 * SECOND_NS

    assert clock.epoch_if_stepped() is None
    assert clock.now_ns() == NOON_NS + 10 * SECOND_NS


def test_a_step_of_an_hour_opens_an_epoch_and_stream_time_follows() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.wind(10)
    hands.wall_ns -= 3600 * SECOND_NS

    epoch = clock.epoch_if_stepped()

    assert epoch is not None
    assert (epoch.reason, epoch.clock_good) == ("clock_step", True)
    assert clock.now_ns() == NOON_NS - 3590 * SECOND_NS
    assert clock.epoch_if_stepped() is None


def test_a_box_that_boots_in_1970_continues_from_its_last_tick_until_the_clock_is_set() -> None:
    hands = Hands(now_ns=60 * SECOND_NS)
    clock = hands.clock()
    clock.continue_from(NOON_NS)
    hands.wind(2)

    assert not clock.good
    assert clock.next_tick_ns() == NOON_NS + 3 * SECOND_NS

    hands.wall_ns = NOON_NS + 500 * SECOND_NS
    epoch = clock.epoch_if_stepped()

    assert epoch is not None
    assert epoch.clock_good
    assert clock.now_ns() == NOON_NS + 500 * SECOND_NS


def test_a_believable_clock_behind_the_last_tick_is_believed() -> None:
    clock = Hands().clock()
    clock.continue_from(NOON_NS + 3600 * SECOND_NS)

    assert clock.now_ns() == NOON_NS


def test_ticks_are_whole_seconds_after_the_last_one() -> None:
    clock = Hands(NOON_NS + 1).clock()

    assert clock.next_tick_ns() == NOON_NS + SECOND_NS
    assert clock.next_tick_ns(NOON_NS + 5 * SECOND_NS) == NOON_NS + 6 * SECOND_NS


def test_waiting_ends_at_the_moment_or_when_told_to_stop() -> None:
    clock, stop = WallClock(), threading.Event()

    assert clock.wait_until(clock.now_ns() + SECOND_NS // 50, stop)
    stop.set()
    assert not clock.wait_until(clock.now_ns() + 3600 * SECOND_NS, stop)


def test_it_says_how_far_it_is_ahead_of_the_wall() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.wind(10)
    hands.wall_ns -= 3 * SECOND_NS

    assert clock.ahead_ns() == 3 * SECOND_NS
