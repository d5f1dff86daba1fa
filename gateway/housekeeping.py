"""Housekeeping: what the calendar does: the daily line of the ledger, and what the outbox may forget.

It cannot change what a detector says. The calendar goes by the wall clock, steps and all.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from alerts import outbox
from alerts.alert import rfc3339
from ingest import daybook
from ingest.ledger import read_ledger
from ingest.storage import Storage
from ingest.ticks import SECOND_NS
from ingest.wallclock import WallClock

log = logging.getLogger(__name__)

DAY_S = 86_400.0


class Housekeeping:
    """Runs each job shortly after local midnight; one that fails or is missed is logged.

    `at_once` is called once after the start, in the scheduler's thread.
    """

    def __init__(
        self,
        timezone: str,
        daily: Mapping[str, Callable[[], Any]],
        at_once: Callable[[], Any] | None = None,
    ) -> None:
        self._scheduler = BackgroundScheduler(
            timezone=timezone,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 3600},
        )
        for name, job in daily.items():
            self._scheduler.add_job(job, "cron", hour=0, minute=11, id=name)
        if at_once is not None:
            self._scheduler.add_job(at_once, id="at the start")
        self._scheduler.add_listener(_tell, EVENT_JOB_ERROR | EVENT_JOB_MISSED)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """Wait for the job under way, if any."""
        if self._scheduler.running:
            self._scheduler.shutdown()


class Daily:
    """The daily jobs of a gateway."""

    def __init__(self, storage: Storage, clock: WallClock, site: str, settings_hash: str) -> None:
        self._storage = storage
        self._clock = clock
        self._about = {"site": site, "settings": settings_hash}

    def jobs(self) -> dict[str, Callable[[], Any]]:
        return {"ledger": self.write_ledger, "outbox": self.prune_outbox}

    def catch_up(self) -> None:
        """A line is due at the start when nobody was there to write it yesterday."""
        last = daybook.last_moment(self._storage.folder)
        now = datetime.fromtimestamp(self._clock.now_ns() / SECOND_NS, UTC)
        if not last or abs((now - datetime.fromisoformat(last)).total_seconds()) > DAY_S:
            self.write_ledger()

    def write_ledger(self) -> None:
        """A line of the day's ledger, and in the log its hash: kept elsewhere it proves what was said."""
        ledger = read_ledger(self._storage.folder)
        about = {"at": rfc3339(self._clock.now_ns()), "clock_good": self._clock.good, **self._about}
        newest = daybook.append(self._storage.folder, ledger, about)
        log.info("ledger of the day, %s\n%s", newest, ledger.table())

    def prune_outbox(self) -> None:
        """Forget what everybody has been told for a week."""
        now_ns = self._clock.now_ns()
        untold = self._storage.submit(lambda connection: outbox.prune(connection, now_ns)).result()
        if untold:
            log.error("%d changes were given up before everybody had been told: the outbox was full", untold)


def _tell(event: JobExecutionEvent) -> None:
    exception = getattr(event, "exception", None)
    trouble = "was missed" if exception is None else f"failed: {exception}"
    log.error("housekeeping: %s %s; it runs again the next day", event.job_id, trouble)
