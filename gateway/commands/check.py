"""Check: read settings, report every mistake at once, tell the expected alarm load; starts nothing."""

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from config.daykinds import country_of, doubts
from config.errors import SettingsError

if TYPE_CHECKING:
    from config.load import SiteFiles
    from config.settings import People

HELP = "read settings and report every mistake and the expected alarm load; starts nothing"
EXAMPLE = "watchline check gateway.toml centre.toml"
MOST_SHOWN = 8  # channels named in a warning
FALL_QUANTITIES = ("fall", "acceleration_peak")


@dataclass
class Verdict:
    """What is to be said about one file."""

    file: str
    role: str = "gateway"
    mistakes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="gateway.toml or centre.toml")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    verdicts = [_verdict(path) for path in args.files]
    mistakes = [mistake for verdict in verdicts for mistake in verdict.mistakes]
    if args.json:
        print(json.dumps({"ok": not mistakes, "files": [vars(verdict) for verdict in verdicts]}, indent=2))
        return 2 if mistakes else 0
    for verdict in verdicts:
        for warning in verdict.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        if not verdict.mistakes:
            print("\n".join(_lines(verdict)))
    if mistakes:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise SettingsError([*mistakes, f"{count}; nothing was started"])
    return 0


def _verdict(path: Path) -> Verdict:
    from config.load import is_centre, read_centre
    from config.rationale import read_own_rationale
    from config.tomlfile import read_toml
    from config.workdays import country_unknown

    verdict = Verdict(str(path))
    try:
        file = read_toml(path)
        if is_centre(file.data):
            verdict.role = "centre"
            centre = read_centre(path)
            if wrong := country_unknown(centre.cases.holidays):
                verdict.mistakes.append(file.mistake(("cases", "holidays"), wrong))
            if centre.cases.rationale is not None:
                verdict.warnings += read_own_rationale(centre.cases.rationale)[1]
            verdict.summary = {
                "listen": f"{centre.listen.host}:{centre.listen.port}",
                "store": str(centre.store.path),
                "gateways": [gateway.id for gateway in centre.gateway],
                "notifiers": [notifier.label for notifier in centre.notifier],
            }
            if centre.people is not None:
                _judge_people(centre.people, verdict)
            if not centre.gateway:
                verdict.warnings.append(f"{path.name}: no [[gateway]]: nobody may speak to this centre")
        else:
            _judge_gateway(path, verdict)
    except SettingsError as error:
        verdict.mistakes += error.mistakes
    return verdict


def _judge_people(people: "People", verdict: Verdict) -> None:
    """The directory: whoever is called must be there, and somebody must be on duty at every moment."""
    import time

    from alerts.centre.people.checking import judge

    found = judge(people.directory, people.desk, people.last, time.time_ns())
    verdict.mistakes += found.mistakes
    verdict.warnings += found.warnings
    verdict.summary["directory"] = found.counts


