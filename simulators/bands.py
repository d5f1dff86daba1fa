"""Bands: residents who sleep, walk, rest and charge their wristbands, and what a band measures of it."""

from collections.abc import Collection, Sequence
from math import cos, isnan, radians

import numpy as np
from numpy.typing import NDArray

from config.channels import Channel, ChannelTable
from simulators.kinds import BAND
from simulators.noise import FloatArray, hashed, normal, stream, uniform, wander
from simulators.rhythms import DAY_S, UTC_PLUS_8_S, hour_of_day
from simulators.scenarios import Event

CHARGE_EVERY_S = 3 * DAY_S
CHARGE_S = 75 * 60.0  # off the wrist, in the evening
BEFORE_BED_S = 3 * 3600.0
ALERT_S = 60.0  # a band repeats its fall or SOS flag for this long at least
DAILY_PEAK_G = 2.4  # what walking and sitting down reach; a fall exceeds 3 g (simulation-facts §3)

HOME = (30.66, 104.12)  # WGS-84, where the channel list says nothing
METRES_A_DEGREE = 111_320.0
ROAM_M = 60.0  # how far a wearer usually is from home, one standard deviation
DIP_S = 240.0  # one dip of the saturation of a sleeper who stops breathing
BRISK = 0.9  # how hard one moves at a gym, and when wandering

QUANTITIES = (
    "heart_rate", "spo2", "respiration", "skin_temperature", "steps", "acceleration_peak",
    "fall", "sos", "on_wrist", "battery", "hrv_rmssd", "latitude", "longitude",
)  # fmt: skip
_ON_SKIN = ("heart_rate", "spo2", "respiration", "skin_temperature", "hrv_rmssd")  # not off the wrist
AT_REST = (  # kinds during which the wearer does not move
    "fall", "tachycardia", "bradycardia", "atrial_fibrillation", "hypoxia", "apnoea", "no_activity",
    "sauna", "applause",
)  # fmt: skip
AFOOT = ("gym", "wandering")


