"""Accounts: who may come in, for how long, and how long a guesser must wait."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2.exceptions import VerificationError

from alerts.centre import accounts
from alerts.centre.accounts import Patience, add_account
from config.errors import SettingsError
from tests.alerts.centre.world import PASSWORD

DAY_NS = 86400 * 10**9


@pytest.fixture
def book(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    add_account(tmp_path / "casebook.db", "wang", "staff", PASSWORD)
    connection = sqlite3.connect(tmp_path / "casebook.db", isolation_level=None)
    yield connection
    connection.close()


def test_passwords_are_kept_as_argon2id(book: sqlite3.Connection) -> None:
    [(hash,)] = book.execute("SELECT hash FROM account")

    assert hash.startswith("$argon2id$")
    assert PASSWORD not in hash


def test_only_the_right_password_of_an_open_account_fits(book: sqlite3.Connection) -> None:
    assert accounts.password_fits(book, "wang", PASSWORD)
    assert not accounts.password_fits(book, "wang", PASSWORD + "!")
    assert not accounts.password_fits(book, "WANG", PASSWORD)
    assert not accounts.password_fits(book, "nobody", PASSWORD)

    accounts.set_disabled(book, "wang", True)
    assert not accounts.password_fits(book, "wang", PASSWORD)


def test_a_name_that_does_not_exist_costs_a_hash_as_well(
    book: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = []

    class Watched:
        def verify(self, hash: str, password: str) -> bool:
            verified.append(hash)
            raise VerificationError

    monkeypatch.setattr(accounts, "HASHER", Watched())
    accounts.password_fits(book, "wang", "x")
    accounts.password_fits(book, "nobody", "x")

    assert len(verified) == 2
    assert all(hash.startswith("$argon2id$") for hash in verified)


def test_a_session_lasts_a_shift_and_its_token_is_not_in_the_book(book: sqlite3.Connection) -> None:
    token = accounts.open_session(book, "wang", now_ns=0)

    session = accounts.session_of(book, token, now_ns=1)
    assert session is not None
    assert session.account.name == "wang"
    assert session.owns_form(session.form_token)
    assert not session.owns_form("")
    assert accounts.session_of(book, token, now_ns=DAY_NS) is None
    assert accounts.session_of(book, token + "x", now_ns=1) is None
    assert token not in str(book.execute("SELECT * FROM session").fetchall())


def test_closing_an_account_or_a_session_ends_it(book: sqlite3.Connection) -> None:
    first, second = (accounts.open_session(book, "wang", now_ns=0) for _ in range(2))
    accounts.close_session(book, first)
    assert accounts.session_of(book, first, 1) is None
    assert accounts.session_of(book, second, 1) is not None

    assert accounts.set_disabled(book, "wang", True)
    assert not accounts.set_disabled(book, "nobody", True)
    accounts.set_disabled(book, "wang", False)
    assert accounts.session_of(book, second, 1) is None


@pytest.mark.parametrize(
    ("name", "role", "password", "why"),
    [
        ("wang", "staff", PASSWORD, "already"),
        ("li", "boss", PASSWORD, "must be one of staff, administrator"),
        ("li wei", "staff", PASSWORD, "a name has"),
        ("", "staff", PASSWORD, "a name has"),
        ("li", "staff", "short", "8 to 256 characters, got 5"),
        ("li", "staff", "x" * 257, "got 257"),
    ],
)
def test_an_account_that_cannot_be_made_says_why(
    book: sqlite3.Connection, tmp_path: Path, name: str, role: str, password: str, why: str
) -> None:
    with pytest.raises(SettingsError, match=why):
        add_account(tmp_path / "casebook.db", name, role, password)


def test_after_five_failures_one_waits_and_then_may_try_again() -> None:
    now = [0.0]
    patience = Patience(most=5, window_s=300, clock=lambda: now[0])
    for _ in range(5):
        assert patience.wait_s("wang") == 0
        patience.failed("wang")
        now[0] += 10

    assert patience.wait_s("wang") == 250
    assert patience.wait_s("li") == 0
    now[0] += 250
    assert patience.wait_s("wang") == 0


def test_success_forgives_and_old_failures_are_forgotten() -> None:
    now = [0.0]
    patience = Patience(most=2, window_s=300, clock=lambda: now[0])
    patience.failed("wang")
    patience.succeeded("wang")
    patience.failed("wang")
    assert patience.wait_s("wang") == 0

    for number in range(20_000):
        now[0] += 1
        patience.failed(f"name-{number}")
    assert len(patience._failures) < 11_000
