"""Activity: a wearer who has not moved for longer than this wearer does at this time of the day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from detectors.base import BoolArray, FloatArray, Memory
from detectors.findings import ALARM, Explanation
from detectors.subjects import Moment, Rule, Site, SubjectDetector, local_hour, of_places

HOURS = 24
DAY_S = 86400.0
ROLES = ("steps", "acceleration_peak", "on_wrist")


@dataclass(frozen=True)
class Activity(SubjectDetector):
    """How likely is it that this wearer rests for so long, at these hours?

    Moving: a step, or more than `still_g`. The first `free_s` of a rest cost nothing. Beyond it every minute
    of the hour of day h costs -log10(1 - hazard[h]), where hazard[h] is how often long rests of this wearer
    have ended in a minute of that hour; before it is known, once in `day_rest_s` by day and in `night_rest_s`
    by night, with the weight of `prior_s` of rest. The sum is the surprise, -log10 of the chance of so long a
    rest. It is an alarm from `surprise` on, and not before `least_s`. A wearer has some five long rests a
    day, so that 2.7 costs one false call in a hundred days. Cold state: 2 x 24 numbers a band.

    Taking the band off or on is movement; what is not worn is not counted, and neither are gaps. What was
    an alarm teaches nothing. `off_wrist` (P4) tells that a band has not been worn for `unworn_s`.
    Sources: survival of a Poisson process with rates by hour; four to five hours by day without movement
    are a reason for a check call in practice.
    """

    still_g: float = 1.2  # as detectors/fall.py: a wrist that lies
    free_s: float = 3600.0
    surprise: float = 2.7
    least_s: float = 4 * 3600.0
    day_rest_s: float = 4500.0
    night_rest_s: float = 36000.0
    prior_s: float = 6 * 3600.0
    day: tuple[int, int] = (7, 21)  # hours of the day in which a wearer is believed to be up
    half_life_s: float = 14 * DAY_S
    unworn_s: float = 24 * 3600.0
    timezone: str = "Asia/Shanghai"

    roles: ClassVar[tuple[str, ...]] = ROLES
    momentary: ClassVar[tuple[str, ...]] = ("rest_s", "cost")

    def rules(self) -> Sequence[Rule]:
        return (
            Rule("wristband.no_activity", "no_activity", ("steps", "acceleration_peak"), off_delay_s=300.0),
            Rule("wristband.off_wrist", "off_wrist", ("on_wrist",)),
        )

    def subjects(self, channels: ChannelTable) -> Sequence[Mapping[str, int]]:
        bands = of_places(channels, "wristband", ROLES)
        return [of for of in bands if "steps" in of or "acceleration_peak" in of]

    def lessons(self, site: Site) -> Memory:
        return {
            "rest_s": np.zeros(len(site)),  # how long there has been no movement
            "cost": np.zeros(len(site)),  # -log10 of the chance of it
            "rested_s": np.zeros((len(site), HOURS)),  # long rests so far, by hour of the day …
            "ended": np.zeros((len(site), HOURS)),  # … and how many ended there
            "off": np.zeros(len(site), dtype=bool),  # the band said last that it is not worn …
            "off_s": np.zeros(len(site)),  # … and has said so for so long
        }

    def weigh(self, moment: Moment, memory: Memory) -> BoolArray:
        size = len(moment.site)
        rest_s, cost, off, off_s = (memory[name][:size] for name in ("rest_s", "cost", "off", "off_s"))
        steps_heard, steps, _ = moment.of("steps")
        jolt_heard, jolt, _ = moment.of("acceleration_peak")
        told, worn, _ = moment.of("on_wrist")
        moved = (steps_heard & (steps >= 1.0)) | (jolt_heard & (jolt > self.still_g))
        moved |= told & ((worn < 0.5) != off)
        np.copyto(off, worn < 0.5, where=told)
        off_s += moment.since_s("on_wrist")
        off_s *= off
        has_steps = moment.site.has[:, moment.site.role("steps")]
        passed_s = np.where(has_steps, moment.since_s("steps"), moment.since_s("acceleration_peak"))
        passed_s[off] = 0.0
        hour = local_hour(moment.time_ns.max(axis=1), self.timezone).astype(np.intp)
        alarmed = cost >= self.surprise
        self._learn(hour, passed_s, moved, rest_s, alarmed, memory)
        hazard = self._hazard(hour, memory, size)
        longer = np.maximum(rest_s + passed_s - self.free_s, 0.0) - np.maximum(rest_s - self.free_s, 0.0)
        rest_s += passed_s
        cost += longer * hazard / np.log(10.0)
        rest_s[moved], cost[moved] = 0.0, 0.0
        still = (cost >= self.surprise) & (rest_s >= self.least_s) & ~off
        unworn = off & (off_s >= self.unworn_s)
        memory["severity"][:] = np.concatenate([still, unworn]) * ALARM
        memory["surprise"][:size] = np.minimum(cost, 300.0)
        memory["surprise"][size:] = np.where(unworn, 7.0, 0.0)
        return np.concatenate([(steps_heard | jolt_heard) & ~off, told])

    def say(self, site: Site, point: int, memory: Memory) -> Explanation:
        if point >= len(site):
            return Explanation("The band has not been worn for a day")
        return Explanation("No movement for longer than this wearer ever rests at this time of the day", -1)

    def _learn(
        self,
        hour: NDArray[np.intp],
        passed_s: FloatArray,
        moved: BoolArray,
        rest_s: FloatArray,
        alarmed: BoolArray,
        memory: Memory,
    ) -> None:
        """Rests that are long teach, and those that end; not those that were an alarm."""
        long = (rest_s >= self.free_s) & ~alarmed
        cell = (np.arange(len(long)), hour)
        kept = 0.5 ** (passed_s * HOURS / self.half_life_s)  # an hour comes once a day
        memory["rested_s"][cell] = memory["rested_s"][cell] * kept + passed_s * long
        memory["ended"][cell] = memory["ended"][cell] * kept + (moved & long)

    def _hazard(self, hour: NDArray[np.intp], memory: Memory, size: int) -> FloatArray:
        """How often a long rest ends in a second of this hour."""
        by_day = (hour >= self.day[0]) & (hour < self.day[1])
        prior = 1.0 / np.where(by_day, self.day_rest_s, self.night_rest_s)
        rested_s, ended = (memory[name][np.arange(size), hour] for name in ("rested_s", "ended"))
        weight_s = self.prior_s / HOURS
        return np.asarray((ended + prior * weight_s) / (rested_s + weight_s))
