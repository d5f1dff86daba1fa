"""Site: a made-up district of any size that behaves; what the stages of the bench are fed with."""

from collections.abc import Iterator

import numpy as np

from config.channels import Channel, ChannelTable
from ingest.readings import ReadingBatch

SECOND_NS = 1_000_000_000
MONDAY_NS = 1_767_542_400 * SECOND_NS  # 2026-01-04T16:00:00Z, midnight in Shanghai
KINDS = (  # medium, quantity, unit, nominal, resolution, usual level, its noise
    ("gas", "ch4", "%{LEL}", np.nan, 0.1, 1.5, 0.2),
    ("gas", "pressure", "kPa", 300.0, 0.1, 300.0, 0.6),
    ("water", "pressure", "kPa", 300.0, 0.1, 300.0, 1.5),
    ("water", "flow", "m3/h", np.nan, 0.01, 80.0, 2.0),
    ("power", "voltage", "V", 220.0, 0.1, 222.0, 0.5),
    ("power", "joint_temperature", "Cel", np.nan, 0.1, 31.0, 0.2),
)
PLACES_A_ZONE = 20


def district(channels: int, period_s: float = 1.0) -> ChannelTable:
    """Places of six channels, zones of twenty places."""
    listed = []
    for number in range(channels):
        medium, quantity, unit, nominal, resolution, *_ = KINDS[number % len(KINDS)]
        place = number // len(KINDS)
        zone = f"zone{place // PLACES_A_ZONE:02d}"
        id, name = f"{medium}.p{place:04d}.{quantity}", f"p{place:04d}"
        listed.append(Channel(id, medium, name, quantity, unit, period_s, resolution, nominal, zone))
    return ChannelTable(listed)


def seconds(channels: ChannelTable, count: int, start_ns: int = MONDAY_NS) -> Iterator[ReadingBatch]:
    """A batch a second, every channel once: level, daily swing and noise, rounded as the list says."""
    noise = np.random.default_rng(7)
    level, spread = (np.array([kind[place] for kind in KINDS]) for place in (5, 6))
    kind = np.arange(len(channels)) % len(KINDS)
    level, spread = level[kind], spread[kind]
    numbers = np.arange(len(channels), dtype=np.int32)
    steps = 1.0 / channels.resolution
    for second in range(1, count + 1):
        swing = 1.0 + 0.02 * np.sin(2 * np.pi * second / 86400)
        value = np.rint((level * swing + spread * noise.normal(size=len(level))) * steps) / steps
        yield ReadingBatch.of(numbers, start_ns + second * SECOND_NS, value)
