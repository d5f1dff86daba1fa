"""News2: several vital signs together, by the part of the early warning score that a band can measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from config.channels import ChannelTable
from detectors.base import BoolArray, FloatArray, Memory
from detectors.findings import ALARM, WARNING, Explanation
from detectors.subjects import Moment, Rule, Site, SubjectDetector, of_places

SIGNS = ("respiration", "spo2", "systolic", "heart_rate", "body_temperature")
BESIDE = ("steps", "on_wrist")
STEP_S = 300  # signs that come faster are scored so often; movement is noted in every row
WINDOW = 3  # rest readings whose median is scored
_NAMES = ("breath rate", "oxygen saturation", "blood pressure", "pulse", "temperature of the body")
_NEVER = ("consciousness", "air or oxygen")
# Royal College of Physicians, National Early Warning Score (NEWS) 2, 2017: for each sign the upper bounds of
# its bands, of values rounded as the chart asks, and the points of each band. Saturation is scale 1.
_CHART: tuple[tuple[float, tuple[float, ...], tuple[int, ...]], ...] = (
    (1.0, (8, 11, 20, 24), (3, 1, 0, 2, 3)),
    (1.0, (91, 93, 95), (3, 2, 1, 0)),
    (1.0, (90, 100, 110, 219), (3, 2, 1, 0, 3)),
    (1.0, (40, 50, 90, 110, 130), (3, 1, 0, 1, 2, 3)),
    (0.1, (35.0, 36.0, 38.0, 39.0), (3, 1, 0, 1, 2)),
)


@dataclass(frozen=True)
class News2(SubjectDetector):
    """The sum of the points of what was measured at rest: a warning from `urgent`, an alarm from `emergency`.

    It is a part of NEWS2 and never told as the whole: what was not measured is listed in the sentence, and
    counts nothing. At least two signs must have points, since one alone is told by its own rule. At rest as
    in detectors/vitals.py; each sign is the median of its last three rest readings, none older than
    `fresh_s`. Skin temperature and cuffless blood pressure whose sensor is not validated are no input:
    only `body_temperature` and `systolic` are. Scale 2 (for hypercapnic failure) is a clinician's choice
    for one person and is not offered.
    Source: RCP 2017: 5 to 6 urgent response, 7 or more emergency response.
    """

    urgent: int = 5
    emergency: int = 7
    rest_s: float = 600.0
    rest_steps: float = 10.0
    fresh_s: float = 3600.0

    roles: ClassVar[tuple[str, ...]] = (*SIGNS, *BESIDE)
    momentary: ClassVar[tuple[str, ...]] = ("recent", "rested_ns")

    def rules(self) -> Sequence[Rule]:
        name = "wristband.news2_partial"
        return (Rule(name, "news2_partial", ("heart_rate", "spo2"), 300.0, 1800.0, 3),)

    def subjects(self, channels: ChannelTable) -> Sequence[Mapping[str, int]]:
        bands = of_places(channels, "wristband", self.roles)
        return [of for of in bands if sum(sign in of for sign in SIGNS) >= 2]

    def lessons(self, site: Site) -> Memory:
        size, signs = len(site), len(SIGNS)
        return {
            "recent": np.full((size, signs, WINDOW), np.nan),
            "rested_ns": np.full((size, signs), -(2**62), dtype=np.int64),  # the newest rest reading
            "moved_ns": np.full(size, -(2**62), dtype=np.int64),
            "measured": np.zeros((size, signs), dtype=bool),
        }

    def weigh(self, moment: Moment, memory: Memory) -> BoolArray:
        size, signs = len(moment.site), len(SIGNS)
        moved_ns, rested_ns = memory["moved_ns"][:size], memory["rested_ns"][:size]
        told, steps, steps_ns = moment.of("steps")
        np.maximum(moved_ns, steps_ns, out=moved_ns, where=told & (steps > self.rest_steps))
        _, worn, _ = moment.of("on_wrist")
        time_ns = moment.time_ns[:, :signs]
        rested = (time_ns - moved_ns[:, None] > self.rest_s * 1e9) & ~(worn < 0.5)[:, None]
        heard = moment.heard[:, :signs] & rested
        if not moment.whole(STEP_S):
            heard &= moment.site.period_s[:, :signs] >= STEP_S
        if not np.count_nonzero(heard):
            return np.zeros(len(moment.site.points), dtype=bool)
        recent = memory["recent"][:size]
        recent[heard] = np.roll(recent[heard], -1, axis=-1)
        recent[heard, -1] = moment.value[:, :signs][heard]
        np.copyto(rested_ns, time_ns, where=heard)
        now_ns = time_ns.max(axis=1)[:, None]
        fresh = np.isfinite(recent).all(axis=2) & (now_ns - rested_ns <= self.fresh_s * 1e9)
        median = np.sort(np.where(fresh[:, :, None], recent, 0.0), axis=2)[:, :, 1]
        points = np.where(fresh, scored(median), 0)
        total, several = points.sum(axis=1), (points > 0).sum(axis=1) >= 2
        judged: BoolArray = heard.any(axis=1) & (fresh.sum(axis=1) >= 2)
        severity = np.where(total >= self.emergency, ALARM, np.where(total >= self.urgent, WARNING, 0))
        np.copyto(memory["severity"], (severity * several).astype(np.uint8), where=judged)
        np.copyto(memory["surprise"], np.where(memory["severity"] > 0, 7.0, 0.0), where=judged)
        memory["measured"][:size] = fresh
        return judged

    def say(self, site: Site, point: int, memory: Memory) -> Explanation:
        measured = memory["measured"][point]
        missing = [name for name, known in zip(_NAMES, measured.tolist()) if not known]
        return Explanation(
            "Several vital signs at rest are out of order together (a part of the early warning score; "
            f"not measured: {', '.join((*missing, *_NEVER))})"
        )


def scored(values: FloatArray) -> FloatArray:
    """Points (subjects, signs) of values (subjects, signs), rounded first as the chart asks."""
    points = np.empty(values.shape)
    for column, (step, bounds, of_band) in enumerate(_CHART):
        rounded = np.round(values[:, column] / step) * step
        band = np.searchsorted(np.array(bounds) + step / 2, rounded, side="left")
        points[:, column] = np.array(of_band)[band]
    return points
