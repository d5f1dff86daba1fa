"""Export: an archive, or part of it, as one Parquet or CSV file."""

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from config.errors import InputError

HELP = "an archive, or part of it, as one Parquet or CSV file"
EXAMPLE = "watchline export archive --channel 'gas.*' --from 2026-01-05T00:00:00Z --out gas.csv"
PLAIN_EVERY_S = 5.0  # between lines where there is no terminal


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", type=Path, help="an archive folder, or the gateway.toml that names it")
    parser.add_argument("--out", type=Path, required=True, help="the file to write; .csv, or else Parquet")
    parser.add_argument(
        "--channel",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only these channels, such as 'gas.*' (repeatable)",
    )
    parser.add_argument("--from", dest="start", metavar="T", help="RFC 3339; measured at or after it")
    parser.add_argument("--to", dest="end", metavar="T", help="RFC 3339; measured before it")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(args: argparse.Namespace) -> int:
    from ingest.extract import Extract, extracted
    from ingest.parquet import CsvRecording, Recording
    from ingest.shelf import FACTS, NAME

    folder = _folder(args.archive)
    if not args.out.parent.is_dir():
        raise InputError(f"{args.out}: the folder {args.out.parent} does not exist")
    ours = NAME.fullmatch(args.out.name) or args.out.name == FACTS
    if ours and folder.is_dir() and args.out.parent.samefile(folder):
        raise InputError(f"{args.out}: this is a file of the archive itself; name another one")
    wanted = Extract(tuple(args.channel), _moment(args.start, "--from"), _moment(args.end, "--to"))
    is_csv = args.out.suffix == ".csv"
    try:
        with (
            CsvRecording(args.out, readable=True) if is_csv else Recording(args.out) as out,
            _progress() as progress,
        ):
            for readings, ids in extracted(folder, wanted, progress):
                out.write(readings, ids)
    except OSError as error:
        raise InputError(f"{args.out}: cannot be written: {error.strerror or error}") from error
    if args.json:
        print(json.dumps({"readings": out.rows, "channels": len(wanted.found), "out": str(args.out)}))
    else:
        print(f"{out.rows:,} readings of {len(wanted.found):,} channels -> {args.out}")
    return 0


def _folder(path: Path) -> Path:
    from config.load import named_path
    from config.tomlfile import read_toml

    if path.is_dir():
        return path
    if path.suffix != ".toml":
        raise InputError(f"{path}: no such folder; name the folder of [archive], or gateway.toml")
    return named_path(read_toml(path), "archive", "folder")


def _moment(text: str | None, option: str) -> int | None:
    from config.lists import time_ns

    try:
        return None if text is None else time_ns(text)
    except ValueError as error:
        raise InputError(f"{option}: {error}") from error


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    """A bar on a terminal, now and then a line elsewhere."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task("exporting", total=1.0)
            yield lambda share: bar.update(task, completed=share)
        return
    told_s = time.monotonic()

    def tell(share: float) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= PLAIN_EVERY_S:
            told_s = time.monotonic()
            print(f"exporting: {share:.0%}", file=sys.stderr, flush=True)

    yield tell
