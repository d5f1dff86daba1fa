"""Outbox: durable cursors; P1 first; nothing skipped, and bounded when a receiver stays away."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.outbox import DAY_NS, Outbox, prune, retire
from tests.ingest.world import Hands, Life, living, site


def events(grades: Sequence[str], start: int = 0, type: str = "raised") -> list[dict[str, Any]]:
    return [
        {
            "specversion": "1.0",
            "id": f"a{start + n}-1",
            "source": "urn:watchline:north",
            "type": f"city.linkage.alert.{type}.v1",
            "data": {"alert_id": f"a{start + n}", "grade": grade, "notify": True, "t": {}},
        }
        for n, grade in enumerate(grades)
    ]


@contextlib.contextmanager
def life(folder: Path) -> Iterator[Life]:
    with living(folder, site(), Hands()) as one:
        yield one


def registered(one: Life, name: str = "hook") -> Outbox:
    outbox = Outbox(one.storage, name)
    outbox.register()
    return outbox


def ids(outbox: Outbox, most: int = 100) -> list[str]:
    return [letter.event["id"] for letter in outbox.waiting(most)]


def settle_all(outbox: Outbox, most: int) -> None:
    outbox.settle([letter.id for letter in outbox.waiting(most)], {}, 0)


def test_p1_goes_before_others_and_each_grade_in_its_order(tmp_path: Path) -> None:
    with life(tmp_path) as one:
        outbox = registered(one)
        one.tick(changes=events(["P3", "P1", "P4", "P1", "P2"]))

        assert ids(outbox) == ["a1-1", "a3-1", "a0-1", "a2-1", "a4-1"]
        assert ids(outbox, 3) == ["a1-1", "a3-1", "a0-1"]
        outbox.close()


def test_what_was_told_ahead_of_its_turn_is_remembered_over_a_restart(tmp_path: Path) -> None:
    with life(tmp_path) as one:
        outbox = registered(one)
        one.tick(changes=events(["P3", "P1", "P4"]))
        settle_all(outbox, 1)
        outbox.close()
    with life(tmp_path) as one:
        outbox = registered(one)

        assert ids(outbox) == ["a0-1", "a2-1"]
        outbox.close()


def test_a_new_receiver_is_not_told_the_past_of_others(tmp_path: Path) -> None:
    with life(tmp_path) as one:
        first = registered(one)
        one.tick(changes=events(["P3"]))
        second = registered(one, "pager")
        one.tick(changes=events(["P2"], start=1))

        assert ids(first) == ["a0-1", "a1-1"]
        assert ids(second) == ["a1-1"]
        first.close()
        second.close()


def test_what_was_committed_before_anybody_was_there_waits_for_the_first(tmp_path: Path) -> None:
    with life(tmp_path) as one:
        one.tick(changes=events(["P3"]))
        outbox = registered(one)

        assert ids(outbox) == ["a0-1"]
        outbox.close()


def test_a_refusal_is_put_aside_with_its_reason(tmp_path: Path) -> None:
    with life(tmp_path) as one:
        outbox = registered(one)
        one.tick(changes=events(["P3", "P3"]))
        letter, _ = outbox.waiting(2)
        outbox.settle([], {letter.id: (letter.event["id"], "hook answered 422")}, 7)
        outbox.close()
        with contextlib.closing(one.storage.reader()) as reader:
            rows = reader.execute("SELECT notifier, event_id, reason, at_ns FROM delivery_refused").fetchall()

        assert rows == [("hook", "a0-1", "hook answered 422", 7)]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from(["P1", "P2", "P4"]), max_size=5), st.integers(0, 4)), max_size=8
    )
)
def test_whatever_the_order_each_letter_is_handed_out_once_and_none_is_skipped(
    tmp_path_factory: Any, rounds: list[tuple[list[str], int]]
) -> None:
    with life(tmp_path_factory.mktemp("outbox")) as one:
        outbox = registered(one)
        total, told = 0, []
        for grades, taken in [*rounds, ([], 1000)]:
            one.tick(changes=events(grades, start=total))
            total += len(grades)
            letters = outbox.waiting(taken)
            told += [letter.event["id"] for letter in letters]
            outbox.settle([letter.id for letter in letters], {}, 0)

        assert sorted(told) == sorted(f"a{n}-1" for n in range(total))
        outbox.close()


def test_pruning_waits_for_the_slowest_receiver_and_for_a_week(tmp_path: Path) -> None:
    with life(tmp_path) as one:
        fast, slow = registered(one, "fast"), registered(one, "slow")
        one.tick(changes=events(["P3"] * 4))
        settle_all(fast, 4)
        settle_all(slow, 2)
        fast.close()
        slow.close()
        now_ns = one.clock.now_ns()

        assert one.storage.submit(lambda c: prune(c, now_ns)).result() == 0
        assert rows(one) == 4
        assert one.storage.submit(lambda c: prune(c, now_ns + 8 * DAY_NS)).result() == 0
        assert rows(one) == 2
        retire(one.storage, ["fast"])
        one.storage.submit(lambda c: prune(c, now_ns + 8 * DAY_NS)).result()
        assert rows(one) == 0


def test_an_outbox_that_is_full_loses_p4_updates_first_and_p1_last(tmp_path: Path) -> None:
    with life(tmp_path) as one:
        outbox = registered(one)
        one.tick(changes=[*events(["P1", "P4", "P3"]), *events(["P4", "P2"], start=3, type="updated")])
        for most, left in ((4, "a0 a1 a2 a4"), (3, "a0 a2 a4"), (2, "a0 a4"), (1, "a0")):
            assert one.storage.submit(lambda c, most=most: prune(c, 0, most=most)).result() == 1  # type: ignore[misc]
            assert sorted(ids(outbox)) == [f"{name}-1" for name in left.split()]
        outbox.close()


def rows(one: Life) -> int:
    with contextlib.closing(one.storage.reader()) as reader:
        (count,) = reader.execute("SELECT count(*) FROM outbox").fetchone()
    return int(count)
