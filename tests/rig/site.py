"""Site: numbered readings without end, so that an oracle can say of each whether it is there once."""

import time
from collections.abc import Sequence
from pathlib import Path

from config.channels import Channel, ChannelTable
from simulators.district import write_channels
from tests.living import Publisher

SITE = "east"
COUNTERS = 4
CLEAN, EXPLOSIVE = 1.0, 60.0  # %LEL; the second is beyond both levels
EVERY_S = 0.02  # between two rounds of the feed


def counters() -> list[Channel]:
    return [
        Channel(f"counter-{n}.flow", "water", f"counter.{n}", "flow", "m3/h", 1.0) for n in range(COUNTERS)
    ]


def probes(count: int) -> list[Channel]:
    return [Channel(f"probe-{n}.ch4", "gas", f"probe.{n}", "ch4", "%{LEL}", 1.0) for n in range(count)]


class Feed:
    """Each step publishes the next four numbers; probes show clean air until told otherwise."""

    def __init__(self, publisher: Publisher, probes: int = 0) -> None:
        self.publisher = publisher
        self.numbers = 0
        self.methane = [CLEAN] * probes
        self._probed_s = 0.0

    def step(self) -> None:
        for counter in range(COUNTERS):
            self.publisher.send(f"counter-{counter}", {"flow": float(self.numbers)})
            self.numbers += 1
        if time.monotonic() - self._probed_s >= 1.0:
            self._probed_s = time.monotonic()
            for probe, level in enumerate(self.methane):
                self.publisher.send(f"probe-{probe}", {"ch4": level})

    def leak(self, probe: int) -> None:
        self.methane[probe] = EXPLOSIVE
        self.publisher.send(f"probe-{probe}", {"ch4": EXPLOSIVE})


def write_site(
    folder: Path, port: int, channels: Sequence[Channel], more: str = "", in_site: str = ""
) -> None:
    """gateway.toml and channels.csv of a gateway that hears a broker and keeps an archive."""
    folder.mkdir(parents=True, exist_ok=True)
    write_channels(folder / "channels.csv", ChannelTable(list(channels)))
    (folder / "gateway.toml").write_text(
        f'[site]\nid = "{SITE}"\nname = "East"\nchannels = "channels.csv"\ndata = "data"\n{in_site}\n'
        f'[[source]]\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {port}\n[archive]\nfolder = "archive"\n{more}'
    )
