"""Accounts: who may come in, as staff or administrator; passwords by argon2id, sessions on the server."""

import hashlib
import hmac
import re
import secrets
import sqlite3
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from alerts.centre.casebook import prepare
from config.errors import SettingsError
from ingest.folders import make_folder

ROLES = ("staff", "administrator")
NAME = re.compile(r"[\w.@-]{1,64}")
PASSWORD_LEAST = 8  # NIST SP 800-63B: length counts, no rules of composition
PASSWORD_MOST = 256
SESSION_S = 12 * 3600  # a shift
HASHER = PasswordHasher()  # argon2id, RFC 9106 low-memory profile
_NOBODY = HASHER.hash(secrets.token_hex(16))  # checked for names that do not exist, so that both take as long
_AREA = "LEFT JOIN account_area ON account_area.account = name"


@dataclass(frozen=True, slots=True)
class Account:
    """Someone who may log in."""

    name: str
    role: str
    created_ns: int
    disabled: bool
    area: str = ""  # the organisation that it is kept to, and what lies in it; "" = the whole district

    @property
    def is_administrator(self) -> bool:
        return self.role == "administrator"


@dataclass(frozen=True, slots=True)
class Session:
    """A login that is still good."""

    account: Account
    form_token: str  # every form carries it (CSRF)
    expires_ns: int

    def owns_form(self, token: str) -> bool:
        return hmac.compare_digest(self.form_token.encode(), token.encode())


def check_name(name: str, role: str) -> None:
    """SettingsError unless the name and role can be used."""
    if not NAME.fullmatch(name):
        raise SettingsError(f"--add-user {name!r}: a name has 1 to 64 letters, digits, '.', '_', '-' or '@'")
    if role not in ROLES:
        raise SettingsError(f"--role {role!r}: must be one of {', '.join(ROLES)}")


def add_account(path: Path, name: str, role: str, password: str) -> None:
    """Create an account in the casebook, running centre or not; SettingsError says what is wrong with it.

    This connection never checkpoints while a centre holds the file: only its writer does.
    """
    check_name(name, role)
    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
        raise SettingsError(
            f"--add-user {name}: the password must have {PASSWORD_LEAST} to {PASSWORD_MOST} characters,"
            f" got {len(password)}"
        )
    make_folder(path.parent)
    fresh = not path.exists()
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        if fresh:
            path.chmod(0o600)
        connection.execute("PRAGMA wal_autocheckpoint=0")
        prepare(connection)
        connection.execute(
            "INSERT INTO account (name, role, hash, created_ns) VALUES (?, ?, ?, ?)",
            (name, role, HASHER.hash(password), time.time_ns()),
        )
    except sqlite3.IntegrityError as error:
        raise SettingsError(f"--add-user {name}: there is an account of that name already") from error
    finally:
        connection.close()


def add_token(path: Path, name: str) -> str:
    """A new token by which programs act in the name of an account; the casebook holds only its hash."""
    token = secrets.token_urlsafe(32)
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        prepare(connection)
        connection.execute("INSERT INTO token VALUES (?, ?, ?)", (_hash(token), name, time.time_ns()))
    except sqlite3.IntegrityError as error:
        raise SettingsError(f"--add-token {name}: there is no account of that name; add it first") from error
    finally:
        connection.close()
    return token


def account_of(connection: sqlite3.Connection, token: str) -> Account | None:
    """The account that a program's token speaks for, unless it is disabled."""
    row = connection.execute(
        "SELECT name, role, account.created_ns, coalesce(area, '') FROM token"
        f" JOIN account ON name = token.account {_AREA} WHERE token.hash = ? AND NOT disabled",
        (_hash(token),),
    ).fetchone()
    if row is None:
        return None
    name, role, created_ns, area = row
    return Account(name, role, created_ns, False, area)


def accounts(connection: sqlite3.Connection) -> list[Account]:
    """All accounts, by name."""
    rows = connection.execute(
        f"SELECT name, role, created_ns, disabled, coalesce(area, '') FROM account {_AREA} ORDER BY name"
    )
    return [Account(name, role, made, bool(disabled), area) for name, role, made, disabled, area in rows]


def password_fits(connection: sqlite3.Connection, name: str, password: str) -> bool:
    """Whether that password opens an account of that name; a name that does not exist takes as long."""
    row = connection.execute("SELECT hash, disabled FROM account WHERE name = ?", (name,)).fetchone()
    try:
        HASHER.verify(row[0] if row else _NOBODY, password[:PASSWORD_MOST])
    except (VerificationError, InvalidHashError):
        return False
    return row is not None and not row[1]


def open_session(connection: sqlite3.Connection, name: str, now_ns: int) -> str:
    """A new session's token, for the cookie; the casebook holds only its hash. Old sessions are swept out."""
    token = secrets.token_urlsafe(32)
    connection.execute("DELETE FROM session WHERE expires_ns < ?", (now_ns,))
    connection.execute(
        "INSERT INTO session (token_hash, account, form_token, opened_ns, expires_ns) VALUES (?, ?, ?, ?, ?)",
        (_hash(token), name, secrets.token_urlsafe(32), now_ns, now_ns + SESSION_S * 1_000_000_000),
    )
    return token


def session_of(connection: sqlite3.Connection, token: str, now_ns: int) -> Session | None:
    """The session that a cookie opens, while it lasts and its account is not disabled."""
    row = connection.execute(
        "SELECT name, role, created_ns, coalesce(area, ''), form_token, expires_ns FROM session"
        f" JOIN account ON name = session.account {_AREA}"
        " WHERE token_hash = ? AND expires_ns >= ? AND NOT disabled",
        (_hash(token), now_ns),
    ).fetchone()
    if row is None:
        return None
    name, role, created_ns, area, form_token, expires_ns = row
    return Session(Account(name, role, created_ns, False, area), form_token, expires_ns)


def close_session(connection: sqlite3.Connection, token: str) -> None:
    connection.execute("DELETE FROM session WHERE token_hash = ?", (_hash(token),))


def set_disabled(connection: sqlite3.Connection, name: str, disabled: bool) -> bool:
    """Close or open an account; closing ends its sessions. Whether there is such an account."""
    changed = connection.execute("UPDATE account SET disabled = ? WHERE name = ?", (disabled, name)).rowcount
    if disabled:
        connection.execute("DELETE FROM session WHERE account = ?", (name,))
    return changed > 0


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


@dataclass
class Patience:
    """How often one may fail before having to wait: `most` failures in `window_s` seconds, for each key."""

    most: int
    window_s: float = 300.0
    clock: Callable[[], float] = time.monotonic
    _failures: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def wait_s(self, key: str) -> float:
        """How long this key must still wait; 0 when it may try."""
        failures = self._failures.get(key)
        if failures is None:
            return 0.0
        now = self.clock()
        while failures and failures[0] <= now - self.window_s:
            failures.popleft()
        if not failures:
            del self._failures[key]
            return 0.0
        return failures[-self.most] + self.window_s - now if len(failures) >= self.most else 0.0

    def failed(self, key: str) -> None:
        if len(self._failures) > 10_000:  # a flood of keys: forget those that may try anyway
            for other in list(self._failures):
                self.wait_s(other)
        self._failures[key].append(self.clock())

    def succeeded(self, key: str) -> None:
        self._failures.pop(key, None)
