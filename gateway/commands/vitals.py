"""Vitals: break the glass: what a wristband measured, on the gateway's own machine, with reason and log."""

import argparse
import json
import sys
import time
from pathlib import Path

from config.errors import InputError

HELP = "break the glass: a wearer's last vital signs, here and nowhere else; reason and actor are logged"
EXAMPLE = """watchline vitals gateway.toml --person person-7 --actor li.wei --reason "fall, no answer"
  watchline vitals gateway.toml --log"""
MINUTES = 30


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", type=Path, help="gateway.toml")
    parser.add_argument("--person", metavar="PLACE", help="the wearer's place in channels.csv, a pseudonym")
    parser.add_argument("--actor", help="who looks")
    parser.add_argument("--reason", help="why, in a few words; 8 characters at least")
    parser.add_argument("--minutes", type=int, default=MINUTES, help=f"how far back (default: {MINUTES})")
    parser.add_argument("--log", action="store_true", help="who looked at whom and why, instead")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(args: argparse.Namespace) -> int:
    from config.lists import read_channels
    from config.load import named_path
    from config.tomlfile import read_toml
    from gateway import glass

    file = read_toml(args.settings)
    data = named_path(file, "site", "data", usual="data")
    if args.log:
        for line in glass.looks(data):
            print(json.dumps(line, ensure_ascii=False))
        return 0
    missing = [f"--{name}" for name in ("person", "actor", "reason") if not getattr(args, name)]
    if missing:
        raise InputError([f"{option}: needed; nobody looks without it" for option in missing])
    channels, _ = read_channels(named_path(file, "site", "channels"), strict=False)
    for row in glass.look(data, channels, args.person, args.actor, args.reason, args.minutes, time.time_ns()):
        print(
            json.dumps(row)
            if args.json
            else f"{row['quantity']:<18} {row['value']:>8g} {row['unit']:<10} {row['at']}"
        )
    print("This look is in the log of the gateway.", file=sys.stderr)
    return 0
