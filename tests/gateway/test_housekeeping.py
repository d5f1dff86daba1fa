"""What the calendar does: a line of the ledger a day, also after days off; the outbox forgets the told."""

from pathlib import Path

from alerts.outbox import Backlog, Outbox, backlogs
from gateway.housekeeping import DAY_S, Daily, Housekeeping
from ingest.daybook import verify
from tests.alerts.test_outbox import events
from tests.ingest.world import Hands, Life, living, site
from tests.living import until

WEEK_S = 7 * DAY_S


def daily(life: Life) -> Daily:
    return Daily(life.storage, life.clock, "east", "hash")


def rows(life: Life) -> int:
    reader = life.storage.reader()
    (count,) = reader.execute("SELECT count(*) FROM outbox").fetchone()
    reader.close()
    return int(count)


def test_a_line_is_written_at_the_start_when_none_was_for_a_day(tmp_path: Path) -> None:
    hands = Hands()
    with living(tmp_path, site(), hands) as life:
        keeper = daily(life)
        keeper.catch_up()
        keeper.catch_up()
        assert verify(tmp_path).lines == 1
        hands.wind(DAY_S + 1)
        life.hear([0], [1.0])
        life.tick()
        keeper.catch_up()
    assert (verify(tmp_path).lines, verify(tmp_path).broken) == (2, "")


def test_the_outbox_forgets_after_a_week_what_everybody_was_told(tmp_path: Path) -> None:
    hands = Hands()
    with living(tmp_path, site(), hands) as life:
        one, other = Outbox(life.storage, "fast"), Outbox(life.storage, "slow")
        one.register()
        other.register()
        life.tick(changes=events(["P1", "P2"]))
        one.settle([letter.id for letter in one.waiting(9)], {}, 0)
        other.settle([1], {2: ("a1-1", "no")}, 0)
        for outbox in (one, other):
            outbox.close()
        life.tick(changes=events(["P3"], start=2))
        hands.wind(WEEK_S)
        life.tick()
        daily(life).prune_outbox()
        assert rows(life) == 1
        reader = life.storage.reader()
        found = backlogs(reader)
        reader.close()
        assert found["fast"].waiting == 1
        assert found["slow"] == Backlog(1, found["fast"].oldest_ns, 1)
        assert found["fast"].oldest_ns > 0


def test_where_nobody_is_to_be_told_age_alone_counts(tmp_path: Path) -> None:
    hands = Hands()
    with living(tmp_path, site(), hands) as life:
        life.tick(changes=events(["P1"]))
        hands.wind(WEEK_S)
        life.tick(changes=events(["P2"], start=1))
        daily(life).prune_outbox()
        assert rows(life) == 1


def test_the_scheduler_calls_at_once_and_stops_tidily(tmp_path: Path) -> None:
    called: list[str] = []
    keeper = Housekeeping(
        "Asia/Shanghai", {"job": lambda: called.append("daily")}, lambda: called.append("now")
    )
    keeper.start()
    until(lambda: called == ["now"])
    keeper.stop()
