"""The crash rig from the command line: `python -m tests.rig [--full] [--seed N] [--only kills|cuts|…]`."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.rig import cuts, damage, faults, kills, outages
from tests.rig.verdict import Trial, report, tallied

Trials = Callable[[Path, int, int], Iterator[Trial]]
KINDS: dict[str, tuple[Trials, int, int]] = {  # how many in CI, and with --full
    "kills": (kills.trials, 40, 1000),
    "cuts": (cuts.trials, 60, 1000),
    "outages": (outages.trials, 3, 50),  # of each kind
    "disk": (faults.trials, 3, 50),
    "damage": (damage.trials, 3, 50),
}
TOLD_EVERY = 100  # trials


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rig", description=__doc__)
    parser.add_argument("--full", action="store_true", help="1,000 kills, 1,000 cuts, 50 of all else")
    parser.add_argument("--seed", type=int, default=20, help="the first seed")
    parser.add_argument("--only", choices=KINDS, action="append", help="one kind of hurt; may be repeated")
    parser.add_argument("--count", type=int, help="how many, instead of the usual number")
    parser.add_argument("--recording", type=Path, help="with --only cuts: cut this recording again")
    parser.add_argument("--keep", type=Path, help="folder for recordings and logs; else a temporary one")
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="watchline-rig-"))
    print(f"recordings and logs: {folder}", flush=True)
    trials: list[Trial] = []
    for kind in given.only or KINDS:
        run, few, many = KINDS[kind]
        count, started_s = given.count or (many if given.full else few), time.monotonic()
        if kind == "cuts" and given.recording is not None:
            some = told(kind, cuts.trials(folder, given.seed, count, given.recording))
        else:
            some = told(kind, run(folder, given.seed, count))
        print(f"\n{kind}, {time.monotonic() - started_s:.0f} s\n{report(tallied(some))}", flush=True)
        trials += some
    return 1 if any(trial.troubles for trial in trials) else 0


def told(kind: str, trials: Iterator[Trial]) -> list[Trial]:
    """All of them; how it goes is said now and then, and a failure at once."""
    found = []
    for trial in trials:
        found.append(trial)
        if trial.troubles:
            print(f"{trial.kind} failed: {'; '.join(trial.troubles)}\n  again: {trial.again}", flush=True)
        if len(found) % TOLD_EVERY == 0:
            print(f"{kind}: {len(found)} so far", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
