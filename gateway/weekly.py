"""Weekly: the report of each week that is over, false alarms expected and measured, into the data folder."""

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from alerts import kpis
from gateway.alarmbudget import beside
from gateway.annals import of_journal
from gateway.reports import alarmsystem
from gateway.reports.writing import written
from ingest.folders import make_folder
from ingest.ledger import one_moment
from ingest.ticks import SECOND_NS

if TYPE_CHECKING:
    from config.load import SiteFiles

log = logging.getLogger(__name__)

FOLDER = "reports"


class Weekly:
    """Writes `reports/YYYY-Www.json` and `.html`, once each; one that is missing is made up for."""

    def __init__(self, site: "SiteFiles", now_ns: Callable[[], int]) -> None:
        self._site = site
        self._now_ns = now_ns
        self.folder = site.settings.site.data / FOLDER

    def write(self) -> Path | None:
        """The report of the last whole week, unless it is there or the gateway knows nothing of that week."""
        settings = self._site.settings
        period, name = self._last_week()
        path = self.folder / f"{name}.json"
        if path.exists() or not self._knows(period):
            return None
        archive = settings.archive.folder if settings.archive else None
        alarms = of_journal(settings.site.data, settings.site.id, archive)
        report = {
            "source": settings.site.id,
            **kpis.report(alarms, period, [self._site.hash]),
            "false_alarms": beside(self._site, alarms, period),
        }
        make_folder(self.folder)
        with written(path.with_suffix(".html")) as out:
            out.write(alarmsystem.html(report))
        with written(path) as out:
            json.dump(report, out, ensure_ascii=False, indent=2)
        false = report["false_alarms"]
        log.info(
            "report of week %s: %d alarms told, %.2f a day raised, %.2f false ones a day expected; %s",
            name, report["annunciated"], false["measured_per_day"], false["expected_per_day"], path,
        )  # fmt: skip
        for one in false["worst"][:3]:
            log.warning(
                "%s on %s raised %d alarms in that week: %s",
                one["rule"], one["channel"], one["measured"], one["suggestion"],
            )  # fmt: skip
        return path

    def _last_week(self) -> tuple[kpis.Period, str]:
        zone = ZoneInfo(self._site.settings.site.timezone)
        today = datetime.fromtimestamp(self._now_ns() / SECOND_NS, zone)
        monday = today.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=today.weekday())
        start = monday - timedelta(days=7)
        start_ns, end_ns = (round(moment.timestamp()) * SECOND_NS for moment in (start, monday))
        return kpis.Period(start_ns, end_ns, zone), f"{start:%G-W%V}"

    def _knows(self, period: kpis.Period) -> bool:
        """Whether anything is on the record from before the week's end."""
        with one_moment(self._site.settings.site.data) as connection:
            (tick,) = connection.execute("SELECT min(now_ns) FROM ticks").fetchone()
            (change,) = connection.execute("SELECT min(created_ns) FROM outbox").fetchone()
        return any(moment is not None and moment < period.end_ns for moment in (tick, change))
