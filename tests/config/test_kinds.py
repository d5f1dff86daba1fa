"""Kinds: a kind is a file; one elsewhere is an import path."""

import re
from pathlib import Path
from typing import Any

import pytest

from config.errors import SettingsError
from config.kinds import build, check, class_name, kind_class, kinds
from config.tomlfile import Place

SEEP = """
from dataclasses import dataclass
from pathlib import Path

from config.forms import FilePath, Seconds


@dataclass(frozen=True)
class NightSeep:
    floor: float  # least flow that counts
    hold_s: Seconds = 60.0
    table: FilePath | None = None
"""


def told(place: Place, text: str) -> str:
    return f"{'.'.join(map(str, place))}: {text}"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "wl_acme_kinds"
    folder.mkdir()
    (folder / "__init__.py").write_text("", "utf-8")
    (folder / "night_seep.py").write_text(SEEP, "utf-8")
    (folder / "needy.py").write_text("import wl_no_such_package\n", "utf-8")
    (folder / "empty.py").write_text("", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return "wl_acme_kinds"


def test_the_kinds_of_a_folder_are_its_files() -> None:
    assert "modbus" in kinds("gateway.sources")
    assert "base" not in kinds("gateway.sources")
    assert "jump" in kinds("detectors")
    assert not {"base", "findings", "panel", "bank"} & set(kinds("detectors"))


@pytest.mark.parametrize("folder", ["gateway.sources", "detectors", "alerts.notifiers"])
def test_each_kind_of_the_house_can_be_loaded(folder: str) -> None:
    for kind in kinds(folder):
        assert kind_class(folder, kind).__name__ == class_name(kind)


def test_a_file_name_in_snake_case_is_a_class_in_camel_case() -> None:
    assert class_name("night_flow") == "NightFlow"


def test_an_unknown_kind_names_the_nearest_file() -> None:
    with pytest.raises(
        SettingsError, match=re.escape("there is no gateway/sources/modbs.py; did you mean modbus?")
    ):
        kind_class("gateway.sources", "modbs")


@pytest.mark.parametrize("kind", ["base", "../etc", "os;", "", "Modbus", "__init__"])
def test_nothing_but_a_kind_is_a_kind(kind: str) -> None:
    with pytest.raises(SettingsError):
        kind_class("gateway.sources", kind)


def test_a_dotted_kind_is_a_module_elsewhere(elsewhere: str, tmp_path: Path) -> None:
    seep: Any = build(
        "detectors", f"{elsewhere}.night_seep", {"floor": 2, "hold_s": "5m", "table": "t"}, "w", tmp_path
    )
    assert (seep.floor, seep.hold_s, seep.table) == (2.0, 300.0, tmp_path / "t")


def test_every_mistake_in_the_options_is_told_at_once(elsewhere: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        build(
            "detectors",
            f"{elsewhere}.night_seep",
            {"flor": 2, "hold_s": float("inf")},
            "gateway.toml:12: watching[0]",
        )
    assert refusal.value.mistakes == (
        "gateway.toml:12: watching[0].floor: missing; add floor = … (least flow that counts)",
        "gateway.toml:12: watching[0].hold_s: must be a finite number, not inf",
        "gateway.toml:12: watching[0].flor: unknown key; did you mean floor? (its value: 2)",
    )


def test_what_defaults_will_fill_in_may_be_missing(elsewhere: str) -> None:
    kind = f"{elsewhere}.night_seep"
    assert check("detectors", kind, {}, told, complete=False) == []
    assert len(check("detectors", kind, {}, told)) == 1


@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        ("needy", "pip install wl_no_such_package"),
        ("nothere", "PYTHONPATH"),
        ("empty", "must hold a dataclass Empty"),
    ],
)
def test_a_module_that_cannot_serve_says_why(elsewhere: str, module: str, remedy: str) -> None:
    (mistake,) = check("detectors", f"{elsewhere}.{module}", {}, told)
    assert mistake.startswith("kind: ")
    assert remedy in mistake
