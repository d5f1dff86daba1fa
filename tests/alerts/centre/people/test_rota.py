"""Somebody is on duty at every moment, and exactly one is primary; where not, it is said."""

from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.centre.people.checking import judge
from alerts.centre.people.rota import SECOND_NS, Change, Repeat, Rota, Shift, swap
from tests.alerts.centre.people.district import bring, desk_shifts, settle

SHANGHAI = ZoneInfo("Asia/Shanghai")
ZONES = ("Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Europe/London", "Africa/Casablanca")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_NS


def shift(person: str, start: str, end: str, post: str = "primary", **given: object) -> Shift:
    zone = ZoneInfo(str(given.get("zone", "Asia/Shanghai")))
    every = int(str(given.get("every_days", 1)))
    first = date.fromisoformat(str(given.get("first", "2026-01-01")))
    when = Repeat(time.fromisoformat(start), time.fromisoformat(end), first, None, every, zone)
    return Shift(f"{person}-{start}", person, post, when)


THREE = (shift("a", "00:00", "08:00"), shift("b", "08:00", "16:00"), shift("c", "16:00", "00:00"))


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(0, 1439), min_size=1, max_size=5),
    st.sampled_from(ZONES),
    st.dates(date(2026, 1, 3), date(2027, 6, 1)),
)
def test_shifts_that_meet_on_the_wall_leave_no_gap_in_any_zone(cuts: set[int], zone: str, day: date) -> None:
    times = [f"{cut // 60:02d}:{cut % 60:02d}" for cut in sorted(cuts)]
    shifts = [shift(f"p{n}", one, times[(n + 1) % len(times)], zone=zone) for n, one in enumerate(times)]
    start_ns = int(datetime.combine(day, time(), UTC).timestamp()) * SECOND_NS

    assert Rota("r", tuple(shifts)).gaps(start_ns, start_ns + 40 * 86_400 * SECOND_NS) == []


def test_a_minute_without_anybody_and_one_with_two_are_found_to_the_minute() -> None:
    late = Rota("r", (shift("a", "00:00", "12:00"), shift("b", "12:01", "00:00")))
    early = Rota("r", (shift("a", "00:00", "12:01"), shift("b", "12:00", "00:00")))
    day = (at("2026-03-02T00:00+08:00"), at("2026-03-03T00:00+08:00"))
    noon = at("2026-03-02T12:00+08:00")

    for rota, people in ((late, ()), (early, ("a", "b"))):
        (gap,) = rota.gaps(*day)
        assert (gap.start_ns, gap.end_ns, gap.people) == (noon, noon + 60 * SECOND_NS, people)


def test_at_the_boundary_the_next_one_is_on_duty() -> None:
    rota = Rota("r", THREE)
    noon = at("2026-03-02T08:00+08:00")

    assert [turn.person for turn in rota.on_duty(noon - 1)] == ["a"]
    assert [turn.person for turn in rota.on_duty(noon)] == ["b"]


def test_an_override_takes_its_time_and_the_last_word_counts() -> None:
    three = at("2026-03-02T10:00+08:00"), at("2026-03-02T20:00+08:00")
    rota = Rota(
        "r", THREE, (Change("1", "x", *three), Change("2", "y", three[0], at("2026-03-02T11:00+08:00")))
    )
    day = (at("2026-03-02T00:00+08:00"), at("2026-03-03T00:00+08:00"))

    people = [(turn.person, turn.why) for turn in rota.turns(*day)]

    assert people == [("a", ""), ("b", ""), ("y", "2"), ("x", "1"), ("c", "")]
    assert rota.gaps(*day) == []


def test_two_people_swap_and_nobody_else_notices() -> None:
    plain = Rota("r", THREE)
    day = (at("2026-03-02T00:00+08:00"), at("2026-03-03T00:00+08:00"))
    first, _, last = (turn for turn in plain.turns(*day) if turn.start_ns >= day[0])
    rota = Rota("r", THREE, swap("s", first, last))

    assert [turn.person for turn in rota.turns(*day)] == ["c", "b", "a"]
    assert rota.gaps(day[0] - 86_400 * SECOND_NS, day[1] + 86_400 * SECOND_NS) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 3000), st.booleans()), max_size=6))
def test_no_change_ever_makes_a_gap(changes: list[tuple[int, int, bool]]) -> None:
    start_ns = at("2026-03-02T00:00+08:00")
    laid = tuple(
        Change(str(n), f"x{n}", start_ns + begin * 60 * SECOND_NS, start_ns + (begin + long) * 60 * SECOND_NS,
               "b" if named else "")
        for n, (begin, long, named) in enumerate(changes)
    )  # fmt: skip

    assert Rota("r", THREE, laid).gaps(start_ns, start_ns + 6 * 86_400 * SECOND_NS) == []


def test_every_second_day_leaves_the_other_open() -> None:
    rota = Rota("r", (shift("a", "00:00", "00:00", every_days=2),))
    start_ns = at("2026-03-02T00:00+08:00")

    gaps = rota.gaps(start_ns, start_ns + 4 * 86_400 * SECOND_NS)

    assert [gap.end_ns - gap.start_ns for gap in gaps] == [86_400 * SECOND_NS] * 2


def test_check_is_loud_about_gaps_and_content_with_a_whole_rota(tmp_path: Path) -> None:
    directory = settle(tmp_path / "people.sqlite", 60)
    now_ns = at("2026-03-02T09:00+08:00")

    whole = judge(directory, "hub", "chief", now_ns)
    bring(directory, "shifts", desk_shifts()[:2], replace=True)
    torn = judge(directory, "hub", "nobody", now_ns)

    assert whole.mistakes == []
    assert torn.mistakes[0] == '[people] last: neither a person nor an organisation "nobody" in the directory'
    assert torn.mistakes[1] == (
        "rota hub: nobody is primary from 2026-03-02 16:00 to 2026-03-03 00:00 (Asia/Shanghai);"
        " add a shift or a change"
    )
    assert torn.mistakes[-1].endswith("more gaps in the next 14 days")


def test_somebody_who_left_is_missed_on_the_rota(tmp_path: Path) -> None:
    directory = settle(tmp_path / "people.sqlite", 60)
    from tests.alerts.centre.people.district import people

    bring(directory, "people", [row for row in people(60) if row["person"] != "desk-1"], replace=True)

    found = judge(directory, "hub", "chief", at("2026-03-02T09:00+08:00"))

    assert "rota hub: desk-1 is not among the people any more" in found.mistakes[0]
