"""Steady: a network without memory, solved at chosen moments and blended between them."""

from collections.abc import Callable, Sequence

import numpy as np

from simulators.draws import edges_s
from simulators.noise import FloatArray
from simulators.scenarios import Event

AFTER_S = 6 * 3600.0  # what is left of an event so long after its end is nothing


class Steady:
    """Solutions (columns,) at every `step_s` and around what changes quickly; each is solved once.

    solve: (whole second, the events that act then) -> columns. It must depend on nothing else, so that a
    moment's solution is the same whoever asks for it, in whatever order.
    """

    def __init__(self, step_s: float, solve: Callable[[float, tuple[Event, ...]], FloatArray]) -> None:
        self.step_s = step_s
        self._solve = solve
        self._known: dict[tuple[float, tuple[Event, ...]], FloatArray] = {}
        self._any = 0.0  # a moment whose calm solution is known

    def at(self, time_s: FloatArray, events: Sequence[Event]) -> FloatArray:
        """Solutions (times, columns) at ascending moments: the calm network's, and what events add to it."""
        if not len(time_s):
            return self._at_knot(0.0, ())[None][:0]
        first = np.floor(time_s[0] / self.step_s)
        last = np.floor(time_s[-1] / self.step_s) + 1
        grid = np.arange(first, last + 1) * self.step_s
        calm = _blended(grid, time_s, lambda second: self._at_knot(second, ()))
        here = [e for e in events if e.start_s <= time_s[-1] and time_s[0] < e.end_s + AFTER_S]
        if not here:
            return calm
        turns = edges_s(here)
        knots = np.union1d(grid, turns[(turns > grid[0]) & (turns < grid[-1])])
        return calm + _blended(knots, time_s, lambda second: self._added(second, here))

    def _added(self, second: float, events: Sequence[Event]) -> FloatArray:
        acting = tuple(event for event in events if event.start_s <= second < event.end_s + AFTER_S)
        calm = self._at_knot(second, ()) if acting else self._at_knot(self._any, ())
        return self._at_knot(second, acting) - calm if acting else np.zeros_like(calm)

    def _at_knot(self, second: float, acting: tuple[Event, ...]) -> FloatArray:
        key = (second, acting)
        if key not in self._known:
            self._known[key] = self._solve(second, acting)
            self._any = second if not acting else self._any
        return self._known[key]


def _blended(knots: FloatArray, time_s: FloatArray, solved: Callable[[float], FloatArray]) -> FloatArray:
    """Between two knots a straight line; only the knots beside one of the moments are asked for."""
    after = np.searchsorted(knots, time_s, side="right")
    needed = np.union1d(after, after - 1)
    rows = np.stack([solved(float(knots[n])) for n in needed])
    before_row, after_row = np.searchsorted(needed, after - 1), np.searchsorted(needed, after)
    part = ((time_s - knots[after - 1]) / (knots[after] - knots[after - 1]))[:, None]
    return np.asarray(rows[before_row] * (1.0 - part) + rows[after_row] * part)
