"""One scale for all: scores mean what they say, levels keep the budget, and an event does not teach."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from config.channels import Channel, ChannelTable
from config.snapshot import Keyed, pack, unpack
from detectors import tails
from detectors.calibration import EDGES, RENEW_EVERY, ROOTS, SHARES, Calibration
from detectors.findings import ALARM, CALM, Findings
from detectors.jump import Jump
from detectors.panel import RESUME_S, Panel, Seat
from detectors.rhythm import Rhythm
from detectors.silence import Silence
from tests.detectors.rows import Values, noise, row

PERIOD_S = 300.0
DAY = 288


def site(count: int, zone: str = "north", medium: str = "gas") -> ChannelTable:
    return ChannelTable(
        [
            Channel(f"{medium}.p{n}.pressure", medium, f"p{n}", "pressure", "kPa", PERIOD_S, zone=zone)
            for n in range(count)
        ]
    )


def panel(channels: ChannelTable, budget: float = 0.005) -> Panel:
    count = len(channels)
    everywhere = np.ones(count, dtype=bool)
    seats = [
        Seat("jump", Jump(), everywhere, "jump"),
        Seat("rhythm", Rhythm(timezone="UTC"), everywhere, "rhythm"),
        Seat("silence", Silence(), everywhere, "silence"),
    ]
    return Panel(channels, np.arange(count, dtype=np.int32), PERIOD_S, seats, budget)


def judged(panel: Panel, record: Values, first: int = 0) -> list[Findings]:
    return [panel.judge(row(values, first + number, PERIOD_S)) for number, values in enumerate(record)]


def severities(verdicts: list[Findings]) -> NDArray[np.uint8]:
    return np.array([findings.severity for findings in verdicts])


def test_scores_lie_on_one_scale_and_an_alarm_is_rarer_than_a_warning() -> None:
    record = noise(4 * DAY, 5)
    record[3 * DAY + 10 :, 1] -= 40
    verdicts = judged(panel(site(5)), record)
    jump = verdicts[3 * DAY + 11]

    assert jump.severity[1] == ALARM and jump.score[1] > 0.8
    for findings in verdicts:
        known = findings.score[np.isfinite(findings.score)]
        assert ((known >= 0) & (known <= 1)).all()
    assert len(jump.points) == 15 and jump.points.rule[5] == "rhythm" and jump.points.channel[6] == 1


def test_gaussian_noise_keeps_the_alarm_budget() -> None:
    """200 channels, 10 days after the warm-up: 2,000 channel-days at 0.005 are 10; bound: twice."""
    strange = severities(judged(panel(site(200)), noise(13 * DAY, 200)))[3 * DAY :] > CALM
    episodes = int((strange[1:] & ~strange[:-1]).sum())

    assert episodes <= 20


def test_noise_with_heavy_tails_keeps_the_budget_too_once_its_pool_is_known() -> None:
    """Student's t with 3 degrees of freedom: nominally 8 deviations never happen, here every week."""
    rng = np.random.default_rng(5)
    record = 300 + rng.standard_t(3, (16 * DAY, 60))
    strange = severities(judged(panel(site(60)), record)) > CALM
    first = int((strange[1 : 3 * DAY] & ~strange[: 3 * DAY - 1]).sum()) / (60 * 3)
    later = int((strange[6 * DAY :] & ~strange[6 * DAY - 1 : -1]).sum()) / (60 * 10)

    assert later < first / 2
    assert later < 0.06


def test_what_is_strange_in_one_channel_stays_strange_while_the_same_goes_on() -> None:
    record = noise(8 * DAY, 4)
    record[4 * DAY :, 1] += 30
    verdicts = severities(judged(panel(site(4)), record))
    rhythm_of_1 = 4 + 1

    assert (verdicts[4 * DAY : 4 * DAY + int(RESUME_S / PERIOD_S) - DAY, rhythm_of_1] > CALM).all()


def test_a_missing_reading_leaves_every_verdict_as_it_was_except_that_of_silence() -> None:
    record = noise(5 * DAY, 4)
    record[4 * DAY :, 1] += 30
    record[4 * DAY + 5 :, 1] = np.nan
    verdicts = judged(panel(site(4)), record)
    last = verdicts[4 * DAY + 40]

    assert last.severity[4 + 1] > CALM and not last.heard[4 + 1]
    assert last.severity[8 + 1] > CALM and last.heard[8 + 1]


def test_verdicts_do_not_depend_on_a_restart_in_between() -> None:
    record = noise(5 * DAY, 6)
    record[4 * DAY :, 2] += 9
    whole = judged(panel(site(6)), record)
    first, second = panel(site(6)), panel(site(6))
    judged(first, record[: 4 * DAY + 3])
    second.restore(unpack(pack(first.state())))
    rest = judged(second, record[4 * DAY + 3 :], first=4 * DAY + 3)

    for expected, findings in zip(whole[4 * DAY + 3 :], rest):
        assert np.array_equal(expected.score, findings.score, equal_nan=True)
        assert np.array_equal(expected.severity, findings.severity)


