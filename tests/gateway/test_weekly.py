"""Weekly: on Monday the gateway says how its alarms did, once, and also when it was off on Monday."""

import json
import logging
from pathlib import Path

import pytest

from config.load import read_channels, read_site
from gateway.weekly import Weekly
from ingest.storage import Storage
from ingest.ticks import SECOND_NS, Epoch
from ingest.wallclock import WallClock
from tests.gateway.test_check import secrets, site
from tests.gateway.test_report import START_NS, flapping

__all__ = ["secrets"]
WEEK_NS = 7 * 86_400 * SECOND_NS


def weekly(folder: Path, now_ns: int) -> Weekly:
    """Of a gateway that heard its channel flap six times on Monday, 5 January 2026."""
    settings = site(folder)
    channels, _ = read_channels(folder / "channels.csv")
    storage = Storage(folder / "data", channels, WallClock())
    storage.open()
    storage.start()
    storage.commit_tick(storage.close_tick(START_NS, Epoch("start", True, "one")), flapping(6))
    storage.stop()
    return Weekly(read_site(settings), lambda: now_ns)


def test_the_week_that_is_over_is_written_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    job = weekly(tmp_path, START_NS + WEEK_NS + 3600 * SECOND_NS)
    with caplog.at_level(logging.INFO):
        path = job.write()
        again = job.write()

    assert path == tmp_path / "data" / "reports" / "2026-W02.json"
    assert again is None
    report = json.loads(path.read_text("utf-8"))
    assert report["false_alarms"]["worst"][0]["channel"] == "a.pressure"
    assert report["false_alarms"]["expected_per_day"] > 0
    assert path.with_suffix(".html").read_text("utf-8").startswith("<!doctype html>")
    assert "report of week 2026-W02: 6 alarms told" in caplog.text
    assert "jump on a.pressure raised 6 alarms" in caplog.text


def test_nothing_is_said_of_a_week_before_the_gateway_lived(tmp_path: Path) -> None:
    assert weekly(tmp_path, START_NS + 3600 * SECOND_NS).write() is None
