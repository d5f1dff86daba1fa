"""Recorded: the same ticks from any form and order of a recording, and a plain word where it is none."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.channels import Channel, ChannelTable
from config.errors import InputError
from ingest import pieces, recorded
from ingest.readings import BAD, CONFLICT, GOOD, LATE, STAMPED, UNCERTAIN, ReadingBatch
from ingest.recorded import read_ticks, write_readings
from ingest.ticks import SECOND_NS, Command, Epoch, Tick, tick_of
from tests.ingest.world import NOON_NS, same_readings, same_ticks, site

NOON = datetime(2025, 10, 9, 12, tzinfo=UTC)


def moment(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def a_day(channels: int = 4, seconds: int = 300, seed: int = 0) -> ReadingBatch:
    """Regular readings that travel up to 3 s, in order of arrival."""
    rng = np.random.default_rng(seed)
    time_ns = np.repeat(NOON_NS + np.arange(seconds) * SECOND_NS, channels)
    arrival_ns = time_ns + rng.integers(0, 3 * SECOND_NS, len(time_ns))
    value = np.round(rng.normal(50, 1, len(time_ns)), 2)
    batch = ReadingBatch.of(np.tile(np.arange(channels), seconds), time_ns, value, GOOD, arrival_ns)
    return batch.where(np.argsort(arrival_ns, kind="stable"))


def twin_ticks(readings: ReadingBatch) -> Iterator[Tick]:
    """The slow, obvious way, for readings without repeats, late or early ones."""
    arrivals = np.array([tick_of(int(arrival)) for arrival in readings.arrival_ns], dtype=np.int64)
    for now_ns in sorted(set(arrivals.tolist())):
        chosen = readings.where(arrivals == now_ns)
        order = np.lexsort((chosen.time_ns, chosen.channel))
        sorted_batch = chosen.where(order)
        yield Tick(
            now_ns,
            ReadingBatch.of(
                sorted_batch.channel, sorted_batch.time_ns, sorted_batch.value, sorted_batch.quality, now_ns
            ),
        )


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("name", ["day.parquet", "day.csv"])
def test_what_was_written_is_read_as_ticks(tmp_path: Path, name: str) -> None:
    day = a_day()

    assert (
        write_readings(tmp_path / name, [day.where(np.arange(500)), day.where(np.arange(500, 1200))], site())
        == 1200
    )

    assert same_ticks(list(read_ticks(tmp_path / name, site())), list(twin_ticks(day)))


@given(st.randoms(use_true_random=False), st.integers(1, 400), st.sampled_from([7, 64, 10**6]))
@settings(max_examples=15, deadline=None)
def test_any_order_and_any_cut_give_the_same_ticks(
    tmp_path_factory: pytest.TempPathFactory, random: Any, group: int, at_once: int
) -> None:
    day, channels = a_day(seconds=60), site()
    path = tmp_path_factory.mktemp("any") / "shuffled.parquet"
    order = np.arange(len(day))
    if random.random() < 0.7:
        random.shuffle(order)
    shuffled = day.where(order)
    table = pa.table(
        {
            "time": pa.array(shuffled.time_ns).cast(pa.timestamp("ns", "UTC")),
            "channel": [channels.ids[number] for number in shuffled.channel],
            "value": shuffled.value,
            "arrival": pa.array(shuffled.arrival_ns).cast(pa.timestamp("ns", "UTC")),
        }
    )
    pq.write_table(table, path, row_group_size=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "AT_ONCE", at_once)
        patch.setattr(pieces, "AT_ONCE", at_once)
        assert same_ticks(list(read_ticks(path, channels)), list(twin_ticks(day)))


def test_a_csv_by_hand_with_zones_qualities_and_gaps(tmp_path: Path) -> None:
    path = tmp_path / "hand.csv"
    path.write_text(
        "\ufefftime,channel,value,quality,note\n"
        "2025-10-09T20:00:01+08:00,gas.p00.pressure,1.5,good,x\n"
        "2025-10-09T12:00:01.25Z,gas.p01.pressure,,bad,\n"
        "2025-10-09T12:00:02Z,gas.p01.pressure,2.501,uncertain,\n"
        "2025-10-09T12:00:02Z,gas.p00.pressure,1.0,,\n"
    )

    first, second = read_ticks(path, site())

    assert (first.now_ns, second.now_ns) == (NOON_NS + SECOND_NS, NOON_NS + 2 * SECOND_NS)
    assert first.readings.value.tolist() == [1.5]
    assert second.readings.channel.tolist() == [0, 1, 1]
    assert second.readings.quality.tolist() == [GOOD, BAD, UNCERTAIN]
    assert second.readings.value.tolist()[::2] == [1.0, 2.5]


def test_integer_nanoseconds_and_booleans(tmp_path: Path) -> None:
    channels = ChannelTable([Channel("w.fall", "wristband", "p", "fall", "1", 1.0)])
    path = tmp_path / "a.csv"
    path.write_text(f"channel,time,value\nw.fall,{NOON_NS},0\nw.fall,{NOON_NS + 5},1\n")
    booleans = parquet(
        tmp_path / "a.parquet", time=[moment(0), moment(1)], channel=["w.fall"] * 2, value=[False, True]
    )

    assert [tick.readings.value.tolist() for tick in read_ticks(path, channels)] == [[0.0], [1.0]]
    assert [tick.readings.value.tolist() for tick in read_ticks(booleans, channels)] == [[0.0], [1.0]]


def test_repeats_conflicts_and_late_readings_are_what_they_are_live(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "a.parquet",
        time=[moment(0), moment(0), moment(0), moment(-1800), moment(1)],
        channel=["gas.p00.pressure"] * 5,
        value=[1.0, 1.001, 2.0, 3.0, 4.0],
        arrival=[moment(0), moment(1), moment(2), moment(3), moment(3)],
    )

    ticks = list(read_ticks(path, site()))

    assert [tick.readings.value.tolist() for tick in ticks] == [[1.0], [2.0], [3.0, 4.0]]
    assert [tick.readings.flags.tolist() for tick in ticks] == [
        [STAMPED],
        [STAMPED | CONFLICT],
        [STAMPED | LATE, STAMPED],
    ]


def test_a_named_conflict_stays_one(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "a.parquet",
        time=[moment(0), moment(1)],
        channel=["gas.p00.pressure"] * 2,
        value=[1.0, 2.0],
        conflict=[False, True],
    )

    assert [tick.readings.flags.tolist() for tick in read_ticks(path, site())] == [
        [STAMPED],
        [STAMPED | CONFLICT],
    ]


def test_facts_come_in_their_ticks_and_between_them(tmp_path: Path) -> None:
    write_readings(
        tmp_path / "a.parquet",
        [
            ReadingBatch.of(
                [0, 0], [NOON_NS, NOON_NS - 3600 * SECOND_NS], 1.0, GOOD, [NOON_NS, NOON_NS + 9 * SECOND_NS]
            )
        ],
        site(),
    )
    facts = tmp_path / "facts.jsonl"
    shelve = {"id": "c1", "kind": "shelve", "body": {"seconds": 5}, "actor": "centre", "issued_ns": 3}
    lines = [
        {"tick_ns": NOON_NS - SECOND_NS, "kind": "epoch", "body": {"reason": "start", "clock_good": True}},
        {"tick_ns": NOON_NS, "kind": "command", "body": shelve},
        {
            "tick_ns": NOON_NS + 5 * SECOND_NS,
            "kind": "epoch",
            "body": {"reason": "clock_step", "clock_good": False},
        },
        {"tick_ns": NOON_NS + 20 * SECOND_NS, "kind": "epoch", "body": {"reason": "stop"}},
    ]
    facts.write_text("".join(json.dumps(line) + "\n" for line in lines))

    ticks = list(read_ticks(tmp_path / "a.parquet", site(), facts=facts))

    assert [(tick.now_ns - NOON_NS) // SECOND_NS for tick in ticks] == [-1, 0, 5, 9, 20]
    assert ticks[0].epoch == Epoch("start")
    assert ticks[1].commands == (Command(**shelve),)  # type: ignore[arg-type]
    assert len(ticks[1].readings) == 1
    assert ticks[3].readings.flags.tolist() == [STAMPED]  # an hour late, but the clock is not good
    assert ticks[4].epoch == Epoch("stop")


def test_only_the_channels_and_the_span_that_are_asked_for(tmp_path: Path) -> None:
    day = a_day()
    write_readings(tmp_path / "a.parquet", [day], site())
    keep = np.array([False, True, False, False, False])
    start, end = NOON_NS + 10 * SECOND_NS, NOON_NS + 20 * SECOND_NS
    shares: list[float] = []

    ticks = list(
        read_ticks(
            tmp_path / "a.parquet", site(), start_ns=start, end_ns=end, keep=keep, progress=shares.append
        )
    )

    whole = {tick.now_ns: tick.readings for tick in twin_ticks(day.where(day.channel == 1))}
    assert [tick.now_ns for tick in ticks] == [now_ns for now_ns in whole if start <= now_ns < end]
    assert all(same_readings(tick.readings, whole[tick.now_ns]) for tick in ticks)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_channels_that_are_not_listed_are_left_out_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = parquet(
        tmp_path / "a.parquet",
        time=[moment(0), moment(0), moment(1)],
        channel=["gas.p00.pressure", "gas.new.pressure", "gas.new.pressure"],
        value=[1.0, 2.0, 3.0],
    )

    with caplog.at_level(logging.WARNING):
        ticks = list(read_ticks(path, site()))

    assert [len(tick.readings) for tick in ticks] == [1]
    assert len(caplog.records) == 2
    assert '"gas.new.pressure"' in caplog.text
    assert "2 readings" in caplog.text


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as refused:
        list(read_ticks(path, site(), **options))
    assert str(path.name) in str(refused.value) or options
    return str(refused.value)


def test_a_recording_that_cannot_be_used_is_named_with_what_to_do(tmp_path: Path) -> None:
    channel = ["gas.p00.pressure"]
    good = tmp_path / "good.parquet"
    write_readings(good, [a_day()], site())
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(good.read_bytes()[:-200])
    torn = tmp_path / "torn.parquet"
    whole = bytearray(good.read_bytes())
    whole[1000:3000] = bytes(2000)
    torn.write_bytes(whole)
    naive = parquet(tmp_path / "naive.parquet", time=[datetime(2025, 1, 1)], channel=channel, value=[1.0])
    hollow = parquet(
        tmp_path / "hollow.parquet", time=[moment(0), None], channel=channel * 2, value=[1.0, 2.0]
    )
    nameless = parquet(
        tmp_path / "nameless.parquet", time=[moment(0)], channel=pa.array([None], pa.string()), value=[1.0]
    )
    words = parquet(tmp_path / "words.parquet", time=[moment(0)], channel=channel, value=["high"])
    quality = parquet(
        tmp_path / "q.parquet", time=[moment(0)], channel=channel, value=[1.0], quality=["fine"]
    )
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    (tmp_path / "columns.csv").write_text("timestamp,value\n2025-01-01,5\n")
    (tmp_path / "naive.csv").write_text("time,channel,value\n2025-01-01T00:00:00,gas.p00.pressure,5\n")
    (tmp_path / "words.csv").write_text("time,channel,value\n2025-01-01T00:00:00Z,gas.p00.pressure,high\n")
    (tmp_path / "ragged.csv").write_text("time,channel,value\n2025-01-01T00:00:00Z,gas.p00.pressure\n")
    (tmp_path / "blank.csv").write_text("")
    (tmp_path / "facts.jsonl").write_text(
        '{"tick_ns": 5, "kind": "epoch", "body": {"reason": "start"}}\n{"tick_ns"'
    )

    assert "copy it again" in refusal(cut)
    assert "damaged" in refusal(torn)
    assert "without a zone" in refusal(naive)
    assert "no time" in refusal(hollow)
    assert "no channel" in refusal(nameless)
    assert "not a number" in refusal(words)
    assert 'quality "fine"' in refusal(quality)
    assert "no such file" in refusal(tmp_path / "nowhere.parquet")
    assert "no .parquet file" in refusal(tmp_path / "empty")
    assert "neither Parquet nor UTF-8" in refusal(tmp_path / "binary.csv")
    assert "no column time, channel (it has timestamp, value)" in refusal(tmp_path / "columns.csv")
    assert "with a zone" in refusal(tmp_path / "naive.csv")
    assert 'words.csv:2: value "high" is not a number' in refusal(tmp_path / "words.csv")
    assert "ragged.csv:2: 2 fields, the header has 3" in refusal(tmp_path / "ragged.csv")
    assert "it has none" in refusal(tmp_path / "blank.csv")
    assert "facts.jsonl:2" in refusal(good, facts=tmp_path / "facts.jsonl")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("2025-01-01T00:00:00Z,gas.p00.pressure,1\n\nsoon,gas.p00.pressure,1\n", 'x.csv:4: time "soon"'),
        ("3025-01-01T00:00:00Z,gas.p00.pressure,1\n", 'x.csv:2: time "3025-01-01T00:00:00Z"'),
        ("1,gas.p00.pressure,1\n2025-01-01T00:00:00Z,gas.p00.pressure,1\n", "x.csv:3: times are integers"),
        ("1,gas.p00.pressure,true\n", 'x.csv:2: value "true" is not a number; write booleans as 0 and 1'),
    ],
)
def test_the_first_bad_line_of_a_csv_is_named(tmp_path: Path, rows: str, said: str) -> None:
    (tmp_path / "x.csv").write_text("time,channel,value\n" + rows)

    assert said in refusal(tmp_path / "x.csv")


def test_an_empty_line_before_the_first_reading_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"time,channel,value\n\n{NOON_NS},gas.p00.pressure,1\n")

    assert sum(len(tick.readings) for tick in read_ticks(tmp_path / "x.csv", site())) == 1


def test_a_folder_of_foreign_files_is_one_recording(tmp_path: Path) -> None:
    day, channels = a_day(seconds=40), site()
    for number in range(3):  # each file holds every third reading: they overlap all along
        write_readings(tmp_path / f"{number}.parquet", [day.where(np.arange(number, len(day), 3))], channels)

    assert same_ticks(list(read_ticks(tmp_path, channels)), list(twin_ticks(day)))


def test_memory_does_not_grow_with_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr(recorded, "AT_ONCE", 20_000)
    monkeypatch.setattr(pieces, "AT_ONCE", 20_000)
    channels, peaks = site(50), []
    for seconds in (1_000, 8_000):
        path = tmp_path / f"{seconds}.parquet"
        by_channel = a_day(50, seconds)
        write_readings(path, [by_channel.where(np.argsort(by_channel.channel, kind="stable"))], channels)
        tracemalloc.start()
        readings = sum(len(tick.readings) for tick in read_ticks(path, channels))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert readings == 50 * seconds

    assert peaks[1] < 2 * peaks[0]
