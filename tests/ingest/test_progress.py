"""Progress: whatever is carried, forgotten and carried again in any order, each tick is counted once."""

import sqlite3
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import journal, progress
from ingest.progress import Place, Progress

TICKS = 30

spans = st.tuples(st.integers(0, TICKS - 1), st.integers(1, TICKS)).map(
    lambda pair: (min(pair), max(pair[1], min(pair) + 1))
)
deeds = st.lists(st.tuples(st.sampled_from(["carry", "carry", "forget"]), spans), max_size=25)


def place(tick: int) -> Place:
    return Place(tick, 10 * tick)


@given(deeds)
def test_carried_forgotten_and_what_is_left_make_up_the_whole(
    deeds: list[tuple[str, tuple[int, int]]],
) -> None:
    now = Progress(place(0))
    twin: set[int] = set()  # ticks carried or forgotten, one by one

    for deed, (after, upto) in deeds:
        if deed == "forget":
            now, lost = now.forgotten(place(upto))
            gone = {tick for begin, end in lost for tick in range(begin.tick + 1, end.tick + 1)}
            assert gone == set(range(1, upto + 1)) - twin
            twin |= gone
        else:
            ticks = set(range(after + 1, upto + 1))
            later = now.carried(place(after), place(upto))
            assert (later is None) == bool(ticks & twin)
            if later is not None:
                now, twin = later, twin | ticks
        left = [range(gap.after.tick + 1, (gap.upto.tick if gap.upto else TICKS) + 1) for gap in now.gaps()]
        assert set().union(*map(set, left)) == set(range(1, TICKS + 1)) - twin
        edges = [now.cursor, *(edge for span in now.ahead for edge in span)]
        assert edges == sorted(set(edges))  # spans rise and do not touch


def journal_of(ticks: int) -> sqlite3.Connection:
    """A journal in memory; tick n has n readings."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    journal.set_up(connection)
    for tick in range(1, ticks + 1):
        connection.execute("INSERT INTO arrivals VALUES (?, 0, ?, x'')", (10 * tick, tick))
    return connection


@settings(max_examples=50)
@given(deeds)
def test_the_books_balance_after_every_deed(deeds: list[tuple[str, tuple[int, int]]]) -> None:
    connection = journal_of(TICKS)
    progress.register(connection, "one")
    counted: Counter[str] = Counter()

    for deed, (after, upto) in deeds:
        if deed == "forget":
            progress.forget(connection, place(upto))
            connection.execute("DELETE FROM arrivals WHERE id <= ?", (10 * upto,))
        else:
            fits, _ = progress.advance(connection, "one", place(after), place(upto))
            counted["stored"] += fits * sum(range(after + 1, upto + 1))
        rows = connection.execute("SELECT coalesce(sum(n), 0) FROM counters WHERE what = 'pruned'").fetchone()
        assert counted["stored"] + rows[0] + progress.pending(connection, "one") == sum(range(TICKS + 1))


def test_a_courier_that_is_retired_leaves_nothing_behind() -> None:
    connection = journal_of(TICKS)
    progress.register(connection, "one")
    progress.advance(connection, "one", place(5), place(6))
    progress.unregister(connection, "one")

    assert progress.read_progress(connection, "one") is None
    assert progress.register(connection, "one") == Progress(Place(0, 0))
