"""A new regime: asked about as a notice, adopted by a command in a tick, and normal from then on."""

from __future__ import annotations

import numpy as np

from alerts.alert import AlertChange
from config.channels import Channel, ChannelTable
from gateway.watch import build_watch, with_deadlines
from ingest.readings import ReadingBatch
from ingest.ticks import SECOND_NS, Command, Tick

PERIOD_S = 1800
DAY = 48
START_NS = 1_767_571_200 * SECOND_NS  # 2026-01-05T00:00:00Z
CHANNELS = ChannelTable(
    [Channel(f"w.{n}.flow", "water", f"w.{n}", "flow", "m3/h", PERIOD_S, 0.1) for n in range(2)]
)
ADOPTED = 12 * DAY


def lived(commands: dict[int, Command]) -> list[AlertChange]:
    """Sixteen days; on the tenth the meter of w.1 is exchanged, and shows 40 more."""
    watch = build_watch(CHANNELS, timezone="UTC")
    rows = 16 * DAY
    values = np.random.default_rng(5).normal(100.0, 1.0, (rows, 2))
    values += 5 * np.sin(np.arange(rows) * 2 * np.pi / DAY)[:, None]
    values[10 * DAY :, 1] += 40.0
    ticks = []
    for number, value in enumerate(np.round(values, 1)):
        now_ns = START_NS + (number + 1) * PERIOD_S * SECOND_NS
        told = (commands[number],) if number in commands else ()
        ticks.append(Tick(now_ns, ReadingBatch.of([0, 1], [now_ns] * 2, value), told))
    return [change for tick in with_deadlines(ticks, watch) for change in watch.step(tick)]


def days(change: AlertChange) -> float:
    return (change.detected_ns - START_NS) / 86400e9


def test_it_is_asked_about_once_and_nobody_is_called() -> None:
    asked = [one for one in lived({}) if one.kind == "regime_change" and one.type == "raised"]

    assert [one.grade for one in asked] == ["P4"]
    assert 11.0 <= days(asked[0]) < 11.2


def test_what_was_adopted_is_normal_and_the_command_leaves_its_trace() -> None:
    adopt = Command("c-1", "adopt_regime", {"channel": "w.1.flow", "reason": "new meter"}, "li.wei")
    changes = lived({ADOPTED: adopt})
    after = [one for one in changes if days(one) > ADOPTED / DAY]

    told = {one.rule for one in after if one.type == "updated" and one.reason == "new meter"}
    assert {"rhythm", "drift", "regime"} <= told
    assert {one.rule for one in after if one.type == "cleared"} == told
    assert not any(one.type == "raised" for one in after)
