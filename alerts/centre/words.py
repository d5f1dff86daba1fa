"""Words: all that the page says, in Chinese and English; what events are called is in the grades file."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from config.grades import read_grades

LANGUAGES = ("zh", "en")


class Words:
    """One language. What has no word in it is shown as it came."""

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else LANGUAGES[0]
        self._column = LANGUAGES.index(self.language)
        self._tables = _tables()

    def __call__(self, key: str, **details: Any) -> str:
        return self._tables["page"][key][self._column].format(**details)

    def of(self, table: str, key: str, **details: Any) -> str:
        pair = self._tables[table].get(key)
        return key if pair is None else pair[self._column].format(**details)

    def table(self, name: str) -> Mapping[str, tuple[str, str]]:
        """A whole table: [Chinese, English] by key."""
        return self._tables[name]

    def title(self, medium: str, kind: str, said: str, said_zh: str) -> str:
        """What an event is called: as its gateway says, else as our own grades file does."""
        grading = read_grades().of(medium, kind)
        return said_zh or grading.title_zh if self.language == "zh" else said or grading.title

    def advice(self, medium: str, kind: str, said: str, said_zh: str) -> str:
        """What to do, likewise."""
        grading = read_grades().of(medium, kind)
        return said_zh or grading.advice_zh if self.language == "zh" else said or grading.advice

    def span(self, seconds: float) -> str:
        """A length of time in the largest unit that suits it."""
        for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
            if seconds >= 2 * size:
                return self(unit, count=int(seconds // size))
        return self("minutes", count=1) if seconds >= 60 else self("seconds", count=max(0, int(seconds)))


@cache
def _tables() -> Mapping[str, Mapping[str, tuple[str, str]]]:
    return tomllib.loads((files("alerts.centre") / "words.toml").read_text(encoding="utf-8"))
