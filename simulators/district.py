"""District: a small demo district with its channel list, its links and the gateway settings that read it."""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path

from config.channels import Channel, ChannelTable, Link
from config.profiles import Point, read_profile

# Usual seconds between readings of a kind of device, and each quantity's resolution: simulation-facts §3.
_PERIODS_S = {"water": 300.0, "gas": 60.0, "power": 60.0, "wristband": 60.0}
_RESOLUTIONS = {
    "pressure": 0.1, "flow": 0.01, "ch4": 0.1, "voltage": 0.1, "voltage_min": 0.1, "current": 0.1,
    "active_power": 0.01, "frequency": 0.001, "joint_temperature": 0.1, "heart_rate": 1.0, "spo2": 1.0,
    "skin_temperature": 0.1, "steps": 1.0, "acceleration_peak": 0.01, "fall": 1.0, "sos": 1.0,
    "on_wrist": 1.0, "battery": 1.0,
}  # fmt: skip
_OUTLET_RESOLUTION_KPA = 0.01
_NOMINAL = {"voltage": 220.0, "voltage_min": 220.0, "frequency": 50.0}
_NOMINAL_PRESSURE_KPA = {"water": 300.0, "gas": 200.0}
_NOMINAL_OUTLET_KPA = 2.0

_METER = ("voltage_a", "voltage_min", "current_a", "active_power", "joint_temperature")
_PLACES: tuple[tuple[str, str, str, float, float, tuple[str, ...]], ...] = (  # profile, WGS-84, its points
    ("water.north.inlet", "north", "water_rtu", 30.6902, 104.1011, ("pressure", "flow")),
    ("water.north.school", "north", "water_rtu", 30.6874, 104.1043, ("pressure",)),
    ("water.centre.market", "centre", "water_rtu", 30.6790, 104.1072, ("pressure", "flow")),
    ("water.centre.hospital", "centre", "water_rtu", 30.6755, 104.1118, ("pressure",)),
    ("water.south.riverside", "south", "water_rtu", 30.6693, 104.1150, ("pressure",)),
    ("gas.north.station", "north", "gas_rtu", 30.6911, 104.1034, ("pressure",)),
    ("gas.north.well", "north", "gas_rtu", 30.6860, 104.1060, ("pressure", "ch4")),
    ("gas.centre.well", "centre", "gas_rtu", 30.6781, 104.1089, ("pressure", "ch4")),
    ("gas.centre.regulator", "centre", "gas_rtu", 30.6762, 104.1102, ("pressure", "outlet_pressure", "ch4")),
    ("power.centre.substation", "centre", "power_meter", 30.6799, 104.1061, (*_METER, "frequency")),
    ("power.centre.market", "centre", "power_meter", 30.6787, 104.1078, _METER),
    ("power.south.riverside", "south", "power_meter", 30.6698, 104.1143, _METER),
)
_LINKS = (
    ("water.north.inlet", "water.north.school", "pipe"),
    ("water.north.school", "water.centre.market", "pipe"),
    ("water.centre.market", "water.centre.hospital", "pipe"),
    ("water.centre.market", "water.south.riverside", "pipe"),
    ("gas.north.station", "gas.north.well", "pipe"),
    ("gas.north.well", "gas.centre.well", "pipe"),
    ("gas.centre.well", "gas.centre.regulator", "pipe"),
    ("power.centre.substation", "power.centre.market", "cable"),
    ("power.centre.market", "power.south.riverside", "cable"),
)
_BAND = ("heart_rate", "acceleration_peak", "steps", "fall", "sos", "on_wrist")
_FULL_BAND = (*_BAND, "spo2", "skin_temperature", "battery")
_WEARERS = (
    ("band.a07", "north", _FULL_BAND),
    ("band.b12", "centre", _FULL_BAND),
    ("band.c31", "centre", _BAND),
    ("band.d05", "south", _BAND),
)


