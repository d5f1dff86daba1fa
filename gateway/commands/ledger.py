"""Ledger: what became of every reading, by lane and by courier; exit 1 where it does not balance."""

import argparse
import json
import sys
from pathlib import Path

HELP = "what became of every reading that arrived"
EXAMPLE = "watchline ledger gateway.toml"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", type=Path, help="gateway.toml, or the gateway's data folder")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.add_argument(
        "--lanes", action="store_true", help="a line for every device, not only for unusual ones"
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="go along the chain of daily lines instead; exit 1 if it is broken",
    )


def run(args: argparse.Namespace) -> int:
    from ingest.ledger import read_ledger

    folder = args.settings if args.settings.is_dir() else _data_folder(args.settings)
    if args.verify:
        return _verify(folder, args.json)
    ledger = read_ledger(folder)
    print(json.dumps(ledger.as_dict(), ensure_ascii=False) if args.json else ledger.table(args.lanes))
    return 0 if ledger.balanced else 1


def _data_folder(path: Path) -> Path:
    """As the file names it; its secrets, which a shell does not have, are not asked for."""
    from config.load import named_path
    from config.tomlfile import read_toml

    return named_path(read_toml(path), "site", "data", usual="data")


def _verify(folder: Path, as_json: bool) -> int:
    from ingest.daybook import verify

    verdict = verify(folder)
    if as_json:
        print(json.dumps({"lines": verdict.lines, "newest": verdict.newest, "broken": verdict.broken}))
    else:
        print(f"{verdict.lines} daily lines hold together; the newest is {verdict.newest}")
        if verdict.broken:
            print(verdict.broken, file=sys.stderr)
    return 1 if verdict.broken else 0
