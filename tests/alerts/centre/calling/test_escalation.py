"""Nobody answers, somebody answers, somebody does not come: the climb goes on, and never into silence."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.centre.calling.escalation import NEVER, SECOND_NS, Call, Climb, Climbs, advance, answered, begin
from alerts.centre.calling.ladder import Matter, ladder_of
from config.grades import GRADES
from config.routing import read_routing

ROUTING = read_routing()
BEGAN_NS = 1_700_000_000 * SECOND_NS


class World:
    """One incident of a grade, and a clock in seconds since people were called."""

    def __init__(self, grade: str) -> None:
        self.ladder = ladder_of(
            Matter(grade, "gas", "slow_leak", "sub-district", "gas_company", "x"), ROUTING
        )
        self.rules = ROUTING.ladder[grade]  # type: ignore[index]
        self.climb = begin("gw/1", 7, grade, BEGAN_NS)
        self.calls: list[tuple[float, Call]] = []

    def sweep(self, at_s: float) -> Call | None:
        self.climb, call = advance(self.climb, self.rules, self.ladder, BEGAN_NS + int(at_s * SECOND_NS))
        if call is not None:
            self.calls.append((at_s, call))
        return call

    def answer(self, *, taken: bool, arrived: bool = False) -> None:
        self.climb = answered(self.climb, self.rules, self.ladder, taken=taken, arrived=arrived)

    def run(self, until_s: float) -> None:
        """Sweep at each due time, as a process that is never late does."""
        while self.due_s <= until_s:
            self.sweep(self.due_s)

    @property
    def due_s(self) -> float:
        return (self.climb.due_ns - BEGAN_NS) / SECOND_NS


def told(world: World) -> list[tuple[float, tuple[int, ...], str]]:
    return [(at_s, call.steps, call.why) for at_s, call in world.calls]


def test_unanswered_p1_is_repeated_every_two_minutes_and_climbs_to_the_last_for_ever() -> None:
    world = World("P1")
    world.run(900)

    assert told(world) == [
        (0, (0,), "first"),
        (120, (0, 1), "unanswered"),
        (240, (0, 1), "repeat"),
        (300, (2,), "unanswered"),
        (420, (0, 1, 2), "repeat"),
        (540, (0, 1, 2), "repeat"),
        (600, (3,), "unanswered"),
        (720, (3,), "repeat"),
        (840, (3,), "repeat"),
    ]


def test_whoever_takes_it_is_left_in_peace_until_they_should_be_there() -> None:
    world = World("P2")
    world.run(200)
    world.answer(taken=True)
    assert world.due_s == 1800
    world.run(2500)

    assert told(world)[:2] == [(0, (0,), "first"), (1800, (1,), "nobody_there")]
    world.answer(taken=True, arrived=True)
    assert world.climb.due_ns == NEVER


def test_a_case_that_is_given_back_climbs_again() -> None:
    world = World("P3")
    world.run(10)
    world.answer(taken=True)
    world.answer(taken=False)
    world.run(2000)

    assert told(world)[-1][:2] == (1800, (0, 1))


def test_what_was_missed_while_the_centre_was_away_is_called_at_once_and_together() -> None:
    world = World("P1")
    world.sweep(0)
    call = world.sweep(400)

    assert call is not None
    assert call.steps == (0, 1, 2)
    assert call.why == "unanswered"


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(GRADES),
    st.lists(st.floats(0.1, 4000), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 39), st.booleans(), st.booleans()), max_size=5),
)
def test_no_step_is_skipped_or_called_twice_first_and_silence_never_lasts(
    grade: str, pauses: Sequence[float], answers: Sequence[tuple[int, bool, bool]]
) -> None:
    world, at_s = World(grade), 0.0
    world.sweep(0)
    for number, pause_s in enumerate(pauses):
        for turn, taken, arrived in answers:
            if turn == number:
                world.answer(taken=taken or arrived, arrived=arrived)
        at_s += pause_s
        due_s = world.due_s
        call = world.sweep(at_s)
        assert (call is not None) == (due_s <= at_s)
        world.climb = Climb._make(world.climb)  # as it comes back from the disk
        if not world.climb.arrived:
            slowest_s = max(world.rules.arrive_s, *world.rules.climb_s, world.rules.repeat_s)
            assert at_s < world.due_s <= at_s + slowest_s, "something is due within the slowest pace"
    first = [step for _, call in world.calls for step in call.steps]
    seen = list(dict.fromkeys(first))
    assert seen == list(range(len(seen))), "in order, none left out"
    assert [call.number for _, call in world.calls] == list(range(len(world.calls)))


def test_a_sweep_finds_only_what_is_due_the_longest_overdue_first() -> None:
    climbs = Climbs(begin(f"gw/{n}", n, "P2", BEGAN_NS + n * SECOND_NS) for n in range(1000))

    due = climbs.due(BEGAN_NS + 9 * SECOND_NS, most=5)
    climbs.drop("gw/5")

    assert [climb.incident for climb in due] == [f"gw/{n}" for n in range(5)]
    assert climbs.next_ns() == BEGAN_NS + 6 * SECOND_NS
    assert len(climbs.due(BEGAN_NS + 9 * SECOND_NS, most=100)) == 4
