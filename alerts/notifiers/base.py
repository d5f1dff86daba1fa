"""Base: what a notifier is. A kind is a file: `sms.py` holds `class Sms`, its fields are its options."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from alerts.alert import TYPE_PREFIX
from alerts.roster import Duty
from ingest.ticks import Command

CloudEvent = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Home:
    """What a notifier may know of its gateway, and the one thing that it may do to it."""

    site: str
    status: Callable[[], Mapping[str, Any]]  # for heartbeats; asked from the notifier's thread
    command: Callable[[Command], Any]  # a verified command; repeats are the gateway's to tell apart
    roster: Callable[[], Sequence[Duty]] = tuple  # who is on duty when, as the centre said last
    receipt: Callable[[str], None] = lambda event_id: None  # what the centre has confirmed, by id


class Notifier(ABC):
    """Tells one kind of receiver. Works in a thread of its own, so it may wait, but not for ever."""

    at_once: ClassVar[int] = 1  # changes that one call of `notify` can take
    for_people: ClassVar[bool] = False  # a repeat is marked (`data.repeat`): people do not know ids

    @abstractmethod
    def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
        """Tell these changes (CloudEvents, P1 first, then the oldest); ids confirmed, or None for all.

        Raises DeliveryFailed: to be tried again, or, when `permanent`, never to be taken in this form.
        """

    def wants(self, change: CloudEvent) -> bool:
        """Whether this receiver is told; by default every alert change."""
        return str(change.get("type", "")).startswith(TYPE_PREFIX)

    def called(self) -> Sequence[str]:
        """Who was called by the last `notify`, as the roster names them."""
        return ()

    def join(self, home: Home) -> None:  # noqa: B027 (most have no use for it)
        """Called once before the first `notify`."""

    def next_beat_s(self) -> float | None:
        """Seconds until `notify` is due although nothing changed; None = never."""
        return None

    def close(self) -> None:  # noqa: B027 (most hold nothing open)
        """The last call."""
