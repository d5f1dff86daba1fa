"""Backup: the state of a gateway or a centre as one file, copied while it runs."""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from config.errors import InputError

HELP = "copy the state of a gateway or a centre, while it runs"
EXAMPLE = "watchline backup gateway.toml --out /backup/journal.sqlite"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "state",
        type=Path,
        metavar="FILE",
        help="gateway.toml, centre.toml, a gateway's data folder, or the state file itself",
    )
    parser.add_argument(
        "--out", type=Path, help="the file to write (default: NAME-TIME.sqlite in the current folder)"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(args: argparse.Namespace) -> int:
    from ingest.safekeeping import keep_safe

    name, source = _state(args.state)
    out = args.out or Path(f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.sqlite")
    size = keep_safe(source, out)
    if args.json:
        print(json.dumps({"state": str(source), "out": str(out), "bytes": size}))
    else:
        print(f"{source} -> {out}, {size:,} bytes, checked")
    return 0


def _state(path: Path) -> tuple[str, Path]:
    """A name for the copy, and the file that holds the state.

    Of the settings only the place is read: a copy needs none of the secrets that they name.
    """
    from config.load import is_centre, named_path
    from config.tomlfile import read_toml
    from ingest.journal import FILE_NAME

    if path.is_dir():
        return "journal", path / FILE_NAME
    if path.suffix != ".toml":
        return path.stem, path
    file = read_toml(path)
    if is_centre(file.data):
        return "casebook", named_path(file, "store", "path")
    folder = named_path(file, "site", "data", usual="data")
    if not (folder / FILE_NAME).is_file():
        raise InputError(f"{folder / FILE_NAME}: no such file; this gateway has not run yet")
    return f"journal-{file.data['site'].get('id', 'site')}", folder / FILE_NAME
