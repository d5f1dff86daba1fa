"""Housekeeping: what the calendar does, such as the daily ledger line; nothing here can change what a detector says."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

log = logging.getLogger(__name__)


def housekeeper(timezone: str, hourly: Mapping[str, Callable[[], Any]], daily: Mapping[str, Callable[[], Any]]) -> BackgroundScheduler:
    """A scheduler, not yet started, with each job by name; a job that fails or is missed is logged, and runs next time."""
    scheduler = BackgroundScheduler(
        timezone=timezone,
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 600},
    )
    for name, job in hourly.items():
        scheduler.add_job(job, "cron", minute=7, id=name)  # off the full hour, when the archive closes its file
    for name, job in daily.items():
        scheduler.add_job(job, "cron", hour=0, minute=11, id=name)
    scheduler.add_listener(_tell, EVENT_JOB_ERROR | EVENT_JOB_MISSED)
    return scheduler


def _tell(event: JobExecutionEvent) -> None:
    trouble = "was missed" if event.exception is None else f"failed: {event.exception}"
    log.error("housekeeping %s %s; it runs again at its next time", event.job_id, trouble)
