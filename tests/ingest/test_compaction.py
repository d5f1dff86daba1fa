"""Compaction: a day is its hours, no more and no less, whatever moment the process died at."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest import compaction
from ingest.archive import Archive
from ingest.compaction import Stopped, merge, mergeable
from ingest.courier import Courier
from ingest.recorded import read_ticks
from ingest.shelf import DAY_NS, about, leftovers, volumes
from ingest.ticks import SECOND_NS, Epoch, Tick
from tests.ingest.world import Hands, Life, balanced, living, same_ticks, site
from tests.parts import rows_of

FAR_NS = 1 << 62


def a_day(folder: Path, hands: Hands, hours: int = 5, **options: Any) -> list[Tick]:
    """Some hours, one of them with a conflict, carried one by one as they pass."""
    channels, ticks = site(), []
    rng = np.random.default_rng(3)
    with living(folder / "data", channels, hands) as life:
        ticks.append(life.tick(Epoch("start")))
        for hour in range(hours):
            for _ in range(4):
                life.hear(
                    np.arange(4), np.round(rng.normal(50, 1, 4), 2), ago_s=rng.uniform(0, 3, 4).round(3)
                )
                ticks.append(life.tick())
            if hour == 1:
                life.hear([2, 2], [1.0, 2.0], ago_s=[0.5, 0.5])
                ticks.append(life.tick())
            carry(life, folder / "archive", **options)
            hands.wind(3600 - 4 - (hour == 1))
        return [tick for tick in ticks if len(tick.readings) or tick.epoch]


def carry(life: Life, folder: Path, **options: Any) -> None:
    courier = Courier(life.storage, Archive(folder, life.clock.now_ns, stop_s=60.0, **options))
    courier.start()
    courier.stop()
    assert not courier.trouble


def tidied(folder: Path, hands: Hands, **options: Any) -> None:
    """Let the archive look after its folder, as it does once an hour."""
    with living(folder / "data", site(), hands) as life:
        archive = Archive(folder / "archive", life.clock.now_ns, **options)
        connection = life.storage.reader()
        archive._tidy(connection, threading.Event())
        connection.close()


def rows(folder: Path) -> list[tuple[Any, ...]]:
    """Every row of the files that count, sorted."""
    tables = [rows_of(volume.path) for volume in volumes(folder)]
    return sorted(tuple(map(str, row.values())) for table in tables for row in table)


def test_the_hours_of_a_day_become_one_file_with_the_same_readings(tmp_path: Path) -> None:
    hands = Hands()
    ticks = a_day(tmp_path, hands)
    before = rows(tmp_path / "archive")
    hands.wind(86_400)

    tidied(tmp_path, hands)

    (day,) = volumes(tmp_path / "archive")
    assert day.is_day
    assert day.path.name == "readings-000000000001-20251009Z.parquet"
    assert rows(tmp_path / "archive") == before
    told = rows_of(day.path)
    keys = [(row["channel"], row["time"], row["conflict"]) for row in told]
    assert keys == sorted(keys)
    assert same_ticks(list(read_ticks(tmp_path / "archive", site())), ticks)


def test_a_day_that_is_not_over_or_not_yet_certain_keeps_its_hours(tmp_path: Path) -> None:
    hands = Hands()
    a_day(tmp_path, hands)
    known = volumes(tmp_path / "archive")
    last = about(known[-1].path)
    assert last is not None

    assert not list(mergeable(known, last.last_tick, known[-1].end_ns))
    (run,) = mergeable(known, last.last_tick, FAR_NS)
    (shorter,) = mergeable(known, last.last_tick - 1, FAR_NS)  # the journal might write the last hour again
    assert (len(run), len(shorter)) == (5, 4)


def test_hours_of_a_clock_that_was_set_back_stay_apart(tmp_path: Path) -> None:
    hands, channels, ticks = Hands(), site(), []
    with living(tmp_path / "data", channels, hands) as life:
        for step in (0, 3600, -7200, 3600, 3600):
            hands.wall_ns += step * SECOND_NS
            ticks.append(life.tick(life.clock.epoch_if_stepped()))
            life.hear([0, 1], [1.0, float(step)])
            ticks.append(life.tick())
        carry(life, tmp_path / "archive")
    hands.wind(86_400)

    tidied(tmp_path, hands)

    assert [volume.is_day for volume in volumes(tmp_path / "archive")] == [True, True]
    said = [tick for tick in ticks if len(tick.readings) or tick.epoch]
    assert same_ticks(list(read_ticks(tmp_path / "archive", channels)), said)


@pytest.mark.parametrize(
    "moment", ["amid the day", "before the rename", "before the hours go", "amid the hours"]
)
def test_a_crash_anywhere_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    hands, folder = Hands(), tmp_path / "archive"
    ticks = a_day(tmp_path, hands)
    before = rows(folder)
    hands.wind(86_400)
    with monkeypatch.context() as patch:
        _dies(patch, moment)
        with pytest.raises(KeyboardInterrupt):
            tidied(tmp_path, hands)

    assert rows(folder) == before  # as anyone finds it who looks now
    assert same_ticks(list(read_ticks(folder, site())), ticks)
    tidied(tmp_path, hands)
    assert not leftovers(folder)
    assert len(list(folder.glob("readings-*"))) == 1
    assert rows(folder) == before


def _dies(patch: pytest.MonkeyPatch, moment: str) -> None:
    if moment == "amid the day":
        patch.setattr(compaction, "_in_time", _die)
    elif moment == "before the rename":
        patch.setattr(Path, "replace", _die)
    else:
        left = [0 if moment == "before the hours go" else 2]
        unlink = Path.unlink

        def dying(path: Path, missing_ok: bool = False) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            unlink(path, missing_ok)

        patch.setattr(Path, "unlink", dying)


def _die(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_a_stop_leaves_the_hours_as_they_were(tmp_path: Path) -> None:
    hands = Hands()
    a_day(tmp_path, hands)
    before = sorted(path.name for path in (tmp_path / "archive").iterdir())

    with pytest.raises(Stopped):
        merge(volumes(tmp_path / "archive"), lambda: True)

    assert sorted(path.name for path in (tmp_path / "archive").iterdir()) == before


def test_an_hour_that_is_damaged_keeps_its_day_apart_and_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hands = Hands()
    a_day(tmp_path, hands)
    hour = volumes(tmp_path / "archive")[2].path
    content = bytearray(hour.read_bytes())
    content[4:200] = bytes(196)
    hour.write_bytes(content)
    hands.wind(86_400)

    tidied(tmp_path, hands)

    assert len(volumes(tmp_path / "archive")) == 5
    assert "cannot be merged" in caplog.text


def test_what_is_too_old_or_too_much_goes_the_oldest_first(tmp_path: Path) -> None:
    hands = Hands()
    a_day(tmp_path, hands)
    names = [volume.path.name for volume in volumes(tmp_path / "archive")]
    size = sum(volume.path.stat().st_size for volume in volumes(tmp_path / "archive"))

    tidied(tmp_path, hands, keep_bytes=size - 1)
    assert [volume.path.name for volume in volumes(tmp_path / "archive")] == names[1:]
    tidied(tmp_path, hands, keep_ns=2 * 3600 * SECOND_NS)
    assert [volume.path.name for volume in volumes(tmp_path / "archive")] == names[-2:]
    hands.wind(3 * 86_400)
    tidied(tmp_path, hands, keep_ns=DAY_NS)
    assert not volumes(tmp_path / "archive")
    assert balanced(tmp_path / "data").couriers["archive"].stored == 82


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(compaction, "DAY_ROWS_A_GROUP", 15)
    yield


def test_other_tools_read_hours_and_days_as_they_are(tmp_path: Path) -> None:
    hands = Hands()
    a_day(tmp_path, hands)
    hands.wind(86_400)
    tidied(tmp_path, hands)
    (day,) = volumes(tmp_path / "archive")

    duckdb = pytest.importorskip("duckdb")
    found = duckdb.sql(
        f"SELECT channel, count(*), max(value) FROM '{day.path}' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert [row[:2] for row in found] == [
        ("gas.p00.pressure", 20),
        ("gas.p01.pressure", 20),
        ("gas.p02.pressure", 22),
        ("gas.p03.pressure", 20),
    ]
    frame = pytest.importorskip("polars").read_parquet(day.path)
    assert frame["value"].mean() == pytest.approx(
        pytest.importorskip("pandas").read_parquet(day.path).value.mean()
    )
