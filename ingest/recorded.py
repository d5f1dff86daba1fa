"""Recorded: ticks from readings on disk, for replay; memory stays constant however long the recording is.

Recordings that come in order of arrival are only cut into ticks. Others are sorted by arrival, beyond two
million readings through a temporary file. The rules for duplicates, late and early readings are the
inbox's own; what our archive wrote has been through them already and is not judged twice.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from ingest.inbox import Inbox, timely
from ingest.parquet import write_readings
from ingest.pieces import AT_ONCE, Intake, Kept, Piece, Spool
from ingest.readings import ReadingBatch
from ingest.survey import Fact, Part, at_one_moment, parts_of, warn_of_strangers
from ingest.ticks import SECOND_NS, Tick, tick_of

__all__ = ["read_ticks", "write_readings"]

ADMITTED_AT_ONCE = 32_768  # readings, as far as the channels' periods tell: a group is a span of time
LONGEST_SPAN_S = 4096
LARGE_TICK = 2_000  # readings

Progress = Callable[[float], None]


def read_ticks(
    path: Path | str,
    channels: ChannelTable,
    *,
    facts: Path | None = None,
    start_ns: int | None = None,
    end_ns: int | None = None,
    keep: NDArray[np.bool_] | None = None,
    progress: Progress | None = None,
    quiet: bool = False,
) -> Iterator[Tick]:
    """Ticks that hold a reading, a command or an epoch, in order; [start_ns, end_ns) of stream time.

    path: a Parquet or CSV file, a folder of Parquet files such as our archive (its facts.jsonl is then read
    too), or the address of a database such as influx+http://127.0.0.1:8086/sensors. keep (channels,): which
    to read. progress is told the share done, 0 to 1. InputError names the file and what to do; readings of
    unknown channels are counted and left out, with a warning unless it is to be quiet.
    """
    intake = Intake(channels, keep, quiet)
    spool = Spool()
    try:
        parts = parts_of(path, intake, spool, facts=facts, start_ns=start_ns, end_ns=end_ns)
        reader = _Reader(channels, start_ns, end_ns, progress, spool, parts)
        yield from reader.ticks()
    finally:
        spool.close()
        intake.close()
    warn_of_strangers(path, intake)


class _Reader:
    """One pass over a recording."""

    def __init__(
        self,
        channels: ChannelTable,
        start_ns: int | None,
        end_ns: int | None,
        progress: Progress | None,
        spool: Spool,
        parts: Sequence[Part],
    ) -> None:
        self.channels = channels
        self.start_ns = -(1 << 63) if start_ns is None else start_ns
        self.end_ns = (1 << 63) - 1 if end_ns is None else end_ns
        self.progress = progress or (lambda share: None)
        self.spool = spool
        self.parts = parts
        self.inbox = Inbox(channels)
        self.clock_good = True
        self.total = max(1, sum(piece.rows for part in parts for piece in part.pieces))
        self.done = 0

    def ticks(self) -> Iterator[Tick]:
        for part in self.parts:
            batches = self._judged(self._in_order(part), part)
            yield from self._with_facts(_cut(batches), part.facts)
        self.progress(1.0)

    def _in_order(self, part: Part) -> Iterator[ReadingBatch]:
        """Batches sorted by tick, channel and time; one begins where the last ended, or in its last tick."""
        for section in _sections(part.pieces):
            if not self._overlaps(section):
                continue
            rows = sum(piece.rows for piece in section)
            loaded = (batch for piece in section for batch in piece.load())
            if rows <= AT_ONCE:
                yield self._ready(ReadingBatch.joined(list(loaded)))
            else:
                for pieces in _sliced(loaded, section, rows, self.spool):
                    yield self._ready(ReadingBatch.joined([batch for p in pieces for batch in p.load()]))
            self.done += rows
            self.progress(self.done / self.total)

    def _overlaps(self, section: Sequence[Piece]) -> bool:
        first, last = min(p.first_ns for p in section), max(p.last_ns for p in section)
        return tick_of(last) >= self.start_ns and tick_of(first) < self.end_ns

    def _ready(self, batch: ReadingBatch) -> ReadingBatch:
        batch = in_order(batch)
        if not len(batch) or (batch.arrival_ns[0] >= self.start_ns and batch.arrival_ns[-1] < self.end_ns):
            return batch
        first, last = np.searchsorted(batch.arrival_ns, (self.start_ns, self.end_ns))
        return batch.where(np.arange(first, last))

    def _judged(self, batches: Iterable[ReadingBatch], part: Part) -> Iterator[ReadingBatch]:
        """Through the inbox's two steps."""
        epochs = [fact for fact in part.facts if fact.epoch is not None]
        moments = np.array([fact.tick_ns for fact in epochs], dtype=np.int64)
        goods = np.array([self.clock_good, *(bool(f.epoch and f.epoch.clock_good) for f in epochs)])
        for admitted in batches if part.admitted else self._admitted(batches):
            ticks = admitted.arrival_ns
            good = True if goods.all() else goods[np.searchsorted(moments, ticks, side="right")]
            yield timely(admitted, ticks, self.channels.period_s, good)
        self.clock_good = bool(goods[-1])

    def _admitted(self, batches: Iterable[ReadingBatch]) -> Iterator[ReadingBatch]:
        """By spans of stream time that follow from the channel list alone: a single tick on a large site.

        So a channel's readings are grouped alike however the recording is cut, and whoever is read beside it.
        """
        width_ns = _span_s(self.channels) * SECOND_NS
        for batch in _at_spans(batches, width_ns):
            starts = _starts(batch.arrival_ns // width_ns)
            ends = [*starts[1:], len(batch)]
            parts = [self.inbox.admit(_slice(batch, *span)).readings for span in zip(starts, ends)]
            yield ReadingBatch.joined(parts)

    def _with_facts(self, ticks: Iterable[Tick], facts: Sequence[Fact]) -> Iterator[Tick]:
        """The ticks of readings and those of commands and epochs, one stream."""
        waiting = [fact for fact in facts if self.start_ns <= fact.tick_ns < self.end_ns]
        place = 0
        for tick in ticks:
            while place < len(waiting) and waiting[place].tick_ns < tick.now_ns:
                place, alone = at_one_moment(waiting, place)
                yield alone
            if place < len(waiting) and waiting[place].tick_ns == tick.now_ns:
                place, alone = at_one_moment(waiting, place)
                yield replace(tick, commands=alone.commands, epoch=alone.epoch)
            else:
                yield tick
        while place < len(waiting):
            place, alone = at_one_moment(waiting, place)
            yield alone


def _span_s(channels: ChannelTable) -> int:
    """How long a span holds some ADMITTED_AT_ONCE readings: a power of two, so that spans never overlap.

    One tick where ticks are large, since each channel then stands alone in its group.
    """
    a_second = float(np.sum(1.0 / channels.period_s)) if len(channels) else 1.0
    if a_second >= LARGE_TICK:
        return 1
    spans = min(ADMITTED_AT_ONCE / max(a_second, 1e-9), LONGEST_SPAN_S)
    return 1 << max(int(np.log2(max(spans, 1.0))), 0)


def _at_spans(batches: Iterable[ReadingBatch], width_ns: int) -> Iterator[ReadingBatch]:
    """The same readings in batches that end where a span does."""
    held = ReadingBatch.empty()
    for batch in batches:
        if len(held) and len(batch):
            end_ns = (int(held.arrival_ns[-1]) // width_ns + 1) * width_ns
            same = int(np.searchsorted(batch.arrival_ns, end_ns))
            held = in_order(ReadingBatch.joined([held, _slice(batch, 0, same)]))
            if same == len(batch):
                continue
            yield held
            batch = _slice(batch, same, len(batch))
        if len(batch):
            last_ns = int(batch.arrival_ns[-1]) // width_ns * width_ns
            cut = int(np.searchsorted(batch.arrival_ns, last_ns))
            if cut:
                yield _slice(batch, 0, cut)
            held = _slice(batch, cut, len(batch))
    if len(held):
        yield held


def in_order(batch: ReadingBatch) -> ReadingBatch:
    """Sorted by tick, channel and time; what is equal keeps its order. Cheap where it is sorted already."""
    tick, channel, time_ns = batch.arrival_ns, batch.channel, batch.time_ns
    if len(batch) < 2 or _rises(tick, channel, time_ns):
        return batch
    seconds = (tick - tick.min()) // SECOND_NS
    if seconds.max() < 1 << 16 and channel.max() < 1 << 16:  # NumPy sorts 16-bit keys by radix
        order = np.argsort(channel.astype(np.uint16), kind="stable")
        order = order[np.argsort(seconds.astype(np.uint16)[order], kind="stable")]
        if _rises(tick[order], channel[order], time_ns[order]):
            return batch.where(order)
    return batch.where(np.lexsort((time_ns, channel, tick)))


def _rises(tick: NDArray[np.int64], channel: NDArray[np.int32], time_ns: NDArray[np.int64]) -> bool:
    same = tick[1:] == tick[:-1]
    if not (same | (tick[1:] > tick[:-1])).all():
        return False
    next_channel = channel[1:] > channel[:-1]
    in_time = (channel[1:] == channel[:-1]) & (time_ns[1:] >= time_ns[:-1])
    return bool((~same | next_channel | in_time).all())


def _cut(batches: Iterable[ReadingBatch]) -> Iterator[Tick]:
    """Ticks of sorted batches; the last tick of a batch waits, since the next may go on with it."""
    held: list[ReadingBatch] = []
    for batch in batches:
        if not len(batch):
            continue
        starts = _starts(batch.arrival_ns)
        for start, end in zip(starts, [*starts[1:], len(batch)]):
            piece = _slice(batch, start, end)
            if held and held[0].arrival_ns[0] != piece.arrival_ns[0]:
                yield _tick(held)
                held = []
            held.append(piece)
    if held:
        yield _tick(held)


def _tick(parts: list[ReadingBatch]) -> Tick:
    readings = parts[0] if len(parts) == 1 else ReadingBatch.joined(parts).sorted()
    return Tick(int(readings.arrival_ns[0]), readings)


def _starts(column: NDArray[Any]) -> list[int]:
    """Where a run of equal values begins."""
    return [0, *(np.flatnonzero(column[1:] != column[:-1]) + 1).tolist()] if len(column) else []


def _slice(batch: ReadingBatch, start: int, end: int) -> ReadingBatch:
    return ReadingBatch(
        batch.channel[start:end],
        batch.time_ns[start:end],
        batch.value[start:end],
        batch.quality[start:end],
        batch.arrival_ns[start:end],
        batch.flags[start:end],
    )


def _sections(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Pieces by arrival; those whose ranges overlap by more than a tick have to be sorted together."""
    section: list[Piece] = []
    last = 0
    for piece in sorted(pieces, key=lambda piece: piece.first_ns):
        if section and tick_of(piece.first_ns) >= last:
            yield section
            section = []
        last = max(last, tick_of(piece.last_ns)) if section else tick_of(piece.last_ns)
        section.append(piece)
    if section:
        yield section


def _sliced(
    batches: Iterable[ReadingBatch], section: Sequence[Piece], rows: int, spool: Spool
) -> Iterator[list[Kept]]:
    """Lay a large section down by slices of time, each of about a million readings; then slice by slice."""
    first = tick_of(min(piece.first_ns for piece in section))
    seconds = (tick_of(max(piece.last_ns for piece in section)) - first) // SECOND_NS + 1
    slices = min(seconds, 2 * rows // AT_ONCE + 1)
    width_ns = -(-seconds // slices) * SECOND_NS
    laid: list[list[Kept]] = [[] for _ in range(slices)]
    for batch in batches:
        number = ((batch.arrival_ns - first) // width_ns).astype(np.uint16)
        order = np.argsort(number, kind="stable")
        batch, number = batch.where(order), number[order]
        starts = _starts(number)
        for start, end in zip(starts, [*starts[1:], len(batch)]):
            laid[int(number[start])].append(spool.keep(_slice(batch, start, end)))
    yield from (pieces for pieces in laid if pieces)
