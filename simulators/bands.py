"""Bands: residents who sleep, walk, rest and charge their wristbands, and what a band measures of it."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from simulators.noise import FloatArray, hashed, normal, stream, uniform, wander
from simulators.rhythms import DAY_S, UTC_PLUS_8_S, hour_of_day
from simulators.scenarios import Event

CHARGE_EVERY_S = 3 * DAY_S
CHARGE_S = 75 * 60.0  # off the wrist, in the evening
BEFORE_BED_S = 3 * 3600.0
ALERT_S = 60.0  # a band repeats its fall or SOS flag for this long at least
DAILY_PEAK_G = 2.4  # what walking and sitting down reach; a fall exceeds 3 g (simulation-facts §3)

QUANTITIES = (
    "heart_rate", "spo2", "respiration", "skin_temperature", "steps", "acceleration_peak",
    "fall", "sos", "on_wrist", "battery",
)  # fmt: skip
_ON_SKIN = ("heart_rate", "spo2", "respiration", "skin_temperature")  # not measured off the wrist


class Bands:
    """One wearer a place."""

    def __init__(self, channels: ChannelTable, seed: int) -> None:
        self.seed = seed
        self.channels = channels
        self.covers: Collection[int] = tuple(
            n for n, c in enumerate(channels.channels) if c.medium == "wristband" and c.quantity in QUANTITIES
        )

    def values(
        self, time_s: FloatArray, events: Sequence[Event], wanted: Collection[int]
    ) -> dict[int, FloatArray]:
        answer = {}
        for place in dict.fromkeys(self.channels[n].place for n in self.covers if n in wanted):
            wearer = _Wearer(self.seed, place, time_s, [event for event in events if event.place == place])
            for n in self.covers:
                channel = self.channels[n]
                if n in wanted and channel.place == place:
                    answer[n] = wearer.measured(channel.quantity, channel.period_s)
        return answer


class _Wearer:
    """One person over some moments."""

    def __init__(self, seed: int, place: str, time_s: FloatArray, events: Sequence[Event]) -> None:
        self.time_s = time_s
        self.events = events
        self.seed, self.place = seed, place
        traits = uniform(self._key("traits"), np.arange(4))
        self.rest_rate = 60.0 + 10.0 * float(traits[0])
        self.vigour = 8.0 + 10.0 * float(traits[1])
        self.bed_hour = 21.5 + 1.5 * float(traits[2])
        self.charge_day = int(3 * float(traits[3]))
        self.awake = self._awake()
        self.worn = self._worn()
        self.still = self._still() | ~self.worn
        self.active = np.where(self.still, 0.0, self.awake * self._effort(time_s))

    def measured(self, quantity: str, period_s: float) -> FloatArray:
        """True values (times,) of one quantity; NaN where a band off the wrist measures nothing."""
        value: FloatArray = getattr(self, f"_{quantity}")(period_s)
        return np.where(self.worn, value, np.nan) if quantity in _ON_SKIN else value

    def _heart_rate(self, _: float) -> FloatArray:
        earlier = np.where(self.still, 0.0, self.awake * self._effort(self.time_s - 60.0))
        calm = self.rest_rate + 7.0 * self.awake + 2.0 * wander(self._key("heart"), self.time_s, 900.0)
        rate = calm + self.vigour * (self.active + earlier)
        for event in self.events:
            if event.kind == "tachycardia":
                rate = rate + (event.size - rate) * event.rise(self.time_s, 45.0)
            elif event.kind == "fall":
                rate = rate + 18.0 * event.rise(self.time_s, 60.0)
        return rate

    def _spo2(self, _: float) -> FloatArray:
        return 96.4 + 0.6 * self.awake + 0.4 * wander(self._key("spo2"), self.time_s, 1800.0)

    def _respiration(self, _: float) -> FloatArray:
        return 14.0 + 1.5 * self.awake + 6.0 * self.active + wander(self._key("breath"), self.time_s, 900.0)

    def _skin_temperature(self, _: float) -> FloatArray:
        return 34.1 - 0.7 * self.awake + 0.25 * wander(self._key("skin"), self.time_s, 5400.0)

    def _steps(self, _: float) -> FloatArray:
        return np.where(self.active > 0.15, np.round(100.0 * self.active), 0.0)

    def _acceleration_peak(self, period_s: float) -> FloatArray:
        jolt = np.abs(normal(self._key("jolt"), self.time_s))
        moved = 0.03 + 0.02 * jolt + self.active * (0.7 + 0.3 * jolt)
        peak = 1.0 + np.where(self.worn, np.minimum(moved, DAILY_PEAK_G - 1.0), 0.0)
        for event in self.events:
            if event.kind == "fall":
                fell = (self.time_s >= event.start_s) & (self.time_s - period_s < event.start_s)
                peak = np.where(fell, event.size, peak)
        return peak

    def _fall(self, period_s: float) -> FloatArray:
        flag = np.zeros(len(self.time_s))
        for event in self.events:
            if event.kind == "fall":
                held_s = max(ALERT_S, period_s)
                flag[(self.time_s >= event.start_s) & (self.time_s - held_s < event.start_s)] = 1.0
        return flag

    def _sos(self, _: float) -> FloatArray:
        return np.zeros(len(self.time_s))

    def _on_wrist(self, _: float) -> FloatArray:
        return self.worn.astype(np.float64)

    def _battery(self, _: float) -> FloatArray:
        since = self._since_charging_began()
        charging = 30.0 + 68.0 * since / CHARGE_S
        return np.where(
            since < CHARGE_S, charging, 98.0 - 68.0 * (since - CHARGE_S) / (CHARGE_EVERY_S - CHARGE_S)
        )

    def _key(self, name: str) -> np.uint64:
        return stream(self.seed, "wearer", self.place, name)

    def _awake(self) -> FloatArray:
        """1 awake, 0 asleep, half an hour between; bed and rising vary from night to night."""
        hour = hour_of_day(self.time_s)
        night = np.floor((self.time_s + UTC_PLUS_8_S - DAY_S / 2) / DAY_S).astype(np.int64)
        bed = self.bed_hour + 0.3 * (uniform(self._key("bed"), night) - 0.5)
        wake = self.bed_hour - 16.0 + 0.3 * (uniform(self._key("wake"), night) - 0.5)
        return np.asarray(np.clip((hour - wake) / 0.5, 0.0, 1.0) * np.clip((bed - hour) / 0.5, 0.0, 1.0))

    def _effort(self, time_s: FloatArray) -> FloatArray:
        """How hard the wearer would move if awake, 0 to 1."""
        urge = wander(self._key("urge"), time_s, 2400.0)
        return np.asarray(np.clip(0.55 * urge - 0.15, 0.0, 1.0))

    def _still(self) -> NDArray[np.bool_]:
        """Lying where they fell, or at rest with a racing heart; a band on its charger is still anyway."""
        still = np.zeros(len(self.time_s), dtype=bool)
        for event in self.events:
            if event.kind in ("fall", "tachycardia"):
                still |= event.during(self.time_s)
        return still

    def _since_charging_began(self) -> FloatArray:
        start_s = self.charge_day * DAY_S + self.bed_hour * 3600.0 - BEFORE_BED_S - UTC_PLUS_8_S
        cycle = np.floor((self.time_s - start_s) / CHARGE_EVERY_S).astype(np.int64)
        shift = (hashed(self._key("charge"), cycle) % np.uint64(3600)).astype(np.float64)
        return (self.time_s - start_s - shift) % CHARGE_EVERY_S

    def _worn(self) -> NDArray[np.bool_]:
        """Off the wrist while it charges; on it whenever something happens to its wearer."""
        worn = self._since_charging_began() >= CHARGE_S
        for event in self.events:
            if event.kind in ("fall", "tachycardia"):
                worn |= event.during(self.time_s, 3600.0)
        return worn
