"""What every detector that looks at a place promises; a new file in `detectors/` is found by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from config import kinds
from config.channels import Channel, ChannelTable
from config.quantities import QUANTITIES
from config.snapshot import pack, unpack
from detectors.base import Row
from detectors.findings import Findings
from detectors.rounds import SUBJECT_KINDS, Rounds
from detectors.subjects import SubjectDetector, local_hour, opens, phase_of
from tests.detectors.bands import MIDNIGHT, S, Watched, channel

DETECTORS = [kinds.kind_class(kinds.DETECTORS, kind) for kind in SUBJECT_KINDS]
every_detector = pytest.mark.parametrize("kind", DETECTORS, ids=lambda kind: kind.__name__)
PERIOD_S = 300.0
ROWS = 600
USUAL = {
    "heart_rate": 70.0, "spo2": 97.0, "steps": 0.0, "acceleration_peak": 1.05, "on_wrist": 1.0, "ch4": 1.0,
    "latitude": 30.66, "longitude": 104.12, "hrv_rmssd": 30.0, "skin_temperature": 34.0, "current": 80.0,
    "joint_temperature": 25.0, "voltage": 221.0, "respiration": 15.0, "temperature": 15.0,
    "pressure": 300.0, "flow": 50.0,
}  # fmt: skip
MEDIA = {"ch4": "gas", "pressure": "water", "flow": "water"}
SHARED = ("Joint", "Supply")  # places of a zone are measured by each other
PHASED = {"voltage": "abc", "current": "a", "joint_temperature": "ab"}


def table() -> ChannelTable:
    """Three places that measure everything that any of them listens to."""
    channels: list[Channel] = []
    for place in ("p1", "p2", "p3"):
        for quantity in USUAL:
            media = QUANTITIES[quantity].media
            medium = MEDIA.get(quantity, "wristband" if media == ("wristband",) else "power")
            for phase in PHASED.get(quantity, " "):
                name = f"{quantity}_{phase}" if phase.strip() else quantity
                channels.append(channel(place, quantity, PERIOD_S, medium, name=name, zone="z"))
    return ChannelTable(channels)


def record(table: ChannelTable, odd: float | None = None) -> NDArray[np.float64]:
    """Two calm days with gaps; in the last hours everything at p1 is half as much again, or `odd`."""
    rng = np.random.default_rng(8)
    usual = np.array([USUAL[quantity] for quantity in table.quantity])
    values = usual * (1.0 + 0.002 * rng.normal(size=(ROWS, len(table))))
    values[rng.random(values.shape) < 0.03] = np.nan
    at = np.array([place == "p1" for place in table.place])
    values[-60:, at] = values[-60:, at] * 1.5 if odd is None else odd
    return values


def run(
    kind: type[SubjectDetector], table: ChannelTable, values: NDArray[np.float64], saved_at: int = -1
) -> dict[str, list[int]]:
    """Severity of each point (rule and channel) in every hundredth row, saved and restored on the way."""
    detector = kind()
    site = detector.watch(table)
    memory = detector.fresh_memory(site)
    seats = site.seats(np.arange(len(table), dtype=np.int32))
    keys = [f"{rule} {table.ids[n]}" for rule, n in zip(site.points.rule, site.points.channel.tolist())]
    severity: dict[str, list[int]] = {key: [] for key in keys}
    for number, levels in enumerate(values):
        row = Row(levels, MIDNIGHT + (number + 1) * round(PERIOD_S * S), PERIOD_S)
        detector.judge(site, seats, row, memory)
        if number == saved_at:
            memory = {name: array.copy() for name, array in memory.items()}
            detector = kind()
            site = detector.watch(table)
        if number % 100 == 99 or number == len(values) - 1:
            for key, now in zip(keys, memory["severity"].tolist()):
                severity[key].append(now)
    assert not any(np.isinf(a).any() for a in memory.values() if a.dtype == np.float64)
    assert all(len(array) == len(site.points) for array in memory.values())
    return severity


@every_detector
def test_the_order_of_channels_and_a_restart_from_a_snapshot_change_nothing(
    kind: type[SubjectDetector],
) -> None:
    here = table()
    order = np.random.default_rng(1).permutation(len(here))
    shuffled = ChannelTable([here[n] for n in order.tolist()])
    values = record(here)
    said = run(kind, here, values)

    assert said and run(kind, shuffled, values[:, order]) == said
    assert run(kind, here, values, saved_at=400) == said


@every_detector
@pytest.mark.parametrize("odd", [np.nan, np.inf, 1e308])
def test_garbage_neither_raises_nor_reaches_another_place(kind: type[SubjectDetector], odd: float) -> None:
    here = table()
    with np.errstate(all="raise", under="ignore"):
        said = run(kind, here, record(here, odd))
    calm = run(kind, here, record(here, None))

    for point in said:
        if " p1." not in point and kind.__name__ not in SHARED:
            assert said[point] == calm[point]


@every_detector
def test_a_row_of_nothing_says_nothing_and_every_point_can_be_explained(kind: type[SubjectDetector]) -> None:
    watched = Watched(kind(), *table().channels)
    watched.hear(0.0, {})
    assert watched.last is None
    for second in range(0, 7200, 300):
        watched.hear(
            float(second), {id: USUAL[q] for id, q in zip(watched.table.ids, watched.table.quantity)}
        )

    for point, said in enumerate(watched.said()):
        assert said.sentence
        if watched.table.is_wristband[watched.points.channel[point]]:
            assert not said.numbers and said.observed is None


def test_a_site_of_them_is_saved_by_point_and_goes_on() -> None:
    here = table()
    grids = [(PERIOD_S, np.arange(len(here), dtype=np.int32))]
    one, other = (Rounds(here, grids, [], "Asia/Shanghai") for _ in range(2))
    values = record(here)
    spoken: list[list[Findings]] = []
    for number, levels in enumerate(values):
        row = Row(levels, MIDNIGHT + (number + 1) * round(PERIOD_S * S), PERIOD_S)
        said = one.judge(0, row)
        if number == 400:
            other.restore(unpack(pack(one.state())))
        if number > 400:
            spoken = [said, other.judge(0, row)]
            for mine, theirs in zip(*spoken, strict=True):
                assert np.array_equal(mine.severity, theirs.severity)
                assert np.array_equal(mine.score, theirs.score, equal_nan=True)
    assert spoken


def test_rules_that_learn_a_channel_alone_are_left_what_nobody_knows_better() -> None:
    here = table()
    rounds = Rounds(here, [(PERIOD_S, np.arange(len(here), dtype=np.int32))], [], "Asia/Shanghai")
    left = {here.quantity[n] for n in np.flatnonzero(rounds.leaves("rhythm")).tolist()}

    assert left == {"voltage", "temperature", "pressure", "flow"}
    assert "current" in {here.quantity[n] for n in np.flatnonzero(rounds.leaves("jump")).tolist()}
    assert rounds.leaves("stuck").all()


def test_local_hours_and_phases() -> None:
    assert local_hour(np.array([MIDNIGHT, MIDNIGHT + 90 * 60 * S]), "Asia/Shanghai").tolist() == [0.0, 1.5]
    spring = 1_774_746_000 * S  # 2026-03-29 01:00 UTC: clocks in Berlin go from 2 to 3
    assert local_hour(np.array([spring - S, spring]), "Europe/Berlin").round(2).tolist() == [2.0, 3.0]
    names = ("x.voltage_a", "x.current_l2", "x.joint_c_temp", "x.pressure", "x.alpha")
    assert [phase_of(name) for name in names] == ["a", "b", "c", "", ""]


@given(st.floats(1.0, 60.0), st.sampled_from([60, 300]), st.integers(0, 10_000))
def test_of_rows_of_any_period_one_is_looked_at_in_each_step(
    period_s: float, step_s: int, first: int
) -> None:
    period_ns = round(period_s * S)
    ends_ns = [MIDNIGHT + (first + number) * period_ns for number in range(3 * step_s)]
    seen = [end_ns // (step_s * S) for end_ns in ends_ns if opens(end_ns, period_s, step_s)]
    steps = {end_ns // (step_s * S) for end_ns in ends_ns[1:]}

    assert len(seen) == len(set(seen)), "never twice in a step"
    assert steps - set(seen) <= {ends_ns[0] // (step_s * S)}, "and in every step that began among them"
    if step_s % period_s == 0:
        assert all(opens(end, period_s, step_s) == (end % (step_s * S) == 0) for end in ends_ns)


def test_a_joint_that_is_read_every_seven_seconds_is_known_as_soon_as_any_other() -> None:
    here = table()
    grids = [(7.0, np.arange(len(here), dtype=np.int32))]
    rounds = Rounds(here, grids, [], "Asia/Shanghai")
    usual = np.array([USUAL[quantity] for quantity in here.quantity])
    for number in range(1, 6 * 3600 // 7):
        rounds.judge(0, Row(usual, MIDNIGHT + number * 7 * S, 7.0))

    taught_s = float(rounds.state()["joint/taught_s"].array.max())
    assert taught_s > 5 * 3600.0
