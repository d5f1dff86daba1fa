"""Noise: chance that can be asked for at any moment; the same stream and step always give the same number."""

from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
KEPT = 1 << 18  # keys kept at hand: a few for each channel of a large district
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@lru_cache(maxsize=KEPT)
def stream(seed: int, *names: str) -> np.uint64:
    """The key of a stream of chance; streams with different names have nothing in common."""
    text = "/".join((str(seed), *names)).encode()
    return np.uint64(int.from_bytes(blake2b(text, digest_size=8).digest(), "little"))


def hashed(key: np.uint64, step: Any) -> NDArray[np.uint64]:
    """64 random bits for each step (an integer array).

    splitmix64 entered at any step: Steele, Lea, Flood, "Fast splittable pseudorandom number
    generators", OOPSLA 2014.
    """
    with np.errstate(over="ignore"):
        z = np.asarray(step, dtype=np.int64).astype(np.uint64) * _GAMMA + key
        z ^= z >> np.uint64(30)
        z *= _MIX_1
        z ^= z >> np.uint64(27)
        z *= _MIX_2
        z ^= z >> np.uint64(31)
    return np.asarray(z)


def uniform(key: np.uint64, step: Any) -> FloatArray:
    """A number in [0, 1) for each step."""
    return (hashed(key, step) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(key: np.uint64, step: Any) -> FloatArray:
    """A standard normal number for each step, independent of every other step (Box and Muller, 1958)."""
    bits = hashed(key, step)
    radius = ((bits >> np.uint64(32)).astype(np.float64) + 1.0) * 2.0**-32
    angle = (bits & np.uint64(0xFFFFFFFF)).astype(np.float64) * (2.0 * np.pi * 2.0**-32)
    return np.asarray(np.sqrt(-2.0 * np.log(radius)) * np.cos(angle))


def wander(key: np.uint64, time_s: FloatArray, scale_s: float, octaves: int = 3) -> FloatArray:
    """Slow coloured noise of mean 0 and variance 1: what a real level does between one reading and the next.

    A sum of smooth noises whose scales (the time after which they have forgotten where they were) are
    `scale_s`, a quarter of it, and so on, each half as strong as the one before: close to a first-order
    autoregression, and yet known at any single moment.
    """
    weights = 0.5 ** np.arange(octaves)
    weights /= np.sqrt(np.sum(weights**2))
    total = np.zeros(np.shape(time_s))
    for octave, weight in enumerate(weights):
        total += weight * _smooth(stream(int(key), str(octave)), time_s, scale_s / 4**octave)
    return total


def _smooth(key: np.uint64, time_s: FloatArray, scale_s: float) -> FloatArray:
    """One octave: normal numbers at knots `scale_s` apart, blended so that the variance is 1 everywhere."""
    place = np.asarray(time_s, dtype=np.float64) / scale_s + _shift(key)
    knot = np.floor(place).astype(np.int64)
    if knot.size == 0:
        return np.zeros(knot.shape)
    part = place - knot
    turn = part * part * (3.0 - 2.0 * part) * (np.pi / 2)
    first, last = int(knot.min()), int(knot.max())
    if last - first <= 2 * knot.size:  # few knots for many moments: draw each once
        drawn = _pair(key, first) if first == last else normal(key, np.arange(first, last + 2))
        before, after = drawn[knot - first], drawn[knot - first + 1]
    else:
        before, after = normal(key, knot), normal(key, knot + 1)
    return np.asarray(before * np.cos(turn) + after * np.sin(turn))


@lru_cache(maxsize=KEPT)
def _shift(key: np.uint64) -> float:
    """Where between two whole steps the knots of a stream lie."""
    return float(uniform(key, 0))


@lru_cache(maxsize=KEPT)
def _pair(key: np.uint64, first: int) -> FloatArray:
    """Numbers of a knot and the next: a live world asks for the same ones second after second."""
    return normal(key, np.arange(first, first + 2))
