"""Rationale: why each kind of event has an alarm, what follows without, how long there is to act."""

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from config.errors import SettingsError
from config.forms import Seconds, fill
from config.grades import ANY, FAULT, read_grades
from config.quantities import did_you_mean
from config.tomlfile import Place, TomlFile, read_toml

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


@dataclass(frozen=True)
class OwnReason:
    """What a site says of a kind; what it leaves out is taken from the built-in record."""

    purpose: tuple[str, str] | None = None
    consequence: tuple[str, str] | None = None
    respond: Seconds | None = None

    def over(self, known: Reason | None) -> Reason | list[str]:
        """The whole record, or the names of what is still missing."""
        own = {name: value for name, value in vars(self).items() if value is not None}
        if known is not None:
            return replace(known, **own)
        lacking = [name for name in vars(self) if name not in own]
        return lacking or Reason(**own)


@dataclass(frozen=True)
class OwnRationale:
    """A site's own file, in the form of the built-in one."""

    kind: dict[str, dict[str, OwnReason]] = field(default_factory=dict)
    fault: OwnReason = field(default_factory=OwnReason)


@cache
def read_rationale() -> Rationale:
    """The built-in records."""
    file = read_toml(FILE)
    return fill(Rationale, file.data, file.mistake)


def read_own_rationale(path: Path) -> tuple[Rationale, list[str]]:
    """The built-in records with a site's own before them, and warnings; SettingsError lists every mistake.

    A record under `any` is meant for every medium, also where the built-in file tells media apart.
    """
    file = read_toml(path)
    own, known = fill(OwnRationale, file.data, file.mistake), read_rationale()
    mistakes: list[str] = []
    tables = {
        medium: {kind: one for kind, one in table.items() if kind not in own.kind.get(ANY, {})}
        for medium, table in known.kind.items()
    }
    for medium, table in own.kind.items():
        for kind, reason in table.items():
            found = reason.over(known.of(medium, kind))
            if isinstance(found, Reason):
                tables.setdefault(medium, {})[kind] = found
            else:
                text = f"{', '.join(found)} missing, and there is no built-in record of it to take that from"
                mistakes.append(file.mistake(("kind", medium, kind), text))
    if mistakes:
        raise SettingsError(mistakes)
    fault = own.fault.over(known.fault)
    assert isinstance(fault, Reason)
    return Rationale(tables, fault), _strangers(file, own)


def _strangers(file: TomlFile, own: OwnRationale) -> list[str]:
    """Records of what no built-in rule raises: perhaps misspelt, perhaps of a detector of theirs."""
    grades = read_grades()
    warnings: list[str] = []
    for medium, table in own.kind.items():
        place: Place = ("kind", medium)
        if medium not in grades.kind:
            text = f'"{medium}" is no medium of grades.toml; {did_you_mean(medium, grades.kind)}'
            warnings.append(file.mistake(place, text))
            continue
        of_medium = {*grades.kind[medium], *grades.kind[ANY]}
        every = {kind for kinds in grades.kind.values() for kind in kinds} if medium == ANY else of_medium
        warnings += [
            file.mistake((*place, kind), f"grades.toml has no such kind; {did_you_mean(kind, sorted(every))}")
            for kind in table
            if kind not in every
        ]
    return warnings
