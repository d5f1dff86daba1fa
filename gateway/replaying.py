"""Replaying: recorded readings through the watch that runs live, by one process or by several."""

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alerts.alert import AlertChange, rfc3339
from config.channels import ChannelTable
from config.errors import InputError
from detectors import fast
from gateway.showing import Show
from gateway.watch import Site, Watch, keep_watch, with_deadlines
from ingest.recorded import read_ticks
from ingest.survey import extent_of, is_parquet, write_plain
from ingest.ticks import Tick

if TYPE_CHECKING:
    from gateway.parts.rota import Keep
    from gateway.parts.together import Engine

Sink = Callable[[Sequence[AlertChange]], None]
DASK = "dask://"


@dataclass(frozen=True)
class Recording:
    """What is replayed. path: a file, an archive folder, or the address of a database."""

    path: str
    facts: Path | None = None
    keep: "Keep" = None
    start_ns: int | None = None
    end_ns: int | None = None


@dataclass(frozen=True)
class Workers:
    """How many processes; or an engine that has its own."""

    jobs: int = 1
    engine: str = ""

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise InputError(f"--jobs {self.jobs}: at least 1")
        if self.engine and not self.engine.startswith(DASK):
            raise InputError(f"--engine {self.engine}: not known; write dask://host:port")


def replay(recording: Recording, site: Site, workers: Workers, fresh: Callable[[], Sink], show: Show) -> int:
    """The readings judged. fresh() gives where changes go; it is asked again where all begins anew."""
    if workers.jobs == 1 and not workers.engine:
        return _alone(recording, site.watch(), fresh(), show)
    return _together(recording, site, workers, fresh, show)


def _alone(recording: Recording, watch: Watch, sink: Sink, show: Show) -> int:
    tally = Tally(show, span_of(recording, watch.channels))
    ticks = read_ticks(
        recording.path,
        watch.channels,
        facts=recording.facts,
        keep=recording.keep,
        start_ns=recording.start_ns,
        end_ns=recording.end_ns,
        progress=tally.read,
    )

    def record(tick: Tick, changes: Sequence[AlertChange]) -> None:
        before = tally.readings
        tally.judged(len(tick.readings), tick.now_ns)
        if notice := fast.load_once_long(before, tally.readings):
            print(notice, file=sys.stderr)
        if changes:
            sink(changes)

    keep_watch(with_deadlines(ticks, watch, to_the_end=True), watch, record)
    return tally.readings


class Tally:
    """What has gone by; shown now and then. span: from when to when the stream goes, where that is known."""

    EVERY = 50_000

    def __init__(self, show: Show, span: tuple[int, int] | None = None) -> None:
        self.readings = 0
        self._show = show
        self._span = span
        self._read = 0.0
        self._next = self.EVERY

    def read(self, share: float) -> None:
        """Of the recording so much has been read."""
        self._read = share

    def judged(self, readings: int, now_ns: int) -> None:
        self.readings += readings
        if self.readings >= self._next:
            self._next = self.readings + self.EVERY
            share = self._read
            if self._span is not None:
                first, last = self._span
                share = min(max((now_ns - first) / max(last - first, 1), 0.0), 1.0)
            self._show(share, self.readings, rfc3339(now_ns)[:16])


def span_of(recording: Recording, channels: ChannelTable) -> tuple[int, int] | None:
    """From when to when a recording goes, of what is replayed of it."""
    if not is_parquet(recording.path):
        return None
    extent = extent_of(Path(recording.path), channels, facts=recording.facts)
    if extent is None:
        return None
    first = extent.first_ns if recording.start_ns is None else max(extent.first_ns, recording.start_ns)
    return first, extent.last_ns if recording.end_ns is None else min(extent.last_ns, recording.end_ns)


def _together(
    recording: Recording, site: Site, workers: Workers, fresh: Callable[[], Sink], show: Show
) -> int:
    from gateway.parts import together
    from gateway.parts.rota import Source

    with _engine(workers) as (engine, jobs), _plain_files(recording, site, workers) as files:
        path = Path(files.path).resolve()
        facts = None if files.facts is None else files.facts.resolve()
        source = Source(path, facts, files.start_ns, files.end_ns)
        span = span_of(files, site.channels)
        tally: list[Tally] = []

        def changed() -> Callable[[Tick, Sequence[AlertChange]], None]:
            sink = fresh()
            tally.append(Tally(show, span))
            return lambda tick, changes: sink(changes) if changes else None

        together.replay_together(
            source,
            site,
            recording.keep,
            engine,
            jobs,
            changed,
            lambda n, now_ns: tally[-1].judged(n, now_ns),
        )
    return tally[-1].readings


@contextlib.contextmanager
def _engine(workers: Workers) -> Iterator[tuple[Callable[[], "Engine"], int]]:
    """What makes an engine, and how many parts suit it."""
    if not workers.engine:
        from gateway.parts.local import Local

        yield Local, workers.jobs
        return
    from gateway.parts.dask import Dask

    cluster = Dask(workers.engine)
    try:
        yield lambda: cluster, max(workers.jobs, cluster.workers)
    finally:
        cluster.close()


@contextlib.contextmanager
def _plain_files(recording: Recording, site: Site, workers: Workers) -> Iterator[Recording]:
    """Parquet, which every worker can read for itself; anything else is laid down as that first."""
    if is_parquet(recording.path):
        yield recording
        return
    if workers.engine:
        raise InputError(
            f"{recording.path}: the workers of {workers.engine} read the recording themselves;"
            " give a Parquet file or an archive folder on a path that they share"
        )
    with tempfile.TemporaryDirectory(prefix="watchline-") as folder:
        path = Path(folder) / "readings.parquet"
        write_plain(path, recording.path, site.channels, recording.keep, recording.start_ns, recording.end_ns)
        yield replace(recording, path=str(path))
