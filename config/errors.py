"""Errors: the families that this project tells apart; anything else is a bug, and is seen."""

from collections.abc import Sequence


class SettingsError(Exception):
    """Stops the start. Carries every mistake at once, each naming file, line or key, and what to do."""

    def __init__(self, mistakes: Sequence[str] | str) -> None:
        given = (mistakes,) if isinstance(mistakes, str) else mistakes
        self.mistakes: tuple[str, ...] = tuple(map(printable, given))
        super().__init__("\n".join(self.mistakes))


def printable(text: str) -> str:
    """One line that a terminal shows as it is: what is quoted from a file may hold anything."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class InputError(SettingsError):
    """Something handed to a command (a recording, a list, a truth file) cannot be used; same manners."""


class SourceLost(Exception):
    """A device or broker does not answer; waited out with jittered backoff."""


class DeliveryFailed(Exception):
    """A receiver did not confirm; waited out. `retry_after_s` is the receiver's own wish, if it had one.

    `unsent`: it is certain that nobody was told.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        permanent: bool = False,
        unsent: bool = False,
    ) -> None:
        self.retry_after_s = retry_after_s
        self.permanent = permanent
        self.unsent = unsent or permanent
        super().__init__(message)