def _judge_gateway(path: Path, verdict: Verdict) -> None:
    from config.load import read_site
    from gateway.alarmbudget import OPERATOR_ALARMS_PER_DAY, budget

    site = read_site(path)
    settings, channels = site.settings, site.channels
    verdict.warnings += site.warnings
    fed = _judge_sources(path, site, verdict)
    if settings.influxdb and not settings.influxdb.wristband_bucket and channels.is_wristband.any():
        verdict.warnings.append(
            f"{path.name}: influxdb has no wristband_bucket: wristband readings are withheld from InfluxDB"
        )
    if settings.centre is None and not settings.notifier:
        verdict.warnings.append(f"{path.name}: neither [centre] nor [[notifier]]: alerts are told to nobody")
    verdict.warnings += _without_rationale(path, site)
    verdict.warnings += _off_where_lives_hang_on_it(site)
    verdict.warnings += _without_holidays(path, settings.site.timezone)
    expected = budget(channels, settings.watching, settings.site.timezone)
    rules, total = expected.by(0), expected.total
    verdict.summary = {
        "site": settings.site.id,
        "settings_hash": site.hash,
        "channels": dict(Counter(channels.medium)),
        "links": len(site.links),
        "planned": len(site.planned),
        "sources": dict(Counter(entry.kind for entry in settings.source)),
        "channels_fed_by_devices": fed,
        "watchings": len(settings.watching),
        "notifiers": [notifier.label for notifier in settings.notifier],
        "influxdb": settings.influxdb.url if settings.influxdb else None,
        "archive": str(settings.archive.folder) if settings.archive else None,
        "centre": settings.centre.url if settings.centre else None,
        "expected_false_alarms_per_day": total,
        "expected_by_rule": [
            {"rule": rule, "channels": count, "per_day": per_day} for rule, count, per_day in rules
        ],
        "expected_by_channel": [
            {"channel": channel, "rules": count, "per_day": per_day}
            for channel, count, per_day in expected.by(1)
        ],
        "operator_budget_per_day": OPERATOR_ALARMS_PER_DAY,
    }
    if total > OPERATOR_ALARMS_PER_DAY:
        worst = max(rules, key=lambda rule: rule[2])[0]
        verdict.warnings.append(
            f"{path.name}: {total:.0f} false alarms a day are more than one operator bears "
            f"({OPERATOR_ALARMS_PER_DAY:.0f}); most come from rule {worst}"
        )


def _judge_sources(path: Path, site: "SiteFiles", verdict: Verdict) -> int:
    """How many channels the devices feed; warns of points and channels that have no counterpart."""
    channels = site.channels
    fed_by = np.zeros(len(channels), dtype=np.int64)
    broker = False
    for entry, source in zip(site.settings.source, site.sources):
        ids = fed_ids(source)
        broker |= ids is None
        idle = [id for id in ids or () if id not in channels.number]
        if idle:
            verdict.warnings.append(f"{entry.where}: {_some(idle)}: no such channel, so not read")
        fed_by[[channels.number[id] for id in ids or () if id in channels.number]] += 1
    twice = [channels.ids[number] for number in np.flatnonzero(fed_by > 1)]
    if twice:
        verdict.warnings.append(f"{path.name}: more than one source feeds {_some(twice)}; keep one for each")
    unfed = [channels.ids[number] for number in np.flatnonzero(fed_by == 0)]
    if unfed and not broker:
        verdict.warnings.append(f"{path.name}: no source feeds {_some(unfed)}")
    return int((fed_by > 0).sum())


def fed_ids(source: Any) -> list[str] | None:
    """Ids of the channels that a device's points feed; None for a broker, which may bring any channel."""
    profile, place = getattr(source, "profile", None), getattr(source, "place", None)
    if profile is None or place is None:
        return None
    return [f"{place}.{point.name}" for point in profile.points]


def _without_holidays(path: Path, timezone: str) -> list[str]:
    """Why holidays of this year are not known to the baselines; nothing where they are."""
    said = doubts(country_of(timezone), [datetime.now(ZoneInfo(timezone)).year])
    return [f"{path.name}: {doubt}: baselines know weekends, and no holidays" for doubt in said]


def _without_rationale(path: Path, site: "SiteFiles") -> list[str]:
    """Kinds that may be raised here and of which nobody wrote why (ISA-18.2: each alarm has a rationale)."""
    from config import kinds
    from config.grades import ANY, read_grades

    own, known = site.settings.site.rationale, site.rationale
    into = own.name if own else f'a file that {path.name} names by  rationale = "rationale.toml"  in [site]'
    lacking: dict[str, tuple[str, str]] = {}  # by kind: where it comes from, and the table that it wants
    for medium in (*dict.fromkeys(site.channels.medium), ANY):
        for kind in read_grades().kind.get(medium, {}):
            if known.of(medium, kind) is None:
                lacking.setdefault(kind, (path.name, medium))
    for watching in site.settings.watching:
        kind = str(getattr(kinds.kind_class(kinds.DETECTORS, watching.kind), "kind", ""))
        numbers = site.channels.matching(watching.channels).tolist()
        media = {site.channels.medium[number] for number in numbers} or {ANY}
        if kind and watching.enabled and any(known.of(medium, kind) is None for medium in media):
            lacking[kind] = (watching.where, ANY)
    return [
        f"{where}: no rationale of {kind}: write [kind.{medium}.{kind}] with purpose, consequence and respond"
        f" into {into}"
        for kind, (where, medium) in sorted(lacking.items())
    ]


