"""Coverage-guided fuzzing: `python -m tests.fuzz payloads [--cases 1000000] [--seconds 20] [--case FILE]`."""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

NAMES = ("payloads", "blobs", "journals", "openings", "settings")
MOST_BYTES = 4096  # of a case
MEMORY_MB = 1024
HANG_S = 60  # by the clock: a case waits for its turn on a machine that is busy


def main() -> None:
    """Ends with an error, and the case in a file, at the first promise broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--cases", type=int, default=-1, help="stop after so many (default: no limit)")
    parser.add_argument("--seconds", type=int, default=0, help="stop after so many (default: no limit)")
    parser.add_argument("--seed", type=int, default=20, help="the same seed and cases give the same run")
    parser.add_argument("--corpus", type=Path, help="keep what was found interesting; else it is thrown away")
    parser.add_argument("--case", type=Path, help="only this case, such as one that was written before")
    given = parser.parse_args()
    if given.case is not None:
        from tests.fuzz.targets import TARGETS

        TARGETS[given.target]()(given.case.read_bytes())
        return
    fuzz(given)


def fuzz(given: argparse.Namespace) -> None:
    import atheris

    with atheris.instrument_imports(include=["config", "gateway", "ingest"], enable_loader_override=False):
        from tests.fuzz.targets import TARGETS, seeds
    with contextlib.ExitStack() as stack:
        corpus = given.corpus or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds(given.target)):
            (corpus / f"seed-{number}").write_bytes(seed)
        options = [
            *(f"-runs={given.cases}", f"-max_total_time={given.seconds}", f"-seed={given.seed}"),
            *(f"-max_len={MOST_BYTES}", f"-rss_limit_mb={MEMORY_MB}", f"-timeout={HANG_S}"),
            *("-print_final_stats=1", f"-artifact_prefix=fuzz-{given.target}-"),
        ]
        atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[given.target]())
        atheris.Fuzz()


if __name__ == "__main__":
    main()
