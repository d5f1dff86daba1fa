"""A float whose two words arrive swapped is a matter for maintenance from its first impossible value."""

from __future__ import annotations

import numpy as np
import pytest

from config.channels import Channel, ChannelTable
from detectors.base import ReadingBatch
from detectors.findings import Findings
from detectors.garbled import Garbled
from simulators.faults import words_swapped

S = 10**9


class Heard:
    """A water pressure and a voltage, in kPa and kV, reading by reading."""

    def __init__(self) -> None:
        self.table = ChannelTable(
            [
                Channel("w.pressure", "water", "w", "pressure", "kPa", 300.0),
                Channel("p.voltage", "power", "p", "voltage", "kV", 300.0),
            ]
        )
        self.detector = Garbled()
        self.points = self.detector.points(self.table)
        self.memory = self.detector.fresh_memory(self.table)

    def hear(self, second: int, *values: float) -> Findings | None:
        channel = np.arange(len(values), dtype=np.int32)
        at = np.full(len(values), second * S, dtype=np.int64)
        return self.detector.judge(
            ReadingBatch.of(channel, at, np.array(values), at), second * S, self.memory
        )


def severity(findings: Findings | None) -> list[int]:
    return [] if findings is None else findings.severity.tolist()


def test_swapped_words_are_told_at_the_first_impossible_value_and_over_with_a_sane_one() -> None:
    heard = Heard()
    wrong = float(words_swapped(np.array([287.6]))[0])

    assert heard.hear(0, 287.3, 10.1) is None
    told = heard.hear(300, wrong, 10.1)
    assert severity(told) == [1, 0]
    assert told is not None and "order of bytes or words" in told.explain(0).sentence
    assert severity(heard.hear(600, 287.3, 10.1)) == [0, 0]
    assert heard.hear(900, 287.3, 10.1) is None


@pytest.mark.parametrize("value", [0.0, -0.0, 287_300.0, 0.2873, np.nan])
def test_a_unit_mistake_of_a_thousand_nothing_and_zero_are_not_garbled(value: float) -> None:
    heard = Heard()
    heard.hear(0, 287.3, 10.1)
    assert heard.hear(300, value, 10.1) is None


def test_the_unit_of_the_channel_counts() -> None:
    heard = Heard()
    heard.hear(0, 300.0, 10.1)
    assert severity(heard.hear(300, 300.0, 3e7)) == [0, 1]


def test_only_what_is_watched_is_told() -> None:
    heard = Heard()
    heard.detector = Garbled().over(np.array([1], dtype=np.int32))
    heard.points = heard.detector.points(heard.table)
    heard.memory = heard.detector.fresh_memory(heard.table)
    told = heard.hear(0, 1e30, 10.1)
    assert told is None or severity(told) == [0]
