"""Kinds: a kind is a file; `kind = "seep"` is class `Seep` in `detectors/seep.py`, its fields its options."""

import importlib
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from config.errors import SettingsError
from config.forms import Mistake, fill, mistakes_in, said_at
from config.quantities import did_you_mean
from config.tomlfile import Place

SOURCES, DETECTORS, NOTIFIERS = "gateway.sources", "detectors", "alerts.notifiers"
_DATACLASS = r"^@dataclass[^\n]*\n(?:@[^\n]*\n)*class {name}\b(?P<bases>[^\n]*)"


@cache
def kinds(folder: str) -> tuple[str, ...]:
    """The kinds of a folder: its files that hold a dataclass of their own name; none is imported for it."""
    return tuple(
        path.stem
        for path in sorted(_home(folder).glob("*.py"))
        if (match := re.search(_DATACLASS.format(name=class_name(path.stem)), path.read_text("utf-8"), re.M))
        and (folder != DETECTORS or "Detector" in match["bases"])
    )


def class_name(kind: str) -> str:
    """`gas_level` -> `GasLevel`."""
    return "".join(part.capitalize() for part in kind.rpartition(".")[2].split("_"))


def kind_class(folder: str, kind: str) -> type[Any]:
    """The class of a kind; a dotted kind is a module elsewhere. SettingsError names the nearest."""
    if not re.fullmatch(r"[a-z]\w*(\.\w+)*", kind):
        raise SettingsError(f'"{kind}" is no kind; {did_you_mean(kind, kinds(folder))}')
    if "." not in kind and kind not in kinds(folder):
        raise SettingsError(
            f'unknown kind "{kind}": there is no {folder.replace(".", "/")}/{kind}.py; '
            f"{did_you_mean(kind, kinds(folder))}"
        )
    module_name = kind if "." in kind else f"{folder}.{kind}"
    name = class_name(kind)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise SettingsError(
                f"no module {module_name}; is the folder that holds it on PYTHONPATH?"
            ) from error
        raise SettingsError(
            f'kind "{kind}" needs the package {error.name}: pip install {error.name}'
        ) from error
    found = getattr(module, name, None)
    if not isinstance(found, type) or not is_dataclass(found):
        raise SettingsError(f"module {module_name} must hold a dataclass {name} to be a kind")
    return found


def build(folder: str, kind: str, options: Mapping[str, Any], where: str, beside: Path | None = None) -> Any:
    """An instance of the kind with these options; SettingsError lists every mistake, each behind `where`.

    Relative paths among the options begin at `beside`, the folder of the settings file.
    """
    try:
        found = kind_class(folder, kind)
    except SettingsError as error:
        raise SettingsError([f"{where}.kind: {mistake}" for mistake in error.mistakes]) from error
    return fill(found, options, said_at(where), beside)


def check(
    folder: str,
    kind: str,
    options: Mapping[str, Any],
    mistake: Mistake,
    beside: Path | None = None,
    *,
    complete: bool = True,
) -> list[str]:
    """The mistakes that `build` would find; where not `complete`, missing options are filled in later."""
    try:
        found = kind_class(folder, kind)
    except SettingsError as error:
        place: Place = ("kind",)
        return [mistake(place, text) for text in error.mistakes]
    if not complete:
        return mistakes_in(found, options, mistake, beside)
    try:
        fill(found, options, mistake, beside)
    except SettingsError as error:
        return list(error.mistakes)
    return []


def _home(folder: str) -> Path:
    spec = importlib.util.find_spec(folder)
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError(f"the folder {folder.replace('.', '/')} is not installed")
    return Path(next(iter(spec.submodule_search_locations)))