def _off_where_lives_hang_on_it(site: "SiteFiles") -> list[str]:
    """Limits and falls that the settings switch off on channels that guard somebody's life."""
    from config.defaults import defaults_for

    channels = site.channels
    guards = {
        "limits": [any(level.life_safety for level in defaults_for(one).levels) for one in channels.channels],
        "fall": [quantity in FALL_QUANTITIES for quantity in channels.quantity],
    }
    notices = []
    for watching in site.settings.watching:
        if not watching.enabled and watching.kind in guards:
            numbers = channels.matching(watching.channels).tolist()
            silent = [channels.ids[n] for n in numbers if guards[watching.kind][n]]
            if silent:
                notices.append(
                    f"{watching.where}: {watching.kind} is switched off on {_some(silent)}: nobody will be "
                    "called when a life hangs on it; delete this entry unless something else watches there"
                )
    return notices


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:MOST_SHOWN])
    return shown if len(names) <= MOST_SHOWN else f"{shown} and {len(names) - MOST_SHOWN} more"


def _lines(verdict: Verdict) -> list[str]:
    told = verdict.summary
    if verdict.role == "centre":
        return [
            f"{verdict.file}: settings of a centre, no mistakes",
            f"  answers at     {told['listen']}",
            f"  casebook       {told['store']}",
            f"  gateways       {', '.join(told['gateways']) or 'none'}",
            f"  notifiers      {', '.join(told['notifiers']) or 'none'}",
            f"  directory      {_counted(told.get('directory', {})) or 'none'}",
        ]
    total, budget = told["expected_false_alarms_per_day"], told["operator_budget_per_day"]
    share = f"{total / budget:.2%} of the {budget:.0f} that one bears"
    return [
        f"{verdict.file}: settings of gateway {told['site']}, no mistakes",
        f"  channels       {sum(told['channels'].values())} ({_counted(told['channels'])})",
        f"  sources        {_counted(told['sources']) or 'none'}",
        f"  from devices   {told['channels_fed_by_devices']} channels",
        f"  links          {told['links']}, announced works and holidays {told['planned']}",
        f"  InfluxDB       {told['influxdb'] or 'none'}",
        f"  archive        {told['archive'] or 'none'}",
        f"  tells          {', '.join(filter(None, [told['centre'], *told['notifiers']])) or 'nobody'}",
        f"  false alarms   {total:.2f} expected per operator-day, {share}",
        *_offenders(told),
    ]


def _offenders(told: dict[str, Any]) -> list[str]:
    """Rules and channels from which most false alarms are to be expected, the worst first."""
    total = told["expected_false_alarms_per_day"]
    if not total:
        return []
    rules = [one for one in told["expected_by_rule"] if one["per_day"]]
    lines = [f"    by rule      {_shares(rules, 'rule', total)}"]
    channels = told["expected_by_channel"]
    usual = median(one["per_day"] for one in channels)
    loud = [one for one in channels if one["per_day"] > 1.5 * usual]
    if loud:
        said = _shares(loud, "channel", total)
        lines.append(f"    by channel   most from {said}: a longer period or a higher `warning` is quieter")
    else:
        lines.append(f"    by channel   {usual:.2g} a day on each; `watchline report` says what was raised")
    return lines


def _shares(parts: list[dict[str, Any]], name: str, total: float) -> str:
    shown = [f"{one[name]} {one['per_day']:.3g} ({one['per_day'] / total:.0%})" for one in parts[:MOST_SHOWN]]
    return ", ".join(shown) + (f" and {len(parts) - MOST_SHOWN} more" if len(parts) > MOST_SHOWN else "")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
