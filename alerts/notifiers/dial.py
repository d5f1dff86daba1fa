"""Dial: those whom the centre calls, by the contacts of each: SMS, telephone …, until one takes it."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from alerts.notifiers.base import CloudEvent, Notifier
from alerts.notifiers.people import read_contacts
from alerts.notifiers.wording import Message, message
from config.errors import DeliveryFailed, SettingsError
from config.forms import FilePath
from config.settings import TimeZone

log = logging.getLogger(__name__)

AT_ONCE = 8  # people who are dialled at the same time: one way that hangs holds up nobody else
TRIES = 6  # of one call, while others get through; then it is the contacts that are wrong
SAMPLE = "+8613800000000"
TO = "{to}"


@dataclass
class Dial(Notifier):
    """Calls (`escalated`) to everybody in `data.to`, each by their own contacts, the first that takes it.

    A contact is `way:address`, such as `sms:+8613800000000`; `ways` says how each way is reached. Who was
    not reached is tried again, those who were are left alone. An address goes into no log.
    """

    ways: FilePath  # a TOML file of mode 600: a line a way, `sms = "Apprise URL with {to} in it"`
    short: tuple[str, ...] = ("sms", "phone")  # ways that take one line, which is one SMS
    language: Literal["zh", "en"] = "zh"  # of what they read
    timezone: TimeZone = "Asia/Shanghai"  # whose hours it names
    _urls: Mapping[str, str] = field(default_factory=dict, init=False, repr=False)
    _reached: dict[str, set[str]] = field(default_factory=dict, init=False, repr=False)
    _tries: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _passed: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _taken: int = field(default=0, init=False, repr=False)  # messages that some way has taken so far

    at_once: ClassVar[int] = AT_ONCE
    for_people: ClassVar[bool] = True

    def __post_init__(self) -> None:
        try:
            import apprise
        except ImportError as error:
            raise SettingsError("kind dial needs a library: pip install 'watchline[apprise]'") from error
        self._urls = read_contacts(self.ways, "ways")
        wrong = [
            f'ways: {self.ways}: {way} must be an Apprise URL with {TO} in it, such as  {way} = "json://host/{TO}"'
            for way, url in self._urls.items()
            if TO not in url or not apprise.Apprise().add(_filled(url, SAMPLE))
        ]  # never the URL itself: it holds tokens
        if wrong:
            raise SettingsError(wrong)

    def wants(self, change: CloudEvent) -> bool:
        return super().wants(change) and bool(change.get("data", {}).get("to"))

    def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
        """The calls that are done with; DeliveryFailed where none is, for good where one cannot be made."""
        jobs = [
            (change, receiver)
            for change in changes
            for receiver in change["data"]["to"]
            if _name(receiver) not in self._reached.get(str(change["id"]), ())
        ]
        for change in changes:
            self._passed.setdefault(str(change["id"]), self._taken)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            ways = list(pool.map(lambda job: self._dial(*job), jobs))
        for (change, receiver), way in zip(jobs, ways):
            if way:
                self._taken += 1
                self._reached.setdefault(str(change["id"]), set()).add(_name(receiver))
        done = [str(change["id"]) for change in changes if self._is_done(change)]
        missed = sorted({_name(one) for (_, one), way in zip(jobs, ways) if not way})
        hopeless = [change for change in changes if self._is_hopeless(change)]
        if hopeless and (not done or len(changes) > 1):
            raise DeliveryFailed(f"no contact of {', '.join(missed)} can be reached", permanent=True)
        if not done:
            raise DeliveryFailed(f"reached nobody of {', '.join(missed)}")
        for id in done:
            for known in (self._reached, self._tries, self._passed):
                known.pop(id, None)
        return done

    def _is_done(self, change: CloudEvent) -> bool:
        """Everybody was reached, or somebody was and the others have been tried often enough."""
        id = str(change["id"])
        reached = self._reached.get(id, set())
        missing = sorted({_name(one) for one in change["data"]["to"]} - reached)
        self._tries[id] = self._tries.get(id, 0) + 1
        if missing and reached and self._tries[id] >= TRIES:
            log.error("%s about %s: not reached: %s", id, change["data"].get("case", ""), ", ".join(missing))
            return True
        return not missing

    def _is_hopeless(self, change: CloudEvent) -> bool:
        """Nobody has a contact that can be dialled, or nobody answers while others are reached."""
        id = str(change["id"])
        if self._reached.get(id):
            return False
        known = any(list(self._ways_to(receiver)) for receiver in change["data"]["to"])
        return not known or (self._tries[id] >= TRIES and self._taken > self._passed[id])

    def _ways_to(self, receiver: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """(way, URL) of the contacts that can be dialled, the first to be tried first."""
        for contact in receiver.get("contacts", ()):
            way, _, to = str(contact).partition(":")
            if way in self._urls and to:
                yield way, _filled(self._urls[way], to)

    def _dial(self, change: CloudEvent, receiver: Mapping[str, Any]) -> str:
        """The way that took it, "" where none did."""
        import apprise

        words: Message = message(change, self.language, ZoneInfo(self.timezone))
        for way, url in self._ways_to(receiver):
            far = apprise.Apprise()
            short = way in self.short
            title, body = ("", words.short) if short else (words.subject, words.text)
            if far.add(url) and far.notify(title=title, body=body):
                return way
            log.warning("%s was not reached by %s about %s", _name(receiver), way, change["id"])
        return ""


def _filled(url: str, to: str) -> str:
    """A way with an address put in; whatever stands in it, it stays inside its place."""
    return url.replace(TO, quote(to.strip(), safe=""))


def _name(receiver: Mapping[str, Any]) -> str:
    """Who it is, as the directory names them."""
    return str(receiver.get("person") or receiver.get("org") or "nobody")
