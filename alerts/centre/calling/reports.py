"""Reports: what people tell the centre, by hotline, app, at the counter, from a camera or from 110."""

import re
import sqlite3
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from alerts.alert import rfc3339
from alerts.centre.calling import noticed
from alerts.centre.calling.attending import Attending
from alerts.centre.desk import Desk
from alerts.centre.events import CENTRE_SOURCE, Fact, Id, Word, nanoseconds
from config.grades import read_grades
from config.routing import Category, Routing

Channel = Literal["hotline", "app", "walk_in", "camera", "110", "12345", "partner"]
OLD_S = 7 * 86_400  # reports about longer ago are refused: nobody can go and look
AHEAD_S = 300  # how far a reporter's clock may be ahead
_NUMBER = re.compile(r"\+?\d(?:[ -]?\d){6,}")

_TEXT = (  # what the centre itself noted: found by the index, however much the gateways have told
    "WITH told AS (SELECT incident, CAST(data AS TEXT) AS data FROM fact"
    f" WHERE source = '{CENTRE_SOURCE}' AND type = '{{}}')"
)
_REPORTED = (
    _TEXT.format("city.linkage.alert.raised.v1")
    + " SELECT data ->> '$.report.channel', data ->> '$.kind', data ->> '$.flag', count(*) FROM told"
    " WHERE data ->> '$.report.channel' IS NOT NULL GROUP BY 1, 2, 3"
)
_MERGED = _TEXT.format("city.linkage.case.merged.v1")
_MERGED += " SELECT count(*) FROM told WHERE incident LIKE 'centre/%'"
_CALLED = _TEXT.format("city.linkage.case.summoned.v1")
_HANDED = (
    _CALLED + " SELECT count(DISTINCT incident),"
    " count(DISTINCT CASE WHEN incident NOT LIKE 'centre/%' THEN incident END)"
    " FROM told, json_each(told.data, '$.steps') AS step WHERE step.value = 'police'"
)
_STRANGE = _CALLED + " SELECT count(DISTINCT incident) FROM told WHERE data ->> '$.flag' IS NOT NULL"


class ReportRefused(Exception):
    """It cannot be taken like this; the text names the field and what to do."""


class Report(Struct, frozen=True, forbid_unknown_fields=True):
    """One report. Who reported stays with the channel; its own number finds them again."""

    id: Id  # the channel's number of it: sent twice, it is taken once
    channel: Channel
    category: Word
    text: Annotated[str, Meta(max_length=1000)] = ""
    place: Word = ""  # an asset, a grid or another organisation's code
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    lon: Annotated[float, Meta(ge=-180, le=180)] | None = None
    at: datetime | None = None  # when it happened; without it, now


class Taken(Struct, frozen=True):
    """What became of a report."""

    incident: str
    merged: bool = False  # into what sensors had already noticed
    police: bool = False
    flagged: bool = False  # its category is not known: the hub decides
    repeated: bool = False


