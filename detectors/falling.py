"""Falling: what one wearer's readings say about a fall, moment after moment; only for the few it concerns."""

from collections.abc import Mapping
from dataclasses import dataclass

from detectors.levels import NEVER_NS, SECOND_NS

GRACE_NS = 5 * SECOND_NS  # readings of one period come so far apart


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for one band; periods in ns, None where it has no such channel."""

    impact_g: float
    still_g: float
    walking: float
    window_periods: float
    still_readings: int
    acceleration_ns: int | None
    steps_ns: int | None
    wrist_ns: int | None
    has_beat: bool

    @property
    def period_ns(self) -> int:
        """The slower of acceleration and steps: by then both have spoken."""
        return max(self.acceleration_ns or 0, self.steps_ns or 0)


@dataclass(slots=True)
class Wearer:
    """One band's life between impacts; each field is an array of the memory, its default the fresh value."""

    impact_ns: int = NEVER_NS  # an impact that is neither a fall yet nor over
    last_ns: int = NEVER_NS  # the newest impact of all
    flagged_ns: int = NEVER_NS  # the newest time at which the band itself believed in a fall
    denied_ns: int = NEVER_NS  # the newest at which, something having happened, it did not
    in_a_row: int = 0  # impacts, each within three periods of the one before
    overdue: bool = False  # the impact came late
    still: int = 0  # still readings since the impact
    still_ns: int = NEVER_NS  # the newest of them
    fallen: bool = False
    fallen_ns: int = NEVER_NS
    acceleration: float = 0.0
    acceleration_ns: int = NEVER_NS
    steps: float = 0.0
    steps_ns: int = NEVER_NS
    walked_ns: int = NEVER_NS
    off: bool = False  # the newest on_wrist says that the band is not worn
    wrist_ns: int = NEVER_NS
    beat_ns: int = NEVER_NS

    def hear(self, time_ns: int, said: Mapping[str, float], late: bool, rules: Rules) -> tuple[bool, bool]:
        """What a moment's readings change: (it fell, on time; something late is over).

        said: values by quantity. A moment may be older than what is known.
        """
        self._note(time_ns, said, rules)
        over = said.get("steps", 0.0) >= rules.walking and self._walk(time_ns, rules)
        hit = said.get("acceleration_peak", 0.0) > rules.impact_g
        if said.get("fall", 0.0) >= 0.5:
            hit |= not self._repeats(time_ns, rules)
            self.flagged_ns = max(self.flagged_ns, time_ns)
        elif "fall" in said and (hit or self.fallen or self.impact_ns != NEVER_NS):
            self.denied_ns = max(self.denied_ns, time_ns)
        if hit:
            over |= self._hit(time_ns, late, rules)
        fell = self.impact_ns != NEVER_NS and self._settle(time_ns, rules)
        return fell and not self.overdue, over

    def _note(self, time_ns: int, said: Mapping[str, float], rules: Rules) -> None:
        """Keep what is newest."""
        if "acceleration_peak" in said and time_ns > self.acceleration_ns:
            self.acceleration, self.acceleration_ns = said["acceleration_peak"], time_ns
        if "steps" in said and time_ns > self.steps_ns:
            self.steps, self.steps_ns = said["steps"], time_ns
        if said.get("steps", 0.0) >= rules.walking:
            self.walked_ns = max(self.walked_ns, time_ns)
        if "on_wrist" in said and time_ns > self.wrist_ns:
            self.off, self.wrist_ns = said["on_wrist"] < 0.5, time_ns
        if "heart_rate" in said:
            self.beat_ns = max(self.beat_ns, time_ns)

    def _walk(self, time_ns: int, rules: Rules) -> bool:
        """Whoever walks is not on the floor; whether that ends something that came late."""
        half_ns = (rules.steps_ns or 0) // 2  # steps of the interval in which the impact was came before it
        over = False
        if self.impact_ns != NEVER_NS and time_ns >= self.impact_ns + half_ns:
            self.impact_ns = NEVER_NS
            over = self.overdue
        if self.fallen and time_ns >= self.fallen_ns + half_ns:
            self.fallen = False
            over |= self.overdue
        return over

    def _hit(self, time_ns: int, late: bool, rules: Rules) -> bool:
        """An impact; whether it is one that came late and is over."""
        if self.fallen and time_ns - self.last_ns <= 3 * rules.period_ns + GRACE_NS:
            self.last_ns = max(self.last_ns, time_ns)  # whoever lies on the floor thrashes: no second fall
            return False
        if time_ns <= self.impact_ns or self._taken_off(time_ns, rules):
            return False
        if self.walked_ns != NEVER_NS and self.walked_ns >= time_ns + (rules.steps_ns or 0) // 2:
            return late
        gap_ns = abs(time_ns - self.last_ns)
        if gap_ns > 3 * rules.period_ns + GRACE_NS:
            self.in_a_row = 1
        elif gap_ns >= rules.period_ns // 2:
            self.in_a_row += 1
        self.impact_ns, self.overdue = time_ns, late
        self.last_ns = max(self.last_ns, time_ns)
        self.still, self.still_ns = 0, NEVER_NS
        return False

    def _repeats(self, time_ns: int, rules: Rules) -> bool:
        """Whether a flag only stays up: bands hold it for a minute, or for as long as their wearer lies."""
        if self.fallen:
            return self.denied_ns <= self.flagged_ns
        waits = self.impact_ns != NEVER_NS and self.flagged_ns != NEVER_NS
        return waits and 0 < time_ns - self.flagged_ns <= rules.period_ns + GRACE_NS

    def _taken_off(self, impact_ns: int, rules: Rules) -> bool:
        """Whether the band was off at an impact, or was taken off with it."""
        soon_ns = impact_ns + (rules.wrist_ns or 0) + rules.period_ns
        return self.off and self.wrist_ns <= soon_ns

    def _settle(self, time_ns: int, rules: Rules) -> bool:
        """Whether the impact that waits turns out to be a fall."""
        if self._taken_off(self.impact_ns, rules):
            self.impact_ns = NEVER_NS
            return False
        if rules.acceleration_ns is None:
            return self._fall()
        flagged = abs(self.flagged_ns - self.impact_ns) <= rules.period_ns + GRACE_NS
        if self.in_a_row > 1 and not flagged and self.denied_ns >= self.impact_ns:
            self.impact_ns = NEVER_NS  # hands that clap: a band that knows falls does not take them for one
            return False
        needed = 1 if flagged or self.in_a_row <= 1 else rules.still_readings
        self._count_still(rules)
        waits_ns = rules.window_periods * rules.period_ns + (needed - 1) * rules.period_ns + GRACE_NS
        if self.still >= needed:
            wrist_due_ns = self.impact_ns + (rules.wrist_ns or 0) + rules.period_ns + GRACE_NS
            doubtful = rules.has_beat and rules.wrist_ns is not None and self.beat_ns <= self.impact_ns
            if not doubtful or self.wrist_ns > self.impact_ns or time_ns > wrist_due_ns:
                return self._fall()
            return False
        if time_ns > self.impact_ns + waits_ns:
            self.impact_ns = NEVER_NS
        return False

    def _count_still(self, rules: Rules) -> None:
        """One more still reading, where acceleration and steps have both spoken since the last."""
        spoken = [(self.acceleration_ns, rules.acceleration_ns, self.acceleration <= rules.still_g)]
        if rules.steps_ns is not None:
            spoken.append((self.steps_ns, rules.steps_ns, self.steps < 1.0))
        since_ns = min(at_ns for at_ns, _, _ in spoken)
        clear = all(at_ns >= self.impact_ns + (period_ns or 0) // 2 for at_ns, period_ns, _ in spoken)
        if clear and since_ns > self.still_ns and all(still for _, _, still in spoken):
            self.still += 1
            self.still_ns = since_ns

    def _fall(self) -> bool:
        self.fallen, self.fallen_ns = True, self.impact_ns
        self.impact_ns = NEVER_NS
        return True
