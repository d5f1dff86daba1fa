"""Directory: organisations, people, assets, cameras, residents' pseudonyms and key sites, in an SQLite file.

It has a rollback journal, not a WAL: an import in another process and the running centre then need no
agreement about checkpoints, and a reader sees either the whole of an import or nothing of it.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import asin, cos, radians, sin, sqrt
from pathlib import Path
from typing import Any

from alerts.centre.people.lists import LISTS, ListForm
from ingest.folders import make_folder

_INSIDE = (  # the codes of an organisation ?2 and of all that lies in it
    "WITH RECURSIVE inside (code) AS (SELECT code FROM organisations WHERE code = ?2"
    " UNION SELECT one.code FROM organisations AS one JOIN inside ON one.parent = inside.code)"
    " SELECT code FROM inside"
)
EARTH_M = 6_371_000.0
DEEPEST = 10  # organisations inside each other; deeper is a circle


@dataclass(frozen=True, slots=True)
class Organisation:
    """A territory, a centre, a department or an owner of things."""

    code: str
    kind: str
    name: str
    parent: str
    credit_code: str
    duty: str  # what it answers for, in the words of grades.toml: gas_company, maintenance …
    contacts: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may be called. `areas`: the organisations in which they serve beside their own."""

    id: str
    name: str
    org: str
    role: str
    contacts: str
    skills: tuple[str, ...]
    areas: tuple[str, ...]
    verified: bool


@dataclass(frozen=True, slots=True)
class Asset:
    """A thing with a place of channels.csv: where it lies and whose it is."""

    id: str
    name: str
    medium: str
    grid: str
    owner: str
    lat: float | None
    lon: float | None
    valve: str


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera, as a link."""

    id: str
    name: str
    grid: str
    lat: float
    lon: float
    link: str


@dataclass(frozen=True, slots=True)
class Resident:
    """Somebody with a wristband, by pseudonym alone; who they are is known to their carers."""

    pseudonym: str
    grid: str
    carers: tuple[str, ...]
    family: tuple[str, ...]
    consent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """A key site: an oil depot, a school, a hospital …"""

    id: str
    name: str
    industry: str
    grid: str
    lat: float
    lon: float
    places: tuple[str, ...]


def create(path: Path) -> None:
    """The file with its tables, if it is not there yet; sqlite3.Error or OSError when it cannot be used."""
    make_folder(path.parent)
    fresh = not path.exists()
    with writing(path) as connection:
        if fresh:
            path.chmod(0o600)  # names and telephone numbers live here
        for form in LISTS.values():
            connection.execute(_table(form))
        connection.execute("CREATE INDEX IF NOT EXISTS people_of_org ON people (org)")
        connection.execute("CREATE INDEX IF NOT EXISTS organisations_of_parent ON organisations (parent)")
        connection.execute("CREATE INDEX IF NOT EXISTS organisations_of_duty ON organisations (duty)")
        connection.execute("CREATE INDEX IF NOT EXISTS organisations_of_owner ON organisations (credit_code)")
        for name in ("assets", "cameras", "sites"):
            connection.execute(f"CREATE INDEX IF NOT EXISTS {name}_by_lat ON {name} (lat)")
            connection.execute(f"CREATE INDEX IF NOT EXISTS {name}_of_grid ON {name} (grid)")
        connection.execute("CREATE INDEX IF NOT EXISTS shifts_of_rota ON shifts (rota)")
        connection.execute("CREATE INDEX IF NOT EXISTS changes_of_rota ON changes (rota)")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS part (list TEXT, key TEXT, of TEXT, value TEXT,"
            " PRIMARY KEY (list, of, value, key)) STRICT, WITHOUT ROWID"
        )
        connection.execute("CREATE INDEX IF NOT EXISTS part_of_key ON part (list, key)")


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection in one transaction, which is undone where its `with` ends by an error."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_spill=OFF")  # readers are held up by the commit alone
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    finally:
        connection.close()


def put(connection: sqlite3.Connection, form: ListForm, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store rows of a list; one with a known key takes the place of the former."""
    names = [column.name for column in form.columns]
    marks = ", ".join("?" * len(names))
    connection.executemany(
        f"INSERT OR REPLACE INTO {form.name} ({_columns(names)}) VALUES ({marks})",
        [tuple(row[name] for name in names) for row in rows],
    )
    parts = [name for name in names if _is_several(form, name)]
    if parts:
        key = form.key
        connection.executemany(
            "DELETE FROM part WHERE list = ? AND key = ?", [(form.name, row[key]) for row in rows]
        )
        connection.executemany(
            "INSERT INTO part (list, key, of, value) VALUES (?, ?, ?, ?)",
            [(form.name, row[key], part, one) for row in rows for part in parts for one in row[part].split()],
        )


