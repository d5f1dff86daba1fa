"""Pages: the parts of the documentation that follow from the code; `python -m tests.pages` writes them.

A part lies between `<!-- NAME: generated -->` and `<!-- end -->`; a test holds each to what the code says.
"""

import contextlib
import io
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path

from alerts.centre.calling.ladder import Matter, ladder_of
from alerts.centre.people.lists import LISTS
from alerts.centre.stages import NEXT, Stage
from alerts.incidents import Merging
from alerts.rules import SHELF_CAP_S
from alerts.states import TRANSITIONS, State
from config.channels import MEDIA
from config.clocks import read_clocks
from config.forms import notes_of
from config.grades import ANY, GRADES, read_grades
from config.routing import read_routing

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
REPLAY = "replay docs/examples/readings.csv --channels docs/examples/channels.csv --alerts alerts.jsonl"
_PART = r"(?P<head><!-- {name}: generated -->).*?(?P<foot><!-- end -->)"


def states() -> str:
    """The state machine of alarms as a diagram."""
    lines = [f"    {before} --> {after}: {turn}" for (before, turn), after in TRANSITIONS.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {State.NORMAL}", *lines, "```"])


def case() -> str:
    """The state machine of cases as a diagram."""
    lines = [f"    {before} --> {after}: {act}" for (before, act), after in NEXT.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {Stage.RECEIVED}", *lines, "```"])


def clocks() -> str:
    """How long a case may stay in each stage."""
    return _table(
        ("stage", *GRADES),
        (
            (f"`{stage}`", *(by_grade[grade].text for grade in GRADES))
            for stage, by_grade in read_clocks().items()
        ),
    )


def merging() -> str:
    """How near, in place and time, alarms must be to have one cause."""
    notes = notes_of(Merging)
    return _table(
        ("rule", "value", "meaning"),
        (
            (f"`{one.name}`", _length(one.name, getattr(Merging(), one.name)), notes.get(one.name, ""))
            for one in fields(Merging)
        ),
    )


def shelves() -> str:
    """The longest shelf of each grade."""
    return _table(
        ("grade", "longest shelf"),
        (
            (grade, f"{cap / 60:g} min" if cap else "none: acknowledge it")
            for grade, cap in SHELF_CAP_S.items()
        ),
    )


def kinds() -> str:
    """Every kind of event."""
    grades = read_grades()
    rows = (
        (f"`{kind}`", medium, one.grade, one.tier, one.owner.replace("_", " "), one.title, one.title_zh)
        for medium in (*MEDIA, ANY)
        for kind, one in grades.kind.get(medium, {}).items()
    )
    return _table(("kind", "medium", "grade", "goes first to", "owner", "title", "标题"), rows)


def faults() -> str:
    """Every kind of sensor fault."""
    return _table(
        ("kind", "title", "标题", "noticed by"),
        (
            (f"`sensor_fault:{name}`", text.title, text.title_zh, text.why)
            for name, text in read_grades().fault.items()
        ),
    )


def announcements() -> str:
    """What announced works and holidays do."""
    rows = []
    for kind, does in read_grades().planned.items():
        effect = f"to {does.to}" if does.to else f"lower by {does.lowers}"
        explained = ", ".join(f"`{one}`" for one in does.explains) or "all"
        rows.append((f"`{kind}`", effect + (", marked test" if does.test else ""), explained, does.why))
    return _table(("kind", "grade", "explains", "why"), rows)


def event() -> str:
    """The first alert that a replay of the examples raises, as it is sent."""
    from gateway.cli import main

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        alerts = Path(folder) / "alerts.jsonl"
        words = REPLAY.replace("docs/", f"{DOCS}/").replace("alerts.jsonl", str(alerts)).split()
        assert main(words) == 0
        first = json.loads(alerts.read_text("utf-8").splitlines()[0])
    return f"```sh\nwatchline {REPLAY}\n```\n\n```json\n{_indented(first)}\n```"


def lists() -> str:
    """What can be imported, column by column."""
    return _table(
        ("KIND", "columns (**needed**, → refers to)"),
        (
            (
                f"`{form.name}`",
                ", ".join(
                    (f"**`{one.name}`**" if one.needed else f"`{one.name}`")
                    + (f" → {one.refers}" if one.refers else "")
                    for one in form.columns
                ),
            )
            for form in LISTS.values()
        ),
    )


def ladders() -> str:
    """Who is called when, for one fault of a thing of each grade."""
    routing = read_routing()
    rows = []
    for grade in GRADES:
        rules = routing.ladder[grade]
        steps = ladder_of(Matter(grade, "water", "slow_leak", "sub-district", "water_company", ""), routing)
        rows.append(
            (
                grade,
                _span(rules.acknowledge_s),
                _span(rules.arrive_s),
                _span(rules.repeat_s) if rules.repeat_s else "never",
                "; ".join(f"{_span(one.after_s)}: {', '.join(one.to)}" for one in steps),
            )
        )
    return _table(("grade", "to be taken in", "to be there in", "repeated every", "called after"), rows)


def categories() -> str:
    """What people may report."""
    return _table(
        ("category", "becomes", "标题", "police"),
        (
            (f"`{name}`", f"{one.medium} `{one.kind}`".strip(), one.title_zh, "yes" if one.police else "")
            for name, one in read_routing().category.items()
        ),
    )


def sites() -> str:
    """The classes of key sites."""
    return _table(
        ("class", "", "within", *MEDIA[:3]),
        (
            (f"`{name}`", one.name_zh, f"{one.radius_m:g} m", *(f"+{one.raises[m]}" for m in MEDIA[:3]))
            for name, one in read_routing().site_class.items()
        ),
    )


def _span(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min" if seconds else "0"


PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "alerts.md": {
        "states": states,
        "shelves": shelves,
        "merging": merging,
        "kinds": kinds,
        "faults": faults,
        "announcements": announcements,
        "case": case,
        "clocks": clocks,
    },
    "people.md": {"lists": lists, "ladders": ladders, "categories": categories, "sites": sites},
    "protocols.md": {"event": event},
}


def renewed(name: str) -> str:
    """A page with its generated parts as they should be."""
    text = (DOCS / name).read_text("utf-8")
    for part_name, write in PARTS[name].items():
        found = re.search(_PART.format(name=part_name), text, re.S)
        assert found, f"{name} has no part {part_name}"
        part = "\n".join((found["head"], write(), found["foot"]))
        text = text[: found.start()] + part + text[found.end() :]
    return text


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, tuple("---" for _ in head), *rows))


def _length(name: str, value: float) -> str:
    return f"{value / 60:g} min" if name.endswith("_s") else f"{value:g}"


def _indented(value: object) -> str:
    """JSON with lists of numbers on one line."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return re.sub(r"\[[^\[\]{}\"]*\]", lambda found: " ".join(found[0].split()), text)


def pages() -> Iterator[Path]:
    """Every page of the documentation."""
    yield ROOT / "README.md"
    yield from sorted(DOCS.rglob("*.md"))


if __name__ == "__main__":
    for name in PARTS:
        (DOCS / name).write_text(renewed(name), "utf-8")
