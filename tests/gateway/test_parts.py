"""Parts: several workers say what one process says, to the byte; a worker that is killed changes nothing."""

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.channels import Channel, ChannelTable
from detectors import fast
from gateway.parts.local import Local
from gateway.parts.part import Job, Said, work
from gateway.parts.rota import Source, Unsure, quick_rota, whole_rota
from gateway.parts.split import split
from gateway.parts.together import Engine, replay_together
from gateway.watch import Site, keep_watch, with_deadlines
from ingest.readings import ReadingBatch
from ingest.recorded import read_ticks
from tests.gateway.city import START_NS, City, city

WARMUP_S = 6 * 3600.0


class Here:
    """Workers that are this process: one after another, moment by moment."""

    def start(self, jobs: Sequence[Job]) -> list[Iterator[Said]]:
        return [work(job) for job in jobs]

    def stop(self) -> None:
        pass


def source_of(folder: Path, **span: Any) -> Source:
    given = {"start_ns": None, "end_ns": None, **span}
    return Source(folder / "readings.parquet", folder / "facts.jsonl", **given)


def alone(town: City, source: Source) -> list[str]:
    """What one process says, a line a change."""
    watch = Site(town.channels, town.links, warmup_s=WARMUP_S).watch()
    told: list[str] = []
    ticks = read_ticks(
        source.path, town.channels, facts=source.facts, start_ns=source.start_ns, end_ns=source.end_ns
    )
    keep_watch(with_deadlines(ticks, watch, to_the_end=True), watch, lambda _, more: told.extend(lines(more)))
    return told


def together(
    town: City, source: Source, workers: int, engine: Callable[[], Engine] = Here
) -> tuple[list[str], int]:
    """What several say, and how often they had to begin."""
    told: list[list[str]] = []

    def fresh() -> Callable[[Any, Any], None]:
        mine: list[str] = []
        told.append(mine)
        return lambda _, more: mine.extend(lines(more))

    site = Site(town.channels, town.links, warmup_s=WARMUP_S)
    replay_together(source, site, None, engine, workers, fresh, lambda readings, now_ns: None)
    return told[-1], len(told)


def lines(changes: Sequence[Any]) -> list[str]:
    return [json.dumps(change.cloud_event("urn:watchline:city")) for change in changes]


@pytest.mark.parametrize("seed", range(8))
def test_parts_say_what_the_whole_says(seed: int, tmp_path: Path) -> None:
    """Whatever is silent, late, doubled or restarted."""
    town = city(seed)
    town.write(tmp_path)
    source = source_of(tmp_path)
    said = alone(town, source)

    assert len(said) > 20
    assert together(town, source, 2 + seed % 3)[0] == said


@pytest.mark.parametrize("seed", [3, 5])
def test_a_stretch_of_a_recording_too(seed: int, tmp_path: Path) -> None:
    town = city(seed)
    town.write(tmp_path)
    hour = 3600 * 10**9
    source = source_of(tmp_path, start_ns=START_NS + 3 * hour, end_ns=START_NS + 11 * hour)

    assert together(town, source, 3)[0] == alone(town, source)


def test_parts_that_are_long_go_on_with_compiled_detectors_and_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = city(4)
    town.write(tmp_path)
    said = alone(town, source_of(tmp_path))
    monkeypatch.setattr(fast, "LONG", 500)
    try:
        assert together(town, source_of(tmp_path), 2)[0] == said
        assert fast.kernels() is not None
    finally:
        fast.unload()


def test_the_first_minutes_suffice_where_nobody_is_silent_for_hours(tmp_path: Path) -> None:
    town = calm_town()
    town.write(tmp_path)
    told, begun = together(town, source_of(tmp_path), 2)

    assert begun == 1
    assert told == alone(town, source_of(tmp_path))


def calm_town() -> City:
    town = city(1, hours=9.0)
    start = town.readings.time_ns < START_NS + 4 * 3600 * 10**9
    keep = start & (town.readings.arrival_ns - town.readings.time_ns < 10**10)
    return City(town.channels, town.links, town.readings.where(keep), [])


def test_where_they_do_not_the_whole_is_looked_through(tmp_path: Path) -> None:
    """A zone that is silent for eight hours cannot know whether the city made rows meanwhile."""
    channels = ChannelTable([Channel(f"{z}.flow", "water", z, "flow", "m3/h", 60.0, zone=z) for z in "ab"])
    minute = 60 * 10**9
    time_ns = START_NS + minute * np.arange(12 * 60)
    hour = np.arange(12 * 60) // 60
    talks = (hour < 1) | (hour >= 9)
    value = 80 + np.random.default_rng(4).normal(size=len(time_ns)) + 40 * (hour == 10)
    readings = ReadingBatch.joined(
        [
            ReadingBatch.of(np.zeros(talks.sum()), time_ns[talks], value[talks]),
            ReadingBatch.of(np.ones(len(time_ns)), time_ns, value),
        ]
    )
    town = City(channels, (), readings.where(np.argsort(readings.arrival_ns, kind="stable")), [])
    town.write(tmp_path)
    source = source_of(tmp_path)
    quick, thorough = quick_rota(source, channels, None), whole_rota(source, channels, None)
    assert quick is not None
    job = Job(source, channels, (0,), quick, (), "Asia/Shanghai", WARMUP_S)
    with pytest.raises(Unsure):
        list(work(job))

    list(work(replace(job, rota=thorough)))
    assert together(town, source, 2) == (alone(town, source), 2)


def test_workers_that_are_processes_say_the_same(tmp_path: Path) -> None:
    town = city(2)
    town.write(tmp_path)

    assert together(town, source_of(tmp_path), 2, Local)[0] == alone(town, source_of(tmp_path))


class Butchered(Local):
    """One of the workers is killed after its first words."""

    def start(self, jobs: Sequence[Job]) -> list[Iterator[Said]]:
        said = super().start(jobs)
        return [self._cut_off(0, said[0]), *said[1:]]

    def _cut_off(self, number: int, news: Iterator[Said]) -> Iterator[Said]:
        yield next(news)
        before = self.pids[number]
        os.kill(before, signal.SIGKILL)
        yield from news
        assert self.pids[number] != before


def test_a_worker_that_is_killed_is_started_anew_and_nothing_is_said_twice(tmp_path: Path) -> None:
    town = city(2)
    town.write(tmp_path)

    assert together(town, source_of(tmp_path), 2, Butchered)[0] == alone(town, source_of(tmp_path))


@given(st.data())
def test_channels_of_a_place_a_device_or_a_zone_are_never_parted(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30))
    names = [data.draw(st.sampled_from("abcdefgh")) for _ in range(count)]
    zones = [data.draw(st.sampled_from(["", "n", "s", "w"])) for _ in range(count)]
    places = [data.draw(st.sampled_from("ABCDEFGHIJ")) for _ in range(count)]
    channels = ChannelTable(
        [
            Channel(f"{name}.{number}", "water", place, "flow", "m3/h", 60.0, zone=zone)
            for number, (name, zone, place) in enumerate(zip(names, zones, places))
        ]
    )
    shares = split(channels, range(count), data.draw(st.integers(1, 6)))

    assert sorted(number for share in shares for number in share) == list(range(count))
    of = {number: share for share in shares for number in share}
    for one in range(count):
        for other in range(one):
            same = names[one] == names[other] or places[one] == places[other]
            if same or (zones[one] and zones[one] == zones[other]):
                assert of[one] == of[other]
