"""Clocks: by when a case must have left the stage in which it stands, in clock or working time."""

from dataclasses import dataclass

from alerts.centre.cases import Incident
from alerts.centre.stages import OVER, Stage
from config.clocks import Limits
from config.workdays import Limit, WorkCalendar, limit

HANDED = frozenset({Stage.HANDLING, Stage.TRANSFERRED})  # a limit given with the order ends with feedback


@dataclass(frozen=True)
class Clocks:
    """What the settings allow, and the calendar that counts it."""

    calendar: WorkCalendar
    limits: Limits

    def due_ns(self, incident: Incident) -> int | None:
        """When the case is overdue in its stage; None where no clock runs.

        One that called people again and was not acknowledged since has the clock of a new one.
        """
        standing, grade = incident.standing, incident.grade
        if standing.stage in OVER or incident.quiet:
            return None
        if not incident.acknowledged:
            return self._due_ns(incident.called_ns, Stage.RECEIVED, grade)
        order = incident.last_order
        if standing.stage in HANDED and order is not None and "limit" in order.body:
            return self.calendar.due_ns(order.at_ns, limit(order.body["limit"]))
        return self._due_ns(standing.since_ns, standing.stage, grade)

    def limit_of(self, stage: Stage, grade: str) -> Limit | None:
        """What the settings allow a case of this grade in a stage."""
        return self.limits.get(stage, {}).get(grade)

    def _due_ns(self, since_ns: int, stage: Stage, grade: str) -> int | None:
        allowed = self.limit_of(stage, grade)
        return None if allowed is None else self.calendar.due_ns(since_ns, allowed)
