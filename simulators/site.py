"""Site: what a simulator has to know of a site, read from the same files that its gateway reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.channels import ChannelTable, Link
from config.errors import SettingsError
from config.lists import read_channels, read_links
from config.profiles import Profile, read_profile
from config.tomlfile import TomlFile, read_toml


@dataclass(frozen=True)
class ModbusDevice:
    """A `[[source]]` of kind "modbus": the device that must answer there."""

    place: str
    profile: Profile
    host: str
    port: int
    device_id: int


@dataclass(frozen=True)
class Site:
    """A gateway's site, seen from the other side of the wire. bands: the model of its wristbands."""

    id: str
    channels: ChannelTable
    links: tuple[Link, ...]
    devices: tuple[ModbusDevice, ...]
    bands: Profile


def read_site(folder: Path) -> Site:
    """A folder with gateway.toml and the lists that it names; SettingsError says what is in the way."""
    file = read_toml(folder / "gateway.toml")
    site = file.data.get("site")
    if not isinstance(site, Mapping) or not isinstance(site.get("id"), str):
        raise SettingsError(file.mistake(("site",), 'needs id = "…" and channels = "channels.csv"'))
    channels, _ = read_channels(folder / str(site.get("channels", "channels.csv")))
    links: tuple[Link, ...] = ()
    if "links" in site:
        links, _ = read_links(folder / str(site["links"]), channels)
    sources = [(number, _options(source)) for number, source in enumerate(file.data.get("source", []))]
    devices = [_device(file, number, s, folder) for number, s in sources if s.get("kind") == "modbus"]
    brokers = [s for _, s in sources if s.get("kind") == "mqtt"]
    bands = read_profile(str(brokers[0].get("profile", "wristband")) if brokers else "wristband", folder)
    return Site(site["id"], channels, links, tuple(devices), bands)


def read_lists(folder: Path) -> tuple[ChannelTable, tuple[Link, ...]]:
    """channels.csv and, where there is one, links.csv of a folder."""
    channels, _ = read_channels(folder / "channels.csv")
    path = folder / "links.csv"
    return channels, read_links(path, channels)[0] if path.is_file() else ()


def _options(source: Any) -> Mapping[str, Any]:
    """A source's fields, whether they stand beside its kind or in its table `options`."""
    if not isinstance(source, Mapping):
        return {}
    inner = source.get("options", {})
    return {**source, **(inner if isinstance(inner, Mapping) else {})}


def _device(file: TomlFile, number: int, source: Mapping[str, Any], folder: Path) -> ModbusDevice:
    place, profile = source.get("place"), source.get("profile")
    if not isinstance(place, str) or not isinstance(profile, str):
        raise SettingsError(file.mistake(("source", number), "a Modbus source needs place and profile"))
    return ModbusDevice(
        place,
        read_profile(profile, folder),
        str(source.get("host", "127.0.0.1")),
        int(source.get("port", 502)),
        int(source.get("device_id", 1)),
    )
