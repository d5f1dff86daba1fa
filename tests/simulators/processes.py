"""Processes: the live simulators started as a user starts them, and stopped again."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WAIT_S = 20.0  # generous: the machine may be busy


class Simulator:
    """A running simulator and the line that it printed when it was ready."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        self.process = process
        self.ready = ready

    def stopped(self) -> int:
        """SIGTERM; its exit code."""
        self.process.terminate()
        return self.process.wait(WAIT_S)

    def abandoned(self) -> int:
        """Close its stdin, as happens when its parent dies; its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(WAIT_S)


@contextlib.contextmanager
def simulator(module: str, site: Path, *arguments: str) -> Iterator[Simulator]:
    """`python -m simulators.<module> SITE --with-stdin …`, once it is ready."""
    command = [sys.executable, "-m", f"simulators.{module}", str(site), "--with-stdin", *arguments]
    with (site / f"{module}.log").open("w") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{module} did not start:\n{(site / f'{module}.log').read_text()}")
        yield Simulator(process, json.loads(line))
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def refusal(module: str, *arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a simulator that does not start."""
    command = [sys.executable, "-m", f"simulators.{module}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, stdin=subprocess.DEVNULL)
    return done.returncode, done.stderr
