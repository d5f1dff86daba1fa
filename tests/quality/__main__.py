"""Scores `watchline score` on labelled data: python -m tests.quality --data DIR --scorers DIR [--only nab]

DIR of --data holds nab_dev/, skab_dev/ and batadal_dev/, DIR of --scorers their scorers nab_score.py,
skab_score.py and batadal_score.py. One configuration for all; thresholds are options here.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from gateway.commands.score import score_file


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.quality", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scorers", type=Path, required=True)
    parser.add_argument("--only", choices=sorted(CORPORA))
    parser.add_argument("--skab-threshold", type=float, default=0.36, help="a row alarms from this score on")
    parser.add_argument(
        "--batadal-threshold", type=float, default=0.15, help="an hour alarms from this score on"
    )
    args = parser.parse_args()
    for name, judge in CORPORA.items():
        if args.only in (None, name):
            print(f"\n{name}", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                judge(args, Path(folder))
    return 0


def nab(args: argparse.Namespace, folder: Path) -> None:
    """Univariate streams; the threshold is the scorer's, also cross-validated."""
    data = args.data / "nab_dev"
    for name in (data / "nab_dev.txt").read_text().split():
        out = folder / name
        out.parent.mkdir(parents=True, exist_ok=True)
        score_file(data / "data" / name, out)
    _run(args.scorers / "nab_score.py", folder, data, "--cv", "5", "--per-category")


def skab(args: argparse.Namespace, folder: Path) -> None:
    """Eight sensors of a water loop; row alarms at one threshold."""
    data = args.data / "skab_dev"
    for name in (data / "skab_dev.txt").read_text().split():
        name = name.removeprefix("data/")
        with (data / "data" / name).open(newline="") as file:
            rows = list(csv.reader(file, delimiter=";"))
        left_out = {rows[0].index(label) for label in ("anomaly", "changepoint")}
        table = [[cell for at, cell in enumerate(row) if at not in left_out] for row in rows]
        table[0][0] = "timestamp"
        alarms = [score >= args.skab_threshold for score in _scores(table, folder)]
        out = folder / "alarms" / name
        out.parent.mkdir(parents=True, exist_ok=True)
        _write(out, [["datetime", "alarm"], *([row[0], int(on)] for row, on in zip(table[1:], alarms))])
    _run(args.scorers / "skab_score.py", folder / "alarms", data)


def batadal(args: argparse.Namespace, folder: Path) -> None:
    """A town's water network: a normal year, then half a year with attacks, in one go."""
    data = args.data / "batadal_dev"
    table: list[list[str]] = []
    for name in ("dataset03.csv.gz", "dataset04.csv.gz"):
        with gzip.open(data / name, "rt", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
        table += [row[:-1] for row in (rows if not table else rows[1:])]
        attacked = len(rows) - 1
    hours = [datetime.strptime(row[0], "%d/%m/%y %H") for row in table[1:]]
    for row, hour in zip(table[1:], hours):
        row[0] = hour.isoformat()
    table[0][0] = "timestamp"
    scores = _scores(table, folder)[-attacked:]
    judged = hours[-attacked:]
    alarms = [hour.isoformat() for hour, score in zip(judged, scores) if score >= args.batadal_threshold]
    _write(folder / "alarms.csv", [["start", "end"], *([hour, hour] for hour in alarms)])
    first = f"{judged[0]:%d/%m/%y %H}"
    span = int((judged[-1] - judged[0]) / timedelta(hours=1)) + 1
    scorer = args.scorers / "batadal_score.py"
    _run(scorer, folder / "alarms.csv", data / "attacks04.csv", "--first", first, "--hours", str(span))


def _scores(table: Sequence[Sequence[str]], folder: Path) -> list[float]:
    _write(folder / "rows.csv", table)
    score_file(folder / "rows.csv", folder / "scores.csv", multivariate=True)
    with (folder / "scores.csv").open(newline="") as file:
        return [float(row["anomaly_score"]) for row in csv.DictReader(file)]


def _write(path: Path, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def _run(scorer: Path, *arguments: Path | str) -> None:
    subprocess.run([sys.executable, scorer, *map(str, arguments)], check=True)


CORPORA = {"nab": nab, "skab": skab, "batadal": batadal}

if __name__ == "__main__":
    sys.exit(main())
