"""The board: the same picture whatever order the facts came in, and commands that wait for their gateway."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.centre.board import Board
from alerts.centre.events import Fact
from tests.alerts.centre.world import SECOND_NS, Story, done, fact

SOURCE = "urn:watchline:gw-1"
START_NS = 1_767_578_400 * SECOND_NS


def a_bad_night() -> list[Fact]:
    """Two incidents that turn out to be one, a third that stays apart, acts in between."""
    first, second = Story(SOURCE, "water.a"), Story(SOURCE, "water.b")
    parent, apart = Story(SOURCE, "water.pump"), Story(SOURCE, "gas.c", {"medium": "gas"})
    joined = {"incident": parent.incident, "notify": False}
    events: list[dict[str, Any]] = [
        first.raised(),
        first.change("updated", "ACTIVE_UNACK", grade="P1", notify=True),
        apart.raised(grade="P3"),
        second.raised(),
        second.cleared(),
        parent.raised(extra={"supersedes": [first.incident]}),
        first.change("updated", "ACTIVE_UNACK", **joined),
        second.change("updated", "NORMAL", extra={"supersedes": [second.incident]}, **joined),
        first.change("cleared", "RTN_UNACK", **joined),
        parent.cleared(),
    ]
    facts = [fact(event, number, START_NS + number * SECOND_NS) for number, event in enumerate(events, 1)]
    facts.append(done(apart.key, "acknowledged", 20, START_NS + 20 * SECOND_NS))
    facts.append(done(first.key, "acknowledged", 21, START_NS + 21 * SECOND_NS))
    return facts


NIGHT = a_bad_night()


def picture(board: Board) -> Any:
    """All that a page could show, for comparison."""
    return {
        key: (
            incident.key in board.open,
            sorted(incident.alarms),
            board.moved_to(incident),
            incident.alarms
            and (
                incident.stage,
                incident.grade,
                incident.armed,
                incident.in_band,
                incident.since_ns,
                incident.quiet,
            ),
            [alarm.calm_since_ns for _, alarm in sorted(incident.alarms.items())],
        )
        for key, incident in sorted(board.incidents.items())
    }


def folded(facts: list[Fact]) -> Board:
    board = Board()
    for one in facts:
        board.fold(one)
    return board


@settings(max_examples=150, deadline=None)
@given(st.permutations(NIGHT))
def test_any_order_of_arrival_gives_the_same_picture(facts: list[Fact]) -> None:
    assert picture(folded(facts)) == picture(folded(NIGHT))


@settings(max_examples=50, deadline=None)
@given(st.permutations(NIGHT), st.data())
def test_late_repeats_change_nothing(facts: list[Fact], data: st.DataObject) -> None:
    repeats = data.draw(st.lists(st.sampled_from(facts), max_size=6))

    assert picture(folded(facts + repeats)) == picture(folded(NIGHT))


def test_an_incident_that_was_merged_shows_where_it_went() -> None:
    board = folded(NIGHT)
    first, parent = Story(SOURCE, "water.a"), Story(SOURCE, "water.pump")

    assert board.moved_to(board.incidents[first.key]) == parent.key
    assert first.key not in board.open
    assert len(board.incidents[parent.key].alarms) == 3


def test_a_command_waits_until_its_own_gateway_confirms_it() -> None:
    board = Board()
    story = Story(SOURCE, "water.a")
    board.fold(fact(story.raised(), 1, START_NS))
    command = {"id": "c-0", "kind": "ack", "body": {"incident": story.incident}}
    board.fold(done(story.key, "acknowledged", 2, START_NS, commands=[command]))

    def confirmation(source: str) -> dict[str, Any]:
        kind = "city.linkage.command.confirmed.v1"
        return {
            "id": f"x-{source}",
            "source": source,
            "type": kind,
            "data": {"command": "c-0", "result": "applied"},
        }

    board.fold(fact(confirmation("urn:watchline:gw-2"), 3, START_NS))
    assert [one.id for one in board.pending("gw-1")] == ["c-0"]
    assert board.result_of("c-0") is None

    touched = board.fold(fact(confirmation(SOURCE), 4, START_NS))
    assert touched == {story.key}
    assert board.pending("gw-1") == []
    assert board.result_of("c-0") is not None
