"""Replay: recorded readings through the very code that runs live, and the alerts that come of it."""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from config.errors import InputError

if TYPE_CHECKING:
    from alerts.alert import AlertChange
    from ingest.ticks import Tick

HELP = "run recorded readings through the core that runs live"
EXAMPLE = "watchline replay readings.parquet --channels channels.csv --alerts alerts.jsonl"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("readings", type=Path, help="a Parquet or CSV file, or an archive folder")
    parser.add_argument("--channels", type=Path, required=True, help="channels.csv")
    parser.add_argument(
        "--channel",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only these channels, such as 'gas.*' (repeatable)",
    )
    parser.add_argument("--links", type=Path, help="links.csv: which place feeds which")
    parser.add_argument("--context", type=Path, help="context.json: announced works and holidays")
    parser.add_argument("--facts", type=Path, help="facts.jsonl (default: the one in the archive folder)")
    parser.add_argument("--settings", type=Path, help="gateway.toml; without it the built-in defaults")
    parser.add_argument(
        "--warmup",
        default=None,
        metavar="3d",
        help="how long a channel counts as new (sets data.warmup only)",
    )
    parser.add_argument("--from", dest="start", metavar="T", help="RFC 3339; earlier readings are left out")
    parser.add_argument("--to", dest="end", metavar="T", help="RFC 3339; later readings are left out")
    parser.add_argument(
        "--alerts", type=Path, required=True, help="where the alert changes go, one CloudEvent a line"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(args: argparse.Namespace) -> int:
    from config.load import read_channels, read_context, read_gateway, read_links
    from gateway.watch import build_watch, keep_watch, with_deadlines
    from ingest.recorded import read_ticks

    settings = read_gateway(args.settings) if args.settings else None
    channels, warnings = read_channels(args.channels, strict=False)
    links, more = read_links(args.links, channels) if args.links else ((), [])
    planned, still_more = read_context(args.context, channels) if args.context else ((), [])
    for warning in [*warnings, *more, *still_more]:
        print(f"warning: {warning}", file=sys.stderr)
    keep = _kept(args.channel, channels)
    watch = build_watch(
        channels,
        links=links,
        planned=planned,
        watchings=settings.watching if settings else (),
        timezone=settings.site.timezone if settings else "Asia/Shanghai",
        warmup_s=_warmup_s(args.warmup, settings),
    )
    source = f"urn:watchline:{settings.site.id if settings else 'replay'}"
    start_ns, end_ns = _moment(args.start, "--from"), _moment(args.end, "--to")
    with _replaced(args.alerts) as out, _progress(args) as progress:
        tally = Tally(out, source, progress)
        ticks = read_ticks(
            args.readings, channels, facts=args.facts, keep=keep, start_ns=start_ns, end_ns=end_ns
        )
        keep_watch(with_deadlines(ticks, watch, to_the_end=True), watch, tally.record)
    tally.tell(args.json, args.alerts)
    return 0


class Tally:
    """Writes each change as a line and counts what went by."""

    def __init__(self, out: IO[str], source: str, progress: Any) -> None:
        self.out = out
        self.source = source
        self.progress = progress
        self.ticks = self.readings = self.changes = self.told = 0

    def record(self, tick: "Tick", changes: Sequence["AlertChange"]) -> None:
        self.ticks += 1
        self.readings += len(tick.readings)
        for change in changes:
            self.out.write(json.dumps(change.cloud_event(self.source), ensure_ascii=False) + "\n")
            self.changes += 1
            self.told += change.notify
        if self.ticks % 1000 == 0:
            self.progress(tick.now_ns, self.readings)

    def tell(self, as_json: bool, alerts: Path) -> None:
        if as_json:
            figures = {
                "ticks": self.ticks,
                "readings": self.readings,
                "changes": self.changes,
                "notified": self.told,
            }
            print(json.dumps(figures))
        else:
            print(f"{self.readings:,} readings in {self.ticks:,} ticks -> {alerts}")
            print(f"{self.changes} alert changes, {self.told} of them told to people")


def _kept(patterns: Sequence[str], channels: Any) -> Any:
    if not patterns:
        return None
    import numpy as np

    keep = np.zeros(len(channels), dtype=bool)
    for pattern in patterns:
        fitting = channels.matching(pattern)
        if not len(fitting):
            raise InputError(
                f"--channel {pattern}: no channel of the list fits; patterns are like 'gas.*.pressure'"
            )
        keep[fitting] = True
    return keep


def _warmup_s(text: str | None, settings: Any) -> float:
    from config.settings import seconds

    if text is not None:
        try:
            return seconds(text)
        except ValueError as error:
            raise InputError(f"--warmup {text}: {error}") from error
    return float(settings.site.warmup_s) if settings else 3 * 86400.0


def _moment(text: str | None, option: str) -> int | None:
    from datetime import UTC, datetime

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{option} {text}: not a time; write it like 2026-01-05T02:00:00Z") from error
    if moment.tzinfo is None:
        raise InputError(f"{option} {text}: a time needs its zone; write it like {text}Z or {text}+08:00")
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[IO[str]]:
    """A file that appears under its name only when it is complete."""
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            yield out
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _progress(args: argparse.Namespace) -> Iterator[Any]:
    """Where the stream is: a live line on a terminal, nothing otherwise (the summary follows at once)."""
    if args.json or not sys.stderr.isatty():
        yield lambda now_ns, readings: None
        return
    from rich.console import Console

    from alerts.alert import rfc3339

    with Console(stderr=True).status("reading") as status:
        yield lambda now_ns, readings: status.update(f"{rfc3339(now_ns)[:16]}  {readings:,} readings")
