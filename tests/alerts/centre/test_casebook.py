"""The casebook: what it confirms is on disk, each fact once, and a file that fails is not trusted again."""

import sqlite3
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from alerts.centre import casebook as book
from alerts.centre.casebook import Casebook, CasebookFailed, Overtaken
from alerts.centre.events import Fact


def fact(id: str, incident: str = "gw/1", data: bytes = b"{}") -> Fact:
    return Fact(0, 1, "urn:watchline:gw", id, "city.linkage.alert.raised.v1", incident, data)


@pytest.fixture
def casebook(tmp_path: Path) -> Iterator[Casebook]:
    opened = Casebook(tmp_path / "state" / "casebook.db")
    opened.open()
    yield opened
    opened.close()


def stored(casebook: Casebook) -> list[str]:
    with casebook.reading() as connection:
        return [one.id for one in book.all_facts(connection)]


def append(casebook: Casebook, *facts: Fact) -> list[Fact]:
    return casebook.submit(lambda connection: book.append(connection, facts)).result(20)


def test_facts_are_numbered_in_order_and_stored_once(casebook: Casebook) -> None:
    first = append(casebook, fact("a"), fact("b"), fact("a"))
    again = append(casebook, fact("b"), fact("c"))

    assert [(one.id, one.number) for one in first] == [("a", 1), ("b", 2)]
    assert [one.id for one in again] == ["c"]
    assert stored(casebook) == ["a", "b", "c"]


def test_every_commit_is_synced_and_readers_cannot_write(casebook: Casebook) -> None:
    def settings(connection: sqlite3.Connection) -> tuple[str, int]:
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        return mode, connection.execute("PRAGMA synchronous").fetchone()[0]

    assert casebook.submit(settings).result(20) == ("wal", 2)
    with casebook.reading() as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM fact")


def test_password_hashes_are_for_nobody_elses_eyes(casebook: Casebook) -> None:
    assert casebook.path.stat().st_mode & 0o077 == 0


def test_a_job_that_fails_harms_none_of_those_that_share_its_commit(casebook: Casebook) -> None:
    gate = threading.Event()
    waiting = casebook.submit(lambda connection: gate.wait(20))

    def wrong(connection: sqlite3.Connection) -> None:
        book.append(connection, [fact("half")])
        raise ValueError("no")

    before = casebook.submit(lambda connection: book.append(connection, [fact("before")]))
    failing = casebook.submit(wrong)
    after = casebook.submit(lambda connection: book.append(connection, [fact("after")]))
    gate.set()

    assert waiting.result(20)
    assert [one.id for one in before.result(20) + after.result(20)] == ["before", "after"]
    with pytest.raises(ValueError, match="no"):
        failing.result(20)
    assert stored(casebook) == ["before", "after"]


def test_a_decision_on_an_old_picture_is_overtaken(casebook: Casebook) -> None:
    [known] = append(casebook, fact("a"))
    append(casebook, fact("b"))
    decision = fact("act")

    def decide(number: int) -> list[Fact]:
        return casebook.submit(lambda c: book.append_unless_overtaken(c, decision, number)).result(20)

    with pytest.raises(Overtaken):
        decide(known.number)
    assert [one.id for one in decide(known.number + 1)] == ["act"]
    assert decide(known.number + 1) == []  # pressed twice


def test_a_full_disk_confirms_nothing_and_works_again_when_there_is_room(casebook: Casebook) -> None:
    append(casebook, fact("a"))
    casebook.submit(lambda connection: connection.execute("PRAGMA max_page_count = 12")).result(20)
    failures: list[CasebookFailed] = []
    casebook.on_failure = failures.append

    with pytest.raises(CasebookFailed) as failed:
        append(casebook, fact("big", data=b"x" * 500_000))

    assert not failed.value.lasting
    assert failures == [failed.value]
    casebook.submit(lambda connection: connection.execute("PRAGMA max_page_count = 100000")).result(20)
    append(casebook, fact("b"))
    assert stored(casebook) == ["a", "b"]


def test_after_a_failed_sync_nothing_is_confirmed_any_more(casebook: Casebook, monkeypatch: Any) -> None:
    append(casebook, fact("a"))
    real = casebook._connection

    class Failing:
        """A disk that fails to sync once, and then claims that all is well."""

        failed = False

        def execute(self, statement: str, *rest: Any) -> Any:
            if statement == "COMMIT" and not self.failed:
                self.failed = True
                real.execute("ROLLBACK")
                raise sqlite3.OperationalError("disk I/O error")
            return real.execute(statement, *rest)

        def rollback(self) -> None:
            real.rollback()

        def close(self) -> None:
            real.close()

    monkeypatch.setattr(casebook, "_connection", Failing())
    for id in ("b", "c"):
        with pytest.raises(CasebookFailed) as failed:
            append(casebook, fact(id))
        assert failed.value.lasting
    monkeypatch.setattr(casebook, "_connection", real)
    assert stored(casebook) == ["a"]


def test_everything_submitted_is_stored_before_it_closes(tmp_path: Path) -> None:
    casebook = Casebook(tmp_path / "casebook.db")
    casebook.open()
    for number in range(1000):
        casebook.submit(partial(book.append, facts=[fact(f"f{number}")]))
    casebook.close()

    again = Casebook(tmp_path / "casebook.db")
    again.open()
    assert len(stored(again)) == 1000
    again.close()
