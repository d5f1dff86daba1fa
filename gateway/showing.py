"""Showing: how far long work is: a bar on a terminal, now and then a plain line elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

PLAIN_EVERY_S = 5.0

Show = Callable[[float, int, str], None]
"""The share done (0 to 1), how many readings that was, and where it is, in words."""


@contextlib.contextmanager
def showing(label: str, quiet: bool = False) -> Iterator[Show]:
    """With the rate and the time left. quiet: nothing at all."""
    if quiet:
        yield lambda share, readings, where: None
    elif sys.stderr.isatty():
        with _bar(label) as show:
            yield show
    else:
        yield _Lines(label).show


@contextlib.contextmanager
def _bar(label: str) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"),
        TextColumn("{task.fields[rate]} readings/s"), TimeRemainingColumn(),
        TextColumn("{task.fields[where]}"),
    )  # fmt: skip
    started_s = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=1.0, rate="-", where="")

        def show(share: float, readings: int, where: str) -> None:
            rate = readings / max(time.monotonic() - started_s, 1e-9)
            progress.update(task, completed=share, rate=f"{rate:,.0f}", where=where)

        yield show


class _Lines:
    """A line every few seconds; none for work that is over before."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._started_s = self._told_s = time.monotonic()

    def show(self, share: float, readings: int, where: str) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s < PLAIN_EVERY_S:
            return
        self._told_s = now_s
        spent_s = now_s - self._started_s
        left = f", {_span(spent_s * (1 - share) / share)} left" if 0 < share < 1 else ""
        rate = readings / spent_s
        said = f"{self._label}: {share:.0%}, {readings:,} readings, {rate:,.0f} readings/s{left}  {where}"
        print(said.rstrip(), file=sys.stderr, flush=True)


def _span(seconds: float) -> str:
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 5400 else f"{whole / 3600:.1f} h"
