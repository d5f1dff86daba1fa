"""Garbled: values that nothing measures and no unit explains: bytes or words of a number swapped."""

from dataclasses import dataclass

import numpy as np

from config.channels import Channel, ChannelTable
from config.defaults import defaults_for
from config.errors import SettingsError
from config.quantities import QUANTITIES, conversion
from detectors.base import EventDetector, FloatArray, IntArray, Memory, Points, ReadingBatch, Surveying
from detectors.findings import CALM, WARNING, Explanation, Findings

RULE = "garbled"
SURPRISE = 7.0  # -log10 p at the threshold: what an alarm is worth on the scale of all detectors


@dataclass(frozen=True)
class Garbled(Surveying["_Bounds"], EventDetector):
    """A reading `times` larger than what is plausible for its quantity at most, or smaller than `tiny`.

    Two words of a 32-bit float that arrive swapped give numbers of any size between 1e-38 and 1e38: of
    readings around 300.0 with a decimal, two in five are beyond 1e6 and the others all but nothing. No
    unit is off by so much, so one is enough; it is over after `off_delay_s` without another.
    """

    times: float = 100.0
    tiny: float = 1e-20  # 0 itself is a value
    off_delay_s: float = 3600.0

    def survey(self, channels: ChannelTable) -> "_Bounds":
        return _Bounds(channels, self.only, self.times, self.off_delay_s)

    def points(self, channels: ChannelTable) -> Points:
        return self.watch(channels).points

    def fresh_memory(self, channels: ChannelTable) -> Memory:
        size = len(self.watch(channels).points)
        return {"value": np.full(size, np.nan), "on": np.zeros(size, dtype=bool)}

    def judge(self, readings: ReadingBatch, now_ns: int, memory: Memory) -> Findings | None:
        if not len(readings):
            return None
        size = np.abs(readings.value)
        wrong = size > self.site.most[readings.channel]
        wrong |= (size < self.tiny) & (size > 0.0)
        on = memory["on"]
        if not (np.count_nonzero(wrong) or np.count_nonzero(on)):
            return None
        point = self.site.point[readings.channel]
        ours = (point >= 0) & np.isfinite(readings.value)
        point, wrong = point[ours], wrong[ours]
        heard = np.zeros(len(on), dtype=bool)
        heard[point] = True
        now_on = np.zeros(len(on), dtype=bool)
        now_on[point[wrong]] = True
        memory["value"][point[wrong]] = readings.value[ours][wrong]
        on[heard] = now_on[heard]
        event_ns = np.full(len(on), now_ns, dtype=np.int64)
        event_ns[point] = readings.time_ns[ours]
        score = np.where(now_on, SURPRISE / (SURPRISE + 5.0), 0.0)
        severity = np.where(now_on, WARNING, CALM).astype(np.uint8)
        values = memory["value"].copy()
        return Findings(
            self.site.points, score, severity, heard, event_ns, lambda point: self._explain(point, values)
        )

    def _explain(self, point: int, values: FloatArray) -> Explanation:
        channel = self.site.channels[int(self.site.points.channel[point])]
        name = channel.quantity.replace("_", " ")
        if channel.medium == "wristband":
            return Explanation(f"The band sends numbers that no {name} can be")
        value = float(values[point])
        return Explanation(
            f"{name.capitalize()} at {channel.place} reads {value:.3g} {channel.unit}, "
            "which nothing measures: the order of bytes or words may be set wrongly",
            observed={"value": value, "unit": channel.unit, "quality": "good"},
            numbers={"value": value},
        )


class _Bounds:
    """The largest value of each channel that is not garbled, and the points of those that are watched."""

    def __init__(
        self, channels: ChannelTable, only: IntArray | None, times: float, off_delay_s: float
    ) -> None:
        self.channels = channels
        wanted = np.arange(len(channels)) if only is None else np.sort(only)
        self.most: FloatArray = np.array([times * _most_of(channel) for channel in channels.channels])
        self.point = np.full(len(channels), -1, dtype=np.int64)
        self.point[wanted] = np.arange(len(wanted))
        size = len(wanted)
        self.points = Points(
            rule=(RULE,) * size,
            channel=wanted.astype(np.int32),
            kind=("sensor_fault:byte_order",) * size,
            on_delay_s=np.zeros(size),
            off_delay_s=np.maximum(off_delay_s, 6.0 * channels.period_s[wanted]),
            on_samples=np.ones(size, dtype=np.int32),
            latching=np.zeros(size, dtype=bool),
        )


def _most_of(channel: Channel) -> float:
    """The largest plausible size of a value, in the channel's unit; without end where none is known."""
    try:
        scale, offset = conversion(channel.unit, QUANTITIES[channel.quantity].unit)
    except (SettingsError, KeyError):
        return np.inf
    bounds = [abs((bound - offset) / scale) for bound in defaults_for(channel).plausible]
    return max(1.0, *bounds)
