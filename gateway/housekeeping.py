"""Housekeeping: what the calendar does, the daily ledger line; it cannot change what a detector says."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

log = logging.getLogger(__name__)


class Housekeeping:
    """Runs each job shortly after local midnight; one that fails or is missed is logged."""

    def __init__(self, timezone: str, daily: Mapping[str, Callable[[], Any]]) -> None:
        self._scheduler = BackgroundScheduler(
            timezone=timezone,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 3600},
        )
        for name, job in daily.items():
            self._scheduler.add_job(job, "cron", hour=0, minute=11, id=name)
        self._scheduler.add_listener(_tell, EVENT_JOB_ERROR | EVENT_JOB_MISSED)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """Wait for the job under way, if any."""
        if self._scheduler.running:
            self._scheduler.shutdown()


def _tell(event: JobExecutionEvent) -> None:
    exception = getattr(event, "exception", None)
    trouble = "was missed" if exception is None else f"failed: {exception}"
    log.error("housekeeping: %s %s; it runs again the next day", event.job_id, trouble)