class Reports:
    """The way in. `source` in `take` says who vouches for it: a member of staff, or a partner."""

    def __init__(self, desk: Desk, attending: Attending, routing: Routing) -> None:
        self.desk = desk
        self.attending = attending
        self.routing = routing

    def read(self, body: bytes) -> Report:
        """ReportRefused names the field that is wrong."""
        try:
            report = msgspec.json.decode(body, type=Report)
        except msgspec.ValidationError as error:
            problem, _, path = str(error).partition(" - at `$")
            raise ReportRefused(f"{path.strip('.`') or 'report'}: {problem}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ReportRefused(f"report: not JSON: {error}") from error
        return report

    async def take(self, report: Report, source: str) -> Taken:
        """Store a report, and say which incident it belongs to. The same id of a source is taken once."""
        now_ns = self.desk.clock()
        fact, category = self._alarm(report, source, now_ns)

        def work(connection: sqlite3.Connection) -> list[Fact]:
            return self.desk.append(connection, [fact])

        stored = await self.desk.record(work)
        await self.attending.attend({fact.incident})
        incident = self.desk.board.incidents[fact.incident]
        key = self.desk.board.moved_to(incident) or incident.key
        return Taken(
            key,
            merged=key != fact.incident,
            police=category is not None and category.police,
            flagged=category is None,
            repeated=not stored,
        )

    def _alarm(self, report: Report, source: str, now_ns: int) -> tuple[Fact, Category | None]:
        category = self.routing.category.get(report.category)
        medium, kind = (category.medium, category.kind) if category else ("", "unknown")
        at_ns = self._when(report, now_ns)
        title = category.title if category else f"unknown category {report.category!r}"
        said = _NUMBER.sub("•••", " ".join(report.text.split()))
        grading = read_grades().of(medium, kind)
        more: dict[str, Any] = {
            "title": category.title if category else grading.title,
            "title_zh": category.title_zh if category else grading.title_zh,
            "report": {
                "channel": report.channel,
                "category": report.category,
                "id": report.id,
                "source": source,
            },
        }
        if category is None:  # to the hub, marked: never dropped (domain facts §12)
            more |= {"tier": "district", "flag": "unknown_category"}
        because = (
            f"Reported by {report.channel} at {rfc3339(at_ns)}: {title}" + (f": {said}" if said else "") + "."
        )
        place = self._place(report)
        fact = noticed.raised(
            "report", f"{source}/{report.id}", medium, kind, place, because, at_ns, now_ns, **more
        )
        return fact, category

    def _when(self, report: Report, now_ns: int) -> int:
        if report.at is None:
            return now_ns
        if report.at.tzinfo is None:
            raise ReportRefused("at: has no zone; write it like 2026-01-05T02:00:00+08:00")
        at_ns = nanoseconds(report.at)
        if at_ns > now_ns + AHEAD_S * 10**9 or at_ns < now_ns - OLD_S * 10**9:
            raise ReportRefused(f"at: {report.at.isoformat()} lies ahead, or more than a week back")
        return min(at_ns, now_ns)

    def _place(self, report: Report) -> str:
        """The asset or organisation that it names, else the nearest asset to its position."""
        if (report.lat is None) != (report.lon is None):
            raise ReportRefused("lat and lon go together: one needs the other")
        if report.place:
            return report.place
        if report.lat is None or report.lon is None:
            raise ReportRefused("place: missing; say an asset, a grid or community, or lat and lon")
        category = self.routing.category.get(report.category)
        directory = self.attending.receivers.directory
        near = directory.asset_near(
            report.lat, report.lon, category.medium if category else "", self.routing.merging.near_m
        )
        return near.id if near is not None else f"{report.lat:.5f},{report.lon:.5f}"


def counts(desk: Desk) -> dict[str, Any]:
    """What came and went between the centres, from the record: nothing is dropped between the two."""
    with desk.casebook.reading() as connection:
        rows = connection.execute(_REPORTED).fetchall()
        merged = connection.execute(_MERGED).fetchone()[0]
        handed, noticed_by_sensors = connection.execute(_HANDED).fetchone()
        strange = connection.execute(_STRANGE).fetchone()[0]
    by_channel: dict[str, int] = {}
    police = flagged = 0
    for channel, kind, flag, many in rows:
        by_channel[channel] = by_channel.get(channel, 0) + many
        police += many if kind == "police_matter" else 0
        flagged += many if flag == "unknown_category" else 0
    return {
        "reports": sum(by_channel.values()),
        "by_channel": by_channel,
        "merged_with_sensors": merged,
        "police_matters": police,
        "handed_to_110": handed,
        "handed_to_110_from_sensors": noticed_by_sensors,
        "taken_over_from_110": by_channel.get("110", 0),
        "flagged_unknown": flagged,
        "flagged_unknown_of_sensors": strange,
    }
