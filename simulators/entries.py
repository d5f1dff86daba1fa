"""Entries: every scenario by its name; a medium's file is read only when one of its scenarios is wanted."""

from importlib import import_module

from config.errors import InputError
from config.quantities import did_you_mean
from simulators.play import Entry

FILES = ("water", "gas", "power", "band", "faults", "mixed")


def entries() -> dict[str, Entry]:
    """The whole catalogue, in its order."""
    found = [entry for name in FILES for entry in import_module(f"simulators.catalogue.{name}").ENTRIES]
    return {entry.name: entry for entry in (*found, _district())}


def entry_named(name: str) -> Entry:
    """One scenario; InputError names the nearest, or what the catalogue has."""
    if name == "district":
        return _district()
    medium = name.partition("/")[0]
    if medium in FILES:
        for entry in import_module(f"simulators.catalogue.{medium}").ENTRIES:
            if entry.name == name:
                return entry  # type: ignore[no-any-return]
    known = entries()
    raise InputError(f'unknown scenario "{name}"; {did_you_mean(name, known)}')


def _district() -> Entry:
    from simulators.catalogue.district import DISTRICT

    return DISTRICT
