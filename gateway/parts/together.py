"""Together: a replay by several workers that says, to the byte, what a single process would say."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from alerts.alert import AlertChange
from gateway.parts.fold import Fold
from gateway.parts.part import Closing, Job, Moment, News, Opening, Said
from gateway.parts.rota import Keep, Rota, Source, Unsure, quick_rota, whole_rota
from gateway.parts.split import split
from gateway.watch import Site, with_deadlines
from ingest.survey import read_facts
from ingest.ticks import Tick

Changed = Callable[[Tick, list[AlertChange]], None]
Heard = Callable[[int, int], None]
"""How many readings more were judged, and up to which moment."""


class Engine(Protocol):
    """Where workers come from."""

    def start(self, jobs: Sequence[Job]) -> list[Iterator[Said]]: ...

    def stop(self) -> None: ...


def replay_together(
    source: Source,
    site: Site,
    keep: Keep,
    engine: Callable[[], Engine],
    workers: int,
    changed: Callable[[], Changed],
    heard: Heard,
) -> None:
    """Judge by parts, then conclude. changed() is asked for a fresh sink when all has to be begun again."""
    numbers = range(len(site.channels)) if keep is None else np.flatnonzero(keep).tolist()
    shares = split(site.channels, numbers, workers)
    rota = quick_rota(source, site.channels, keep)
    try:
        rota = rota or whole_rota(source, site.channels, keep)
        _run(source, site, shares, rota, engine(), changed(), heard)
    except Unsure:
        rota = whole_rota(source, site.channels, keep)
        _run(source, site, shares, rota, engine(), changed(), heard)


def _run(
    source: Source,
    site: Site,
    shares: Sequence[tuple[int, ...]],
    rota: Rota,
    engine: Engine,
    changed: Changed,
    heard: Heard,
) -> None:
    jobs = [
        Job(source, site.channels, share, rota, site.watchings, site.timezone, site.warmup_s, speaks=not n)
        for n, share in enumerate(shares)
    ]
    try:
        said = engine.start(jobs)
        points = [_opening(one).points for one in said]
        fold = Fold(
            site.channels,
            points,
            links=site.links,
            planned=site.planned,
            timezone=site.timezone,
            warmup_s=site.warmup_s,
        )
        ticks = fold.ticks([_moments(one, heard) for one in said], _facts(source))
        for tick in with_deadlines(ticks, fold, to_the_end=True):
            changed(tick, fold.step(tick))
    finally:
        engine.stop()


def _opening(said: Iterator[Said]) -> Opening:
    first = next(said)
    assert isinstance(first, Opening)
    return first


def _moments(said: Iterable[Said], heard: Heard) -> Iterator[Moment | Closing]:
    for news in said:
        if isinstance(news, News):
            heard(news.readings, news.now_ns)
            yield from news.moments
        elif isinstance(news, Closing):
            yield news


def _facts(source: Source) -> Iterator[Tick]:
    for tick in read_facts(Path(source.path), facts=source.facts):
        if (source.start_ns is None or tick.now_ns >= source.start_ns) and (
            source.end_ns is None or tick.now_ns < source.end_ns
        ):
            yield tick
