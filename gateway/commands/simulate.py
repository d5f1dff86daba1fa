"""watchline simulate: physics-based streams with truth, into files or live over Modbus and MQTT."""

import argparse
from importlib.metadata import entry_points
from pathlib import Path

from config.errors import SettingsError

HELP = "physics-based streams with truth, into files or live over Modbus and MQTT"
EXAMPLE = (
    "watchline simulate water/net3_night_burst --set flow_lps=40 --seed 7 --out burst\n"
    "  watchline simulate gas/star_seep --live --out site     (then: watchline run site/gateway.toml)\n"
    "  watchline simulate district --set channels=1000 --days 7 --out district\n"
    "  watchline simulate --catalogue catalogue"
)
EXTRA = "sim"
GROUP, NAME = "watchline.simulators", "simulate"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "scenario", nargs="?", metavar="SCENARIO", help="name in the catalogue, or `district` (see --list)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of it; may be repeated"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="S",
        help="1 (the default) plays it as the catalogue says; another varies what is not set",
    )  # fmt: skip
    parser.add_argument("--days", type=float, metavar="D", help="how long (default: as the scenario needs)")
    parser.add_argument(
        "--start", metavar="T",
        help="first moment, RFC 3339 (default: 2026-01-05T00:00:00+08:00; with --live: shortly before "
        "the first event is now)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the files, or for a live site's")
    parser.add_argument("--live", action="store_true", help="play it over Modbus and MQTT in real time")
    parser.add_argument(
        "--broker", default="127.0.0.1:1883", metavar="HOST:PORT",
        help="--live: the MQTT broker (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--modbus-port", type=int, default=5020, metavar="N",
        help="--live: first port of the Modbus devices (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--catalogue",
        type=Path,
        metavar="DIR",
        help="write a page with a plot of every scenario, or of SCENARIO alone",
    )
    parser.add_argument("--list", action="store_true", help="the scenarios and their parameters")
    parser.add_argument("--json", action="store_true", help="--list: as JSON")


def run(args: argparse.Namespace) -> int:
    found = entry_points(group=GROUP, name=NAME)
    if not found:
        raise SettingsError(
            f"no simulator is installed (entry point {GROUP}: {NAME}): run  pip install 'watchline[{EXTRA}]'"
        )
    return int(next(iter(found)).load()(args))
