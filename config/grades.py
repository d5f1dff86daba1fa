"""Grades: what each kind of event means for people: grade, first tier, owner, advice, why (grades.toml)."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from config.errors import SettingsError
from config.forms import fill
from config.tomlfile import read_toml

FILE = Path(__file__).with_name("grades.toml")
GradeName = Literal["P1", "P2", "P3", "P4"]
GRADES: tuple[GradeName, ...] = get_args(GradeName)
FAULT = "sensor_fault:"
ANY = "any"


@dataclass(frozen=True)
class Grading:
    """One kind of event: what it is worth and what to do about it."""

    grade: GradeName  # at severity ALARM
    tier: Literal["community", "sub-district", "district"]
    owner: str
    title: str
    title_zh: str
    advice: str
    advice_zh: str
    why: str

    @property
    def actionable(self) -> bool:
        """Someone must act on it; P4 is information."""
        return self.grade != "P4"


@dataclass(frozen=True)
class Faults:
    """What all sensor faults have in common."""

    grade: GradeName
    life_safety_grade: GradeName
    life_safety_quantities: tuple[str, ...]
    tier: Literal["community", "sub-district", "district"]
    owner: str


@dataclass(frozen=True)
class FaultText:
    """One kind of sensor fault."""

    title: str
    title_zh: str
    advice: str
    advice_zh: str
    why: str


@dataclass(frozen=True)
class Announced:
    """What announced works or a holiday do to the grade of the kinds they explain (all, if none is named)."""

    why: str
    lowers: int = 0
    to: GradeName | None = None
    test: bool = False
    explains: tuple[str, ...] = ()
    reach: Literal["place", "zone"] = "place"  # zone: it is felt in all of the zone of its place

    def lowered(self, grade: GradeName) -> GradeName:
        """The grade that is left; never higher than it was."""
        number = GRADES.index(grade) + self.lowers
        if self.to is not None:
            number = max(number, GRADES.index(self.to))
        return GRADES[min(number, len(GRADES) - 1)]


@dataclass(frozen=True)
class Grades:
    """The whole file. `kind` by medium (or `any`) and name; `planned` by its kind, `default` for others."""

    faults: Faults
    kind: dict[str, dict[str, Grading]]
    fault: dict[str, FaultText]
    planned: dict[str, Announced] = field(default_factory=dict)

    def knows(self, medium: str, kind: str) -> bool:
        """Whether the file names such a kind, or it is a sensor's fault."""
        return kind.startswith("sensor_fault:") or any(
            kind in self.kind.get(table, {}) for table in (medium, ANY)
        )

    def of(self, medium: str, kind: str, *, quantity: str = "") -> Grading:
        """The grading of a kind; one that nobody wrote down counts as `unknown`.

        quantity matters for sensor faults: a life-safety gas detector at fault is worth more.
        """
        if kind.startswith(FAULT):
            return self._of_fault(medium, kind.removeprefix(FAULT), quantity)
        for table in (self.kind.get(medium, {}), self.kind[ANY]):
            if kind in table:
                return table[kind]
        return self.kind[ANY]["unknown"]

    def announced(self, kind: str) -> Announced:
        """What an announcement of this kind does."""
        return self.planned.get(kind) or self.planned.get("default") or Announced("announced", lowers=1)

    def is_life_safety(self, medium: str, quantity: str) -> bool:
        """A detector whose word no sensor fault may silence."""
        return medium != "wristband" and quantity in self.faults.life_safety_quantities

    def _of_fault(self, medium: str, name: str, quantity: str) -> Grading:
        text = self.fault.get(name)
        if text is None:
            text = FaultText(
                f"sensor fault: {name}",
                f"传感器故障:{name}",
                "Check the sensor.",
                "检查传感器。",
                "Not listed.",
            )
        risky = self.is_life_safety(medium, quantity)
        grade = self.faults.life_safety_grade if risky else self.faults.grade
        return Grading(
            grade,
            self.faults.tier,
            self.faults.owner,
            text.title,
            text.title_zh,
            text.advice,
            text.advice_zh,
            text.why,
        )


@cache
def read_grades(path: Path = FILE) -> Grades:
    """The grades of a file, or the built-in ones; SettingsError lists every mistake with its line."""
    file = read_toml(path)
    grades = fill(Grades, file.data, file.mistake)
    missing = {"unknown", "limit"} - grades.kind.get(ANY, {}).keys()
    if missing:
        raise SettingsError(
            [f"{path.name}: kind.any.{name} is missing; what is not listed needs it" for name in missing]
        )
    return grades
