"""Album: the catalogue as a page: what each scenario is, how it is set, and a plot of a run."""

import tempfile
from collections.abc import Callable, Collection
from fnmatch import fnmatch
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.entries import entries
from simulators.play import DAY_NS, OWN_SEED, UTC_PLUS_8_NS, Entry, Play
from simulators.record import FIRST_MOMENT
from simulators.scenarios import SECOND_NS, Event, nanoseconds
from simulators.travel import Travel

MOMENTS = 1500  # a plot's points, of each channel
PANELS = 4
COLOURS = {"incident": "#d62728", "benign": "#2ca02c", "sensor_fault": "#ff7f0e"}
DISTRICT_CHANNELS = "200"  # enough to see what a district is
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Watchline: catalogue of simulated scenarios</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem;
  color: #222 }}
h2 {{ margin: 2.5rem 0 .2rem; font-size: 1.15rem }} code {{ background: #f2f2f2; padding: 0 .2em }}
img {{ max-width: 100%; height: auto }} table {{ border-collapse: collapse; font-size: .9rem }}
td, th {{ text-align: left; padding: .1rem .8rem .1rem 0; vertical-align: top }} .quiet {{ color: #666 }}
nav {{ columns: 3 14rem; font-size: .9rem }} nav a {{ display: block }}
</style></head><body>
<h1>Catalogue of simulated scenarios</h1>
<p>Each is played with seed {seed}. Red: an incident; green: a harmless thing; orange: a sensor at fault;
pale where the truth does not name the channel.
Days begin at midnight in China; times in tables are UTC. Gaps are readings that never came. With another
seed place, size, time and noise vary.</p>
<nav>{contents}</nav>
{scenarios}
</body></html>
"""


def write_album(
    folder: Path, seed: int, say: Callable[[str], object], only: Collection[str] | None = None
) -> None:
    """index.html and a plot of every scenario, or of some; the page appears when it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = folder / "plots"
    plots.mkdir(exist_ok=True)
    known = {name: entry for name, entry in entries().items() if only is None or name in only}
    sections = []
    for number, entry in enumerate(known.values(), start=1):
        say(f"{number}/{len(known)} {entry.name}")
        given = {"channels": DISTRICT_CHANNELS} if entry.name == "district" else {}
        play = entry.play(given, seed, nanoseconds(FIRST_MOMENT))
        name = entry.name.replace("/", "-") + ".png"
        _draw(play, plots / name)
        sections.append(_section(entry, play, f"plots/{name}"))
    contents = "".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in known)
    page = PAGE.format(seed=seed, contents=contents, scenarios="\n".join(sections))
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as file:
        file.write(page)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(folder / "index.html")


def _draw(play: Play, path: Path) -> None:
    """The channels that show it best, over the whole run, as their readings arrive, and what happens."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    world, truth = play.world, play.world.truth()
    events = sorted(play.events, key=lambda event: event.start_ns)
    numbers = _shown(play, truth)
    moments = _moments(play, round(float(world.channels.period_s[numbers].min())) * SECOND_NS)
    shown = world.values(moments, numbers)
    late = _waiting(play, events)
    midnight = (play.request.start_ns + UTC_PLUS_8_NS) // DAY_NS * DAY_NS - UTC_PLUS_8_NS
    count = len(numbers) + len(late)
    figure = Figure(figsize=(10, 1.7 * count + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels: list[Any] = np.atleast_1d(figure.subplots(count, 1, sharex=True)).tolist()
    travel = Travel(world.channels, world.seed, world.events)
    for panel, number, values in zip(panels, numbers, shown.T):
        came = travel.arrivals(world.channels.place[number], moments)
        arrived = np.full(len(moments), np.nan)
        arrived[came.row] = values[came.row]
        stamps = moments.copy()
        stamps[came.row] = came.stamp_ns
        panel.plot((stamps - midnight) / DAY_NS, arrived, linewidth=0.8, color="#1f4e79")
        panel.set_title(
            f"{world.channels.ids[number]}, {world.channels.unit[number]}", fontsize=8, loc="left"
        )
    for panel, place in zip(panels[len(numbers) :], late):
        came = travel.arrivals(place, moments)
        delay_min = (came.arrival_ns - moments[came.row]) / (60 * SECOND_NS)
        panel.plot((moments[came.row] - midnight) / DAY_NS, delay_min, ".", markersize=2, color="#1f4e79")
        panel.set_title(f"{place}: minutes until a reading arrives", fontsize=8, loc="left")
    for panel, channel in zip(panels, [*(world.channels.ids[n] for n in numbers), *late]):
        panel.tick_params(labelsize=7)
        panel.grid(alpha=0.25)
        for event, row in zip(events, truth):
            left, right = (event.start_ns - midnight) / DAY_NS, (event.end_ns - midnight) / DAY_NS
            right = max(right, left + 0.004 * (moments[-1] - moments[0]) / DAY_NS)
            strong = channel in row["channels"] or channel in late
            panel.axvspan(left, right, color=COLOURS[row["class"]], alpha=0.2 if strong else 0.05)
    panels[-1].set_xlabel("days", fontsize=8)
    figure.savefig(path, dpi=90)


def _shown(play: Play, truth: list[dict[str, Any]]) -> list[int]:
    """Numbers of the channels of a plot: what the entry names, and the first that each event moves."""
    known = play.world.channels
    named = [id for pattern in play.entry.shown for id in known.ids if fnmatch(id, pattern)]
    moved = [row["channels"][0] for row in truth if row["channels"]]
    first = named if play.request.seed == OWN_SEED and named else [*moved, *named]
    return [known.number[id] for id in dict.fromkeys(first)][:PANELS]


def _moments(play: Play, period_ns: int) -> NDArray[np.int64]:
    """Enough moments to see the whole run, and every reading at an event's beginning."""
    start_ns, end_ns = play.request.start_ns, play.request.end_ns
    step_ns = max(period_ns, -(-(end_ns - start_ns) // MOMENTS // period_ns) * period_ns)
    around = [np.arange(e.start_ns - period_ns, e.start_ns + 20 * period_ns, period_ns) for e in play.events]
    moments = np.unique(np.concatenate([np.arange(start_ns, end_ns, step_ns, dtype=np.int64), *around]))
    return moments[(moments >= start_ns) & (moments < end_ns)]


def _waiting(play: Play, events: list[Event]) -> list[str]:
    """Places whose readings come late for a while."""
    if len(events) > PANELS:
        return []
    late = ("sensor_fault:backlog", "sensor_fault:out_of_order")
    return [event.place for event in events if event.kind in late]


def _section(entry: Entry, play: Play, plot: str) -> str:
    """One scenario's part of the page."""
    settings = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(str(play.request.settings[name]))}</td>"
        f"<td>{escape(parameter.means)}</td></tr>"
        for name, parameter in entry.parameters.items()
    )
    happened = "".join(
        f"<tr><td>{escape(row['class'])}</td><td>{escape(row['kind'])}</td><td>{escape(row['place'])}</td>"
        f"<td>{row['start']}</td><td>{row['end']}</td><td>{len(row['channels'])} channels</td></tr>"
        for row in play.world.truth()
    )
    told = ", ".join(f"{each.kind} at {each.place}" for each in play.planned) or "nothing"
    return f"""<section id="{escape(entry.name)}">
<h2>{escape(entry.name)}</h2>
<p>{escape(entry.title)}. <span class="quiet">{escape(entry.engine)}; {len(play.world.channels)} channels,
{entry.days:g} days. Announced: {escape(told)}.</span><br>Expected: {escape(entry.expected)}.</p>
<table>{settings}</table>
<img src="{escape(plot)}" alt="Plot of {escape(entry.name)}" loading="lazy">
<table>{happened}</table>
</section>"""
