"""Fuzz: its share in CI: each target for some seconds, guided by coverage, and cases shaped like truth."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.columns import Damaged, decode, encode
from ingest.readings import ReadingBatch
from tests.fuzz.__main__ import NAMES
from tests.fuzz.targets import Journals, Openings, Payloads, Settings, patched, seeds

HOUSE = Path(__file__).resolve().parents[2]
SECONDS = 8  # of each target; a million cases are for `python -m tests.fuzz TARGET --cases 1000000`
PATIENCE_S = 270  # for a start and for what is under way, on a machine that is busy

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

numbers = st.integers(-(2**70), 2**70) | st.floats() | st.booleans()
leaves = st.none() | numbers | st.text(max_size=8)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
points = st.sampled_from(["heart_rate", "spo2", "sos", "skin_temperature", "pressure", "nothing"])
entries = st.fixed_dictionaries(
    {"v": st.dictionaries(points, numbers | anything, max_size=5)},
    optional={"t": leaves | st.integers(1_700_000_000_000, 1_800_000_000_000)},
)
payloads = entries | st.lists(entries, max_size=4) | anything


@pytest.mark.parametrize("name", NAMES)
def test_a_guided_search_breaks_no_promise(name: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris has wheels for Linux on x86-64 only")
    command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", str(SECONDS)]
    done = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=PATIENCE_S)

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    assert found, done.stderr[-3000:]
    assert int(found[1]) > len(list(seeds(name)))


@pytest.fixture(scope="module")
def take() -> Payloads:
    return Payloads()


@unhurried
@given(messages=st.lists(payloads, min_size=1, max_size=3), device=st.integers(0, 255))
def test_whatever_devices_say_the_ledger_balances(take: Payloads, messages: Any, device: int) -> None:
    take(bytes([device]) + b"\n\n".join(json.dumps(message).encode() for message in messages))
    take.settle()


@unhurried
@given(
    size=st.integers(1, 200),
    seed=st.integers(0, 2**32),
    values=st.lists(st.floats(width=64), min_size=1, max_size=5),
    flip=st.none() | st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)),
)
def test_a_blob_is_what_was_written_or_is_known_to_be_damaged(
    size: int, seed: int, values: list[float], flip: tuple[float, int] | None
) -> None:
    rng = np.random.default_rng(seed)
    given_ = ReadingBatch.of(
        np.sort(rng.integers(0, 9, size)), rng.integers(-(2**62), 2**62, size), rng.choice(values, size)
    )
    blob = bytearray(encode(given_, np.arange(9, dtype=np.int32)))
    if flip is not None:
        blob[int(flip[0] * len(blob))] ^= flip[1]
        with pytest.raises(Damaged):
            decode(bytes(blob))
        return
    found = decode(bytes(blob))

    assert np.array_equal(found.channel, given_.channel)
    assert np.array_equal(found.time_ns, given_.time_ns)
    assert np.array_equal(found.value, given_.value, equal_nan=True)


@pytest.fixture(scope="module")
def read() -> Journals:
    return Journals()


@unhurried
@given(damage=st.binary(max_size=60))
def test_a_damaged_journal_is_read_in_part_or_named(read: Journals, damage: bytes) -> None:
    read(damage)


@pytest.fixture(scope="module")
def start() -> Openings:
    return Openings()


@settings(unhurried, max_examples=40)
@given(damage=st.binary(max_size=60))
def test_a_damaged_journal_stops_no_start(start: Openings, damage: bytes) -> None:
    start(damage)


def test_no_byte_of_the_header_stops_a_start(start: Openings) -> None:
    for place in range(100):
        start(place.to_bytes(4, "little") + bytes([(1, 3, 255)[place % 3]]))


@pytest.fixture(scope="module")
def check() -> Settings:
    return Settings()


@settings(unhurried, max_examples=200)
@given(which=st.integers(0, 3), damage=st.binary(max_size=40))
def test_every_mistake_of_settings_is_a_sentence(check: Settings, which: int, damage: bytes) -> None:
    example = list(seeds("settings"))[which]
    check(example[:1] + patched(example[1:], damage))
