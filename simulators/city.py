"""City: a district of any size, block by block, as one graph of places with Chinese nominal values."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import cos, nan, sin

from config.channels import Channel, Link
from simulators.instruments import Position, channel, position

# Of a mixed district's channels, and of a block's: a block is some hundred channels.
SHARES = {"water": 0.30, "gas": 0.25, "power": 0.30, "wristband": 0.15}
BLOCK_CHANNELS = 110
BLOCK_M = 600.0  # from one block to the next
BRANCHES = 2  # a pipe or a cable divides in two
LEAST, MOST = 20, 100_000

Point = tuple[str, str, float, str]  # name, quantity, nominal value, how it is sent
_N = nan
# What stands at the root of a block's network, and what at its further places, in turn.
ROOTS: dict[str, tuple[Point, ...]] = {
    "water": (("pressure", "pressure", 300.0, ""), ("flow", "flow", _N, ""), ("chlorine", "chlorine", _N, ""),
              ("turbidity", "turbidity", _N, "")),
    "gas": (("pressure", "pressure", 300.0, ""), ("flow", "flow", _N, ""), ("ch4", "ch4", _N, "")),
    "power": (("voltage_a", "voltage", 220.0, ""), ("voltage_min", "voltage_min", 220.0, ""),
              ("current_a", "current", _N, ""), ("active_power", "active_power", _N, ""),
              ("frequency", "frequency", 50.0, ""), ("busbar_voltage", "voltage", 10000.0, "")),
    "wristband": (),
}  # fmt: skip
PLACES: dict[str, tuple[tuple[str, tuple[Point, ...]], ...]] = {
    "water": (
        ("node", (("pressure", "pressure", 300.0, ""),)),
        ("chamber", (("pressure", "pressure", 300.0, ""), ("flow", "flow", _N, ""),
                     ("leak_noise", "leak_noise", _N, ""))),
        ("node", (("pressure", "pressure", 300.0, ""), ("leak_noise", "leak_noise", _N, ""))),
        ("end", (("pressure", "pressure", 300.0, ""), ("chlorine", "chlorine", _N, ""),
                 ("turbidity", "turbidity", _N, ""), ("temperature", "temperature", _N, ""))),
    ),
    "gas": (
        ("well", (("ch4", "ch4", _N, "mqtt"), ("temperature", "temperature", _N, "mqtt"),
                  ("battery", "battery", _N, "mqtt"))),
        ("valve", (("pressure", "pressure", 300.0, ""), ("ch4", "ch4", _N, ""))),
        ("regulator", (("pressure", "pressure", 300.0, ""), ("outlet_pressure", "pressure", 2.0, ""),
                       ("ch4", "ch4", _N, ""))),
    ),
    "power": (
        ("cabinet", (("voltage_a", "voltage", 220.0, ""), ("voltage_min", "voltage_min", 220.0, ""),
                     ("current_a", "current", _N, ""), ("joint_temperature", "joint_temperature", _N, ""))),
        ("house", (("voltage_a", "voltage", 220.0, ""), ("current_a", "current", _N, ""),
                   ("leakage_current", "leakage_current", _N, ""))),
        ("trench", (("voltage_a", "voltage", 220.0, ""), ("joint_temperature", "joint_temperature", _N, ""),
                    ("partial_discharge", "partial_discharge", _N, ""),
                    ("trench_water", "trench_water", _N, ""))),
    ),
    "wristband": (
        ("band", tuple((q, q, _N, "") for q in ("heart_rate", "acceleration_peak", "steps", "fall", "sos",
                                                "on_wrist", "spo2", "skin_temperature", "battery"))),
        ("band", tuple((q, q, _N, "") for q in ("heart_rate", "acceleration_peak", "steps", "fall", "sos",
                                                "on_wrist", "hrv_rmssd", "latitude", "longitude"))),
    ),
}  # fmt: skip


@dataclass
class City:
    """A district: its channels and the links between its places."""

    channels: list[Channel] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)


def city(size: int, media: tuple[str, ...], period_s: float = 0.0) -> City:
    """A district of exactly `size` channels of these media; period_s 0: as is usual for each quantity."""
    whole = sum(SHARES[medium] for medium in media)
    quotas = {medium: int(size * SHARES[medium] / whole) for medium in media}
    quotas[media[0]] += size - sum(quotas.values())
    blocks = max(1, round(size / BLOCK_CHANNELS))
    built = City()
    for block in range(blocks):
        for medium in media:
            share = quotas[medium] // blocks + (block < quotas[medium] % blocks)
            _Street(built, block, blocks, medium, period_s).build(share)
    _join(built, blocks, media)
    return built


@dataclass(frozen=True)
class _Street:
    """The part of one block's places that belongs to one medium."""

    built: City
    block: int
    blocks: int
    medium: str
    period_s: float

    def build(self, quota: int) -> None:
        """Places in a tree from the root, until the channels are used up."""
        stem = "band" if self.medium == "wristband" else self.medium
        zone = f"block{self.block + 1:03d}"
        names: list[str] = []
        for number, (kind, points) in enumerate(self._places()):
            if quota <= 0:
                break
            place = f"{stem}.{zone}.{kind}{number:02d}" if number or self.medium == "wristband" else (
                f"{stem}.{zone}.root"
            )  # fmt: skip
            at = self._position(number)
            fitted = points[:quota]
            quota -= len(fitted)
            for name, quantity, nominal, via in fitted:
                self.built.channels.append(
                    channel(place, name, medium=self.medium, quantity=quantity, zone=zone, at=at,
                            nominal=nominal, period_s=self.period_s, via=via)
                )  # fmt: skip
            names.append(place)
            if number and self.medium != "wristband":
                kind_of_link = "cable" if self.medium == "power" else "pipe"
                self.built.links.append(Link(names[(number - 1) // BRANCHES], place, kind_of_link))

    def _places(self) -> Iterator[tuple[str, tuple[Point, ...]]]:
        if ROOTS[self.medium]:
            yield "root", ROOTS[self.medium]
        turn = PLACES[self.medium]
        number = self.block  # so that blocks differ
        while True:
            yield turn[number % len(turn)]
            number += 1

    def _position(self, number: int) -> Position:
        """Places of a block on a spiral around its middle."""
        wide = max(1, round(self.blocks**0.5))
        east, north = self.block % wide, self.block // wide
        angle = 2.4 * number + 1.5 * list(SHARES).index(self.medium)
        radius = 0.45 * BLOCK_M * (number / (number + 6.0))
        return position(
            BLOCK_M * (east - wide / 2) + radius * cos(angle),
            BLOCK_M * (north - wide / 2) + radius * sin(angle),
        )


def _join(built: City, blocks: int, media: tuple[str, ...]) -> None:
    """Links of kind `feeds`: between a block's networks, from block to block, and to the homes of wearers."""
    first: dict[tuple[str, str], str] = {}
    wearers: dict[str, list[str]] = {}
    for each in built.channels:
        first.setdefault((each.zone, each.medium), each.place)
        if each.medium == "wristband":
            at = wearers.setdefault(each.zone, [])
            if each.place not in at:
                at.append(each.place)
    order = [medium for medium in ("power", "water", "gas", "wristband") if medium in media]
    wide = max(1, round(blocks**0.5))
    hubs: list[str] = []
    for block in range(blocks):
        zone = f"block{block + 1:03d}"
        here = [first[zone, medium] for medium in order if (zone, medium) in first]
        hub = here[0]
        ends = [place for place in here[1:] if not place.startswith("band.")]
        ends += [place for place in wearers.get(zone, ()) if place != hub]
        built.links += [Link(hub, place, "feeds") for place in ends]
        if block:
            built.links.append(Link(hubs[block - wide if block >= wide else block - 1], hub, "feeds"))
        hubs.append(hub)
