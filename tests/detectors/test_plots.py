"""The pictures of the documents show each detector that judges rows, and each at work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from config import kinds
from detectors.base import Detector
from tests.quality.plots import CALM_DAYS, CASES, DAY, main, record, surprises

PLOTS = Path(__file__).parents[2] / "docs" / "plots"
MOST_BYTES = 60_000


def test_each_kind_that_judges_rows_has_a_picture() -> None:
    judges = [kinds.kind_class(kinds.DETECTORS, kind) for kind in kinds.kinds(kinds.DETECTORS)]

    assert set(CASES) == {one.__module__.rpartition(".")[2] for one in judges if issubclass(one, Detector)}
    assert all((PLOTS / f"{kind}.svg").stat().st_size < MOST_BYTES for kind in CASES)


@pytest.mark.parametrize("kind", CASES)
def test_it_warns_after_what_happens_and_not_before(kind: str) -> None:
    case = CASES[kind]
    told, warning = surprises(kind, record(case))
    begins = CALM_DAYS * DAY + case.begins

    assert np.nanmax(told[begins:]) >= warning
    assert not (told[DAY:begins] >= warning).any()


def test_the_command_draws_them_all(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path), "--only", "silence"]) == 0
    assert (tmp_path / "silence.svg").read_text("utf-8").startswith("<svg ")
