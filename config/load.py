"""Load: read a site from its files; every mistake at once, each with file, line, key and what to do."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from config import kinds
from config.channels import ChannelTable, Link, Planned
from config.errors import SettingsError
from config.forms import at_place, fill
from config.lists import read_channels, read_context, read_links
from config.rationale import Rationale, read_own_rationale, read_rationale
from config.settings import CentreSettings, Entry, GatewaySettings, Notifier, Settings, Source, Watching
from config.tomlfile import Place, TomlFile, in_file_order, read_toml

__all__ = [
    "SiteFiles",
    "is_centre",
    "named_path",
    "read_centre",
    "read_channels",
    "read_context",
    "read_gateway",
    "read_links",
    "read_settings",
    "read_site",
    "settings_hash",
]

T = TypeVar("T")
S = TypeVar("S", GatewaySettings, CentreSettings)
_ENTRIES: Mapping[str, type[Entry]] = {"source": Source, "watching": Watching, "notifier": Notifier}


def read_gateway(path: Path) -> GatewaySettings:
    """gateway.toml; SettingsError lists every mistake, those in the options of kinds too."""
    return _read(GatewaySettings, read_toml(path))


def read_centre(path: Path) -> CentreSettings:
    """centre.toml; SettingsError lists every mistake."""
    return _read(CentreSettings, read_toml(path))


@dataclass(frozen=True)
class SiteFiles:
    """A gateway's settings and all that they name, read and fitting each other."""

    settings: GatewaySettings
    channels: ChannelTable
    links: tuple[Link, ...]
    planned: tuple[Planned, ...]
    rationale: Rationale
    sources: tuple[Any, ...]  # built, in the order of the file
    warnings: tuple[str, ...]

    @property
    def hash(self) -> str:
        return settings_hash(self.settings, self.channels, self.links)


def read_site(path: Path) -> SiteFiles:
    """gateway.toml and the lists that it names; SettingsError lists the mistakes of all of them at once."""
    file = read_toml(path)
    mistakes: list[str] = []
    warnings: list[str] = []
    settings = _attempt(mistakes, lambda: _read(GatewaySettings, file))
    channels = _listed(file, "channels", mistakes, warnings, read_channels)
    links: tuple[Link, ...] | None = ()
    planned: tuple[Planned, ...] | None = ()
    if channels is not None:
        table = channels
        links = _listed(file, "links", mistakes, warnings, lambda where: read_links(where, table))
        planned = _listed(file, "context", mistakes, warnings, lambda where: read_context(where, table))
    rationale = _listed(file, "rationale", mistakes, warnings, read_own_rationale) or read_rationale()
    sources: list[Any] = []
    if settings is not None and channels is not None:
        sources = _sources(settings, channels, mistakes)
        warnings += [
            f'{watching.where}.channels: no channel fits "{watching.channels}"'
            for watching in settings.watching
            if not len(channels.matching(watching.channels))
        ]
    if mistakes or settings is None or channels is None:
        raise SettingsError(mistakes)
    return SiteFiles(
        settings, channels, links or (), planned or (), rationale, tuple(sources), tuple(warnings)
    )


def _attempt(mistakes: list[str], read: Callable[[], T]) -> T | None:
    try:
        return read()
    except SettingsError as error:
        mistakes += error.mistakes
        return None


def _listed(
    file: TomlFile,
    key: str,
    mistakes: list[str],
    warnings: list[str],
    read: Callable[[Path], tuple[T, list[str]]],
) -> T | None:
    """A list that `[site]` names; read also where other settings are wrong, so that all is said at once."""
    site = file.data.get("site")
    name = site.get(key) if isinstance(site, Mapping) else None
    if not isinstance(name, str):
        return None
    path = file.path.parent / Path(name).expanduser()
    if not path.is_file():
        mistakes.append(file.mistake(("site", key), f"there is no file {path}"))
        return None
    found = _attempt(mistakes, lambda: read(path))
    if found is None:
        return None
    warnings += found[1]
    return found[0]


def _sources(settings: GatewaySettings, channels: ChannelTable, mistakes: list[str]) -> list[Any]:
    """The sources, each asked whether its points fit the channels."""
    sources = []
    for entry in settings.source:
        source = entry.build()
        sources.append(source)
        if hasattr(source, "check"):
            try:
                source.check(channels)
            except SettingsError as error:
                mistakes += [f"{entry.where}: {mistake}" for mistake in error.mistakes]
    return sources


def read_settings(path: Path) -> GatewaySettings | CentreSettings:
    """Either kind of file, told apart by its content."""
    file = read_toml(path)
    return _read(CentreSettings, file) if is_centre(file.data) else _read(GatewaySettings, file)


