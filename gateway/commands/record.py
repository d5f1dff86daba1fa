"""Record: a window of a gateway's life in one file, without personal data, to be replayed elsewhere."""

import argparse
import json
import sys
from pathlib import Path

from config.errors import InputError

HELP = "pack a window for a bug report, without personal data"
EXAMPLE = """watchline record gateway.toml --from 2026-01-05T00:00Z --to 2026-01-05T06:00Z --out report.zip
  watchline replay report.zip        (on another machine: the same alerts, and where scores differ)"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", type=Path, help="gateway.toml")
    parser.add_argument(
        "--from", dest="start", required=True, metavar="T", help="RFC 3339; whose alerts matter"
    )
    parser.add_argument("--to", dest="end", required=True, metavar="T", help="RFC 3339; not included")
    parser.add_argument("--out", type=Path, required=True, help="the file to write, a zip")
    parser.add_argument(
        "--lead",
        default="3d",
        metavar="3d",
        help="so much before --from goes along, as far as there is, so that detectors have learned",
    )
    parser.add_argument("--json", action="store_true", help="print what was packed as JSON")


def run(args: argparse.Namespace) -> int:
    from config.lists import time_ns
    from config.load import read_channels, read_context, read_gateway, read_links
    from config.settings import seconds
    from gateway.packing import Window, pack
    from gateway.showing import showing

    moments = {}
    for option, text in (("--from", args.start), ("--to", args.end)):
        try:
            moments[option] = time_ns(text)
        except ValueError as error:
            raise InputError(f"{option}: {error}") from error
    try:
        lead_ns = moments["--from"] - round(seconds(args.lead) * 1e9)
    except ValueError as error:
        raise InputError(f"--lead {args.lead}: {error}") from error
    if moments["--to"] <= moments["--from"]:
        raise InputError("--to: must lie behind --from")
    settings = read_gateway(args.settings)
    site = settings.site
    channels, warnings = read_channels(site.channels, strict=False)
    links, more = read_links(site.links, channels) if site.links else ((), [])
    planned, still_more = read_context(site.context, channels) if site.context else ((), [])
    for warning in [*warnings, *more, *still_more]:
        print(f"warning: {warning}", file=sys.stderr)
    window = Window(settings, channels, links, planned, lead_ns, moments["--from"], moments["--to"])
    with showing("recording", quiet=args.json) as show:
        about = pack(window, args.out, show)
    if args.json:
        print(json.dumps(about))
    else:
        left = about["left_out"]["wristband_channels"]
        print(f"{about['readings']:,} readings of {about['channels']} channels -> {args.out}")
        print(f"left out: {left} wristband channels, names of staff, addresses and secrets")
    return 0
