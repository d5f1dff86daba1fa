"""Apprise: SMS, WeCom, DingTalk, telephone and a hundred other ways, by the library of that name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from alerts.notifiers.base import CloudEvent
from alerts.notifiers.people import ToPeople
from config.errors import DeliveryFailed, SettingsError


@dataclass
class Apprise(ToPeople):
    """`contacts` holds Apprise URLs, such as `wang = "dingtalk://token"`; see appriseit.com/services."""

    short: bool = False  # one line that is one SMS, for SMS and telephone

    at_once: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            import apprise
        except ImportError as error:
            raise SettingsError("kind apprise needs a library: pip install 'watchline[apprise]'") from error
        wrong = [id for id, url in self._addresses.items() if not apprise.Apprise().add(url)]
        if wrong:  # never the address itself: it holds tokens and numbers
            raise SettingsError(
                [f"contacts: {self.contacts}: the address of {id} is no Apprise URL" for id in wrong]
            )

    def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
        for change in changes:
            self._send(change)
        return None

    def _send(self, change: CloudEvent) -> None:
        """One person after another, each once; enough that one of them was reached, the others are said."""
        import apprise

        words = self.words(change)
        reached: list[str] = []
        silent: list[str] = []
        for id, url in self.turn(change).items():
            far = apprise.Apprise()
            far.add(url)
            told = far.notify(
                title="" if self.short else words.subject, body=words.short if self.short else words.text
            )
            (reached if told else silent).append(id)
        self._called = tuple(reached)
        if not reached:
            raise DeliveryFailed(f"apprise reached nobody: {', '.join(silent)}")
