"""Physics: the wall between what happens in a medium and how it is measured, recorded or polled."""

from collections.abc import Collection, Sequence
from typing import Protocol

from simulators.noise import FloatArray
from simulators.scenarios import Event


class Physics(Protocol):
    """One medium of a site. What it answers depends on the moment alone, not on how it is asked."""

    @property
    def covers(self) -> Collection[int]:
        """Numbers of the channels whose truth it knows."""

    @property
    def solves(self) -> frozenset[str]:
        """Kinds of events whose every effect on its channels it works out itself."""

    def values(
        self, time_s: FloatArray, events: Sequence[Event], wanted: Collection[int]
    ) -> dict[int, FloatArray]:
        """True values (times,) of each wanted channel that it covers, in the quantity's canonical unit.

        time_s (times,): whole seconds of UTC since 1970, ascending. NaN where there is nothing to measure.
        """