def named_path(file: TomlFile, table: str, key: str, usual: str = "") -> Path:
    """A path that a file names, without a look at anything else in it, such as secrets; SettingsError."""
    known = file.data.get(table)
    text = known.get(key, usual) if isinstance(known, Mapping) else ""
    if not isinstance(text, str) or not text:
        raise SettingsError(f"{file.path}: no {key} in [{table}]; try  watchline check {file.path}")
    return file.path.parent / Path(text).expanduser()


def is_centre(data: Mapping[str, Any]) -> bool:
    """Whether a file means to be centre.toml; one that cannot be placed is taken as gateway settings."""
    of_gateway = {"site", "source", "watching", "influxdb", "archive", "centre"} & set(data)
    of_centre = {"listen", "store", "gateway", "cases", "people"} & set(data)
    return len(of_centre) > len(of_gateway)


def settings_hash(settings: Settings | None, channels: ChannelTable, links: Sequence[Link] = ()) -> str:
    """SHA-256 over settings, channels and links: with the ticks it decides everything. Secrets stay out.

    So do the places of files, which say nothing about what is in them, and who may ask how the gateway is.
    """
    aside: Any = {
        "site": {"channels", "links", "context", "rationale", "data"},
        "archive": {"folder"},
        "metrics": True,
    }
    content = {
        "settings": None if settings is None else settings.model_dump(mode="json", exclude=aside),
        "channels": [
            [channel.id, *(repr(getattr(channel, column)) for column in channel.__slots__[1:])]
            for channel in channels.channels
        ],
        "links": [[link.source, link.target, link.kind] for link in links],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _read(form: type[S], file: TomlFile) -> S:
    beside = file.path.parent
    mistakes: list[str] = []
    filled: S | None = None
    try:
        filled = fill(form, file.data, file.mistake, beside)
    except SettingsError as error:
        mistakes += error.mistakes
    mistakes += _mistakes_of_kinds(file, form)
    if filled is not None:
        mistakes += _mistakes_between_tables(filled, file)
    if mistakes:
        raise SettingsError(in_file_order(dict.fromkeys(mistakes)))
    assert filled is not None
    for name, number, _ in _entries(file):
        where = f"{file.path.name}:{file.line_of((name, number))}: {name}[{number}]"
        getattr(filled, name)[number].locate(where, beside)
    return filled


def _entries(file: TomlFile) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    for name in _ENTRIES:
        tables = file.data.get(name)
        if isinstance(tables, list):
            yield from (
                (name, number, table) for number, table in enumerate(tables) if isinstance(table, Mapping)
            )


def _mistakes_of_kinds(file: TomlFile, form: type[Settings]) -> list[str]:
    """What the kinds themselves say about their options."""
    mistakes: list[str] = []
    for name, number, entry in _entries(file):
        if name not in form.model_fields or not isinstance(entry.get("kind"), str):
            continue
        own = _ENTRIES[name]
        inner = entry.get("options", {})
        if not isinstance(inner, Mapping):
            continue
        outer = {key: value for key, value in entry.items() if key not in own.model_fields}
        mistakes += kinds.check(
            own.folder,
            entry["kind"],
            {**inner, **outer},
            _inside(file, (name, number), inner),
            file.path.parent,
            complete=own is not Watching,
        )
    return mistakes


def _inside(file: TomlFile, place: Place, inner: Mapping[str, Any]) -> Callable[[Place, str], str]:
    """Words a mistake in an option, whether that stands beside the kind or in the table `options`."""
    beside, below = at_place(file.mistake, *place), at_place(file.mistake, *place, "options")
    return lambda spot, text: (below if spot and spot[0] in inner else beside)(spot, text)


def _mistakes_between_tables(settings: GatewaySettings | CentreSettings, file: TomlFile) -> list[str]:
    """Names that must differ."""
    mistakes: list[str] = []
    labels = [("notifier", "name", [notifier.label for notifier in settings.notifier])]
    if isinstance(settings, GatewaySettings) and settings.centre is not None:
        mistakes += [
            file.mistake(
                ("notifier", number, "name"), '"centre" is what [centre] is called; give another name'
            )
            for number, notifier in enumerate(settings.notifier)
            if notifier.label == "centre"
        ]
    if isinstance(settings, CentreSettings):
        labels.append(("gateway", "id", [gateway.id for gateway in settings.gateway]))
    for table, key, names in labels:
        for number, name in enumerate(names):
            first = names.index(name)
            if first != number:
                line = file.line_of((table, first))
                text = f'"{name}" is the {table} of line {line} already; give each its own {key}'
                mistakes.append(file.mistake((table, number, key), text))
    return mistakes
