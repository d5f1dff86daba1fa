"""Rig: its share in CI: cuts of power, sick disks, cut wires, damaged files; kills are in test_crash.py."""

import random
from pathlib import Path

import pytest

from tests.rig import cuts, damage, faults, outages
from tests.rig.disk import SECTOR, Disk
from tests.rig.tape import Event
from tests.rig.verdict import Trial, clopper_pearson, report, tallied

SEED = 20
CUTS = 60
EACH = 3  # of each kind of outage and of sick disk
DAMAGES = 3  # of each kind of file


def held(trials: list[Trial]) -> None:
    """Every trial went well; else the report, with the command that repeats the failure."""
    tallies = tallied(trials)
    print(report(tallies))
    assert not any(tally.failed for tally in tallies.values()), report(tallies)


def test_nothing_acknowledged_is_lost_when_the_power_goes(tmp_path: Path) -> None:
    held(list(cuts.trials(tmp_path, SEED, CUTS)))


def test_a_full_broken_or_slow_disk_loses_nothing(tmp_path: Path) -> None:
    held(list(faults.trials(tmp_path, SEED, EACH)))


def test_broker_influxdb_and_centre_may_go_as_they_like(tmp_path: Path) -> None:
    held(list(outages.trials(tmp_path, SEED, EACH)))


def test_damaged_files_stop_no_start_and_are_counted(tmp_path: Path) -> None:
    held(list(damage.trials(tmp_path, SEED, DAMAGES)))


def states(events: list[Event], folders: tuple[str, ...] = ("/r",)) -> list[dict[str, bytes | None]]:
    """Many states in which a disk may be after these events."""
    disk = Disk({}, folders)
    for event in events:
        disk.follow(event)
    return [disk.after_power_cut(random.Random(seed)) for seed in range(300)]


def synced(path: str, number: int) -> list[Event]:
    return [Event("sync", path, at=number), Event("synced", path, at=number)]


WRITTEN = [Event("create", "/r/a"), Event("write", "/r/a", b"x" * 2 * SECTOR)]


def test_a_name_is_not_safe_before_its_folder_was_synced() -> None:
    with_content = states([*WRITTEN, *synced("/r/a", 1)])
    with_both = states([*WRITTEN, *synced("/r/a", 1), *synced("/r", 2)])

    assert {"/r/a" in state for state in with_content} == {True, False}
    assert all(state["/r/a"] == b"x" * 2 * SECTOR for state in with_both)


def test_what_was_not_synced_is_torn_at_sectors() -> None:
    found = {state["/r/a"] for state in states([*WRITTEN, *synced("/r", 1)])}

    assert found == {
        b"",
        b"x" * SECTOR,
        b"x" * 2 * SECTOR,
        bytes(SECTOR) + b"x" * SECTOR,
    }


def test_a_write_during_a_sync_is_not_covered_by_it() -> None:
    late = Event("write", "/r/a", b"y", at=2 * SECTOR)
    sync, done = synced("/r/a", 2)
    found = {state["/r/a"] for state in states([*WRITTEN, *synced("/r", 1), sync, late, done])}

    assert found == {b"x" * 2 * SECTOR, b"x" * 2 * SECTOR + b"y"}


def test_a_renaming_that_was_not_synced_leaves_the_old_or_the_new() -> None:
    events = [*WRITTEN, *synced("/r/a", 1), *synced("/r", 2), Event("rename", "/r/a", to="/r/b")]
    found = {tuple(sorted(state)) for state in states(events)}

    assert ("/r", "/r/a") in found
    assert ("/r", "/r/b") in found


def test_a_folder_that_was_never_synced_takes_its_files_along() -> None:
    events = [Event("mkdir", "/r/d"), Event("create", "/r/d/a"), Event("write", "/r/d/a", b"x")]
    found = {tuple(sorted(state)) for state in states([*events, *synced("/r/d/a", 1), *synced("/r/d", 2)])}

    assert found == {("/r",), ("/r", "/r/d", "/r/d/a")}


@pytest.mark.parametrize(
    ("failed", "trials", "bounds"),
    [
        (0, 1000, (0.0, 0.0029912)),
        (0, 60, (0.0, 0.0487)),
        (1, 40, (0.000633, 0.13159)),
        (3, 3, (0.2924, 1.0)),
    ],
)
def test_bounds_are_those_of_the_tables(failed: int, trials: int, bounds: tuple[float, float]) -> None:
    assert clopper_pearson(failed, trials) == pytest.approx(bounds, rel=1e-3)
