"""Replay: recorded readings through the very code that runs live, and the alerts that come of it."""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from config.errors import InputError

if TYPE_CHECKING:
    from alerts.alert import AlertChange
    from alerts.comparing import Raised
    from config.channels import ChannelTable
    from config.settings import GatewaySettings
    from gateway.replaying import Recording, Sink, Workers
    from gateway.watch import Site

HELP = "run recorded readings through the core that runs live"
EXAMPLE = """watchline replay readings.parquet --channels channels.csv --alerts alerts.jsonl
  watchline replay archive --channels channels.csv --alerts now.jsonl --compare other.toml --html what-if.html
  watchline replay archive --channels channels.csv --alerts alerts.jsonl --jobs 2
  watchline replay report.zip        (what watchline record packed)"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "readings",
        help="a Parquet or CSV file, an archive folder, influx+http(s)://host:port/db,"
        " or what watchline record packed",
    )
    parser.add_argument("--channels", type=Path, help="channels.csv")
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
    parser.add_argument("--alerts", type=Path, help="where the alert changes go, one CloudEvent a line")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes, each judging some zones")
    parser.add_argument(
        "--engine", default="", metavar="dask://HOST:PORT", help="the workers of a Dask cluster instead"
    )
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="OTHER.toml",
        help="what these settings would have said of the same readings: added, removed, moved",
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="the comparison as a page with plots")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(args: argparse.Namespace) -> int:
    from gateway.parts.part import WorkerLost
    from gateway.replaying import Workers
    from gateway.unpacking import is_packed, unpacked

    workers = Workers(args.jobs, args.engine)
    if is_packed(args.readings):
        with unpacked(Path(args.readings)) as packed:
            return packed.replayed(args.alerts, args.json)
    if args.channels is None:
        raise InputError("replay: --channels is missing; name the channel list of these readings")
    if args.alerts is None:
        raise InputError("replay: --alerts is missing; name the file for the alert changes")
    if args.html and not args.compare:
        raise InputError("--html: a page is made of a comparison; name its settings with --compare")
    case = _case(args)
    try:
        return _compare(args, case, workers) if args.compare else _plainly(args, case, workers)
    except WorkerLost as error:
        print(f"replay: {error}", file=sys.stderr)
        return 1


def _plainly(args: argparse.Namespace, case: "Case", workers: "Workers") -> int:
    with _lines(args.alerts, case.source) as lines:
        readings = _replay(case.recording, case.site, workers, lines.fresh, args, "replaying")
    figures = {"readings": readings, "changes": lines.changes, "notified": lines.told}
    if args.json:
        print(json.dumps(figures))
    else:
        print(f"{readings:,} readings -> {args.alerts}")
        print(f"{lines.changes} alert changes, {lines.told} of them told to people")
    return 0


@dataclass(frozen=True)
class Case:
    """What the options say."""

    recording: "Recording"
    site: "Site"
    source: str  # of the alerts, as CloudEvents name it


def _case(args: argparse.Namespace) -> Case:
    from config.load import read_channels, read_context, read_gateway, read_links
    from gateway.replaying import Recording
    from gateway.watch import Site

    settings = read_gateway(args.settings) if args.settings else None
    channels, warnings = read_channels(args.channels, strict=False)
    links, more = read_links(args.links, channels) if args.links else ((), [])
    planned, still_more = read_context(args.context, channels) if args.context else ((), [])
    for warning in [*warnings, *more, *still_more]:
        print(f"warning: {warning}", file=sys.stderr)
    recording = Recording(
        args.readings,
        args.facts,
        _kept(args.channel, channels),
        _moment(args.start, "--from"),
        _moment(args.end, "--to"),
    )
    start_ns, end_ns = recording.start_ns, recording.end_ns
    if start_ns is not None and end_ns is not None and start_ns >= end_ns:
        raise InputError(f"--to {args.end}: must lie after --from {args.start}")
    site = _under(Site(channels, links, planned), settings, args.warmup)
    return Case(recording, site, f"urn:watchline:{settings.site.id if settings else 'replay'}")


def _under(site: "Site", settings: "GatewaySettings | None", warmup: str | None) -> "Site":
    """The site under these settings."""
    return replace(
        site,
        watchings=settings.watching if settings else (),
        timezone=settings.site.timezone if settings else "Asia/Shanghai",
        warmup_s=_warmup_s(warmup, settings),
    )


def _replay(
    recording: "Recording",
    site: "Site",
    workers: "Workers",
    fresh: "Callable[[], Sink]",
    args: argparse.Namespace,
    label: str,
) -> int:
    from gateway.replaying import replay
    from gateway.showing import showing

    with showing(label, quiet=args.json) as show:
        readings = replay(recording, site, workers, fresh, show)
    if not readings:
        options = {"--channel": args.channel, "--from": args.start, "--to": args.end}
        asked = ", ".join(option for option, given in options.items() if given) or "--channels"
        print(f"warning: {recording.path}: no reading was replayed; look at {asked}", file=sys.stderr)
    return readings


def _compare(args: argparse.Namespace, case: Case, workers: "Workers") -> int:
    """The same readings twice; the first alerts go into --alerts as ever."""
    from alerts.comparing import compared
    from config.load import read_gateway
    from gateway.reports import comparison
    from gateway.reports.writing import written

    other = _under(case.site, read_gateway(args.compare), args.warmup)
    names = (args.settings.name if args.settings else "the built-in defaults", args.compare.name)
    second = _Raised()
    with contextlib.ExitStack() as files:
        lines = files.enter_context(_lines(args.alerts, case.source))
        page = files.enter_context(written(args.html)) if args.html else None
        first = _Raised(lines)
        _replay(case.recording, case.site, workers, first.fresh, args, names[0])
        _replay(case.recording, other, workers, second.fresh, args, names[1])
        found = compared(first.raised, second.raised)
        if page is not None:
            page.write(comparison.html(found, *names))
    print(json.dumps(found.as_dict(), ensure_ascii=False) if args.json else comparison.text(found, *names))
    return 0


class Lines:
    """Writes each change as a line, and counts."""

    def __init__(self, out: IO[str], source: str) -> None:
        self._out = out
        self._source = source
        self.changes = self.told = 0

    def fresh(self) -> "Sink":
        """Where changes go from now on; what was written before is given up."""
        self._out.seek(0)
        self._out.truncate()
        self.changes = self.told = 0
        return self._write

    def _write(self, changes: "Sequence[AlertChange]") -> None:
        for change in changes:
            self._out.write(json.dumps(change.cloud_event(self._source), ensure_ascii=False) + "\n")
            self.changes += 1
            self.told += change.notify


class _Raised:
    """Keeps the raised alerts of a run, and hands all changes on."""

    def __init__(self, lines: Lines | None = None) -> None:
        self._lines = lines
        self.raised: list[Raised] = []

    def fresh(self) -> "Sink":
        from alerts.comparing import Raised

        self.raised = []
        write = self._lines.fresh() if self._lines else None

        def sink(changes: "Sequence[AlertChange]") -> None:
            self.raised += [Raised.of(change) for change in changes if change.type == "raised"]
            if write is not None:
                write(changes)

        return sink


@contextlib.contextmanager
def _lines(path: Path, source: str) -> Iterator[Lines]:
    from gateway.reports.writing import written

    with written(path) as out:
        yield Lines(out, source)


def _kept(patterns: Sequence[str], channels: "ChannelTable") -> Any:
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


def _warmup_s(text: str | None, settings: "GatewaySettings | None") -> float:
    from config.settings import seconds

    if text is not None:
        try:
            return seconds(text)
        except ValueError as error:
            raise InputError(f"--warmup {text}: {error}") from error
    return float(settings.site.warmup_s) if settings else 3 * 86400.0


def _moment(text: str | None, option: str) -> int | None:
    from config.lists import time_ns

    try:
        return None if text is None else time_ns(text)
    except ValueError as error:
        raise InputError(f"{option}: {error}") from error
