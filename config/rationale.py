"""Rationale: why each kind of event has an alarm, what follows without, how long there is to act."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from config.forms import Seconds, fill
from config.grades import ANY, FAULT
from config.tomlfile import read_toml

FILE = Path(__file__).with_name("rationale.toml")


@dataclass(frozen=True)
class Reason:
    """One record; texts are (English, Chinese). What to do, and the basis, stand in grades.toml."""

    purpose: tuple[str, str]
    consequence: tuple[str, str]
    respond: Seconds  # until the consequence


@dataclass(frozen=True)
class Rationale:
    """The whole file: by medium (or `any`) and kind, and one for all sensor faults."""

    kind: dict[str, dict[str, Reason]]
    fault: Reason

    def of(self, medium: str, kind: str) -> Reason | None:
        """The record of a kind; None where nobody wrote one."""
        if kind.startswith(FAULT):
            return self.fault
        return self.kind.get(medium, {}).get(kind) or self.kind.get(ANY, {}).get(kind)


@cache
def read_rationale(path: Path = FILE) -> Rationale:
    """The records of a file, or the built-in ones; SettingsError lists every mistake with its line."""
    file = read_toml(path)
    return fill(Rationale, file.data, file.mistake)
