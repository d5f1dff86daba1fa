"""Crash: a gateway killed at forty seeded moments while readings flow; nothing is lost or told otherwise."""

import os
from collections.abc import Iterator

import pytest

from tests.rig.kills import CHECKS, Check, Story, lives, story

SEED = int(os.environ.get("WATCHLINE_SEED", "20"))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with story(tmp_path_factory.mktemp("crash") / "story", SEED) as the_whole:
        yield the_whole


def test_one_seed_gives_the_same_moments() -> None:
    assert lives(SEED) == lives(SEED)
    assert lives(SEED) != lives(SEED + 1)
    assert len({life.when for life in lives(SEED)}) == 3
    assert {"gas", "sos"} <= {life.trouble for life in lives(SEED)}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_after_forty_kills(told: Story, check: Check) -> None:
    assert check(told) == []
