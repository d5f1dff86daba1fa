"""The house: which room may call which, where the fixed packages live, and that the pure rooms stay pure."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent
FLOORS = ("config", "ingest", "detectors", "alerts", "gateway")  # a folder imports only from those before it
BESIDE = "simulators"
FOLDERS = (*FLOORS, BESIDE)
SIMULATORS_MAY_IMPORT = {"config", "ingest.readings", "simulators"}
DETECTORS_MAY_IMPORT_FROM_INGEST = {"ingest.row", "ingest.readings"}
HOMES = {  # a fixed package is imported only below these paths
    "pymodbus": ("gateway/", "simulators/"),
    "paho": ("gateway/", "simulators/", "alerts/notifiers/mqtt.py"),
    "apscheduler": ("gateway/housekeeping.py",),
    "influxdb_client": ("ingest/influx.py",),
    "sqlite3": ("ingest/", "alerts/outbox.py", "alerts/standby.py", "alerts/centre/", "gateway/bench/"),
    "scipy": ("detectors/",),
    "pyarrow": ("ingest/", "simulators/", "gateway/bench/", "gateway/parts/", "gateway/machine.py"),
    "starlette": ("alerts/centre/",),
    "argon2": ("alerts/centre/",),
}
PURE = (
    *sorted(path.relative_to(HOUSE).as_posix() for path in (HOUSE / "detectors").glob("*.py")),
    "ingest/window.py",
    "ingest/inbox.py",
    "ingest/readings.py",
    "ingest/row.py",
    "ingest/ticks.py",
    "alerts/alert.py",
    "alerts/belief.py",
    "alerts/board.py",
    "alerts/incidents.py",
    "alerts/lifecycle.py",
    "alerts/orders.py",
    "alerts/overlays.py",
    "alerts/plots.py",
    "alerts/raising.py",
    "alerts/roll.py",
    "alerts/rules.py",
    "alerts/states.py",
    "alerts/telling.py",
    "alerts/upstream.py",
    "alerts/why.py",
    "alerts/boards.py",
    "alerts/chances.py",
    "alerts/judging.py",
    "alerts/pooling.py",
    "alerts/truth.py",
    "gateway/hearing.py",
    "gateway/pastdays.py",
    "gateway/watch.py",
    "gateway/registers.py",
    "gateway/payloads.py",
)
WAITS_OR_FAILS = {
    "asyncio", "http", "influxdb_client", "os", "paho", "pyarrow", "pymodbus", "queue", "random", "select",
    "selectors", "shutil", "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "time",
    "urllib", "urllib3",
}  # fmt: skip


def files() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (HOUSE / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it; `from x import y` yields both x and x.y."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(path: Path) -> str:
    return path.relative_to(HOUSE).as_posix()


def ours(path: Path) -> set[str]:
    return {name for name in imports(path) if name.partition(".")[0] in FOLDERS}


@pytest.mark.parametrize("path", files(), ids=name_of)
def test_imports_run_downhill(path: Path) -> None:
    folder = path.relative_to(HOUSE).parts[0]
    if folder == BESIDE:
        strangers = {
            name
            for name in ours(path)
            if not any(f"{name}.".startswith(f"{may}.") for may in SIMULATORS_MAY_IMPORT)
        }
        strangers.discard("ingest")
    else:
        below = FLOORS[: FLOORS.index(folder) + 1]
        strangers = {name for name in ours(path) if name.partition(".")[0] not in below}
    assert not strangers, f"{name_of(path)} may not import {sorted(strangers)}"


def test_detectors_know_only_rows_and_readings_of_the_stream() -> None:
    for path in (HOUSE / "detectors").rglob("*.py"):
        modules = {
            node.module
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ingest")
        }
        assert modules <= DETECTORS_MAY_IMPORT_FROM_INGEST, f"{name_of(path)}: {modules}"


@pytest.mark.parametrize("package", HOMES)
def test_a_fixed_package_is_used_only_in_its_home(package: str) -> None:
    for path in files():
        if package in {name.partition(".")[0] for name in imports(path)}:
            assert name_of(path).startswith(HOMES[package]), f"{name_of(path)} imports {package}"


@pytest.mark.parametrize("name", PURE)
def test_a_pure_room_imports_nothing_that_can_wait_sleep_or_fail(name: str) -> None:
    tops = {module.partition(".")[0] for module in imports(HOUSE / name)}
    assert not tops & WAITS_OR_FAILS, f"{name} imports {sorted(tops & WAITS_OR_FAILS)}"


@pytest.mark.parametrize("path", files(), ids=name_of)
def test_the_first_line_of_each_file_is_the_sign_on_its_door(path: Path) -> None:
    sign = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert sign, f"{name_of(path)} has no docstring"
    assert path.read_text(encoding="utf-8").startswith('"""')
    if path.name == "__init__.py":
        assert len(path.read_text(encoding="utf-8").splitlines()) == 1, (
            "a folder's __init__.py holds only its sign"
        )


def test_nobody_imports_the_simulators() -> None:
    for path in files():
        if path.relative_to(HOUSE).parts[0] != BESIDE:
            assert not {name for name in ours(path) if name.startswith(BESIDE)}, name_of(path)


def test_our_config_package_is_ours_and_not_a_strangers() -> None:
    spec = importlib.util.find_spec("config")
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).resolve() == HOUSE / "config" / "__init__.py"
