"""Findings: what the detectors say about the points that they watch, as arrays, until something turns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

CALM, WARNING, ALARM = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Points:
    """What one detector watches: a point is one rule on one channel. Fixed for the life of a watch.

    Every column has shape (points,).
    """

    rule: tuple[str, ...]  # "drift", "gas.lel.l2"; with the channel it is the alarm's identity
    channel: NDArray[np.int32]  # the channel that carries it
    kind: tuple[str, ...]  # what it means by itself, in the words of grades.toml; "" = ask the evidence
    on_delay_s: NDArray[np.float64]  # how long it must stay strange before an alarm is raised
    off_delay_s: NDArray[np.float64]  # how long it must stay calm before the alarm clears
    on_samples: NDArray[np.int32]  # heard verdicts in a row that the on-delay needs at least
    latching: NDArray[np.bool_]  # must be acknowledged and reset by hand
    speaks: NDArray[np.bool_] | None = None  # False: it will never say anything; None: all may

    def __len__(self) -> int:
        return len(self.rule)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a point turned, for one point only; made when something turns."""

    sentence: str  # one plain sentence, no numbers for wristbands
    direction: int = 0  # +1 too high or rising, -1 too low or falling, 0 neither
    observed: Mapping[str, Any] | None = None  # value, unit, limit, op, quality; None for wristbands
    numbers: Mapping[str, float] = field(default_factory=dict)  # expected, spread …; empty for wristbands
    score: float = 0.0  # of its point, on the calibrated scale; put in by whoever asked why
    scores: Mapping[str, float] = field(default_factory=dict)  # of each rule on its channel at that moment


@dataclass(frozen=True, slots=True)
class Usual:
    """What the learning detectors know of one channel after the last row; see `Panel.usual`."""

    numbers: Mapping[str, float] = field(default_factory=dict)  # expected, spread, low, high
    scores: Mapping[str, float] = field(default_factory=dict)  # by rule, those that have one


@dataclass(frozen=True, eq=False)
class Findings:
    """One detector's verdict on its points at one moment. Every column has shape (points,)."""

    points: Points
    score: NDArray[np.float64]  # in [0, 1], the calibrated scale; NaN until something is known
    severity: NDArray[np.uint8]  # CALM, WARNING, ALARM
    heard: NDArray[np.bool_]  # a usable reading stands behind this verdict; where False nothing may turn calm
    event_ns: NDArray[np.int64]  # when what it speaks of was measured
    explain: Callable[[int], Explanation]  # by point number
    anew: NDArray[np.bool_] | None = None  # what it speaks of has just happened, also where it had before