@dataclass(frozen=True)
class District:
    """A site to be simulated. devices: (place, profile, Modbus device id)."""

    channels: ChannelTable
    links: tuple[Link, ...]
    devices: tuple[tuple[str, str, int], ...]

    def write(self, folder: Path, *, site: str, modbus_port: int, mqtt_port: int, more: str = "") -> None:
        """channels.csv, links.csv and gateway.toml (with `more` at its end) in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        write_channels(folder / "channels.csv", self.channels)
        write_links(folder / "links.csv", self.links)
        text = self.gateway_toml(site=site, modbus_port=modbus_port, mqtt_port=mqtt_port)
        (folder / "gateway.toml").write_text(text + more, encoding="utf-8")

    def gateway_toml(self, *, site: str, modbus_port: int, mqtt_port: int) -> str:
        """`[site]` and a `[[source]]` for each Modbus device and for the broker."""
        period = {channel.place: channel.period_s for channel in reversed(self.channels.channels)}
        parts = [
            f'[site]\nid = "{site}"\nname = "Demo district"\nchannels = "channels.csv"\nlinks = "links.csv"\n'
        ]
        parts += [
            f'[[source]]\nkind = "modbus"\nplace = "{place}"\nprofile = "{profile}"\nhost = "127.0.0.1"\n'
            f"port = {modbus_port}\ndevice_id = {device_id}\nperiod_s = {period[place]:g}\n"
            for place, profile, device_id in self.devices
        ]
        parts.append(
            f'[[source]]\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {mqtt_port}\nprofile = "wristband"\n'
        )
        return "\n".join(parts)


def demo_district(period_s: float | None = None) -> District:
    """Some fifty channels at sixteen places in three zones, with Chinese nominal values.

    period_s: every channel's period; without it each kind of device has the period that is usual for it.
    """
    channels = []
    for place, zone, profile_name, lat, lon, points in _PLACES:
        profile = read_profile(profile_name)
        channels += [_channel(place, profile.point(name), zone, period_s, lat, lon) for name in points]
    band_profile = read_profile("wristband")
    for band, zone, points in _WEARERS:
        channels += [_channel(band, band_profile.point(name), zone, period_s) for name in points]
    links = tuple(Link(*row) for row in _LINKS)
    devices = tuple((place[0], place[2], number) for number, place in enumerate(_PLACES, start=1))
    return District(ChannelTable(channels), links, devices)


def write_channels(path: Path, channels: ChannelTable) -> None:
    """channels.csv as in contracts."""
    numbers = ["period_s", "resolution", "nominal", "lat", "lon"]
    numbers += [
        limit for limit in ("low", "high") if any(not isnan(getattr(c, limit)) for c in channels.channels)
    ]
    further = sorted({name for c in channels.channels for name in c.attributes})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = [
            "channel",
            "medium",
            "place",
            "quantity",
            "unit",
            *numbers[:3],
            "zone",
            *numbers[3:],
            *further,
        ]
        writer.writerow(columns)
        for c in channels.channels:
            row = {
                "channel": c.id,
                "medium": c.medium,
                "place": c.place,
                "quantity": c.quantity,
                "unit": c.unit,
            }
            row |= {"zone": c.zone, **c.attributes}
            for name in numbers:
                number = getattr(c, name)
                row[name] = "" if isnan(number) else f"{number:.10g}"
            writer.writerow([row.get(column, "") for column in columns])


def write_links(path: Path, links: Sequence[Link]) -> None:
    """links.csv as in contracts."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("from", "to", "kind"))
        writer.writerows((link.source, link.target, link.kind) for link in links)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the demo district into a folder."""
    parser = argparse.ArgumentParser(prog="python -m simulators.district", description=main.__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for channels.csv, links.csv, gateway.toml"
    )
    parser.add_argument("--period", type=float, help="seconds between readings, the same for every channel")
    parser.add_argument("--site", default="demo", help="the gateway's id (default: demo)")
    parser.add_argument("--modbus-port", type=int, default=5020, help="where the Modbus devices answer")
    parser.add_argument("--mqtt-port", type=int, default=1883, help="where the broker answers")
    given = parser.parse_args(arguments)
    demo_district(given.period).write(
        given.out, site=given.site, modbus_port=given.modbus_port, mqtt_port=given.mqtt_port
    )
    return 0


def _channel(
    place: str, point: Point, zone: str, period_s: float | None, lat: float = nan, lon: float = nan
) -> Channel:
    medium = place.partition(".")[0].replace("band", "wristband")
    resolution, nominal = _RESOLUTIONS[point.quantity], _NOMINAL.get(point.quantity, nan)
    if point.name == "outlet_pressure":
        resolution, nominal = _OUTLET_RESOLUTION_KPA, _NOMINAL_OUTLET_KPA
    elif point.quantity == "pressure":
        nominal = _NOMINAL_PRESSURE_KPA[medium]
    return Channel(
        f"{place}.{point.name}",
        medium,
        place,
        point.quantity,
        point.unit,
        period_s or _PERIODS_S[medium],
        resolution,
        nominal,
        zone,
        lat,
        lon,
    )


if __name__ == "__main__":
    sys.exit(main())
