"""Tails: how rare a score is, as -log10 of a chance; for ideal noise, and fitted to counted exceedances."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LN10 = float(np.log(10.0))
ROOT_HALF_PI = float(np.sqrt(0.5 * np.pi))
SHAPE_ERROR = float(np.sqrt(4 / 3))  # standard error of an estimated shape, times the root of the count
HEAVIEST = 0.35  # shape of the heaviest tail that is believed; Student's t with 3 degrees of freedom has 1/3


def gaussian(deviations: Floats) -> Floats:
    """-log10 of the two-sided chance that Gaussian noise strays at least so many standard deviations.

    Mills ratio after Börjesson and Sundberg, IEEE Trans. Communications 27 (1979): within 0.3 %, and
    defined where the chance itself is long below the least float.
    """
    z = np.abs(deviations)
    mills = 0.661 * z + 0.339 * np.sqrt(z * z + 5.51)
    surprise: Floats = (0.5 * z * z + np.log(mills * ROOT_HALF_PI)) * (1 / LN10)
    return np.maximum(surprise, 0.0)


def pareto(mean: Floats, first_moment: Floats, number: Floats) -> tuple[Floats, Floats]:
    """Shape and scale of a generalised Pareto distribution from `number` excesses over a threshold.

    mean = E[X], first_moment = E[X (1 - F(X))], the probability-weighted moments of Hosking and Wallis,
    Technometrics 29 (1987). What lies beyond all data hangs on the shape, which few data place badly, and
    one too light costs more false alarms than one too heavy saves: it is taken one standard error heavier
    than estimated (of their asymptotic variance at a shape of 0). It is kept in [0, HEAVIEST]: a tail is
    never believed to end, nor to be so heavy that no event could stand out.
    """
    estimate = 2.0 - mean / np.maximum(mean - 2.0 * first_moment, 1e-12)
    shape = np.clip(estimate + SHAPE_ERROR / np.sqrt(number), 0.0, HEAVIEST)
    scale: Floats = np.maximum(mean * (1.0 - shape), 1e-3)
    return shape, scale


def pareto_surprise(excess: Floats, shape: Floats, scale: Floats) -> Floats:
    """-log10 of the chance of at least such an excess; a shape of 0 is the exponential distribution."""
    heavy = np.maximum(shape, 1e-9)
    surprise: Floats = np.log1p(heavy * excess / scale) / (heavy * LN10)
    return surprise
