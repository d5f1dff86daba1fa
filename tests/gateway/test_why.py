"""Why, on a whole watch: a burst after days of calm says what was usual; a restart changes nothing."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from alerts.alert import AlertChange
from config.channels import Channel, ChannelTable
from config.snapshot import pack, unpack
from gateway.watch import Watch, build_watch, with_deadlines
from ingest.readings import ReadingBatch
from ingest.ticks import SECOND_NS, Tick

START_NS = 1_767_571_200 * SECOND_NS
PERIOD_S = 600
CALM_S = 3 * 86_400 + 6 * 3600
CHANNELS = ChannelTable(
    [
        Channel(
            "w.a.pressure", "water", "w.a", "pressure", "kPa", float(PERIOD_S), zone="north", nominal=300.0
        ),
        Channel(
            "w.b.pressure", "water", "w.b", "pressure", "kPa", float(PERIOD_S), zone="north", nominal=300.0
        ),
    ]
)


def ticks() -> list[Tick]:
    """Pressure follows the hours of the day; on the fourth at 06:00 it falls by 40 kPa at w.a."""
    chance = np.random.default_rng(8)
    found = []
    for step in range((CALM_S + 3600) // PERIOD_S):
        seconds = (step + 1) * PERIOD_S
        usual = 300.0 + 10.0 * np.sin(2 * np.pi * seconds / 86_400)
        values = usual + chance.normal(0.0, 1.0, 2)
        if seconds >= CALM_S:
            values[0] -= 40.0
        now_ns = START_NS + seconds * SECOND_NS
        readings = ReadingBatch.of([0, 1], [now_ns - SECOND_NS] * 2, values, arrival_ns=now_ns)
        found.append(Tick(now_ns, readings))
    return found


def told(watch: Watch, some: Sequence[Tick]) -> list[AlertChange]:
    return [change for tick in with_deadlines(some, watch) for change in watch.step(tick)]


def fresh() -> Watch:
    return build_watch(CHANNELS, timezone="UTC", warmup_s=86_400.0)


def whys(changes: Sequence[AlertChange]) -> list[dict[str, Any]]:
    return [dict(change.extra) for change in changes if "why" in change.extra and not change.warmup]


def test_a_burst_says_what_was_expected_what_tipped_it_and_how_this_hour_was_before() -> None:
    every = ticks()
    changes = told(fresh(), every)
    first = whys(changes)[0]
    why = first["why"]

    assert 295.0 < why["expected"] < 325.0
    assert why["low"] < why["expected"] < why["high"]
    assert why["value"] < why["silent"]["above"] <= why["expected"]
    assert {one["rule"] for one in why["by_rule"]} & {"jump", "rhythm"}
    assert [one["date"] for one in why["days"]] == ["2026-01-07", "2026-01-06", "2026-01-05"]
    assert all(300.0 < one["value"] < 320.0 for one in why["days"])
    assert "This hour on the 3 days before" in why["text"]

    half = len(every) // 2
    before, after = fresh(), fresh()
    told(before, every[:half])
    after.restore(unpack(pack(before.state())))
    again = told(after, every[half:])

    assert whys(again) == whys(changes)
