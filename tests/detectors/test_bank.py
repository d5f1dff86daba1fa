"""Everything for a site from its channel list alone, and what the settings put in its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.channels import Channel, ChannelTable
from config.errors import SettingsError
from config.load import read_gateway
from config.snapshot import pack, unpack
from detectors.bank import EVENT_KINDS, FALSE_PER_CHANNEL_DAY, ROW_KINDS, Bank
from detectors.findings import ALARM, CALM
from detectors.panel import Panel
from detectors.rounds import SUBJECT_KINDS
from ingest.readings import ReadingBatch
from ingest.window import Window
from tests.detectors.rows import START_NS, noise, row


@dataclass(frozen=True)
class Watching:
    """A `[[watching]]` as the settings give it."""

    kind: str
    channels: str = "*"
    options: dict[str, Any] = field(default_factory=dict)
    warning: float | None = None
    alarm: float | None = None
    hold_s: float = 5.0
    enabled: bool = True


SITE = ChannelTable(
    [
        Channel("gas.a.pressure", "gas", "gas.a", "pressure", "kPa", 60.0, 0.1, 300.0),
        Channel("gas.b.pressure", "gas", "gas.b", "pressure", "kPa", 60.0, 0.1, 300.0),
        Channel("gas.a.ch4", "gas", "gas.a", "ch4", "%{LEL}", 600.0, 0.1),
        Channel("gas.a.valve", "gas", "gas.a", "valve_state", "1", 60.0),
        Channel("band.1.battery", "wristband", "band.1", "battery", "%", 1800.0),
        Channel("band.1.heart_rate", "wristband", "band.1", "heart_rate", "/min", 60.0, 1.0),
    ]
)


def bank(*watchings: Any) -> Bank:
    window = Window(SITE)
    return Bank(SITE, [(grid.period_s, grid.channels) for grid in window.grids], watchings)


def watched(bank: Bank) -> dict[str, int]:
    return {rule: count for rule, count, _ in bank.expected_alarms_per_day()}


def test_channels_alone_give_every_rule_where_it_makes_sense() -> None:
    learned = dict.fromkeys(("jump", "drift", "rhythm", "regime", "plateau", "novelty", "spike", "scale"), 2)

    assert watched(bank()) == learned | {"unrest": 2, "stuck": 4, "silence": 6}


def test_all_rules_together_keep_the_budget() -> None:
    expected = sum(per_day for *_, per_day in bank().expected_alarms_per_day())

    assert 0 < expected <= FALSE_PER_CHANNEL_DAY * 4 * 1.001


def test_a_level_that_is_reached_is_told_in_the_tick_of_its_reading() -> None:
    everything = bank()
    readings = ReadingBatch.of([2], [START_NS], [60.0])
    found = everything.judge_readings(readings, START_NS)

    assert any((findings.severity == ALARM).any() for findings in found)


def test_rows_are_judged_grid_by_grid_and_points_belong_to_their_channels() -> None:
    everything = bank()
    window = Window(SITE)
    for number, grid in enumerate(window.grids):
        findings, *_ = everything.judge_row(number, row(np.full(len(grid.channels), 1.0), 0, grid.period_s))
        assert set(findings.points.channel.tolist()) == set(grid.channels.tolist())
        assert findings.points in everything.points
        assert len(findings.score) == len(findings.severity) == len(findings.heard) == len(findings.points)


def test_a_watching_replaces_the_built_in_detector_on_its_channels() -> None:
    asked = bank(Watching("jump", "gas.a.*", {"level_rows": 20.0}, warning=0.5, alarm=0.7, hold_s=90.0))
    points = [points for points in asked.points if "jump" in points.rule]
    held = {
        SITE.ids[channel]
        for p in points
        for rule, channel, delay in zip(p.rule, p.channel, p.on_delay_s)
        if rule == "jump" and delay == 90.0
    }

    assert {"gas.a.pressure", "gas.a.ch4"} <= held
    assert watched(asked) == watched(bank()) | {"jump": 4}


def test_a_kind_can_be_switched_off_and_on_again_where_it_is_wanted() -> None:
    off = Watching("jump", enabled=False)
    everywhere = watched(bank())

    assert watched(bank(off)) == {rule: count for rule, count in everywhere.items() if rule != "jump"}
    assert watched(bank(off, Watching("jump", "gas.a.pressure")))["jump"] == 1
    assert watched(bank(Watching("jump", "gas.a.pressure"), off)).get("jump", 0) == 0


def test_a_site_on_which_all_is_switched_off_is_quiet() -> None:
    silent = bank(*[Watching(kind, enabled=False) for kind in (*EVENT_KINDS, *ROW_KINDS, *SUBJECT_KINDS)])
    grid = Window(SITE).grids[0]
    judged = silent.judge_row(0, row(np.full(len(grid.channels), 1e6), 1, grid.period_s))

    assert silent.judge_readings(ReadingBatch.of([0], [START_NS], [1e6]), START_NS) == []
    assert not any(findings.severity.any() or np.isfinite(findings.score).any() for findings in judged)
    assert all(not channels for _, channels, _ in silent.expected_alarms_per_day())
    silent.restore(silent.state())


def test_the_bench_of_six_detectors_is_judged_by_these_alone() -> None:
    six = bank(*read_gateway(Path(__file__).parents[1] / "bench" / "six.toml").watching)

    assert set(watched(six)) == {"jump", "drift", "rhythm", "stuck", "silence"}
    assert six.points[0].rule == bank().points[0].rule  # limits
    assert len(six.points) == 1 + len(six.panels)


def test_limits_can_be_watched_otherwise_on_some_channels() -> None:
    at_310 = ReadingBatch.of([0, 1], [START_NS] * 2, [310.0, 310.0])
    strict = bank(Watching("limits", "gas.a.*", {"high": 305.0, "on_delay_s": 0.0, "on_samples": 1}))
    loud = {
        SITE.ids[int(findings.points.channel[point])]
        for findings in strict.judge_readings(at_310, START_NS)
        for point in np.flatnonzero(findings.severity > CALM)
    }

    assert loud == {"gas.a.pressure"}


def test_an_unknown_kind_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="jump"):
        bank(Watching("jumps"))


def test_a_burst_is_found_by_jump_and_survives_a_restart() -> None:
    pressure = np.round(noise(1500, 2), 1)
    pressure[1400:, 0] -= 20
    first, second = bank(), bank()
    grid = next(n for n, p in enumerate(Window(SITE).grids) if p.period_s == 60.0)
    members = Window(SITE).grids[grid].channels.tolist()
    strange = set()
    for number, levels in enumerate(pressure):
        values = np.full(len(members), np.nan)
        values[[members.index(0), members.index(1)]] = levels
        if number == 1000:
            second.restore(unpack(pack(first.state())))
            first = second
        findings, *_ = first.judge_row(grid, row(values, number, 60.0))
        strange |= {
            (findings.points.rule[p], SITE.ids[int(findings.points.channel[p])], number)
            for p in np.flatnonzero(findings.severity > CALM)
        }

    assert ("jump", "gas.a.pressure", 1401) in strange
    assert not any(channel == "gas.b.pressure" for _, channel, _ in strange)


def test_nothing_is_concluded_from_the_gap_between_two_epochs() -> None:
    everything = bank()
    steady = noise(300, 6)
    for number in range(300):
        everything.judge_row(0, row(steady[number, : len(Window(SITE).grids[0].channels)], number, 60.0))
    everything.restart()
    later = 300 + 20000
    findings, *_ = everything.judge_row(
        0, row(steady[0, : len(Window(SITE).grids[0].channels)] + 50, later, 60.0)
    )

    strange = {findings.points.rule[point] for point in np.flatnonzero(findings.severity > CALM)}

    assert strange <= {"rhythm"}  # which speaks of the value, not of the gap


def test_a_panel_holds_no_more_than_its_hot_and_cold_state() -> None:
    """128 bytes a channel and detector that every row touches; a season of 24 hours beside it."""
    for panel in _panels(bank()):
        for seat in panel.seats:
            for name, array in seat.detector.fresh_memory(10).items():
                assert array.nbytes <= 16_384 * 10, name
            hot = sum(a.nbytes for a in seat.detector.fresh_memory(10).values() if a.ndim == 1) / 10
            assert hot <= 128


def _panels(bank: Bank) -> list[Panel]:
    return bank._panels


def test_a_snapshot_of_a_version_that_knew_less_is_gone_on_from() -> None:
    """Arrays that are missing there, such as those of kinds of days, begin afresh; the rest is known."""
    pressure = np.round(noise(1500, 2), 1)
    first, second = bank(), bank()
    grid = next(n for n, p in enumerate(Window(SITE).grids) if p.period_s == 60.0)
    members = Window(SITE).grids[grid].channels.tolist()
    for number, levels in enumerate(pressure):
        values = np.full(len(members), np.nan)
        values[[members.index(0), members.index(1)]] = levels
        first.judge_row(grid, row(values, number, 60.0))
    younger = ("visits", "middle", "scatter", "weight", "settled", "visit_", "day_", "differs")
    state = {
        name: array
        for name, array in unpack(pack(first.state())).items()
        if not name.rpartition("/")[2].startswith(younger)
    }
    second.restore(state)
    last = [one.judge_row(grid, row(values, len(pressure), 60.0))[0] for one in (first, second)]

    assert len(state) < len(first.state())
    assert np.array_equal(last[0].score, last[1].score, equal_nan=True)
