"""Album: the catalogue as a page: what each scenario is, how it is set, and a plot of a run."""

import json
import tempfile
from collections.abc import Callable
from fnmatch import fnmatch
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from simulators.entries import entries
from simulators.play import DAY_NS, UTC_PLUS_8_NS, Entry, Play
from simulators.record import FIRST_MOMENT
from simulators.scenarios import SECOND_NS, nanoseconds

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
<p>Each is played with seed {seed}. Red: an incident; green: a harmless thing; orange: a sensor at fault.
Times are those of China; with another seed place, size, time and noise vary.</p>
<nav>{contents}</nav>
{scenarios}
</body></html>
"""


def write_album(folder: Path, seed: int, say: Callable[[str], object]) -> None:
    """index.html and a plot of every scenario; the page appears when it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = folder / "plots"
    plots.mkdir(exist_ok=True)
    known = entries()
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
    """The channels that show it best, over the whole run, with what happens marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    request, world = play.request, play.world
    numbers = [
        number
        for pattern in play.entry.shown
        for number, channel in enumerate(world.channels.ids)
        if fnmatch(channel, pattern)
    ][:PANELS]
    period_ns = max(round(float(world.channels.period_s[numbers].min())), 1) * SECOND_NS
    span_ns = request.end_ns - request.start_ns
    step_ns = max(period_ns, -(-span_ns // MOMENTS // period_ns) * period_ns)
    moments = np.arange(request.start_ns, request.end_ns, step_ns, dtype=np.int64)
    around = [np.arange(e.start_ns - period_ns, e.start_ns + 20 * period_ns, period_ns) for e in play.events]
    moments = np.unique(np.concatenate([moments, *around]))
    moments = moments[(moments >= request.start_ns) & (moments < request.end_ns)]
    shown = world.values(moments, numbers)
    midnight = (request.start_ns + UTC_PLUS_8_NS) // DAY_NS * DAY_NS - UTC_PLUS_8_NS
    days = (moments - midnight) / DAY_NS
    figure = Figure(figsize=(10, 1.7 * len(numbers) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels: list[Any] = np.atleast_1d(figure.subplots(len(numbers), 1, sharex=True)).tolist()
    for panel, number, values in zip(panels, numbers, shown.T):
        panel.plot(days, values, linewidth=0.8, color="#1f4e79")
        unit = world.channels.unit[number]
        panel.set_title(f"{world.channels.ids[number]}  [{unit}]", fontsize=8, loc="left")
        panel.tick_params(labelsize=7)
        panel.grid(alpha=0.25)
        for event, row in zip(sorted(play.events, key=lambda e: e.start_ns), world.truth()):
            left, right = (event.start_ns - midnight) / DAY_NS, (event.end_ns - midnight) / DAY_NS
            colour = COLOURS.get(row["class"], "#888888")
            panel.axvspan(left, max(right, left + 0.004 * span_ns / DAY_NS), color=colour, alpha=0.18)
    panels[-1].set_xlabel("days", fontsize=8)
    figure.savefig(path, dpi=90)


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
    told = json.dumps([f"{each.kind} at {each.place}" for each in play.planned], ensure_ascii=False)
    return f"""<section id="{escape(entry.name)}">
<h2>{escape(entry.name)}</h2>
<p>{escape(entry.title)}. <span class="quiet">{escape(entry.engine)}; {len(play.world.channels)} channels,
{entry.days:g} days. Announced: {escape(told)}.</span><br>Expected: {escape(entry.expected)}.</p>
<table>{settings}</table>
<img src="{escape(plot)}" alt="Plot of {escape(entry.name)}" loading="lazy">
<table>{happened}</table>
</section>"""
