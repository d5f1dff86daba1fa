"""Record: a simulated stretch of time as files: readings, lists, context and truth."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable, Planned
from config.errors import InputError, SettingsError
from ingest.readings import BAD, GOOD, QUALITY_NAMES, ReadingBatch
from simulators.district import demo_district, write_channels, write_links
from simulators.kinds import SCENARIOS
from simulators.scenarios import SECOND_NS, Event, nanoseconds, planned, read_script, rfc3339
from simulators.site import read_lists
from simulators.travel import Travel
from simulators.world import World

DAY_NS = 86400 * SECOND_NS
CHUNK_READINGS = 400_000  # made, sorted and written at a time: memory stays the same whatever the length
LEAST_A_CHANNEL = 40  # of them, of each channel: a district of 100,000 channels is not made hour by hour
FIRST_MOMENT = "2026-01-05T00:00:00+08:00"  # a Monday


def recorded(world: World, start_ns: int, end_ns: int) -> Iterator[ReadingBatch]:
    """Every reading taken in [start, end), in order of arrival, in batches of bounded size.

    A channel is read at whole multiples of its period. Readings still on their way at the end of a batch
    come with a later one.
    """
    travel = Travel(world.channels, world.seed, world.events)
    a_second = float(np.sum(1.0 / world.channels.period_s))
    longest_ns = round(float(world.channels.period_s.max()) * SECOND_NS)
    readings = max(CHUNK_READINGS, LEAST_A_CHANNEL * len(world.channels))
    step_ns = max(round(readings / a_second) * SECOND_NS, longest_ns)
    waiting = ReadingBatch.empty()
    for chunk_ns in range(start_ns, end_ns, step_ns):
        until_ns = min(chunk_ns + step_ns, end_ns)
        batch = ReadingBatch.joined([waiting, *_taken(world, travel, chunk_ns, until_ns)])
        batch = batch.where(np.argsort(batch.arrival_ns, kind="stable"))
        here = int(np.searchsorted(batch.arrival_ns, until_ns))
        yield batch.where(np.arange(here))
        waiting = batch.where(np.arange(here, len(batch)))
    if len(waiting):
        yield waiting


def _taken(world: World, travel: Travel, start_ns: int, end_ns: int) -> Iterator[ReadingBatch]:
    """Readings taken in [start, end), a batch for each place and period."""
    channels = world.channels
    for period_s in np.unique(channels.period_s):
        period_ns = round(float(period_s) * SECOND_NS)
        time_ns = np.arange(-(-start_ns // period_ns) * period_ns, end_ns, period_ns, dtype=np.int64)
        numbers = np.flatnonzero(channels.period_s == period_s)
        shown = world.values(time_ns, numbers.tolist())
        at: dict[str, list[int]] = {}
        for column, number in enumerate(numbers):
            at.setdefault(channels.place[number], []).append(column)
        for place, here in at.items():
            yield _arriving(travel, place, numbers[here], time_ns, shown[:, here])


def _arriving(
    travel: Travel, place: str, numbers: NDArray[Any], time_ns: NDArray[np.int64], shown: NDArray[np.float64]
) -> ReadingBatch:
    """What reaches the gateway of one place's readings (times, channels of the place)."""
    came = travel.arrivals(place, time_ns)
    value = np.where(came.refused[:, None], np.nan, shown[came.row]).ravel()
    return ReadingBatch.of(
        np.tile(numbers, len(came.row)),
        np.repeat(came.stamp_ns, len(numbers)),
        value,
        np.where(np.isfinite(value), GOOD, BAD),
        np.repeat(came.arrival_ns, len(numbers)),
    )


def write_readings(path: Path, channels: ChannelTable, batches: Iterable[ReadingBatch]) -> int:
    """readings.parquet: a row group a batch; it appears once it is complete. Returns the readings written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names, qualities = pa.array(channels.ids), pa.array(QUALITY_NAMES)
    moment = pa.timestamp("ns", tz="UTC")
    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema(
        [("time", moment), ("channel", text), ("value", pa.float64()), ("quality", text), ("arrival", moment)]
    )
    part = path.with_name(path.name + ".part")
    written = 0
    with pq.ParquetWriter(part, schema, compression="zstd", compression_level=1) as writer:
        for batch in batches:
            if not len(batch):
                continue
            columns = [
                pa.array(batch.time_ns, type=moment),
                pa.DictionaryArray.from_arrays(batch.channel, names),
                pa.array(batch.value),
                pa.DictionaryArray.from_arrays(batch.quality.astype(np.int32), qualities),
                pa.array(batch.arrival_ns, type=moment),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=len(batch))
            written += len(batch)
    part.replace(path)
    return written


def record(
    world: World,
    start_ns: int,
    end_ns: int,
    out: Path,
    about: dict[str, Any],
    planned: Sequence[Planned] = (),
    progress: Callable[[int], object] = lambda stream_ns: None,
) -> int:
    """Write the whole set of files into a folder; returns how many readings. `about` goes into truth.json.

    progress is told how far the stream has come.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_channels(out / "channels.csv", world.channels)
    write_links(out / "links.csv", world.links)
    write_truth(out, world, (start_ns, end_ns), about, planned)

    def told(batches: Iterable[ReadingBatch]) -> Iterator[ReadingBatch]:
        for batch in batches:
            yield batch
            progress(int(batch.arrival_ns[-1]) if len(batch) else start_ns)

    return write_readings(out / "readings.parquet", world.channels, told(recorded(world, start_ns, end_ns)))


