"""Routing: who is called about what and when, what reports mean, what key sites change (routing.toml)."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from config.errors import SettingsError
from config.forms import Seconds, fill
from config.grades import GRADES, GradeName
from config.tomlfile import read_toml

FILE = Path(__file__).with_name("routing.toml")
INDUSTRIES = 13  # classes of key sites that the district keeps


@dataclass(frozen=True)
class Ladder:
    """How long the people called about one grade have, and when the next ones are called."""

    acknowledge_s: Seconds
    arrive_s: Seconds
    climb_s: tuple[Seconds, ...]
    repeat_s: Seconds
    at_once: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """Kinds that go to the territory first."""

    incidents: tuple[str, ...]


@dataclass(frozen=True)
class Police:
    """Kinds that sensors notice and that are for 110 too; the hub keeps the case."""

    copied: tuple[str, ...] = ("wandering",)


@dataclass(frozen=True)
class Volunteers:
    """What volunteers may be sent to."""

    volunteer_ok: tuple[str, ...]
    never_media: tuple[str, ...]

    def may_go(self, medium: str, kind: str, *, police: bool) -> bool:
        return kind in self.volunteer_ok and medium not in self.never_media and not police


@dataclass(frozen=True)
class Category:
    """What people report, and what it becomes here."""

    medium: str
    kind: str
    title: str
    title_zh: str
    police: bool = False


@dataclass(frozen=True)
class Merging:
    """When a report and a sensor speak of one thing."""

    near_m: float
    within_s: Seconds


@dataclass(frozen=True)
class SiteClass:
    """One class of key sites, and by how many grades it raises what happens beside it, by medium."""

    name_zh: str
    radius_m: float
    raises: dict[str, int] = field(default_factory=dict)

    def raised(self, grade: str, medium: str) -> str:
        """The grade at such a site; P4, which is information, stays what it is."""
        if grade not in GRADES or grade == "P4":
            return grade
        return GRADES[max(0, GRADES.index(grade) - self.raises.get(medium, 0))]


@dataclass(frozen=True)
class Routing:
    """The whole file."""

    ladder: dict[GradeName, Ladder]
    order: Order
    volunteers: Volunteers
    category: dict[str, Category]
    merging: Merging
    site_class: dict[str, SiteClass]
    police: Police = field(default_factory=Police)


@cache
def read_routing(path: Path = FILE) -> Routing:
    """The routing of a file, or the built-in one; SettingsError lists every mistake with its line."""
    file = read_toml(path)
    routing = fill(Routing, file.data, file.mistake)
    wrong = [
        file.mistake(("ladder", grade), f"ladder.{grade} is missing; each grade needs one")
        for grade in GRADES
        if grade not in routing.ladder
    ]
    for grade, ladder in routing.ladder.items():
        if list(ladder.climb_s) != sorted(set(ladder.climb_s)) or not ladder.climb_s:
            wrong.append(file.mistake(("ladder", grade, "climb_s"), "must rise, and name at least one time"))
    if wrong:
        raise SettingsError(wrong)
    return routing
