"""People: what notifiers that reach people have in common: whom to call now, and in which words."""

import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from alerts.notifiers.base import CloudEvent, Home, Notifier
from alerts.notifiers.wording import Message, message, moment_of
from alerts.roster import ID, on_duty
from config.errors import SettingsError
from config.forms import FilePath
from config.settings import TimeZone

NANOSECONDS = 10**9


@dataclass
class ToPeople(Notifier):
    """A notifier for people: told what people are told (`notify`), and repeats are marked.

    Addresses stand in a file that only its owner can read. The roster that the centre sends says whose turn
    it is; where it names nobody whose address is known, all are called: never into silence.
    """

    contacts: FilePath  # a TOML file of mode 600: one line a person, `id = "address"`
    language: Literal["zh", "en"] = "zh"  # of what they read
    timezone: TimeZone = "Asia/Shanghai"  # whose hours it names
    grades: tuple[Literal["P1", "P2", "P3", "P4"], ...] = ("P1", "P2", "P3")  # what they are called for
    media: tuple[str, ...] = ()  # of which media; empty: all
    _addresses: Mapping[str, str] = field(default_factory=dict, init=False, repr=False)
    _home: Home | None = field(default=None, init=False, repr=False)
    _called: tuple[str, ...] = field(default=(), init=False, repr=False)

    for_people: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._addresses = read_contacts(self.contacts)

    def join(self, home: Home) -> None:
        self._home = home

    def wants(self, change: CloudEvent) -> bool:
        data: Mapping[str, Any] = change.get("data", {})
        fits = data.get("grade") in self.grades and (not self.media or data.get("medium") in self.media)
        return super().wants(change) and bool(data.get("notify")) and fits

    def called(self) -> Sequence[str]:
        return self._called

    def turn(self, change: CloudEvent) -> dict[str, str]:
        """Addresses by id of those whose turn it is; remembered for the report to the centre."""
        data: Mapping[str, Any] = change.get("data", {})
        duties = self._home.roster() if self._home is not None else ()
        sent = data.get("t", {}).get("sent")
        now_ns = moment_ns(str(sent)) if sent else int(moment_of(change).timestamp()) * NANOSECONDS
        ids = on_duty(duties, now_ns, str(data.get("grade", "")))
        known = {id: self._addresses[id] for id in ids if id in self._addresses}
        chosen = known or dict(self._addresses)
        self._called = tuple(chosen)
        return chosen

    def words(self, change: CloudEvent) -> Message:
        return message(change, self.language, ZoneInfo(self.timezone))


def moment_ns(text: str) -> int:
    """UTC nanoseconds of an RFC 3339 time."""
    return int(moment_of({"time": text}).timestamp()) * NANOSECONDS


def read_contacts(path: Path, key: str = "contacts") -> dict[str, str]:
    """Addresses by id. SettingsError where the file (option `key`) is open to others, or a line is wrong."""
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SettingsError(f"{key}: {path} can be read by others; run  chmod 600 {path}")
        written = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{key}: {path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{key}: {path} is not TOML: {error}") from error
    wrong = [id for id, to in written.items() if not ID.fullmatch(id) or not isinstance(to, str) or not to]
    if wrong:
        raise SettingsError([f'{key}: {path}: {id[:64]} must be written  id = "address"' for id in wrong])
    if not written:
        raise SettingsError(f'{key}: {path} names nobody; add a line  id = "address"')
    return written