def write_truth(
    out: Path,
    world: World,
    span: tuple[int, int],
    about: dict[str, Any],
    planned: Sequence[Planned] = (),
    late_ns: int = 0,
) -> None:
    """truth.json and context.json; late_ns: how much later than in the world it is played."""
    truth = world.truth()
    for event in truth:
        for edge in ("start", "end"):
            event[edge] = rfc3339(nanoseconds(event[edge]) + late_ns)
    start, end = (rfc3339(moment + late_ns) for moment in span)
    _write_json(
        out / "truth.json", {**about, "seed": world.seed, "start": start, "end": end, "events": truth}
    )
    rows = [
        {
            "kind": each.kind,
            "place": each.place,
            "start": rfc3339(each.start_ns + late_ns),
            "end": rfc3339(each.end_ns + late_ns),
        }
        for each in planned
    ]
    _write_json(out / "context.json", {"planned": rows})


def main(arguments: Sequence[str] | None = None) -> int:
    """Record a simulated district: readings.parquet, channels.csv, links.csv, context.json and truth.json."""
    parser = argparse.ArgumentParser(
        prog="python -m simulators.record",
        description=main.__doc__,
        epilog="example: python -m simulators.record --scenario burst --seed 7 --period 10 --out burst",
    )
    parser.add_argument(
        "--scenario", action="append", default=[], metavar="KIND",
        help=f"what happens on the last day; may be repeated: calm, {', '.join(SCENARIOS)}",
    )  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
        help="place, channel, start, seconds or size of the scenario, instead of the seed's choice",
    )  # fmt: skip
    parser.add_argument("--script", type=Path, help="events with their start, as a JSON list")
    parser.add_argument(
        "--site", type=Path, help="folder with channels.csv and links.csv (default: demo district)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=float, default=4.0)
    parser.add_argument(
        "--start", default=FIRST_MOMENT, help=f"first moment, RFC 3339 (default: {FIRST_MOMENT})"
    )
    parser.add_argument(
        "--period", type=float, help="demo district: seconds between readings of every channel"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    given = parser.parse_args(arguments)
    try:
        world, start_ns, end_ns = _asked_for(given)
    except SettingsError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return 2
    about = {"scenario": "+".join(given.scenario) or "calm"}
    written = record(world, start_ns, end_ns, given.out, about)
    print(f"{written} readings of {len(world.channels)} channels, {len(world.events)} events: {given.out}")
    return 0


def _asked_for(given: argparse.Namespace) -> tuple[World, int, int]:
    start_ns = nanoseconds(given.start, "--start")
    end_ns = start_ns + round(given.days * DAY_NS)
    if given.days <= 0:
        raise InputError(f"--days is {given.days:g}, and must be more than 0")
    if given.period is not None and given.period < 1:
        raise InputError(
            f"--period is {given.period:g}; a simulated sensor samples once a second, so at least 1"
        )
    if given.site:
        channels, links = read_lists(given.site)
    else:
        district = demo_district(given.period)
        channels, links = district.channels, district.links
    settings = _settings(given.set)
    span = (max(end_ns - DAY_NS, start_ns), end_ns)
    kinds = [kind for kind in given.scenario if kind != "calm"]
    events: list[Event] = [
        planned(kind, channels, given.seed, number, settings, span, f"--scenario {kind}")
        for number, kind in enumerate(kinds)
    ]
    if given.script:
        if not given.script.is_file():
            raise InputError(f"{given.script}: no such file")
        events += read_script(given.script, channels, given.seed)
    return World(channels, links, given.seed, events), start_ns, end_ns


def _settings(pairs: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE pairs; InputError names the bad one."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in ("place", "channel", "start", "seconds", "size"):
            raise InputError(
                f'--set "{pair}": write place=, channel=, start=, seconds= or size=, and a value'
            )
        try:
            settings[name] = float(value) if name in ("seconds", "size") else value
        except ValueError as error:
            raise InputError(f'--set "{pair}": {value!r} is not a number') from error
    return settings


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
