"""Rules: what an alarm is worth and who may mute it for how long; decisions as plain functions of facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.channels import ChannelTable, Planned
from config.grades import FAULT, GRADES, Announced, GradeName, Grades, Grading
from detectors.findings import ALARM

SHELF_CAP_S: Mapping[str, float] = {"P1": 0.0, "P2": 3600.0, "P3": 8 * 3600.0, "P4": 8 * 3600.0}
"""Longest shelf by grade, as OPC UA's MaxTimeShelved; longer is refused, and P1 is never shelved."""

OF_ONE_PLACE = frozenset({"leak_noise", "ch4"})
"""Quantities that nobody elsewhere in the zone moves by using more."""
AFTERMATH_NS = 30 * 60 * 10**9  # announced works still explain what is seen this long after their end


def worse(grade: str, than: str) -> bool:
    """P1 is the worst; anything is worse than nothing ("")."""
    return than == "" or grade < than


def at_severity(grading: Grading, severity: int) -> GradeName:
    """The grade of a kind at a severity: WARNING is one lower, but P3 at least where someone must act."""
    if severity >= ALARM or grading.grade in ("P3", "P4"):
        return grading.grade
    return GRADES[GRADES.index(grading.grade) + 1]


@dataclass(frozen=True, slots=True)
class Worth:
    """The grade of an alarm, and the announcement that lowered it, if one did (`until_ns`: until when)."""

    grade: GradeName
    grading: Grading
    announced: str = ""
    test: bool = False
    until_ns: int = 0


class Announcements:
    """Works and holidays that the city announced; they lower the grade of what they explain, never mute."""

    def __init__(self, planned: Sequence[Planned], channels: ChannelTable, grades: Grades) -> None:
        self.grades = grades
        self._zone = dict(zip(channels.place, channels.zone))
        self.replace(planned)

    def replace(self, planned: Sequence[Planned]) -> None:
        """From now on these are all."""
        self.planned = tuple(planned)
        self._by_place: dict[str, list[Planned]] = {}
        for entry in self.planned:
            self._by_place.setdefault(entry.place, []).append(entry)
            zone = self._zone.get(entry.place, "")
            if zone and self.grades.announced(entry.kind).reach == "zone":
                self._by_place.setdefault(zone, []).append(entry)

    def worth(
        self,
        medium: str,
        place: str,
        kind: str,
        quantity: str,
        severity: int,
        when_ns: int,
        noticed: Sequence[Planned] = (),
    ) -> Worth:
        """What an alarm is worth, announcements considered. No works elsewhere explain a person's alarm.

        noticed: what nobody announced and detectors recognised all the same, where the alarm is.
        """
        grading = self.grades.of(medium, kind, quantity=quantity)
        full = Worth(at_severity(grading, severity), grading)
        if not (self.planned or noticed) or kind.startswith(FAULT):
            return full
        lowest = full
        for entry, does in self._fitting(medium, place, kind, quantity, when_ns, noticed):
            grade = does.lowered(full.grade)
            if worse(lowest.grade, grade):
                lowest = Worth(grade, grading, entry.kind, does.test, entry.end_ns + AFTERMATH_NS)
        return lowest

    def _fitting(
        self, medium: str, place: str, kind: str, quantity: str, when_ns: int, noticed: Sequence[Planned]
    ) -> Sequence[tuple[Planned, Announced]]:
        spots = (place,) if medium == "wristband" else (place, self._zone.get(place, ""), "*")
        announced = [entry for spot in dict.fromkeys(spots) for entry in self._by_place.get(spot, ())]
        found = []
        for entry in (*announced, *noticed):
            does = self.grades.announced(entry.kind)
            running = entry.start_ns <= when_ns < entry.end_ns + AFTERMATH_NS
            afar = does.reach == "zone" and entry.place != place
            if afar and quantity in OF_ONE_PLACE:
                continue
            if running and (not does.explains or kind in does.explains):
                found.append((entry, does))
        return found
