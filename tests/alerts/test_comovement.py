"""Comovement: who turned strange together before is one cause the next time, whatever zone it stands in."""

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.comovement import APART_NS, PAIRS_MOST, PLACES_MOST, TIMES, Comovement
from config.snapshot import pack, unpack
from detectors.findings import ALARM
from ingest.ticks import SECOND_NS
from tests.alerts.world import Site

DAY = 86_400.0
NORTH, SOUTH = ("jump", "w.a.pressure"), ("jump", "w.c.pressure")


def bursts(site: Site, *where: tuple[str, str], apart_s: float = 30.0) -> list[str]:
    """These turn strange shortly after one another, and are calm again; their incidents. A day goes by."""
    found = []
    for rule, channel in where:
        site.set(rule, channel, ALARM, -1)
        found += [change.incident for change in site.tick(apart_s) if change.type == "raised"]
    site.calm()
    site.tick(60.0)
    site.wait(DAY)
    return found


def test_places_that_always_turned_strange_together_are_one_incident_across_zones() -> None:
    site = Site()
    apart = [len(set(bursts(site, NORTH, SOUTH))) for _ in range(TIMES)]

    site.restart()

    assert apart == [2, 2, 2]
    assert len(set(bursts(site, NORTH, SOUTH))) == 1


def test_they_part_again_when_each_goes_its_own_way() -> None:
    site = Site()
    for _ in range(TIMES):
        bursts(site, NORTH, SOUTH)
    for _ in range(2 * TIMES):
        bursts(site, NORTH)

    assert len(set(bursts(site, NORTH, SOUTH))) == 2


def test_another_medium_never_joins_by_habit() -> None:
    site = Site()
    for _ in range(2 * TIMES):
        assert len(set(bursts(site, ("jump", "p.a.voltage"), SOUTH))) == 2


def test_what_strikes_everybody_at_once_teaches_nothing_about_pairs() -> None:
    memory = Comovement()
    for day in range(10):
        memory.note([f"p{n}" for n in range(100)], day * 10 * APART_NS)

    assert memory.with_("p1") == frozenset()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3000), st.sets(st.integers(0, 9), min_size=1)), max_size=60))
def test_it_goes_on_after_a_restart_as_if_nothing_had_been(moments: list[tuple[int, set[int]]]) -> None:
    through, restarted = Comovement(), Comovement()
    now_ns = 0
    for after_s, places in moments:
        now_ns += after_s * SECOND_NS
        for memory in (through, restarted):
            memory.note([f"p{n}" for n in places], now_ns)
        saved = unpack(pack({"comovement": restarted.state()}))
        restarted = Comovement()
        restarted.restore(saved["comovement"])  # type: ignore[arg-type]

    assert restarted.state() == through.state()
    for n in range(10):
        assert restarted.with_(f"p{n}") == through.with_(f"p{n}")
        assert all(f"p{n}" in through.with_(other) for other in through.with_(f"p{n}"))


def test_memory_is_bounded_however_many_places_there_are() -> None:
    memory = Comovement()
    for number in range(3000):
        memory.note([f"p{number}-{n}" for n in range(12)], number * APART_NS)
    state = memory.state()

    assert len(state["onsets"]) <= PLACES_MOST
    assert len(state["pairs"]) <= PAIRS_MOST
