"""Figures: what a stage of the bench says, and how two things are measured side by side."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table. `floor`: the least that the same work can cost, measured in the same run."""

    stage: str
    name: str
    value: float | None  # None: not measured, `note` says why
    unit: str
    floor: float | None = None
    beside: str = ""  # what the floor is
    goal: str = ""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Value over floor."""
        return self.value / self.floor if self.value is not None and self.floor else None

    def as_dict(self) -> dict[str, str | float | None]:
        return {
            "stage": self.stage,
            "name": self.name,
            "figure": self.value,
            "unit": self.unit,
            "floor": self.floor,
            "ratio": self.ratio,
            "beside": self.beside,
            "goal": self.goal,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure, and where files may be written."""

    folder: Path
    quick: bool = False

    def of(self, full: int, quick: int) -> int:
        return quick if self.quick else full


def cpu_us(work: Callable[[], object]) -> float:
    """Microseconds of user and system time of this process, all its threads, while `work` runs."""
    begin = time.process_time_ns()
    work()
    return (time.process_time_ns() - begin) / 1e3


def side_by_side(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Least CPU microseconds of each, run in turn: what else the machine does hits all alike."""
    costs = [[cpu_us(work) for work in works] for _ in range(rounds)]
    return [min(column) for column in zip(*costs)]


def written_bytes() -> int | None:
    """What this process has handed to write calls so far; None where the system does not tell."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("wchar:")), None)
