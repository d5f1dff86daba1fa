"""Every kind of event on fresh seeds: python -m tests.quality.branches --media gas,power,wristband --seeds 20

A district of each seed is learned once; each kind then happens once on a memory of its own, at a place, a
time and of a size that the seed chooses. All is judged as `watchline evaluate` judges, and pooled; `--misses`
tells of each event that was missed, misnamed or beside which something false was said.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from alerts.alert import AlertChange
from alerts.judging import Case, Judgement, judge, told_of
from alerts.pooling import pooled
from alerts.truth import happenings_of
from config.channels import ChannelTable, Link
from config.snapshot import pack, unpack
from gateway.commands.evaluate import nanoseconds
from gateway.reports import evaluation
from gateway.watch import build_watch, with_deadlines
from ingest.recorded import read_ticks
from simulators.city import city
from simulators.kinds import SCENARIOS
from simulators.record import recorded, write_readings
from simulators.scenarios import SECOND_NS, Event, planned
from simulators.world import World

START_NS = nanoseconds("2026-03-02T00:00:00+08:00")
HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
ROOM_NS = 22 * HOUR_NS  # within which the seed puts the start
AFTER_NS = 2 * HOUR_NS
MOST_TOLD = 12  # alerts of an event, those that people were told of first
CATEGORIES = ("incident", "benign", "sensor_fault")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.quality.branches", description=__doc__)
    parser.add_argument("--media", default="gas,power,wristband", help="which, with commas (%(default)s)")
    parser.add_argument("--kinds", default="", help="only these, with commas (default: all of the media)")
    parser.add_argument("--categories", default=",".join(CATEGORIES), help="with commas (%(default)s)")
    parser.add_argument("--seeds", type=int, default=20, help="how many districts (%(default)s)")
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--channels", type=int, default=36, help="of a district (%(default)s)")
    parser.add_argument("--days", type=float, default=4.0, help="to learn (%(default)s)")
    parser.add_argument(
        "--size", help="of every event, instead of the seed's choice; several: a table for each"
    )
    parser.add_argument("--misses", action="store_true", help="tell what was missed, misnamed or false")
    args = parser.parse_args()
    sizes = [None] if args.size is None else [float(size) for size in args.size.split(",")]
    judgements: dict[float | None, list[Judgement]] = {size: [] for size in sizes}
    for medium in args.media.split(","):
        kinds = _kinds(medium, args.categories.split(","))
        kinds = [kind for kind in kinds if not args.kinds or kind in args.kinds.split(",")]
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            for size, judgement in _district(medium, seed, kinds, sizes, args):
                judgements[size].append(judgement)
    for size, of_size in judgements.items():
        print("" if size is None else f"\nSize {size:g}\n", evaluation.text(pooled(of_size)), sep="")
    return 0


def _kinds(medium: str, categories: Sequence[str]) -> list[str]:
    """What can happen to a medium."""
    return [
        kind
        for kind, scenario in SCENARIOS.items()
        if scenario.category in categories and (not scenario.media or medium in scenario.media)
    ]


def _district(
    medium: str, seed: int, kinds: Sequence[str], sizes: Sequence[float | None], args: argparse.Namespace
) -> Iterator[tuple[float | None, Judgement]]:
    """A district that has learned, and what is said of each kind and size on a copy of what it knows."""
    built = city(args.channels, (medium,))
    table, links = ChannelTable(built.channels), tuple(built.links)
    learned_ns = START_NS + round(args.days * DAY_NS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "readings.parquet"
        watch = build_watch(table, links=links)
        write_readings(path, table, recorded(World(table, links, seed), START_NS, learned_ns))
        for tick in with_deadlines(read_ticks(path, table), watch):
            watch.step(tick)
        memory = pack(watch.state())
        for (number, kind), size in product(enumerate(kinds), sizes):
            if not SCENARIOS[kind].places(table):
                continue
            room = (learned_ns, learned_ns + ROOM_NS + round(SCENARIOS[kind].seconds[1] * SECOND_NS))
            given = {} if size is None else {"size": size}
            event = planned(kind, table, seed, number, given, room)
            yield size, _branch(table, links, seed, event, memory, learned_ns, path, tell=args.misses)


def _branch(
    table: ChannelTable, links: Sequence[Link], seed: int, event: Event, memory: bytes, learned_ns: int,
    path: Path, *, tell: bool,
) -> Judgement:  # fmt: skip
    """One event on a copy of what was learned."""
    world = World(table, links, seed, [event])
    end_ns = event.end_ns + AFTER_NS
    watch = build_watch(table, links=links)
    watch.restore(unpack(memory))
    write_readings(path, table, recorded(world, learned_ns, end_ns))
    changes: list[AlertChange] = []
    for tick in with_deadlines(read_ticks(path, table), watch, to_the_end=True):
        changes += watch.step(tick)
    told = [told for c in changes if (told := told_of(c.cloud_event("quality"), nanoseconds)) is not None]
    happenings = happenings_of({"events": world.truth()}, table, links, nanoseconds, event.kind)
    judgement = judge(Case(told, happenings, table, learned_ns, end_ns), seed)
    if tell:
        _tell(judgement, seed, event, changes)
    return judgement


def _tell(judgement: Judgement, seed: int, event: Event, changes: Sequence[AlertChange]) -> None:
    """What went wrong, if anything did, and all that was said meanwhile."""
    (outcome,) = judgement.outcomes
    if outcome.happening.category == "benign":
        wrong = "not left quiet" if outcome.hits else ""
    else:
        wrong = "missed" if not outcome.hits else "" if outcome.kind_right else "misnamed"
    wrong = " and ".join(filter(None, (wrong, "false alerts" if judgement.episodes else "")))
    if not wrong:
        return
    hours = (event.end_ns - event.start_ns) / HOUR_NS
    at = event.channel or event.place
    print(f"\nseed {seed}: {event.kind} at {at}, size {event.size:g}, {hours:.2f} h: {wrong}")
    shown = [change for change in changes if change.notify or change.type == "raised"]
    for change in sorted(shown, key=lambda change: not change.notify)[:MOST_TOLD]:
        if change.type in ("raised", "updated"):
            after = (change.detected_ns - event.start_ns) / HOUR_NS
            told = "told " if change.notify else ""
            said = f"{told}{change.grade} {change.kind} {change.rule} {change.channel or change.place}"
            print(f"  {after:+.2f} h {said}: {change.because}")


if __name__ == "__main__":
    sys.exit(main())
