"""Toml file: what a settings file says, and the line on which it says it."""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.errors import SettingsError

MOST_LEVELS = 32  # of tables and lists inside each other; no settings need more
Place = tuple[str | int, ...]
"""Where something stands in a file: keys and list positions, such as ("source", 0, "host")."""


@dataclass(frozen=True)
class TomlFile:
    """A file that was read; `line_of` answers for every table, key and list item in it."""

    path: Path
    data: dict[str, Any]
    lines: dict[Place, int]

    def line_of(self, place: Place) -> int:
        """The line of `place`, or of the nearest written table around it (1 for the file itself)."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return 1

    def mistake(self, place: Place, text: str) -> str:
        """One line for people: `gateway.toml:12: source[0].host: …`."""
        spot = f"{self.path.name}:{self.line_of(place)}"
        return f"{spot}: {spelled(place)}: {text}" if place else f"{spot}: {text}"


def spelled(place: Place) -> str:
    """A place as people write it: `source[0].host`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def in_file_order(mistakes: Iterable[str]) -> list[str]:
    """Mistakes of one file by their line."""

    def line(mistake: str) -> int:
        number = re.match(r"[^:]*:(\d+): ", mistake)
        return int(number[1]) if number else 0

    return sorted(mistakes, key=line)


def read_text(path: Path) -> str:
    """A text file as UTF-8, with or without a byte order mark; SettingsError says what is in the way."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            f"{path.name}:{line}: byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from error


def read_toml(path: Path) -> TomlFile:
    """Read a TOML file. A syntax error is a SettingsError by itself: nothing behind it can be read."""
    text = read_text(path).replace("\r\n", "\n")
    try:
        data = tomllib.loads(text)
        lines = _Scan(text).lines()
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\(at (?:line (\d+), column (\d+)|end of document)\)", str(error))
        what = re.sub(r" \(at .*\)$", "", str(error))
        line = int(where[1]) if where and where[1] else text.count("\n") + (not text.endswith("\n"))
        written = text.split("\n")[line - 1].strip() if text else ""
        raise SettingsError(
            f"{path.name}:{max(line, 1)}: not TOML: {what}; the line reads {shown(_without_secret(written))}"
        ) from error
    except RecursionError as error:
        raise SettingsError(f"{path.name}:1: tables or lists are nested too deeply to be read") from error
    deepest = max(lines, key=len, default=())
    if len(deepest) > MOST_LEVELS:
        raise SettingsError(
            f"{path.name}:{lines[deepest]}: tables or lists are nested deeper than {MOST_LEVELS}"
        )
    return TomlFile(path, data, lines)


def shown(value: Any, limit: int = 60) -> str:
    """A value about as it was written: text in quotes, cut where long, an address without its password."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    text = re.sub(r"//[^/\s@]*@", "//***@", text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _without_secret(line: str) -> str:
    """A line of a file that is no TOML, fit to be shown: what may be a secret is left out."""
    key, equals, _ = line.partition("=")
    return f"{key}{equals} ***" if equals and may_be_secret(key) else line


def may_be_secret(name: str) -> bool:
    """Whether what stands under such a name must not be shown."""
    return re.search(r"pass|secret|token|key|auth", name, re.IGNORECASE) is not None


class _Scan:
    """Walks a text that `tomllib` has accepted, and notes where each key begins; it judges nothing."""

    BARE = re.compile(r"[A-Za-z0-9_-]+")
    BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
    SPACE = re.compile(r"[ \t]*")
    SCALAR = re.compile(r"[^,\]}\n#]+")
    STRINGS = (
        re.compile(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}', re.DOTALL),
        re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}", re.DOTALL),
        re.compile(r'"(?:[^"\\\n]|\\.)*"'),
        re.compile(r"'[^'\n]*'"),
    )

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Place, int] = {}
        self.lists: dict[Place, int] = {}  # arrays of tables: how many tables so far
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def lines(self) -> dict[Place, int]:
        table: Place = ()
        while self.skip(self.BLANK) < len(self.text):
            start = self.at
            if self.text.startswith("[", self.at):
                table = self.header()
                self.note(table, start)
            else:
                self.pair(table)
        return self.found

    def header(self) -> Place:
        """`[a.b]` or `[[a.b]]`; the place of the table that it opens."""
        start = self.at
        brackets = 2 if self.text.startswith("[[", start) else 1
        self.at += brackets
        place: Place = ()
        keys = self.keys()
        for number, key in enumerate(keys):
            place = (*place, key)
            if brackets == 2 and number == len(keys) - 1:
                self.lists[place] = self.lists.get(place, 0) + 1
            self.note(place, start)
            if place in self.lists:
                place = (*place, self.lists[place] - 1)
        self.at += brackets
        return place

    def pair(self, table: Place) -> None:
        start = self.at
        place = (*table, *self.keys())
        for length in range(len(table) + 1, len(place) + 1):
            self.note(place[:length], start)
        self.at += 1  # the equals sign
        self.skip(self.SPACE)
        self.value(place)

    def keys(self) -> list[str]:
        keys = []
        while True:
            self.skip(self.SPACE)
            quoted = self.text[self.at] in "\"'"
            pattern = self.STRINGS[2 if self.text[self.at] == '"' else 3] if quoted else self.BARE
            token = self.take(pattern)
            keys.append(tomllib.loads(f"k = {token}")["k"] if quoted else token)
            self.skip(self.SPACE)
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

    def value(self, place: Place) -> None:
        opening = self.text[self.at]
        if opening not in "[{":
            patterns = self.STRINGS if opening in "\"'" else (self.SCALAR,)
            next(filter(None, map(self.take, patterns)))
            return
        self.at += 1
        number = 0
        while self.text[self.skip(self.BLANK)] not in "]}":
            if opening == "{":
                self.pair(place)
            else:
                self.note((*place, number), self.at)
                self.value((*place, number))
                number += 1
            if self.text[self.skip(self.BLANK)] == ",":
                self.at += 1
        self.at += 1

    def note(self, place: Place, position: int) -> None:
        self.found.setdefault(place, bisect_right(self.starts, position))

    def take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            return ""
        self.at = match.end()
        return match[0]

    def skip(self, pattern: re.Pattern[str]) -> int:
        self.take(pattern)
        return self.at