def drop_others(connection: sqlite3.Connection, form: ListForm, keys: Sequence[str]) -> int:
    """Forget the rows whose key is not among `keys`; how many there were."""
    connection.execute("CREATE TEMP TABLE kept (key TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.executemany("INSERT OR IGNORE INTO kept VALUES (?)", [(key,) for key in keys])
    gone = connection.execute(
        f"DELETE FROM {form.name} WHERE {form.key} NOT IN (SELECT key FROM kept)"
    ).rowcount
    connection.execute("DELETE FROM part WHERE list = ? AND key NOT IN (SELECT key FROM kept)", (form.name,))
    connection.execute("DROP TABLE kept")
    return gone


def keys(connection: sqlite3.Connection, name: str) -> set[str]:
    """The keys of a list."""
    return {row[0] for row in connection.execute(f"SELECT {LISTS[name].key} FROM {name}")}


class Directory:
    """Questions to the file, through one read-only connection that belongs to the thread that made it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30, isolation_level=None
        )

    def close(self) -> None:
        self._connection.close()

    @property
    def version(self) -> int:
        """Changes whenever another process stored something."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def counts(self) -> dict[str, int]:
        """How many rows each list has."""
        return {name: self._one(f"SELECT count(*) FROM {name}")[0] for name in LISTS}

    def organisation(self, code: str) -> Organisation | None:
        row = self._one("SELECT * FROM organisations WHERE code = ?", code)
        return Organisation(*row) if row else None

    def organisations(self, kind: str) -> list[Organisation]:
        rows = self._connection.execute("SELECT * FROM organisations WHERE kind = ? ORDER BY code", (kind,))
        return [Organisation(*row) for row in rows]

    def children(self, code: str) -> list[Organisation]:
        """The organisations right inside another; those inside none for ""."""
        rows = self._connection.execute(
            "SELECT * FROM organisations WHERE parent = ? ORDER BY kind, code", (code,)
        )
        return [Organisation(*row) for row in rows]

    def answering_for(self, duty: str) -> list[Organisation]:
        """Those who answer for a duty, such as gas_company."""
        rows = self._connection.execute("SELECT * FROM organisations WHERE duty = ? ORDER BY code", (duty,))
        return [Organisation(*row) for row in rows] if duty else []

    def owner(self, credit_code: str) -> Organisation | None:
        row = self._one("SELECT * FROM organisations WHERE credit_code = ? ORDER BY code", credit_code)
        return Organisation(*row) if row and credit_code else None

    def lineage(self, code: str) -> list[Organisation]:
        """An organisation and those around it, the smallest first."""
        found: list[Organisation] = []
        while code and len(found) < DEEPEST:
            one = self.organisation(code)
            if one is None or one in found:
                break
            found.append(one)
            code = one.parent
        return found

    def around(self, place: str) -> list[Organisation]:
        """The organisations around a place, its grid first; a place is an asset, a pseudonym or a code."""
        asset = self.asset(place)
        if asset is not None:
            return self.lineage(asset.grid)
        resident = self.resident(place)
        return self.lineage(resident.grid if resident is not None else place)

    def inside(self, code: str, area: str) -> bool:
        """Whether an organisation is, or lies in, `area`; everything lies in the area ""."""
        return not area or any(one.code == area for one in self.lineage(code))

    def person(self, id: str) -> Person | None:
        row = self._one("SELECT * FROM people WHERE person = ?", id)
        return _person(row) if row else None

    def people_of(self, org: str, roles: Sequence[str] = ()) -> list[Person]:
        """Those who belong to an organisation or serve in it, by id; of some roles, where named."""
        rows = self._connection.execute(
            "SELECT * FROM people WHERE org = ?1 OR person IN (SELECT key FROM part WHERE list = 'people'"
            " AND of = 'areas' AND value = ?1) ORDER BY person",
            (org,),
        )
        return [person for person in map(_person, rows) if not roles or person.role in roles]

    def roles_of(self, org: str) -> dict[str, int]:
        """How many people of each role an organisation has."""
        rows = self._connection.execute(
            "SELECT role, count(*) FROM people WHERE org = ? GROUP BY role", (org,)
        )
        return dict(rows.fetchall())

    def found(self, text: str, area: str, most: int) -> tuple[list[Organisation], list[Person]]:
        """Organisations and people in an area ("" = anywhere) whose name or id holds a text."""
        like = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        where = {
            "organisations": "(name LIKE ?1 ESCAPE '\\' OR code LIKE ?1 ESCAPE '\\')"
            f" AND (?2 = '' OR code IN ({_INSIDE}))",
            "people": "(name LIKE ?1 ESCAPE '\\' OR person LIKE ?1 ESCAPE '\\')"
            f" AND (?2 = '' OR org IN ({_INSIDE}))",
        }
        rows = {
            name: self._connection.execute(
                f"SELECT * FROM {name} WHERE {condition} ORDER BY 1 LIMIT ?3", (like, area, most)
            ).fetchall()
            for name, condition in where.items()
        }
        return [Organisation(*row) for row in rows["organisations"]], [_person(row) for row in rows["people"]]

    def things_in(self, grid: str, most: int) -> tuple[list[Asset], list[Camera], list[Site]]:
        """Assets, cameras and key sites of a grid; of each at most so many."""
        rows = {
            name: self._connection.execute(
                f"SELECT * FROM {name} WHERE grid = ? ORDER BY 1 LIMIT ?", (grid, most)
            ).fetchall()
            for name in ("assets", "cameras", "sites")
        }
        assets, cameras = [Asset(*row) for row in rows["assets"]], [Camera(*row) for row in rows["cameras"]]
        return assets, cameras, [_site(row) for row in rows["sites"]]

    def asset(self, id: str) -> Asset | None:
        """An asset by its place of channels.csv, or the nearest one around it: a.b.c lies in a.b."""
        while id:
            row = self._one("SELECT * FROM assets WHERE asset = ?", id)
            if row:
                return Asset(*row)
            id = id.rpartition(".")[0]
        return None

    def asset_near(self, lat: float, lon: float, medium: str, within_m: float) -> Asset | None:
        """The nearest asset of a medium ("" = of any)."""
        near = (Asset(*row) for _, row in self._near("assets", 5, lat, lon, within_m))
        return next((asset for asset in near if medium in ("", asset.medium)), None)

    def resident(self, pseudonym: str) -> Resident | None:
        row = self._one("SELECT * FROM residents WHERE pseudonym = ?", pseudonym)
        return Resident(row[0], row[1], *(tuple(cell.split()) for cell in row[2:])) if row else None

    def cameras_near(self, lat: float, lon: float, within_m: float = 300.0, most: int = 5) -> list[Camera]:
        """The nearest cameras, the nearest first."""
        return [Camera(*row) for _, row in self._near("cameras", 3, lat, lon, within_m)][:most]

    def sites_near(self, lat: float, lon: float, within_m: float) -> list[tuple[float, Site]]:
        """(metres, site), the nearest first."""
        return [(away, _site(row)) for away, row in self._near("sites", 4, lat, lon, within_m)]

    def sites_at(self, place: str) -> list[Site]:
        """The key sites that name a place as theirs."""
        rows = self._connection.execute(
            "SELECT * FROM sites WHERE site IN (SELECT key FROM part WHERE list = 'sites' AND of = 'places'"
            " AND value = ?) ORDER BY site",
            (place,),
        )
        return [_site(row) for row in rows]

    def site(self, id: str) -> Site | None:
        row = self._one("SELECT * FROM sites WHERE site = ?", id)
        return _site(row) if row else None

    def table(self, name: str, rota: str | None = None) -> list[dict[str, Any]]:
        """All rows of shifts, changes or rounds, or those of one rota, in the order of their keys."""
        form = LISTS[name]
        names = [column.name for column in form.columns]
        where = "WHERE rota = ?" if rota is not None else ""
        rows = self._connection.execute(
            f"SELECT {_columns(names)} FROM {name} {where} ORDER BY {form.key}", (rota,) if where else ()
        )
        return [dict(zip(names, row)) for row in rows]

    def rotas(self) -> list[str]:
        return [row[0] for row in self._connection.execute("SELECT DISTINCT rota FROM shifts ORDER BY rota")]

    def _near(
        self, name: str, column: int, lat: float, lon: float, within_m: float
    ) -> list[tuple[float, tuple[Any, ...]]]:
        band = within_m / EARTH_M * 57.3
        rows = self._connection.execute(
            f"SELECT * FROM {name} WHERE lat BETWEEN ? AND ?", (lat - band, lat + band)
        )
        found = [(distance_m(lat, lon, row[column], row[column + 1]), row) for row in rows]
        return sorted((away, row) for away, row in found if away <= within_m)

    def _one(self, statement: str, *values: Any) -> Any:
        return self._connection.execute(statement, values).fetchone()


def distance_m(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Metres between two points on the ground (haversine)."""
    rise, run = radians(other_lat - lat), radians(other_lon - lon)
    half = sin(rise / 2) ** 2 + cos(radians(lat)) * cos(radians(other_lat)) * sin(run / 2) ** 2
    return 2 * EARTH_M * asin(min(1.0, sqrt(half)))


def _person(row: Sequence[Any]) -> Person:
    id, name, org, role, contacts, skills, areas, verified = row
    return Person(id, name, org, role, contacts, tuple(skills.split()), tuple(areas.split()), bool(verified))


def _site(row: Sequence[Any]) -> Site:
    id, name, industry, grid, lat, lon, places = row
    return Site(id, name, industry, grid, lat, lon, tuple(places.split()))


def _table(form: ListForm) -> str:
    columns = [
        f'"{column.name}" {column.sql}{" PRIMARY KEY" if column.name == form.key else ""}'
        for column in form.columns
    ]
    return f"CREATE TABLE IF NOT EXISTS {form.name} ({', '.join(columns)}) STRICT, WITHOUT ROWID"


def _columns(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _is_several(form: ListForm, name: str) -> bool:
    return next(column for column in form.columns if column.name == name).several
