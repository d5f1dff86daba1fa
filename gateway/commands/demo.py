"""Demo: the whole job on one machine with nothing to install: devices, broker, gateway, linkage centre."""

import argparse
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.demo.stage import Stage
    from gateway.demo.telling import Teller

HELP = "the whole job on this machine: devices, gateway, linkage centre, and four incidents"
EXAMPLE = "watchline demo --minutes 2 --headless"
EXTRA = "demo"

LEARNED_DAYS = 7
SEED = 7
INCIDENTS = (  # what is injected and where; first what takes longest to be seen
    ("burst", "water.south.riverside"),
    ("fall", "band.c31"),
    ("third_party_damage", "gas.centre.well"),
    ("voltage_sag", "power.centre.market"),
)
APART_S = 12.0  # between two incidents, less where the demo is short


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--minutes", type=_minutes, metavar="N", help="end after N live minutes (default: at Ctrl-C)"
    )
    parser.add_argument("--headless", action="store_true", help="plain lines, as without a terminal")


def run(args: argparse.Namespace) -> int:
    from gateway.demo.stage import ACCOUNT, Stage
    from gateway.demo.telling import Teller

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with tempfile.TemporaryDirectory(prefix="watchline-demo-") as folder:
        teller = Teller(args.headless)
        with Stage(Path(folder), SEED) as stage:
            stage.raise_centre()
            teller.say(
                f"The linkage centre's page:  {stage.page}   name {ACCOUNT}, password {stage.password}"
            )
            stage.raise_field()
            try:
                _learn(stage, teller, stopping)
            except _Stopped:
                teller.say("Stopped while learning.")
                return 0
            stage.raise_gateway()
            arrived = _live(stage, teller, stopping, args.minutes)
            teller.say("Stopping …")
    return 0 if arrived else 1


def _learn(stage: "Stage", teller: "Teller", stopping: threading.Event) -> None:
    """Replay simulated days through the same core; raises _Stopped when stopped meanwhile."""
    from config.load import read_site
    from gateway.rehearsal import rehearse

    files = read_site(stage.site / "gateway.toml")
    end_ns = time.time_ns()
    length_ns = LEARNED_DAYS * 86_400 * 10**9
    with stage.learning(len(files.channels)), teller.learning(LEARNED_DAYS) as advance:

        def progress(stream_ns: int, readings: int) -> None:
            advance(1 - (end_ns - stream_ns) / length_ns, readings)
            if stopping.is_set():
                raise _Stopped

        rehearse(files, stage.record_past(LEARNED_DAYS), progress)


def _live(stage: "Stage", teller: "Teller", stopping: threading.Event, minutes: float | None) -> bool:
    """Inject, follow the centre's casebook, and say what came; whether every incident arrived there."""
    from config.load import read_site
    from gateway.demo.arrivals import Arrivals

    apart_s = APART_S if minutes is None else min(APART_S, minutes * 6)
    begin_s = time.time() + 2
    planned = [
        (kind, place, int(begin_s + apart_s * number) * 10**9)
        for number, (kind, place) in enumerate(INCIDENTS)
    ]
    stage.inject([{"kind": kind, "place": place, "start": start} for kind, place, start in planned])
    arrivals = Arrivals(stage.casebook, planned, read_site(stage.site / "gateway.toml").links)
    end_s = float("inf") if minutes is None else time.monotonic() + 60 * minutes
    with teller.live(arrivals):
        while time.monotonic() < end_s and not stopping.wait(0.3):
            for heard in arrivals.news():
                teller.alert(heard)
    return arrivals.complete or stopping.is_set()


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 1 <= minutes <= 1440:
        raise argparse.ArgumentTypeError(f"{text} is not a number of minutes from 1 to 1440")
    return minutes


class _Stopped(Exception):
    """Ctrl-C while learning."""
