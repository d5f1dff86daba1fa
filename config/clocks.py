"""Clocks: how long a case may stay in each of its stages, by grade (clocks.toml and the settings)."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from config.errors import SettingsError
from config.grades import GRADES
from config.tomlfile import read_toml
from config.workdays import Limit, limit

FILE = Path(__file__).with_name("clocks.toml")
Limits = Mapping[str, Mapping[str, Limit]]  # by stage and grade


@cache
def read_clocks(path: Path = FILE) -> Limits:
    """The limits of a file, or the built-in ones; SettingsError names the first mistake with its line."""
    file = read_toml(path)
    found: dict[str, dict[str, Limit]] = {}
    for stage, by_grade in file.data.items():
        for grade, text in by_grade.items():
            try:
                found.setdefault(stage, {})[grade] = limit(text)
            except ValueError as error:
                raise SettingsError(file.mistake((stage, grade), str(error))) from error
    return found


def with_limits(clocks: Limits, changed: Mapping[str, Mapping[str, str]]) -> Limits:
    """The same with those of the settings in place; ValueError names what cannot be used."""
    merged = {stage: dict(by_grade) for stage, by_grade in clocks.items()}
    for stage, by_grade in changed.items():
        if stage not in merged:
            raise ValueError(f'no stage "{stage}" has a clock; those that have: {", ".join(merged)}')
        for grade, text in by_grade.items():
            if grade not in GRADES:
                raise ValueError(f'{stage}: "{grade}" is no grade; use P1 to P4')
            try:
                merged[stage][grade] = limit(text)
            except ValueError as error:
                raise ValueError(f'{stage}.{grade}: {error}, not "{text}"') from error
    return merged
