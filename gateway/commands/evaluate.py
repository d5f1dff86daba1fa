"""Evaluate: alerts beside the truth: recall, delay, precision, false episodes, sensor faults."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.errors import InputError

if TYPE_CHECKING:
    from alerts.judging import Case, Told

HELP = "judge alerts by what truly happened"
EXAMPLE = "watchline evaluate alerts.jsonl truth.json --html worth.html"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="ALERTS TRUTH",
        help="alerts.jsonl of a replay, then truth.json of the same run; further pairs are pooled",
    )
    parser.add_argument(
        "--channels",
        action="append",
        type=Path,
        default=[],
        help="channels.csv, one for all or one a pair (default: beside the truth)",
    )
    parser.add_argument("--links", type=Path, help="links.csv: next places count as near ones too")
    parser.add_argument(
        "--warmup",
        default="0s",
        metavar="3d",
        help="leave out the first days, and events that begin in them (alerts marked as warm-up never count)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the placebo's random times")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")


def run(args: argparse.Namespace) -> int:
    from alerts.judging import judge
    from alerts.pooling import pooled
    from gateway.reports import evaluation
    from gateway.reports.writing import written

    if len(args.files) % 2:
        raise InputError("evaluate: alerts and truth come in pairs: ALERTS TRUTH [ALERTS TRUTH]…")
    pairs = list(zip(args.files[::2], args.files[1::2]))
    lists = args.channels * len(pairs) if len(args.channels) == 1 else args.channels
    if lists and len(lists) != len(pairs):
        raise InputError(f"--channels: {len(lists)} lists for {len(pairs)} pairs; name one, or one a pair")
    warmup_ns = _warmup_ns(args.warmup)
    judgements = []
    for number, (alerts, truth) in enumerate(pairs):
        channels = lists[number] if lists else truth.parent / "channels.csv"
        case = read_case(alerts, truth, channels, args.links, warmup_ns)
        judgements.append(judge(case, args.seed + number))
    report = pooled(judgements)
    if args.html:
        with written(args.html) as out:
            out.write(evaluation.html(report, judgements, [str(truth) for _, truth in pairs]))
    print(json.dumps(report, ensure_ascii=False, indent=2) if args.json else evaluation.text(report))
    return 0


def read_case(alerts: Path, truth: Path, channels: Path, links: Path | None, warmup_ns: int = 0) -> "Case":
    """One pair of files; InputError names the line or the event."""
    from alerts.judging import Case
    from alerts.truth import happenings_of
    from config.load import read_channels, read_links

    if not channels.is_file():
        raise InputError(f"{channels}: no such file; name the channel list with --channels")
    table, _ = read_channels(channels, strict=False)
    joined = read_links(links, table)[0] if links else ()
    plain = _read_json(truth)
    happenings = happenings_of(plain, table, joined, nanoseconds, truth.name)
    told = list(_told(alerts))
    strangers = sorted({one.channel for one in told if one.channel and one.channel not in table.number})
    if strangers:
        print(
            f"warning: {alerts.name}: alerts on channels that are not in {channels.name}: "
            + ", ".join(strangers[:5]),
            file=sys.stderr,
        )
    start_ns, end_ns = _span(plain, truth.name, told, [(h.start_ns, h.end_ns) for h in happenings])
    start_ns += warmup_ns
    if start_ns >= end_ns:
        raise InputError(f"{truth.name}: nothing is left behind the warm-up; give a shorter --warmup")
    judged = [one for one in told if one.detected_ns >= start_ns]
    return Case(judged, [h for h in happenings if h.start_ns >= start_ns], table, start_ns, end_ns)


def nanoseconds(text: Any) -> int:
    """UTC nanoseconds of an RFC 3339 text; ValueError says what is wrong with it."""
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        raise ValueError(f"{text!r} is no time; write it like 2026-01-05T02:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} needs its zone; write it like {text}Z")
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {_reason(error)}") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error


def _told(path: Path) -> Iterator["Told"]:
    from alerts.judging import told_of

    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    told = told_of(json.loads(line), nanoseconds) if line.strip() else None
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    reason = f"{path}:{number}: not an alert change: {error}"
                    raise InputError(f"{reason}; give what watchline replay --alerts wrote") from error
                if told is not None:
                    yield told
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {_reason(error)}") from error


def _reason(error: OSError | UnicodeDecodeError) -> str:
    """Without the path, which stands before it."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _span(
    truth: Any, name: str, told: Sequence["Told"], events: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """From when to when the run lasted: as the truth says, else from the first to the last thing known."""
    if isinstance(truth, dict) and "start" in truth and "end" in truth:
        try:
            return nanoseconds(truth["start"]), nanoseconds(truth["end"])
        except ValueError as error:
            raise InputError(f"{name}: {error}") from error
    known = [one.detected_ns for one in told] + [moment for event in events for moment in event]
    if not known:
        raise InputError(f'{name}: neither "start" and "end" nor an event; nothing can be judged')
    return min(known), max(known)


def _warmup_ns(text: str) -> int:
    from config.settings import seconds

    try:
        return round(seconds(text) * 1e9)
    except ValueError as error:
        raise InputError(f"--warmup {text}: {error}") from error
