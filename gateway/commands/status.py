"""Status: what a running gateway is doing; from the gateway itself where it tells, else from its journal."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from config.settings import Metrics
    from gateway.report import Report

HELP = "what a running gateway is doing; exit 1 where it does not run, or is not well"
EXAMPLE = "watchline status gateway.toml"
PATIENCE_S = 5.0
SHOWN = 5  # troubles and devices named


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", type=Path, help="gateway.toml")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(args: argparse.Namespace) -> int:
    from config.load import read_gateway

    settings = read_gateway(args.settings)
    report = read_report(settings.site.data, settings.site.id, settings.site.name, settings.metrics)
    print(json.dumps(report, ensure_ascii=False, indent=2) if args.json else "\n".join(_lines(report)))
    return 0 if report["well"] else 1


def read_report(folder: Path, site: str, name: str, metrics: "Metrics | None") -> "Report":
    """The gateway's own word where it can be had, else what its journal says."""
    from gateway.report import from_journal
    from ingest.standing import in_use

    running = in_use(folder)
    if running and metrics is not None and (report := ask(metrics.host, metrics.port, site)) is not None:
        return report
    report = from_journal(folder, site, name)
    if running:
        silent = "does not answer there" if metrics else "is not asked: it has no [metrics] table"
        report["well"], report["trouble"] = metrics is None, "" if metrics is None else f"it {silent}"
        report["journal"]["running"] = f"it runs, and {silent}"
    return report


def ask(host: str, port: int, site: str) -> "Report | None":
    """What a gateway tells of itself; None where nobody answers, or somebody else."""
    import http.client
    import urllib.request

    home = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    address = f"[{home}]:{port}" if ":" in home else f"{home}:{port}"
    try:
        with urllib.request.urlopen(f"http://{address}/status", timeout=PATIENCE_S) as answer:
            report: Report = json.load(answer)
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return report if isinstance(report, dict) and report.get("site") == site else None


def _lines(report: "Report") -> list[str]:
    journal, total = report["journal"], report["ledger"]["total"]
    name = f" ({report['name']})" if report["name"] else ""
    state = journal.get("running", "does not run")
    if (live := report["live"]) is not None:
        state = "runs, and is well" if report["well"] else f"runs, but {report['trouble']}"
    dropped = sum(total["dropped"].values())
    balance = "" if report["ledger"]["balanced"] else "; the ledger does NOT balance"
    lines = [
        f"{report['site']}{name}: {state}",
        *(() if live is None else _of_live(live)),
        _line("last record", journal["last_tick"] or "none yet"),
        _line("journal", f"{_mib(journal['bytes'])}, {journal['dead_letters']} messages laid aside"),
        _line("received", f"{total['received']:,} readings{balance}"),
        _line("durable", f"{total['durable']:,}; known before {total['duplicate']:,}, dropped {dropped:,}"),
    ]
    for name, courier in report["couriers"].items():
        lines.append(_line(name, _backlog(courier["pending"], "readings", courier["age_s"])))
    for name, receiver in report["receivers"].items():
        refused = f", {receiver['refused']} refused for good" if receiver["refused"] else ""
        lines.append(_line(name, _backlog(receiver["waiting"], "changes", receiver["age_s"]) + refused))
    return lines


def _of_live(live: Mapping[str, Any]) -> list[str]:
    late, clock = live["tick_lateness_s"], live["clock"]
    alarms = ", ".join(f"{n} {grade}" for grade, n in live["alarms"].items() if n) or "none open"
    good = "good" if clock["good"] else "NOT good: no reading is called late or early"
    lines = [
        _line("up", f"{_span(live['uptime_s'])}, {live['ticks']:,} ticks"),
        _line("lateness", f"{late['p50']:.3f} s, p99 {late['p99']:.3f} s, most {late['max']:.3f} s"),
        _line("memory", f"{_mib(live['memory_bytes'])}, at most {_mib(live['peak_memory_bytes'])}"),
        _line("alarms", alarms + ("; still learning" if live["learning"] else "")),
        _line("sources", f"{sum(live['sources'].values())} of {len(live['sources'])} answer"),
        _line("clock", good),
        _line("devices", f"{clock['devices_off']} of {clock['devices']} clocks are off by more than 5 s"),
    ]
    for device in clock["farthest_off"][:SHOWN]:
        told = ", flagged" if device["flagged"] else ""
        lines.append(_line("", f"{device['device']}: {device['offset_s']:+,.0f} s{told}"))
    lines += [_line("waits", f"{part}: {why}") for part, why in list(live["waiting_for"].items())[:SHOWN]]
    return lines


def _line(name: str, text: str) -> str:
    return f"  {name:<13} {text}"


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def _backlog(waiting: int, what: str, age_s: float) -> str:
    return f"{waiting:,} {what} wait, the oldest for {_span(age_s)}" if waiting else "nothing waits"


def _span(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.1f} s"
