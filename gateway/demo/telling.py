"""Telling: what the demo shows on a terminal: live with rich, in plain lines where there is none."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from gateway.demo.arrivals import Arrivals, Heard

COLOURS = {"P1": "bold red", "P2": "dark_orange", "P3": "yellow", "P4": "blue"}
PLAIN_EVERY_S = 5.0


class Teller:
    """One voice for both kinds of output."""

    def __init__(self, headless: bool) -> None:
        self.console = Console(force_terminal=False if headless else None, highlight=False, soft_wrap=True)
        self.lively = self.console.is_terminal

    def say(self, text: str) -> None:
        self.console.print(text)

    @contextlib.contextmanager
    def learning(self, days: int) -> Iterator[Callable[[float, int], None]]:
        """While the past is replayed; the yielded function takes the share done and the readings so far."""
        self.say(
            f"Learning from {days} simulated days through the code that runs live; the page is up already."
        )
        start_s = time.monotonic()
        if self.lively:
            with Progress(
                TextColumn("learning"), BarColumn(), TextColumn("{task.percentage:.0f} %"),
                TimeRemainingColumn(), TextColumn("{task.fields[readings]:,} readings"), console=self.console,
            ) as progress:  # fmt: skip
                task = progress.add_task("", total=1.0, readings=0)
                yield lambda share, readings: progress.update(task, completed=share, readings=readings)
        else:
            yield _PlainProgress(self)
        self.say(f"Learned in {time.monotonic() - start_s:.0f} s.")

    @contextlib.contextmanager
    def live(self, arrivals: Arrivals) -> Iterator[None]:
        """While the gateway is live."""
        self.say("Live. Four incidents are injected, one after another, under the default thresholds:")
        for incident in arrivals.injected:
            moment = time.strftime("%H:%M:%S", time.localtime(incident.start_ns / 1e9))
            self.say(f"  {moment}  {incident.kind} at {incident.place}")
        if not self.lively:
            yield
        else:
            with Live(get_renderable=lambda: _table(arrivals), console=self.console, refresh_per_second=4):
                yield
        self.say(_summary(arrivals))

    def alert(self, heard: Heard) -> None:
        """One alert change that reached the centre."""
        data = heard.data
        colour = COLOURS.get(data["grade"], "")
        told = "told to people" if data.get("notify") else "folded into its incident"
        at = data["t"]["detected"][11:19]
        self.say(
            f"[{colour}]{data['grade']}[/] {at}Z {heard.type} {data['kind']} at {data['place']}: "
            f"{escape(data['because'])} [dim]({told}; at the centre {heard.delay_s:.1f} s later)[/]"
        )


class _PlainProgress:
    def __init__(self, teller: Teller) -> None:
        self.teller = teller
        self.said_s = time.monotonic()

    def __call__(self, share: float, readings: int) -> None:
        if time.monotonic() - self.said_s >= PLAIN_EVERY_S:
            self.said_s = time.monotonic()
            self.teller.say(f"  {share:4.0%}  {readings:,} readings")


def _table(arrivals: Arrivals) -> Table:
    table = Table("injected", "at", "centre says", "delay", title="Incidents")
    now_ns = time.time_ns()
    for incident in arrivals.injected:
        if incident.heard is None:
            waits = "[dim]to come[/]" if now_ns < incident.start_ns else "waiting …"
            table.add_row(incident.kind, incident.place, waits, "")
        else:
            data = incident.heard.data
            table.add_row(
                incident.kind,
                incident.place,
                f"[{COLOURS.get(data['grade'], '')}]{data['grade']} {data['kind']}[/] at {data['place']}",
                f"{incident.heard.delay_s:.1f} s",
            )
    return table


def _summary(arrivals: Arrivals) -> str:
    missing = [f"{one.kind} at {one.place}" for one in arrivals.injected if one.heard is None]
    if missing:
        return f"Did not arrive at the centre: {', '.join(missing)}."
    return f"All {len(arrivals.injected)} injected incidents arrived at the centre."