def test_a_zone_is_judged_by_itself() -> None:
    """What happens in the south changes no bit of the north."""

    def both(south: Values) -> NDArray[np.float64]:
        channels = ChannelTable(
            [
                Channel(
                    f"c{n}", "gas", f"p{n}", "pressure", "kPa", PERIOD_S, zone="north" if n < 3 else "south"
                )
                for n in range(6)
            ]
        )
        verdicts = judged(panel(channels), np.concatenate([noise(4 * DAY, 3), south], axis=1))
        return np.array([findings.score.reshape(3, 6)[:, :3] for findings in verdicts])

    assert np.array_equal(
        both(noise(4 * DAY, 3, seed=1)), both(noise(4 * DAY, 3, 40.0, seed=2)), equal_nan=True
    )


def test_the_reason_names_what_was_expected_and_a_wristband_gives_no_number() -> None:
    for medium, numbers in (("gas", True), ("wristband", False)):
        record = noise(4 * DAY, 2)
        record[-1, 0] += 50
        findings = judged(panel(site(2, medium=medium)), record)[-1]
        why = findings.explain(0)

        assert why.direction == 1
        assert any(letter.isdigit() for letter in why.sentence) == numbers
        assert bool(why.observed) == numbers and bool(why.numbers) == numbers


def test_levels_follow_from_the_budget_and_the_period() -> None:
    expected = panel(site(10)).expected_alarms()
    rules = {rule: (len(channels), per_day) for rule, channels, per_day in expected}

    assert rules["jump"][0] == 10 and rules["jump"][1] == pytest.approx(0.005)
    assert rules["silence"] == (10, 0.0)


def test_a_level_of_the_settings_replaces_that_of_the_budget() -> None:
    channels, everywhere = site(3), np.ones(3, dtype=bool)
    lax = Panel(
        channels,
        np.arange(3, dtype=np.int32),
        PERIOD_S,
        [Seat("jump", Jump(), everywhere, "jump", warning=0.05, alarm=0.9)],
        0.005,
    )

    assert severities(judged(lax, noise(DAY, 3)))[100:].any()


def test_calibration_is_close_to_the_truth_on_ideal_noise_and_never_falls() -> None:
    calibration = Calibration(("a",), 7.0)
    rng = np.random.default_rng(3)
    for _ in range(4000):
        nominal = -np.log10(rng.random(100))
        high = nominal[nominal >= EDGES[0]]
        calibration.count_high(np.zeros(len(high), dtype=np.int64), high)
        if calibration.wants_total():
            calibration.count_all(np.array([100]))
        calibration.end_row()
    asked = np.array([2.0, 3.0, 4.0, 5.0, 7.0, 16.0, 40.0])
    told = calibration.of(np.zeros(len(asked), dtype=np.int64), asked)

    assert told[:4] == pytest.approx(asked[:4], abs=0.4)
    assert (np.diff(told) > 0).all()


def test_one_event_however_far_out_leaves_the_next_like_it_as_strange() -> None:
    """Counted where it lay, it would stretch the fitted tail until nothing stood out any more."""
    calibration = Calibration(("a",), 7.0)
    pool = np.zeros(1, dtype=np.int64)
    before = calibration.of(pool, np.array([90.0]))
    calibration.count_high(pool, np.array([90.0]))
    for _ in range(SHARES * RENEW_EVERY):
        calibration.end_row()
    after = calibration.of(pool, np.array([90.0]))

    assert 7.0 < after < before


@pytest.mark.parametrize(
    "deviations, chance", [(0.0, 1.0), (1.0, 0.3173105), (3.0, 2.6998e-3), (8.0, 1.2442e-15)]
)
def test_the_gaussian_tail_agrees_with_the_tables(deviations: float, chance: float) -> None:
    assert tails.gaussian(np.array([deviations]))[0] == pytest.approx(-np.log10(chance), abs=0.003)


def test_counts_of_an_earlier_version_are_taken_over_into_the_bins_of_today() -> None:
    """There were 64 bins of one width; what they held keeps its place, and what it is worth."""
    counts = np.zeros((1, 64), dtype=np.float32)
    counts[0, [0, 5, 39, 63]] = [900.0, 90.0, 9.0, 1.0]
    table = np.linspace(1.5, 30.0, 65, dtype=np.float32)[None, :]
    pools = ("rhythm|water|flow|north",)
    calibration = Calibration(pools, 7.0)
    calibration.restore(
        {
            "counts": Keyed(pools, counts),
            "total": Keyed(pools, np.array([1e5])),
            "table": Keyed(pools, table),
            "rows": 7,
        }
    )
    state = calibration.state()
    kept = state["counts"].array[0]

    assert kept.sum() == 1000.0 and kept[[0, 5, 39]].tolist() == [900.0, 90.0, 9.0]
    assert ROOTS[kept.nonzero()[0][-1]] <= np.sqrt(2.0) + 6.35 <= ROOTS[kept.nonzero()[0][-1] + 1]
    assert calibration.lowest()[0] == pytest.approx(1.5)
    assert (np.diff(state["table"].array[0]) >= 0).all()
