"""Clock: a device whose own clock is wrong; its times disagree with ours, and keep doing so."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from config.channels import ChannelTable
from detectors.base import (
    BoolArray,
    EventDetector,
    FloatArray,
    IntArray,
    Memory,
    Points,
    ReadingBatch,
    Surveying,
)
from detectors.findings import ALARM, CALM, Explanation, Findings

SECOND_NS = 1_000_000_000
RULE = "clock"
SURPRISE = 7.0  # -log10 p at the threshold: what an alarm is worth on the scale of all detectors
NO_WINDOW = np.iinfo(np.int64).min


class DeviceClock(NamedTuple):
    """A device's clock as it was seen last."""

    device: str
    offset_s: float  # + is ahead of ours
    wrong: bool


@dataclass(frozen=True)
class Clock(Surveying["_Devices"], EventDetector):
    """A device's clock that stays ahead by `ahead_s`, or behind by `behind_s` and two of its periods.

    The offset of a window is that of its least delayed reading (the minimum filter of network time protocols:
    RFC 5905, section 10), since waiting only ever adds: a device cannot be heard before it measured. Ahead is
    therefore proof. Behind may also be a backlog, whose delay shrinks while it drains: it counts only while
    windows agree within `agreed_s` or `agreed_share`. Both must last `lasts_s` and `windows` windows.
    A device is a channel's name without its last part. Nothing is said while our own clock is not known to be
    good, and what was gathered is forgotten when stream time starts anew.
    """

    ahead_s: float = 60.0  # of less, nothing is judged wrongly (D)
    behind_s: float = 60.0  # beside two periods: who measures, waits a period and sends is not wrong (D)
    window_s: float = 60.0  # one estimate a window (D)
    lasts_s: float = 600.0  # how long an offset must stay (D)
    windows: int = 3  # and in how many windows that heard the device (D)
    agreed_s: float = 5.0  # jitter of a link (D)
    agreed_share: float = 0.05  # of the offset; a backlog drains faster (D)
    off_delay_s: float = 300.0  # of right time, before it is over (D)

    def survey(self, channels: ChannelTable) -> "_Devices":
        """Each device is told under its first channel among those that are watched."""
        return _Devices(channels, self.only, self.off_delay_s)

    def points(self, channels: ChannelTable) -> Points:
        """One point a device; from now on this site is watched."""
        return self.watch(channels).points

    def fresh_memory(self, channels: ChannelTable) -> Memory:
        size = len(self.watch(channels).points)
        return {
            "trusted": np.ones(size, dtype=bool),  # our own clock is good
            "window": np.full(size, NO_WINDOW),  # the number of the window being gathered
            "least_s": np.full(size, np.inf),  # its least delay so far
            "offset_s": np.full(size, np.nan),  # of the last window that heard the device; + is ahead
            "since_ns": np.zeros(size, dtype=np.int64),  # when the offset began that lasts until now
            "agreed": np.zeros(size, dtype=np.int32),  # windows in a row that agree on it; 0: it is right
            "wrong": np.zeros(size, dtype=bool),
        }

    def restart(self, memory: Memory, clock_good: bool) -> None:
        """Stream time starts anew: delays across it mean nothing; what was concluded stays."""
        memory["trusted"][:] = clock_good
        memory["window"][:] = NO_WINDOW
        memory["least_s"][:] = np.inf
        memory["agreed"][:] = 0

    def judge(self, readings: ReadingBatch, now_ns: int, memory: Memory) -> Findings | None:
        trusted = memory["trusted"]
        if not len(trusted) or not trusted[0] or not len(readings):
            return None
        number = round(now_ns // (self.window_s * SECOND_NS))
        device = self.site.of[readings.channel]
        delay_s = (now_ns - readings.time_ns) * 1e-9
        if not self.site.whole:
            device, delay_s = device[device >= 0], delay_s[device >= 0]
        window, least = memory["window"], memory["least_s"]
        begins = window[device] != number
        findings = None
        if np.count_nonzero(begins):
            begun = np.unique(device[begins])
            ended = begun[window[begun] != NO_WINDOW]
            if len(ended):
                findings = self._conclude(ended, now_ns, memory)
            window[begun] = number
            least[begun] = np.inf
        less = delay_s < least[device]
        if np.count_nonzero(less):
            np.minimum.at(least, device[less], delay_s[less])
        return findings

    def clocks(self, memory: Memory) -> list[DeviceClock]:
        """Every device that was heard; may be called from another thread."""
        if self.surveyed is None:
            return []
        offset, wrong = memory["offset_s"], memory["wrong"]
        return [
            DeviceClock(self.site.names[n], float(offset[n]), bool(wrong[n]))
            for n in np.flatnonzero(np.isfinite(offset)).tolist()
        ]

    def _conclude(self, ended: IntArray, now_ns: int, memory: Memory) -> Findings:
        """The windows of these devices have ended, each when the device was heard in a later one.

        So a device's verdict comes in a tick of its own, whoever else speaks.
        """
        offset = -memory["least_s"][ended]
        ahead, behind = offset >= self.ahead_s, offset <= -self.site.behind_s(self.behind_s)[ended]
        heard = np.zeros(len(memory["wrong"]), dtype=bool)
        heard[ended] = True
        astray = np.count_nonzero(ahead) or np.count_nonzero(behind)
        if not (astray or np.count_nonzero(memory["agreed"]) or np.count_nonzero(memory["wrong"])):
            memory["offset_s"][ended], memory["since_ns"][ended] = offset, now_ns  # as on any other day
            return self.site.nothing(heard, memory["offset_s"], now_ns)
        before, since, agreed = (memory[name][ended] for name in ("offset_s", "since_ns", "agreed"))
        limit = self.site.limit(self, offset, ended)
        reach = np.maximum(self.agreed_s, self.agreed_share * np.abs(offset))
        agrees = ahead & (before >= self.ahead_s) | behind & (np.abs(offset - before) <= reach)
        agrees &= agreed > 0
        since = np.where(agrees, since, now_ns)
        agreed = np.where(agrees, agreed + 1, ahead | behind)
        lasted = now_ns - since >= self.lasts_s * SECOND_NS
        found = (ahead | behind) & lasted & (agreed >= self.windows)
        stays = memory["wrong"][ended] & (np.abs(offset) >= 0.5 * limit)
        for name, value in (("offset_s", offset), ("since_ns", since), ("agreed", agreed)):
            memory[name][ended] = value
        memory["wrong"][ended] = found | stays
        return self.site.findings(self, memory["wrong"].copy(), heard, memory["offset_s"].copy(), now_ns)


class _Devices:
    """The devices of a table, in the order of their first channels."""

    def __init__(self, channels: ChannelTable, only: IntArray | None, off_delay_s: float) -> None:
        self.channels = channels
        self.of = np.full(len(channels), -1, dtype=np.int64)  # each channel's device
        wanted = range(len(channels)) if only is None else np.sort(only).tolist()
        place: dict[str, int] = {}
        carrier: list[int] = []
        for number in wanted:
            name = channels.ids[number].rpartition(".")[0] or channels.ids[number]
            if name not in place:
                place[name] = len(place)
                carrier.append(number)
            self.of[number] = place[name]
        self.names = tuple(place)
        size = len(place)
        period = np.full(size, np.inf)
        listed = self.of >= 0
        self.whole = bool(listed.all())
        np.minimum.at(period, self.of[listed], channels.period_s[listed])
        self.two_periods_s: FloatArray = 2.0 * period
        self.points = Points(
            rule=(RULE,) * size,
            channel=np.array(carrier, dtype=np.int32),
            kind=("sensor_fault:clock_skew",) * size,
            on_delay_s=np.zeros(size),
            off_delay_s=np.full(size, off_delay_s),
            on_samples=np.ones(size, dtype=np.int32),
            latching=np.zeros(size, dtype=bool),
        )

    def behind_s(self, least_s: float) -> FloatArray:
        return least_s + self.two_periods_s

    def limit(self, clock: Clock, offset_s: FloatArray, device: Any = slice(None)) -> FloatArray:
        """The offset (of these devices) from which a clock counts as wrong, in its direction."""
        limit: FloatArray = np.where(offset_s > 0, clock.ahead_s, self.behind_s(clock.behind_s)[device])
        return limit

    def nothing(self, heard: BoolArray, offset_s: FloatArray, now_ns: int) -> Findings:
        """What `findings` says where no clock is wrong; nobody will ask why."""
        score = np.where(np.isfinite(offset_s), 0.0, np.nan)
        severity = np.zeros(len(heard), dtype=np.uint8)
        event_ns = np.full(len(heard), now_ns, dtype=np.int64)
        return Findings(self.points, score, severity, heard, event_ns, lambda point: Explanation("is right"))

    def findings(
        self, clock: Clock, wrong: BoolArray, heard: BoolArray, offset_s: FloatArray, now_ns: int
    ) -> Findings:
        def explain(point: int) -> Explanation:
            off_s, number = float(offset_s[point]), int(self.points.channel[point])
            side, sign = ("ahead of", 1) if off_s > 0 else ("behind", -1)
            if self.channels.is_wristband[number]:
                return Explanation(f"The clock of the band stays {side} the gateway's", sign)
            return Explanation(
                f"The clock of {self.names[point]} stays {abs(off_s):.0f} s {side} the gateway's",
                sign,
                numbers={"offset_s": round(off_s, 1)},
            )

        limit = self.limit(clock, offset_s)
        surprise = np.minimum(SURPRISE * np.abs(offset_s) / limit, 300.0)
        score = np.where(wrong, surprise / (surprise + 5.0), np.where(np.isfinite(offset_s), 0.0, np.nan))
        severity = np.where(wrong, ALARM, CALM).astype(np.uint8)
        event_ns = np.full(len(wrong), now_ns, dtype=np.int64)
        return Findings(self.points, score, severity, heard, event_ns, explain)
