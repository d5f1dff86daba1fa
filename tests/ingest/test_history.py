"""History: a channel's past is the same wherever it lies: in the journal, in hours, in days, in both."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from config.errors import InputError, SettingsError
from ingest.history import History, history
from ingest.readings import BAD, UNCERTAIN
from ingest.shelf import volumes
from ingest.ticks import SECOND_NS
from tests.ingest.test_compaction import a_day, carry, tidied
from tests.ingest.world import NOON_NS, Hands, living, site

LONG_NS = 400 * 86_400 * SECOND_NS
CHANNEL = "gas.p02.pressure"


def whole(folder: Path, archive: bool = True, data: bool = True) -> list[tuple[float, ...]]:
    curve = history(
        CHANNEL,
        NOON_NS - LONG_NS,
        NOON_NS + LONG_NS,
        archive=folder / "archive" if archive else None,
        data=folder / "data" if data else None,
    )
    columns = (curve.time_ns, curve.value, curve.quality, curve.arrival_ns, curve.conflict)
    return list(zip(*(column.tolist() for column in columns)))


def test_journal_hours_and_days_tell_the_same_story(tmp_path: Path) -> None:
    hands = Hands()
    a_day(tmp_path, hands)
    from_journal = whole(tmp_path, archive=False)
    from_hours = whole(tmp_path, data=False)
    with living(tmp_path / "data", site(), hands) as life:
        life.hear(2, 7.0, quality=UNCERTAIN)
        life.hear(2, np.nan, quality=BAD, ago_s=0.5)
        life.tick()
    hands.wind(86_400)
    tidied(tmp_path, hands)

    assert len(from_journal) == 22
    assert from_hours == from_journal
    assert sum(row[-1] for row in from_hours) == 1
    (day,) = volumes(tmp_path / "archive")
    assert day.is_day
    both = whole(tmp_path)
    assert both[:22] == from_journal
    assert [row[2] for row in both[22:]] == [BAD, UNCERTAIN]


def test_a_span_holds_what_was_measured_in_it_also_what_came_late(tmp_path: Path) -> None:
    hands = Hands()
    a_day(tmp_path, hands, hours=2)
    moment_ns = NOON_NS + 100 * SECOND_NS
    with living(tmp_path / "data", site(), hands) as life:
        life.hear(2, 9.0, ago_s=(hands.wall_ns - moment_ns) / SECOND_NS)
        life.tick()
        carry(life, tmp_path / "archive")
    past = History(tmp_path / "archive", tmp_path / "data")

    assert past.read(CHANNEL, moment_ns, moment_ns + 1).value.tolist() == [9.0]
    assert len(past.read(CHANNEL, moment_ns + 1, moment_ns + 2)) == 0
    assert len(past.read("gas.p99.pressure", 0, 1 << 62)) == 0
    assert len(past.read(CHANNEL, 0, 1 << 62)) == len(whole(tmp_path))


def test_a_file_that_is_damaged_is_named(tmp_path: Path) -> None:
    a_day(tmp_path, Hands(), hours=1)
    (hour,) = volumes(tmp_path / "archive")
    hour.path.write_bytes(hour.path.read_bytes()[:-40])

    with pytest.raises(InputError, match=hour.path.name):
        whole(tmp_path)
    with pytest.raises(SettingsError, match="no such file"):
        history(CHANNEL, 0, 1, data=tmp_path / "elsewhere")


def test_what_the_journal_has_forgotten_is_found_in_the_archive(tmp_path: Path) -> None:
    a_day(tmp_path, Hands())
    told = whole(tmp_path)
    with sqlite3.connect(tmp_path / "data" / "journal.sqlite") as connection:
        connection.execute("DELETE FROM arrivals WHERE id <= 8")
        connection.execute("DELETE FROM ticks WHERE upto_arrival <= 8")

    assert whole(tmp_path) == told
