"""Ledger: what became of every reading, by lane and by courier; exit 1 where it does not balance."""

import argparse
import json
from pathlib import Path

HELP = "what became of every reading that arrived"
EXAMPLE = "watchline ledger gateway.toml"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", type=Path, help="gateway.toml, or the gateway's data folder")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(args: argparse.Namespace) -> int:
    from config.load import read_gateway
    from ingest.ledger import read_ledger

    folder = args.settings if args.settings.is_dir() else read_gateway(args.settings).site.data
    ledger = read_ledger(folder)
    print(json.dumps(ledger.as_dict(), ensure_ascii=False) if args.json else ledger.table())
    return 0 if ledger.balanced else 1
