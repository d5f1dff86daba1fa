"""Wandering: a wearer who is out at night, or farther from home than ever before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from config.channels import ChannelTable
from detectors.base import BoolArray, FloatArray, Memory
from detectors.findings import ALARM, WARNING, Explanation
from detectors.subjects import Moment, Rule, Site, SubjectDetector, local_hour, of_places

METRES_A_DEGREE = 111_195.0  # of latitude; mean radius of the earth 6,371 km
DAY_S = 86400.0
ROLES = ("latitude", "longitude", "on_wrist")


@dataclass(frozen=True)
class Wandering(SubjectDetector):
    """A geofence around home: `night_m` at night, and by day `day_m` or twice the wearer's own longest way.

    Home is the position that channels.csv gives for the band; without one, where the wearer was at night:
    the mean of the nights' positions, each moving it by a hundredth, and nothing is judged before
    `home_lessons` of them. The longest way is learned by day while nothing is wrong, once the wearer is back
    within `night_m` (or a slow walk away would move the fence before it), and fades with `half_life_s`; by
    day nothing is judged before `known_s` of it. A night out is an alarm, a day out a warning (one grade
    lower). Two positions outside are needed, and a band off the wrist wanders nowhere.
    Distances are on the sphere, in the plane that touches it at home.
    Source: geofences of dementia care are set at 300 to 500 m; the rest are choices of this project.
    """

    night_m: float = 300.0
    day_m: float = 500.0
    beyond_own: float = 2.0  # times the longest way so far
    night: tuple[int, int] = (22, 6)  # hours of the day
    home_lessons: int = 30  # positions at night
    known_s: float = 3 * DAY_S
    half_life_s: float = 14 * DAY_S
    off_delay_s: float = 900.0
    timezone: str = "Asia/Shanghai"

    roles: ClassVar[tuple[str, ...]] = ROLES
    pace_s: ClassVar[int] = 300

    def rules(self) -> Sequence[Rule]:
        name = "wristband.wandering"
        return (Rule(name, "wandering", ("latitude",), off_delay_s=self.off_delay_s, on_samples=2),)

    def subjects(self, channels: ChannelTable) -> Sequence[Mapping[str, int]]:
        bands = of_places(channels, "wristband", ROLES)
        return [of for of in bands if "latitude" in of and "longitude" in of]

    def lessons(self, site: Site) -> Memory:
        number = site.member[:, site.role("latitude")]
        home = np.stack([site.channels.lat[number], site.channels.lon[number]], axis=1)
        given = np.isfinite(home[:, 0]) & np.isfinite(home[:, 1])
        return {
            "home": home,  # degrees; NaN until it is known
            "nights": np.where(given, self.home_lessons, 0),
            "given": given,
            "longest_m": np.zeros(len(site)),
            "way_m": np.zeros(len(site)),  # the farthest of the way that the wearer is on
            "known_s": np.zeros(len(site)),
        }

    def weigh(self, moment: Moment, memory: Memory) -> BoolArray:
        size = len(moment.site)
        lat_heard, lat, lat_ns = moment.of("latitude")
        lon_heard, lon, lon_ns = moment.of("longitude")
        _, worn, _ = moment.of("on_wrist")
        placed = (lat_heard | lon_heard) & (lat_ns == lon_ns) & ~(worn < 0.5)
        first, last = self.night
        hour = local_hour(lat_ns, self.timezone)
        night = (hour >= first) & (hour < last)
        if first > last:
            night = (hour >= first) | (hour < last)
        at = np.stack([lat, lon], axis=1)
        metres = _metres(memory["home"][:size], at)
        known_s, longest_m = memory["known_s"][:size], memory["longest_m"][:size]
        day_m = np.where(known_s >= self.known_s, np.maximum(self.day_m, self.beyond_own * longest_m), np.inf)
        fence_m = np.where(night, self.night_m, day_m)
        homely = memory["nights"][:size] >= self.home_lessons
        outside = placed & homely & (metres > fence_m)
        severity = outside * np.where(night, ALARM, WARNING)
        np.copyto(memory["severity"], severity.astype(np.uint8), where=placed)
        times = np.divide(metres, fence_m, out=np.ones(size), where=outside)
        np.copyto(memory["surprise"], np.where(outside, 7.0 + np.log2(times), 0.0), where=placed)
        calm = placed & ~outside
        self._settle(at, calm & night, memory, size)
        passed_s = np.where(calm, moment.since_s("latitude"), 0.0)
        longest_m *= 0.5 ** (passed_s / self.half_life_s)
        way_m, back = memory["way_m"][:size], calm & (metres <= self.night_m)
        np.maximum(way_m, metres, out=way_m, where=calm & homely)
        np.maximum(longest_m, way_m, out=longest_m, where=back)
        way_m[back] = 0.0
        known_s += passed_s
        judged: BoolArray = placed & homely
        return judged

    def say(self, site: Site, point: int, memory: Memory) -> Explanation:
        if memory["severity"][point] == ALARM:
            return Explanation("The wearer is away from home at night", 1)
        return Explanation("The wearer is farther from home than ever before", 1)

    def _settle(self, at: FloatArray, calm: BoolArray, memory: Memory, size: int) -> None:
        """Where a wearer is at night is home, unless the channel list says where that is."""
        pupils = calm & ~memory["given"][:size]
        nights, home = memory["nights"][:size], memory["home"][:size]
        nights += pupils
        known = np.where(np.isnan(home), at, home)
        rate = np.maximum(1.0 / np.maximum(nights, 1), 0.01)[:, None]
        home[:] = np.where(pupils[:, None], known + rate * (at - known), home)


def _metres(home: FloatArray, at: FloatArray) -> FloatArray:
    """Distance (subjects,) between two positions (subjects, 2) in degrees; NaN where one is unknown."""
    north = (at[:, 0] - home[:, 0]) * METRES_A_DEGREE
    turn = (at[:, 1] - home[:, 1] + 180.0) % 360.0 - 180.0
    east = turn * METRES_A_DEGREE * np.cos(np.radians(home[:, 0]))
    return np.asarray(np.hypot(north, east))
