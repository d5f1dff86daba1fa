"""Faults: what a sensor at fault shows instead of the truth."""

from collections.abc import Callable

import numpy as np

from config.channels import Channel
from config.quantities import QUANTITIES, conversion
from simulators.noise import FloatArray, normal, stream, uniform
from simulators.scenarios import Event
from simulators.sensors import spread_of

LAST_BREATH = 0.25  # of its length, a dying battery makes noise; then there is silence
SPIKE_SPREADS = (40.0, 160.0)  # a spike is so many standard deviations off


def faulty(
    event: Event,
    channel: Channel,
    time_s: FloatArray,
    shown: FloatArray,
    last: Callable[[float], float],
    seed: int,
) -> FloatArray:
    """What the channel shows (times,) while this fault goes on, in the channel's unit.

    last: what it shows at a moment without the fault. Faults of the way (dropout, backlog …) do nothing.
    """
    during = event.during(time_s)
    if not during.any():
        return shown
    key = stream(seed, event.kind, channel.id)
    spread = spread_of(channel) * _scale(channel)
    if event.kind == "sensor_fault:stuck":
        wrong = np.full_like(shown, last(float(np.floor(event.start_s))))
    elif event.kind == "sensor_fault:drift":
        part = (time_s - event.start_s) / (event.end_s - event.start_s)
        wrong = shown + event.size * spread * np.clip(part, 0.0, 1.0)
    elif event.kind == "sensor_fault:spike":
        hit = uniform(key, time_s) < event.size
        low, high = SPIKE_SPREADS
        far = low + (high - low) * uniform(stream(int(key), "far"), time_s)
        side = np.where(uniform(stream(int(key), "side"), time_s) < 0.5, -1.0, 1.0)
        wrong = shown + hit * side * far * spread
    elif event.kind == "sensor_fault:wrong_unit":
        wrong = shown * event.size
    elif event.kind == "sensor_fault:byte_order":
        return np.where(during, words_swapped(shown), shown)
    elif event.kind == "sensor_fault:battery_death":
        wrong = shown + event.size * spread * normal(key, time_s)
    else:
        return shown
    if channel.resolution > 0:
        wrong = np.round(wrong / channel.resolution) * channel.resolution
    return np.where(during, np.round(wrong, 9), shown)


def words_swapped(value: FloatArray) -> FloatArray:
    """The float32 that is read where its two 16-bit words are taken in the wrong order."""
    words = value.astype(">f4").view(">u2").reshape(-1, 2)[:, ::-1]
    with np.errstate(invalid="ignore"):
        return np.ascontiguousarray(words).view(">f4").ravel().astype(np.float64)


def _scale(channel: Channel) -> float:
    """What one canonical unit of the channel's quantity is in the channel's own."""
    known = QUANTITIES.get(channel.quantity)
    return conversion(known.unit, channel.unit)[0] if known else 1.0
