"""Tune: settings proposed from a recorded month, and what they would change, shown by replay."""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.errors import InputError

if TYPE_CHECKING:
    from alerts.alarmlog import Activation, Entry
    from alerts.alert import AlertChange
    from alerts.comparing import Comparison, Raised
    from config.load import SiteFiles
    from gateway.replaying import Recording, Sink, Workers
    from gateway.tuning import Tuning
    from gateway.watch import Site

HELP = "settings proposed from a recorded month, with what they would change; it changes nothing by itself"
EXAMPLE = """watchline tune gateway.toml archive --out quieter.toml --html quieter.html
  watchline tune gateway.toml archive --from 2026-01-01T00:00:00Z --cases centre.toml
  watchline tune gateway.toml archive --apply        (keeps the old file as gateway.toml.before)"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", type=Path, help="gateway.toml as it is now")
    parser.add_argument(
        "readings", help="what was recorded: a Parquet or CSV file, an archive folder, influx+http(s)://…"
    )
    parser.add_argument("--facts", type=Path, help="facts.jsonl (default: the one in the archive folder)")
    parser.add_argument("--from", dest="start", metavar="T", help="RFC 3339; earlier readings are left out")
    parser.add_argument("--to", dest="end", metavar="T", help="RFC 3339; later readings are left out")
    parser.add_argument(
        "--cases", type=Path, metavar="centre.toml", help="its casebook knows which alarms were real"
    )
    parser.add_argument("--out", type=Path, help="the proposal (default: NAME.tuned.toml beside it)")
    parser.add_argument("--apply", action="store_true", help="put the proposal in force in place of the file")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="steps that are tried (default 3)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes, each judging some zones")
    parser.add_argument("--html", type=Path, metavar="FILE", help="the comparison as a page with plots")
    parser.add_argument("--json", action="store_true", help="print the proposal and its effect as JSON")


def run(args: argparse.Namespace) -> int:
    from config.load import read_site
    from gateway.replaying import Workers

    if args.rounds < 1:
        raise InputError(f"--rounds {args.rounds}: at least 1")
    site = read_site(args.settings)
    out = args.out or args.settings.with_suffix(".tuned.toml")
    if out.resolve() == args.settings.resolve():
        raise InputError(
            f"--out {out}: that is the file in force; use --apply to put a proposal in its place"
        )
    trials = _Trials(args, site, _recording(args), Workers(args.jobs))
    before = trials.replayed(site.settings, "as it is")
    tuning = _tuning(args, site, before)
    after, comparison = _climb(args, trials, tuning, before)
    text = _text(args.settings, tuning)
    if tuning.proposals:
        _write(out, text)
    if args.html:
        _page(args.html, comparison, args.settings.name, out.name)
    applied = bool(args.apply and tuning.proposals)
    if applied:
        _apply(args.settings, text)
    result = _result(tuning, before, after, comparison, out, applied)
    print(json.dumps(result, ensure_ascii=False, indent=2) if args.json else "\n".join(_lines(result)))
    return 0


@dataclass
class Heard:
    """What a replay said outside of the warm-up."""

    entries: "list[Entry]" = field(default_factory=list)
    raised: "list[Raised]" = field(default_factory=list)

    def activations(self) -> "list[Activation]":
        from alerts.alarmlog import Log

        return Log(list(self.entries)).activations()


@dataclass
class _Trials:
    """Replays of one recording under one setting after another."""

    args: argparse.Namespace
    site: "SiteFiles"
    recording: "Recording"
    workers: "Workers"

    def replayed(self, settings: Any, label: str) -> Heard:
        from gateway.replaying import replay
        from gateway.showing import showing

        heard: list[Heard] = []

        def fresh() -> "Sink":
            heard.append(Heard())
            return _sink(heard[-1])

        with showing(label, quiet=self.args.json) as show:
            readings = replay(self.recording, self._site(settings), self.workers, fresh, show)
        if not readings:
            raise InputError(f"{self.args.readings}: no reading of a channel of {self.args.settings.name}")
        return heard[-1]

    def with_text(self, text: str, label: str) -> Heard:
        """Under a settings file of that text, read and checked as any other."""
        from config.load import read_gateway

        folder = self.args.settings.resolve().parent
        with tempfile.NamedTemporaryFile("w", suffix=".toml", dir=folder, encoding="utf-8") as trial:
            trial.write(text)
            trial.flush()
            settings = read_gateway(Path(trial.name))
        return self.replayed(settings, label)

    def _site(self, settings: Any) -> "Site":
        from gateway.watch import Site

        site = settings.site
        return Site(
            self.site.channels,
            self.site.links,
            self.site.planned,
            settings.watching,
            site.timezone,
            float(site.warmup_s),
        )


def _sink(heard: Heard) -> "Callable[[Sequence[AlertChange]], None]":
    from alerts.alarmlog import entry_from
    from alerts.comparing import Raised

    def sink(changes: "Sequence[AlertChange]") -> None:
        heard.entries += [entry_from(change) for change in changes if not change.warmup]
        heard.raised += [Raised.of(c) for c in changes if c.type == "raised" and not c.warmup]

    return sink


def _recording(args: argparse.Namespace) -> "Recording":
    from config.lists import time_ns
    from gateway.replaying import Recording

    moments = {}
    for option in ("start", "end"):
        text = getattr(args, option)
        try:
            moments[option] = None if text is None else time_ns(text)
        except ValueError as error:
            raise InputError(f"--{'from' if option == 'start' else 'to'}: {error}") from error
    return Recording(args.readings, args.facts, None, moments["start"], moments["end"])


def _tuning(args: argparse.Namespace, site: "SiteFiles", before: Heard) -> "Tuning":
    """What is known before anything is proposed."""
    from zoneinfo import ZoneInfo

    from detectors.bank import Bank
    from gateway.alarmbudget import budget
    from gateway.tuning import Tuning
    from ingest.window import Window

    settings = site.settings
    zone = settings.site.timezone
    grids = [(grid.period_s, grid.channels) for grid in Window(site.channels).grids]
    delays: dict[tuple[str, str], float] = {}
    for points in Bank(site.channels, grids, settings.watching, ZoneInfo(zone)).points:
        for number, rule in enumerate(points.rule):
            if points.speaks is None or points.speaks[number]:
                channel = site.channels.ids[int(points.channel[number])]
                delays[rule, channel] = float(points.on_delay_s[number])
    outcomes: dict[str, str] = {}
    if args.cases:
        from alerts.centre.annals import read_log
        from config.load import read_centre

        outcomes = read_log(read_centre(args.cases).store.path).outcomes
    expected = budget(site.channels, settings.watching, zone)
    return Tuning(site.channels, expected, settings.watching, delays, _days(args, site, before), outcomes)


def _days(args: argparse.Namespace, site: "SiteFiles", before: Heard) -> float:
    """How long the recording was watched outside of the warm-up, as far as can be told."""
    from gateway.replaying import span_of

    span = span_of(_recording(args), site.channels)
    times = [entry.at_ns for entry in before.entries]
    first, last = span or (min(times, default=0), max(times, default=0))
    return max((last - first) / 1e9 - float(site.settings.site.warmup_s), 3600.0) / 86_400.0


def _climb(
    args: argparse.Namespace, trials: _Trials, tuning: "Tuning", before: Heard
) -> "tuple[Heard, Comparison]":
    """Rung by rung until nothing is too loud, or the rounds are used; then what would lose a P1 is undone."""
    from alerts.comparing import compared

    after = before
    for number in range(args.rounds):
        if not tuning.consider(after.activations()):
            break
        after = trials.with_text(_text(args.settings, tuning), f"proposal {number + 1}")
    comparison = compared(before.raised, after.raised)
    while tuning.protect(comparison):
        after = trials.with_text(_text(args.settings, tuning), "without what would lose a P1")
        comparison = compared(before.raised, after.raised)
    return after, comparison


def _text(path: Path, tuning: "Tuning") -> str:
    from gateway.tuning import tuned

    proposals = sorted(tuning.proposals.values(), key=lambda one: one.point)
    return tuned(path.read_text(encoding="utf-8"), proposals)


def _write(path: Path, text: str) -> None:
    from gateway.reports.writing import written

    with written(path) as out:
        out.write(text)


def _apply(path: Path, text: str) -> None:
    """The old file stays beside the new one."""
    _write(path.with_name(f"{path.name}.before"), path.read_text(encoding="utf-8"))
    _write(path, text)


def _page(path: Path, comparison: "Comparison", first: str, second: str) -> None:
    from gateway.reports import comparison as paper

    _write(path, paper.html(comparison, first, second))


def _result(
    tuning: "Tuning", before: Heard, after: Heard, comparison: "Comparison", out: Path, applied: bool
) -> dict[str, Any]:
    from gateway.alarmbudget import OPERATOR_ALARMS_PER_DAY

    proposals = sorted(tuning.proposals.values(), key=lambda one: one.point)
    return {
        "days": round(tuning.days, 3),
        "expected_per_day": tuning.budget.total,
        "operator_budget_per_day": OPERATOR_ALARMS_PER_DAY,
        "before": {"raised": len(before.raised), "told": sum(one.notify for one in before.raised)},
        "after": {"raised": len(after.raised), "told": sum(one.notify for one in after.raised)},
        "proposals": [
            {"kind": p.kind, "channel": p.channel, "options": dict(p.options), "why": p.why}
            for p in proposals
        ],
        "left": [
            {"rule": rule, "channel": channel, "why": why}
            for (rule, channel), why in sorted(tuning.left.items())
        ],
        "comparison": comparison.as_dict(),
        "out": str(out) if proposals else None,
        "applied": applied,
    }


def _lines(result: dict[str, Any]) -> list[str]:
    days, counts = result["days"], result["comparison"]["counts"]
    lines = [
        f"{days:g} days beside the warm-up; {result['expected_per_day']:.3g} false alarms a day expected"
    ]
    for name in ("before", "after"):
        raised, told = result[name]["raised"], result[name]["told"]
        lines.append(
            f"  {name:7} {raised} alarms raised ({raised / days:.2f} a day), {told} of them told to people"
        )
    lines += [
        f"  {name:7} {counts[name]['all']}, {counts[name]['told']} of them told to people"
        for name in ("added", "removed", "earlier", "later", "changed")
    ]
    lines += [f"proposed: {len(result['proposals'])}"]
    for one in result["proposals"]:
        options = ", ".join(f"{name} = {value}" for name, value in one["options"].items())
        lines.append(f"  {one['kind']} on {one['channel']}: {options}  ({one['why']})")
    lines += [f"left as they are: {len(result['left'])}"] if result["left"] else []
    lines += [f"  {one['rule']} on {one['channel']}: {one['why']}" for one in result["left"]]
    if not result["proposals"]:
        return [*lines, "nothing to propose, and nothing was written"]
    if result["applied"]:
        return [*lines, "the proposal is in force; the file before it was kept beside it, as .before"]
    return [*lines, f"written to {result['out']}; nothing was changed: look at it, then --apply"]
