"""Chances: how sure a share, a rate or a median is that was counted in a few cases: 95 % intervals."""

import math
from collections.abc import Sequence

Z = 1.959963984540054  # 97.5 % of the normal distribution

Interval = tuple[float, float]


def share(hits: int, of: int) -> Interval:
    """Wilson's score interval of a share (JASA 22, 1927); all of [0, 1] where nothing was tried."""
    if not of:
        return 0.0, 1.0
    centre = hits + Z * Z / 2
    reach = Z * math.sqrt(hits * (of - hits) / of + Z * Z / 4)
    low, high = (centre - reach) / (of + Z * Z), (centre + reach) / (of + Z * Z)
    return max(low, 0.0) if hits else 0.0, min(high, 1.0) if hits < of else 1.0


def count(seen: int) -> Interval:
    """Interval of a Poisson mean of which `seen` were counted, by Byar (Breslow & Day, 1987)."""
    low = 0.0
    if seen:
        low = seen * (1 - 1 / (9 * seen) - Z / (3 * math.sqrt(seen))) ** 3
    above = seen + 1
    return max(low, 0.0), above * (1 - 1 / (9 * above) + Z / (3 * math.sqrt(above))) ** 3


def median(values: Sequence[float]) -> float | None:
    """The middle one; the mean of the two in the middle where there are two."""
    if not values:
        return None
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def median_interval(values: Sequence[float]) -> Interval | None:
    """Order statistics that hold the median in at least 95 %; of fewer than six the whole range."""
    if not values:
        return None
    ordered, size = sorted(values), len(values)
    below, chance = 0, 0.5**size if size < 1000 else 0.0
    if size >= 1000:  # the binomial as a normal distribution
        below = max(0, math.floor(size / 2 - Z * math.sqrt(size) / 2) - 1)
    else:
        while below < size // 2 and chance + math.comb(size, below + 1) * 0.5**size <= 0.025:
            below += 1
            chance += math.comb(size, below) * 0.5**size
    return ordered[below], ordered[size - 1 - below]
