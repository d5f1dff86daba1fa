"""Bench of limits: CPU nanoseconds a reading, a tick of every channel at once, calm and with levels reached."""

from time import process_time_ns

import numpy as np

from config.channels import Channel, ChannelTable
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
        "calm": _cost(table, usual, ticks, every=1),
        "calm, half of the channels": _cost(table, usual, ticks, every=2),
        "twenty beyond their levels": _cost(table, usual + few, ticks, every=1),
        "all beyond their levels": _cost(table, usual * 5 + 100, ticks, every=1),
    }


def _cost(table: ChannelTable, value: np.ndarray, ticks: int, every: int) -> float:
    limits = Limits()
    limits.points(table)
    memory = limits.fresh_memory(table)
    channel = np.arange(0, len(table), every, dtype=np.int32)
    batches = [ReadingBatch.of(channel, tick * SECOND_NS, value[channel]) for tick in range(1, ticks + 1)]
    limits.judge(batches[0], SECOND_NS, memory)
    begin = process_time_ns()
    for tick, batch in enumerate(batches[1:], start=2):
        limits.judge(batch, tick * SECOND_NS, memory)
    return (process_time_ns() - begin) / ((ticks - 1) * len(channel))


if __name__ == "__main__":
    for size in (10, 1000, 5000, 20000):
        print(size, {case: round(cost, 1) for case, cost in limits_bench(size).items()})
