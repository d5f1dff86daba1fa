"""Bench of limits and fall: CPU nanoseconds a reading, ticks of every channel, calm and beyond levels."""

from time import process_time_ns

import numpy as np

from config.channels import Channel, ChannelTable
from detectors.base import EventDetector, FloatArray
from detectors.fall import Fall
from detectors.limits import Limits
from ingest.readings import ReadingBatch

SECOND_NS = 1_000_000_000
KINDS = (
    ("gas", "ch4", "%{LEL}", np.nan, 1.0),
    ("gas", "pressure", "kPa", 300.0, 300.0),
    ("water", "pressure", "kPa", 300.0, 300.0),
    ("water", "flow", "m3/h", np.nan, 80.0),
    ("power", "voltage", "V", 220.0, 224.0),
    ("power", "joint_temperature", "Cel", np.nan, 31.0),
)


BAND = (
    ("acceleration_peak", "[g]", 1.2),
    ("steps", "{steps}/min", 0.0),
    ("on_wrist", "1", 1.0),
    ("heart_rate", "/min", 71.0),
    ("sos", "1", 0.0),
)


def bands_bench(channels: int = 5000, ticks: int = 300) -> dict[str, float]:
    """CPU ns a reading of `Limits.judge` and `Fall.judge` over wristbands to which nothing happens."""
    kinds = [BAND[number % len(BAND)] for number in range(channels)]
    table = ChannelTable(
        [
            Channel(f"c{number}", "wristband", f"band{number // len(BAND)}", quantity, unit, 60.0)
            for number, (quantity, unit, _) in enumerate(kinds)
        ]
    )
    usual = np.array([level for *_, level in kinds])
    return {
        "bands, limits": _cost(Limits(), table, usual, ticks, every=1),
        "bands, fall": _cost(Fall(), table, usual, ticks, every=1),
    }


def limits_bench(channels: int = 5000, ticks: int = 300) -> dict[str, float]:
    """CPU ns a reading of `Limits.judge`, by case."""
    kinds = [KINDS[number % len(KINDS)] for number in range(channels)]
    table = ChannelTable(
        [
            Channel(f"c{number}", medium, f"place{number // 3}", quantity, unit, 1.0, nominal=nominal)
            for number, (medium, quantity, unit, nominal, _) in enumerate(kinds)
        ]
    )
    usual = np.array([level for *_, level in kinds])
    few = np.zeros(channels)
    few[:: max(channels // 20, 1)] = 1e3
    return {
        "calm": _cost(Limits(), table, usual, ticks, every=1),
        "calm, half of the channels": _cost(Limits(), table, usual, ticks, every=2),
        "twenty beyond their levels": _cost(Limits(), table, usual + few, ticks, every=1),
        "all beyond their levels": _cost(Limits(), table, usual * 5 + 100, ticks, every=1),
    }


def _cost(detector: EventDetector, table: ChannelTable, value: FloatArray, ticks: int, every: int) -> float:
    detector.points(table)
    memory = detector.fresh_memory(table)
    channel = np.arange(0, len(table), every, dtype=np.int32)
    batches = [ReadingBatch.of(channel, tick * SECOND_NS, value[channel]) for tick in range(1, ticks + 1)]
    detector.judge(batches[0], SECOND_NS, memory)
    begin = process_time_ns()
    for tick, batch in enumerate(batches[1:], start=2):
        detector.judge(batch, tick * SECOND_NS, memory)
    return (process_time_ns() - begin) / ((ticks - 1) * len(channel))


if __name__ == "__main__":
    for size in (10, 1000, 5000, 20000):
        found = limits_bench(size) | bands_bench(size)
        print(size, {case: round(cost, 1) for case, cost in found.items()})
