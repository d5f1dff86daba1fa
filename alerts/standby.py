"""Standby: which changes a receiver must tell because the one that it stands in for has not."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence

from alerts.outbox import Letter
from config.settings import Notifier

SECOND_NS = 10**9
LOOK_AHEAD = 2_000  # letters looked at in one go; young ones wait, and must not hide older ones


def standby_of(notifier: Notifier) -> "Standby | None":
    """What the settings of a receiver say about standing in for another."""
    return (
        Standby(notifier.instead_of, {str(grade): wait for grade, wait in notifier.after.items()})
        if notifier.instead_of
        else None
    )


class Standby:
    """Stands in for `other`. `after_s` by grade: how long that one has; a grade not named is not ours."""

    def __init__(self, other: str, after_s: Mapping[str, float]) -> None:
        self.other = other
        self.after_s = after_s

    def sort(
        self, reader: sqlite3.Connection, letters: Sequence[Letter], now_ns: int
    ) -> tuple[list[Letter], list[int]]:
        """(what must be told now, ids of what need not be told at all); the rest waits."""
        told = self._told(reader, letters)
        due, spared = [], []
        for letter in letters:
            patience_s = self.after_s.get(letter.grade)
            if patience_s is None or told(letter):
                spared.append(letter.id)
            elif abs(now_ns - letter.created_ns) >= patience_s * SECOND_NS:  # a clock set back waits for none
                due.append(letter)
        return due, spared

    def _told(self, reader: sqlite3.Connection, letters: Sequence[Letter]) -> Callable[[Letter], bool]:
        """Whether `other` has confirmed a letter; what it refused for good it has not."""
        row = reader.execute("SELECT cursor FROM delivery WHERE notifier = ?", (self.other,)).fetchone()
        if row is None or not letters:
            return lambda letter: False
        ahead = {
            id for (id,) in reader.execute("SELECT id FROM delivery_ahead WHERE notifier = ?", (self.other,))
        }
        refused = {
            id
            for (id,) in reader.execute(
                "SELECT event_id FROM delivery_refused WHERE notifier = ?", (self.other,)
            )
        }
        return lambda letter: (
            (letter.id <= row[0] or letter.id in ahead) and letter.event["id"] not in refused
        )
