"""Bench: what this machine can carry, each stage beside its floor in the same run."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.bench.figures import Effort, Figure

HELP = "measure what this machine can carry"
EXAMPLE = "watchline bench --only replay"
STAGES = (
    "modbus",
    "payload",
    "mqtt",
    "journal",
    "tick",
    "detectors",
    "replay",
    "alerts",
    "lines",
    "archive",
    "start",
)
BY_NAME_ALONE = ("flood",)  # a minute at full load


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only",
        action="append",
        choices=STAGES + BY_NAME_ALONE,
        default=[],
        help="this stage alone (repeatable); flood, a minute at 20,000 messages/s, runs by its name only",
    )
    parser.add_argument("--quick", action="store_true", help="a few seconds; figures are rough")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(args: argparse.Namespace) -> int:
    from gateway.bench.figures import Effort

    figures = []
    with tempfile.TemporaryDirectory(prefix="watchline-bench-") as folder:
        effort = Effort(Path(folder), args.quick)
        for name in args.only or STAGES:
            if not args.json:
                print(f"measuring {name} …", file=sys.stderr, flush=True)
            figures += list(_stage(name)(effort))
    print(json.dumps([figure.as_dict() for figure in figures]) if args.json else table(figures))
    return 0


def table(figures: Sequence["Figure"]) -> str:
    """Plain lines of columns, which also go into a bug report."""
    head = ("stage", "what", "figure", "unit", "floor", "ratio", "beside; goal; note")
    rows = [head, *(_cells(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head) - 1)]
    left = (0, 1, 3)
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        )
        + f"  {row[-1]}".rstrip()
        for row in rows
    )


def _cells(figure: "Figure") -> tuple[str, ...]:
    goal = f"goal: {figure.goal}" if figure.goal else ""
    remarks = "; ".join(filter(None, (figure.beside, goal, figure.note)))
    numbers = (figure.value, figure.floor, figure.ratio)
    value, floor, ratio = ("-" if number is None else f"{number:,.3g}" for number in numbers)
    return figure.stage, figure.name, value, figure.unit, floor, ratio, remarks


def _stage(name: str) -> Callable[["Effort"], Iterator["Figure"]]:
    """The function that measures a stage; each is imported only when its turn comes."""
    if name in ("modbus", "payload"):
        from gateway.bench import intake

        return {"modbus": intake.modbus, "payload": intake.payload}[name]
    if name == "journal":
        from gateway.bench import intake, wear

        return lambda effort: chain(intake.journal(effort), wear.wear(effort))
    if name in ("tick", "replay", "alerts"):
        from gateway.bench import core

        return {"tick": core.tick, "replay": core.replay, "alerts": core.alerts}[name]
    if name == "detectors":
        from gateway.bench.detection import detection

        return detection
    if name in ("lines", "archive"):
        from gateway.bench import stores

        return {"lines": stores.lines, "archive": stores.archive}[name]
    if name in ("mqtt", "flood"):
        from gateway.bench import broker

        return {"mqtt": broker.mqtt, "flood": broker.flood}[name]
    from gateway.bench.start import start

    return start