class Bands:
    """One wearer a place."""

    solves = frozenset(scenario.kind for scenario in BAND)

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
        at: dict[str, list[int]] = {}
        for n in self.covers:
            if n in wanted:
                at.setdefault(self.channels[n].place, []).append(n)
        for place, numbers in at.items():
            wearer = _Wearer(self.seed, place, time_s, [event for event in events if event.place == place])
            for n in numbers:
                channel = self.channels[n]
                answer[n] = wearer.measured(channel)
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
        self.variability = 26.0 + 14.0 * float(traits[0])
        self.awake = self._awake()
        self.worn = self._worn()
        self.still = self._still() | ~self.worn
        self.active = np.where(self.still, 0.0, self.awake * self._effort(time_s))
        for event in self._of(*AFOOT):
            self.active = np.where(event.during(time_s), BRISK, self.active)

    def measured(self, channel: Channel) -> FloatArray:
        """True values (times,) of one quantity; NaN where a band off the wrist measures nothing."""
        if channel.quantity in ("latitude", "longitude"):
            return self._position(channel)
        value: FloatArray = getattr(self, f"_{channel.quantity}")(channel.period_s)
        return np.where(self.worn, value, np.nan) if channel.quantity in _ON_SKIN else value

    def _of(self, *kinds: str) -> list[Event]:
        return [event for event in self.events if event.kind in kinds]

    def _heart_rate(self, _: float) -> FloatArray:
        earlier = np.where(self.still, 0.0, self.awake * self._effort(self.time_s - 60.0))
        calm = self.rest_rate + 7.0 * self.awake + 2.0 * wander(self._key("heart"), self.time_s, 900.0)
        rate = calm + self.vigour * (self.active + earlier)
        for event in self.events:
            if event.kind == "tachycardia":
                rate = rate + (event.size - rate) * event.rise(self.time_s, 45.0)
            elif event.kind == "bradycardia":
                rate = rate + (event.size - rate) * event.grown(self.time_s, full=0.6)
            elif event.kind == "gym":
                rate = rate + (event.size - rate) * event.rise(self.time_s, 240.0)
            elif event.kind == "atrial_fibrillation":
                restless = wander(self._key("fibrillation"), self.time_s, 120.0)
                rate = rate + (14.0 + 9.0 * restless) * event.rise(self.time_s, 30.0)
            elif event.kind in ("fall", "fever", "sauna"):
                rate = rate + 18.0 * event.rise(self.time_s, 60.0)
        return rate

    def _spo2(self, _: float) -> FloatArray:
        usual = 96.4 + 0.6 * self.awake + 0.4 * wander(self._key("spo2"), self.time_s, 1800.0)
        for event in self._of("hypoxia"):
            usual = usual + (event.size - usual) * event.rise(self.time_s, 120.0)
        for event in self._of("apnoea"):
            usual = usual + (event.size - usual) * self._dips(event)
        return usual

    def _dips(self, event: Event) -> FloatArray:
        """Where a sleeper's breath stops, again and again, 0 to 1; every quarter of an hour or so."""
        turn = np.floor((self.time_s - event.start_s) / (3.5 * DIP_S)).astype(np.int64)
        late_s = 1.5 * DIP_S * uniform(self._key("dip"), turn)
        since_s = (self.time_s - event.start_s) % (3.5 * DIP_S) - late_s
        inside = (since_s >= 0.0) & (since_s < DIP_S) & event.during(self.time_s)
        return np.where(inside, np.clip(4.0 * np.sin(np.pi * since_s / DIP_S), 0.0, 1.0), 0.0)

    def _hrv_rmssd(self, _: float) -> FloatArray:
        usual = self.variability * (1.15 - 0.3 * self.awake) - 8.0 * self.active
        usual = usual * (1.0 + 0.1 * wander(self._key("variability"), self.time_s, 3600.0))
        for event in self._of("atrial_fibrillation"):
            usual = usual * (1.0 + (event.size - 1.0) * event.rise(self.time_s, 20.0))
        return np.maximum(usual, 4.0)

    def _position(self, channel: Channel) -> FloatArray:
        """Latitude or longitude, in degrees: around home by day, at home by night, or far away."""
        north = channel.quantity == "latitude"
        given = channel.lat if north else channel.lon
        home = HOME[0 if north else 1] if isnan(given) else given
        away_m = ROAM_M * self.awake * wander(self._key(channel.quantity), self.time_s, 5400.0)
        for event in self._of("wandering"):
            bearing = 2.0 * np.pi * float(uniform(self._key("bearing"), 0))
            part = float(np.cos(bearing) if north else np.sin(bearing))
            away_m = away_m + event.size * part * event.grown(self.time_s, full=0.7, mended_s=600.0)
        return home + away_m / (METRES_A_DEGREE * (1.0 if north else cos(radians(HOME[0]))))

    def _respiration(self, _: float) -> FloatArray:
        return 14.0 + 1.5 * self.awake + 6.0 * self.active + wander(self._key("breath"), self.time_s, 900.0)

    def _skin_temperature(self, _: float) -> FloatArray:
        usual = 34.1 - 0.7 * self.awake + 0.25 * wander(self._key("skin"), self.time_s, 5400.0)
        for event in self._of("fever"):
            usual = usual + event.size * event.rise(self.time_s, 5400.0)
        for event in self._of("sauna"):
            usual = usual + event.size * event.rise(self.time_s, 300.0)
        return usual

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
            elif event.kind == "applause":
                clapping = event.during(self.time_s, period_s)
                peak = np.where(clapping, event.size - 0.4 * np.minimum(jolt, 2.0), peak)
        return peak

    def _fall(self, period_s: float) -> FloatArray:
        return self._flagged("fall", period_s)

    def _sos(self, period_s: float) -> FloatArray:
        return self._flagged("sos", period_s)

    def _flagged(self, kind: str, period_s: float) -> FloatArray:
        """1 for as long as a band repeats that this has happened."""
        flag = np.zeros(len(self.time_s))
        for event in self._of(kind):
            held_s = max(ALERT_S, period_s)
            flag[(self.time_s >= event.start_s) & (self.time_s - held_s < event.start_s)] = 1.0
        return flag

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
        """Lying where they fell, or at rest while something else happens; a band on its charger is still."""
        still = np.zeros(len(self.time_s), dtype=bool)
        for event in self.events:
            if event.kind in AT_REST:
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
            if event.kind == "taken_off":
                worn &= ~event.during(self.time_s)
            elif event.kind not in ("gym", "sauna", "applause"):
                worn |= event.during(self.time_s, 3600.0)
        return worn
