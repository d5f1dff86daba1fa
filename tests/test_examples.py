"""Examples: each way of extending Watchline that the documentation shows does what it says, on real parts."""

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from alerts.delivery import Delivery
from alerts.notifiers.base import Home
from config import kinds
from config.channels import Channel, ChannelTable
from config.errors import SettingsError
from config.load import read_channels, read_site
from detectors.bank import Bank
from gateway.cli import main
from gateway.field import Field
from gateway.sources.base import Source
from gateway.sources.modbus import Modbus
from ingest.readings import BAD, GOOD
from ingest.row import Row
from tests.alerts.receiver import until
from tests.alerts.test_outbox import events, life
from tests.detectors import test_contract
from tests.gateway.recorder import Recorder, eventually
from tests.strangers import stranger

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
EXTENDING = EXAMPLES / "extending"
SITE, _ = read_channels(EXTENDING / "channels.csv")
PROMISES = [getattr(test_contract, name) for name in vars(test_contract) if name.startswith("test_")]
START_NS = 1_767_600_000 * 10**9


@pytest.fixture(autouse=True)
def extending_is_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


@contextlib.contextmanager
def reading(source: Source) -> Iterator[tuple[Field, Recorder]]:
    recorder = Recorder()
    field = Field([source], SITE, recorder, time.time_ns)
    field.start()
    try:
        yield field, recorder
    finally:
        field.stop()


def last_of(recorder: Recorder, channel: str) -> tuple[float, int]:
    """(value, quality) of the newest reading of a channel."""
    readings = recorder.of(SITE.number[channel])
    return float(readings.value[-1]), int(readings.quality[-1])


def test_the_site_of_the_examples_holds_together(capsys: pytest.CaptureFixture[str]) -> None:
    site = read_site(EXTENDING / "gateway.toml")

    assert site.warnings == ()
    assert [type(source).__name__ for source in site.sources] == ["Modbus", "Lines"]
    assert main(["check", str(EXTENDING / "gateway.toml")]) == 0
    assert "no mistakes" in capsys.readouterr().out


def test_the_device_model_reads_a_real_meter(tmp_path: Path) -> None:
    meter = stranger("meter", tmp_path)
    meter.start()
    try:
        source = kinds.build(
            kinds.SOURCES,
            "modbus",
            {
                "host": "127.0.0.1",
                "port": meter.port,
                "place": "power.feeder2",
                "profile": "./acme_pm210.toml",
            },
            "source[0]",
            EXTENDING,
        )
        assert isinstance(source, Modbus)
        with reading(source) as (_, recorder):
            eventually(lambda: len(recorder.readings) >= 5)
    finally:
        meter.stop()

    assert last_of(recorder, "power.feeder2.voltage_a") == pytest.approx((230.1, GOOD))
    assert last_of(recorder, "power.feeder2.current_a") == pytest.approx((-31.073, GOOD))
    assert last_of(recorder, "power.feeder2.active_power") == pytest.approx((12.5, GOOD))
    assert last_of(recorder, "power.feeder2.joint_temperature") == pytest.approx((21.2, GOOD))
    assert last_of(recorder, "power.feeder2.trench_water") == (140.0, GOOD)


def lines(port: int, **options: Any) -> Any:
    given = {"host": "127.0.0.1", "port": port, "place": "gas.well4", **options}
    return kinds.build(kinds.SOURCES, "extending.lines", given, "source[0]")


def test_the_protocol_reads_a_logger_and_comes_back_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = stranger("lines", tmp_path)
    logger.start()
    try:
        with reading(lines(logger.port)) as (field, recorder):
            eventually(lambda: len(recorder.readings) >= 6)
            logger.kill()
            eventually(lambda: not field.standings[0].up)
            before = len(recorder.readings)
            logger.start()
            eventually(lambda: len(recorder.readings) > before)
    finally:
        logger.stop()

    pressure = recorder.of(SITE.number["gas.well4.pressure"])
    assert pressure.value[pressure.quality == GOOD][0] == 301.2
    assert np.isnan(pressure.value[pressure.quality == BAD]).all()
    assert BAD in pressure.quality, "a value that is no number is a bad reading"
    assert last_of(recorder, "gas.well4.ch4") == (0.4, GOOD)
    assert set(recorder.lanes) == {"lines"}
    told = [record.getMessage() for record in caplog.records]
    assert len([text for text in told if "humidity" in text]) >= 1
    assert not [text for text in told if "noise" in text]


def test_the_protocol_names_its_mistakes() -> None:
    with pytest.raises(SettingsError, match="silent"):
        lines(4001, silent="20s")
    with pytest.raises(SettingsError, match=r"gas\.well5"):
        Field([lines(4001, place="gas.well5")], SITE, Recorder(), time.time_ns)


def seep(**options: Any) -> Any:
    return kinds.build(kinds.DETECTORS, "extending.seep", options, "watching[0]")


def cases_of(promise: Callable[..., None]) -> Iterator[tuple[Any, ...]]:
    """Whatever else than the kind a promise is asked with."""
    marks = [mark.args for mark in getattr(promise, "pytestmark", []) if mark.name == "parametrize"]
    return itertools.product(*(values for name, values in marks if name != "kind"))


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_the_detector_keeps_every_promise_of_the_contract(promise: Callable[..., None]) -> None:
    for case in cases_of(promise):
        promise(type(seep()), *case)


def test_the_detector_finds_a_seep_beside_the_built_in_ones() -> None:
    wells = ChannelTable(
        [Channel(f"w{n}.ch4", "gas", f"w{n}", "ch4", "%{LEL}", 600.0, 0.1, zone="east") for n in range(4)]
    )
    watching = SimpleNamespace(
        kind="extending.seep",
        options={"stretch_s": 14400.0},
        channels="w[12].*",
        enabled=True,
        warning=None,
        alarm=None,
        hold_s=0.0,
    )
    bank = Bank(wells, [(600.0, np.arange(4, dtype=np.int32))], [watching])
    strange: set[str] = set()
    rng = np.random.default_rng(5)
    for number in range(7 * 144):
        values = np.abs(rng.normal(0.0, 0.2, 4)) + 3.0 * (rng.random(4) < 0.1)
        values[1] += 4.0 * (number >= 6 * 144)
        findings, *_ = bank.judge_row(0, Row(values, START_NS + (number + 1) * 600 * 10**9, 600.0))
        strange |= {
            wells.ids[int(findings.points.channel[point])]
            for point in np.flatnonzero(findings.severity)
            if findings.points.rule[point] == "extending.seep"
        }

    assert strange == {"w1.ch4"}
    assert "extending.seep" in {rule for rule, _, _ in bank.expected_alarms_per_day()}


def test_the_notifier_writes_each_change_once_its_folder_is_there(tmp_path: Path) -> None:
    path = tmp_path / "later" / "alerts.jsonl"
    notifier = kinds.build(
        kinds.NOTIFIERS, "extending.logfile", {"path": "later/alerts.jsonl"}, "notifier[0]", tmp_path
    )
    with life(tmp_path / "data") as one:
        delivery = Delivery(
            one.storage, notifier, "file", Home("north", dict, lambda command: None), first_wait_s=0.05
        )
        delivery.register()
        delivery.start()
        try:
            one.tick(changes=events(["P3", "P1", "P2"]))
            until(lambda: "cannot be written" in delivery.trouble)
            path.parent.mkdir()
            until(lambda: delivery.delivered == 3)
        finally:
            delivery.stop()

    written = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [event["id"] for event in written] == ["a1-1", "a0-1", "a2-1"], "P1 first"
    assert written[0]["data"]["t"]["sent"]
