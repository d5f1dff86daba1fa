"""Lists: what can be imported; the columns of each list, how their cells are read, what they refer to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from alerts.centre.people import cells
from alerts.centre.people.cells import Read
from config.routing import read_routing

ORGANISATIONS = (
    "district",
    "sub_district",
    "community",
    "grid",
    "centre",
    "police",
    "government_service",
    "urban_management",
    "department",
    "owner",
)
TERRITORY = ORGANISATIONS[:4]  # from the whole to its smallest part
ROLES = ("chief", "duty", "responder", "grid_1", "grid_2", "grid_3", "volunteer")
POSTS = ("primary", "backup")


@dataclass(frozen=True)
class Column:
    """One column of a list. `refers` names the list in which every name of the cell must stand."""

    name: str
    read: Read
    sql: str = "TEXT"
    needed: bool = False
    usual: Any = ""  # the value of an empty cell
    refers: str = ""
    example: str = ""

    @property
    def several(self) -> bool:
        """Whether a cell holds several names."""
        return self.read is cells.words


@dataclass(frozen=True)
class ListForm:
    """One list; its first column is its key. `judge` says what is wrong between the cells of a row."""

    name: str
    columns: tuple[Column, ...]
    judge: Callable[[Mapping[str, Any]], Mapping[str, str]] = lambda row: {}
    forbidden: tuple[str, ...] = ()  # columns that must not come in at all

    @property
    def key(self) -> str:
        return self.columns[0].name


def _judge_organisation(row: Mapping[str, Any]) -> dict[str, str]:
    wrong = {}
    if row["kind"] == "owner" and not row["credit_code"]:
        wrong["credit_code"] = "an owner is known by its credit code; add it"
    if row["kind"] == "owner" and not row["duty"]:
        wrong["duty"] = "missing; write whose things it owns, such as gas_company"
    if row["kind"] in TERRITORY[1:] and not row["parent"]:
        wrong["parent"] = f"a {row['kind']} lies in another organisation; write its code"
    return wrong


def _judge_person(row: Mapping[str, Any]) -> dict[str, str]:
    if row["role"] == "volunteer" and not row["verified"]:
        return {"verified": "volunteers serve under their real name: verify it, then write yes"}
    if not row["contacts"] and row["role"] != "volunteer":
        return {"contacts": "nobody can call this person; write at least one, such as sms:+8613800000000"}
    return {}


def _judge_place(row: Mapping[str, Any]) -> dict[str, str]:
    if (row["lat"] is None) != (row["lon"] is None):
        return {"lat" if row["lat"] is None else "lon": "missing; lat and lon go together"}
    return {}


def _judge_days(row: Mapping[str, Any]) -> dict[str, str]:
    if row["last"] and row["last"] < row["first"]:
        return {"last": f"{row['last']} is before first {row['first']}"}
    return {}


_LAT = Column("lat", cells.number(-90, 90, "degrees, WGS-84"), "REAL", usual=None, example="30.6612")
_LON = Column("lon", cells.number(-180, 180, "degrees, WGS-84"), "REAL", usual=None, example="104.1203")
_GRID = Column("grid", cells.identity, refers="organisations", needed=True, example="510108014001-03")
_DAYS = (
    Column("first", cells.day, needed=True, example="2026-01-01"),
    Column("last", cells.day, example="2026-12-31"),
    Column("every_days", cells.whole(1, 366), "INTEGER", usual=1, example="2"),
    Column("timezone", cells.zone, usual="Asia/Shanghai", example="Asia/Shanghai"),
)
_CLASSES = tuple(read_routing().site_class)

LISTS: Mapping[str, ListForm] = {
    form.name: form
    for form in (
        ListForm(
            "organisations",
            (
                Column("code", cells.identity, needed=True, example="510108014001"),
                Column("kind", cells.one_of(*ORGANISATIONS), needed=True, example="community"),
                Column("name", cells.text, needed=True, example="Taoyuan community"),
                Column("parent", cells.identity, refers="organisations", example="510108014"),
                Column("credit_code", cells.credit_code, example="91350100M000100Y43"),
                Column("duty", cells.identity, example="gas_company"),
                Column("contacts", cells.contacts, example="phone:96966"),
            ),
            _judge_organisation,
        ),
        ListForm(
            "people",
            (
                Column("person", cells.identity, needed=True, example="w-00017"),
                Column("name", cells.text, needed=True, example="李伟"),
                Column("org", cells.identity, refers="organisations", needed=True, example="510108014001"),
                Column("role", cells.one_of(*ROLES), needed=True, example="grid_2"),
                Column("contacts", cells.contacts, example="sms:+8613800000000; wecom:li.wei"),
                Column("skills", cells.words, example="first_aid; gas"),
                Column("areas", cells.words, refers="organisations", example="510108014001-03"),
                Column("verified", cells.yes_or_no, "INTEGER", usual=0, example="yes"),
            ),
            _judge_person,
        ),
        ListForm(
            "assets",
            (
                Column("asset", cells.identity, needed=True, example="gas.block3.riser"),
                Column("name", cells.text, example="riser of block 3"),
                Column("medium", cells.one_of("gas", "water", "power"), needed=True, example="gas"),
                _GRID,
                Column("owner", cells.credit_code, example="91350100M000100Y43"),
                _LAT,
                _LON,
                Column("valve", cells.identity, example="gas.street5.valve-2"),
            ),
            _judge_place,
        ),
        ListForm(
            "cameras",
            (
                Column("camera", cells.identity, needed=True, example="cam-0017"),
                Column("name", cells.text, example="gate of block 3"),
                _GRID,
                Column("lat", _LAT.read, "REAL", needed=True, example=_LAT.example),
                Column("lon", _LON.read, "REAL", needed=True, example=_LON.example),
                Column("link", cells.link, example="https://video.example/cam/17"),
            ),
        ),
        ListForm(
            "residents",
            (
                Column("pseudonym", cells.identity, needed=True, example="r-7f3a"),
                _GRID,
                Column("carers", cells.words, refers="people", example="w-00017"),
                Column("family", cells.words, example="family-7f3a"),
                Column("consent", cells.words, example="fhir"),
            ),
            forbidden=(
                "name",
                "phone",
                "mobile",
                "id_number",
                "address",
                "姓名",
                "电话",
                "手机",
                "身份证",
                "住址",
            ),
        ),
        ListForm(
            "sites",
            (
                Column("site", cells.identity, needed=True, example="site-012"),
                Column("name", cells.text, needed=True, example="fuel station at the east gate"),
                Column("class", cells.one_of(*_CLASSES), needed=True, example="fuel_station"),
                _GRID,
                Column("lat", _LAT.read, "REAL", needed=True, example=_LAT.example),
                Column("lon", _LON.read, "REAL", needed=True, example=_LON.example),
                Column("places", cells.words, example="gas.block3.riser"),
            ),
        ),
        ListForm(
            "shifts",
            (
                Column("shift", cells.identity, needed=True, example="desk-early-1"),
                Column("rota", cells.identity, refers="organisations", needed=True, example="hub"),
                Column("person", cells.identity, refers="people", needed=True, example="w-00017"),
                Column("post", cells.one_of(*POSTS), usual="primary", example="primary"),
                Column("start", cells.clock, needed=True, example="08:00"),
                Column("end", cells.clock, needed=True, example="16:00"),
                *_DAYS,
            ),
            _judge_days,
        ),
        ListForm(
            "changes",
            (
                Column("change", cells.identity, needed=True, example="swap-2026-01-05"),
                Column("rota", cells.identity, refers="organisations", needed=True, example="hub"),
                Column("start", cells.moment, needed=True, example="2026-01-05T08:00:00+08:00"),
                Column("end", cells.moment, needed=True, example="2026-01-05T16:00:00+08:00"),
                Column("instead_of", cells.identity, refers="people", example="w-00017"),
                Column("person", cells.identity, refers="people", needed=True, example="w-00018"),
                Column("reason", cells.text, example="swapped"),
            ),
        ),
        ListForm(
            "rounds",
            (
                Column("round", cells.identity, needed=True, example="round-012-evening"),
                Column("site", cells.identity, refers="sites", needed=True, example="site-012"),
                Column("rota", cells.identity, refers="organisations", needed=True, example="510108014"),
                Column("start", cells.clock, needed=True, example="19:00"),
                Column("within_min", cells.whole(5, 1440), "INTEGER", usual=120, example="120"),
                *_DAYS,
            ),
            _judge_days,
        ),
    )
}
