"""Reference: docs/configuration.md, written from the models, the kinds and the quantities themselves.

python -m config.reference > docs/configuration.md
"""

import inspect
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config import kinds
from config.channels import MEDIA, PLANNED_KINDS
from config.forms import FilePath, Seconds, hints_of, notes_of, options_of
from config.lists import LINK_KINDS
from config.profiles import Point, Profile, ProfileFile, profile_names, read_profile
from config.quantities import QUANTITIES, UNITS
from config.secrets import Secret
from config.settings import CentreSettings, Entry, GatewaySettings

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"

HEAD = """\
# Configuration reference

Generated from the code by `python -m config.reference > docs/configuration.md`; a test holds it current.
`watchline check FILE…` reads settings without starting anything and names every mistake with its line.

- **Files** are TOML, UTF-8. A key that is not listed here is a mistake. Relative paths begin at the
  folder of the file in which they are written.
- **Durations** are seconds as a number, or a text with its unit: `"500ms"`, `"5s"`, `"15m"`, `"2h"`,
  `"3d"`, `"1w"`.
- **Secrets** never stand in a settings file. They are written as `{ env = "NAME" }` (an environment
  variable), `{ file = "path" }` (a file that only its owner can read: `chmod 600`) or `{ credential =
  "name" }` (systemd: `LoadCredential=name:/path` in the unit). Signing secrets are `whsec_` and base64
  of at least 16 bytes; make one with `echo "whsec_$(openssl rand -base64 32)"`.
- **Kinds**: `kind = "modbus"` is the file of that name; its options stand beside it. A kind with dots is
  the import path of a module of your own.
"""

CHANNEL_COLUMNS = (
    ("`channel`", "id, such as `gas.block3.riser.pressure`; the pattern of a watching fits it"),
    ("`medium`", ", ".join(f"`{medium}`" for medium in MEDIA)),
    ("`place`", "asset, or pseudonym of a person; channels of one place belong together"),
    ("`quantity`", "what is measured, see below"),
    ("`unit`", "UCUM unit of its values; sources convert to it"),
    ("`period_s`", "expected time between two readings, in seconds"),
    ("`resolution`", "optional; readings are rounded to it once, before they are stored and judged"),
    ("`nominal`", "optional; what limits are relative to: 220 (V), 2.0 (kPa); without it, it is learned"),
    ("`zone`", "optional; part of the network; learning never crosses zones"),
    ("`lat`, `lon`", "optional; degrees, WGS-84"),
    ("`owner`", "optional; unified social credit code of 18 characters (GB 32100), checked"),
    ("`grid`", "optional; code of the grid, kept as it is"),
    ("`low`, `high`", "optional; the operator's own limits, in the channel's unit"),
)


def reference() -> str:
    """The whole page, in Markdown."""
    parts = [HEAD]
    for form in (GatewaySettings, CentreSettings):
        parts += [f"## {form.__doc__}\n", *_tables(form), _example(str(form.__doc__))]
    for title, folder in (
        ("`[[source]]`", kinds.SOURCES),
        ("`[[watching]]`", kinds.DETECTORS),
        ("`[[notifier]]`", kinds.NOTIFIERS),
    ):
        parts += [f"## Kinds of {title}\n", *(_kind(folder, kind) for kind in kinds.kinds(folder))]
    parts += ["## Device models\n", *_profiles()]
    parts += [
        "## channels.csv\n",
        "UTF-8 with a header; columns that are not listed are kept as attributes.\n",
    ]
    parts += [_table(("column", "meaning"), CHANNEL_COLUMNS), _links_and_context(), *_quantities()]
    return "\n".join(parts).rstrip() + "\n"


def _tables(form: type[BaseModel]) -> Iterator[str]:
    for name, column in form.model_fields.items():
        table, many = _table_of(column.annotation)
        yield f"### `{'[[' if many else '['}{name}{']]' if many else ']'}`\n"
        needed = "" if many or not column.is_required() else " Needed."
        yield f"{inspect.cleandoc(table.__doc__ or '')}{needed}\n"
        yield _table(("key", "value", "default", "meaning"), _keys(table))
        if issubclass(table, Entry):
            yield "Further keys are the kind's own options.\n"


def _table_of(annotation: Any) -> tuple[type[BaseModel], bool]:
    """The model of a table, and whether there may be many of them."""
    if get_origin(annotation) is list:
        return get_args(annotation)[0], True
    for branch in get_args(annotation) or (annotation,):
        if isinstance(branch, type) and issubclass(branch, BaseModel):
            return branch, False
    raise TypeError(f"no table: {annotation}")


def _keys(table: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    hints = get_type_hints(table, include_extras=True)
    for name, column in table.model_fields.items():
        kind = _named(hints[name])
        default = "needed" if column.is_required() else _default(column.default, kind)
        yield f"`{name}`", kind, default, column.description or ""


def _kind(folder: str, kind: str) -> str:
    """One kind: what its docstring says first, and its options."""
    form = kinds.kind_class(folder, kind)
    first = inspect.cleandoc(form.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    rows = list(_options(form))
    options = _table(("option", "value", "default", "meaning"), rows) if rows else "No options.\n"
    return f'### `kind = "{kind}"`\n\n{first}\n\n{options}'


def _options(form: type[Any]) -> Iterator[tuple[str, ...]]:
    hints, notes = hints_of(form), notes_of(form)
    for column in options_of(form):
        kind = _named(hints[column.name])
        required = column.default is MISSING and column.default_factory is MISSING
        default = "needed" if required else _default(column.default, kind)
        yield f"`{column.name}`", kind, default, notes.get(column.name, "")


def _profiles() -> Iterator[str]:
    yield (
        'A device model is a TOML file: `profile = "gas_rtu"` is a built-in one, '
        '`profile = "./acme_pm210.toml"` one of your own beside the settings file.\n'
    )
    yield _table(("built in", "protocol", "device", "points"), _built_in())
    yield _table(("key", "value", "default", "meaning"), _options(ProfileFile))
    yield "Each `[[point]]` is a value of the device; it feeds `<place>.<name>`, or `<device>.<name>`.\n"
    yield _table(("key", "value", "default", "meaning"), _options(Point))


def _built_in() -> Iterator[tuple[str, ...]]:
    for profile in map(read_profile, profile_names()):
        points = ", ".join(f"`{point.name}` ({point.unit})" for point in profile.points)
        yield f"`{profile.name}`", profile.protocol, profile.title, points


def _links_and_context() -> str:
    link_kinds = ", ".join(f"`{kind}`" for kind in LINK_KINDS)
    planned_kinds = ", ".join(f"`{kind}`" for kind in PLANNED_KINDS)
    example = (EXAMPLES / "context.json").read_text("utf-8").rstrip()
    return (
        "## links.csv\n\n"
        f"`from,to,kind`: places joined, directed the way the medium flows; kind is one of {link_kinds}.\n\n"
        "## context.json\n\n"
        "Announced works and holidays. `place` is a place, a zone, or `*` for everywhere. They lower the "
        "grade of what they explain, and mute nothing. "
        f"Kinds: {planned_kinds}; others are kept, with a warning.\n\n"
        f"```json\n{example}\n```\n"
    )


def _quantities() -> Iterator[str]:
    yield "## Quantities\n"
    rows = (
        (f"`{quantity.name}`", f"`{quantity.unit}`", ", ".join(quantity.media), quantity.meaning)
        for quantity in QUANTITIES.values()
    )
    yield _table(("quantity", "usual unit", "media", "meaning"), rows)
    yield "## Units\n"
    yield "UCUM codes. A value is converted within its line, never from one line to another.\n"
    lines: dict[str, list[str]] = {}
    for unit in UNITS.values():
        lines.setdefault(unit.dimension, []).append(f"`{unit.code}`")
    yield _table(("measures", "units"), ((name, " ".join(units)) for name, units in lines.items()))


def _example(name: str) -> str:
    return f"### A complete {name}\n\n```toml\n{(EXAMPLES / name).read_text('utf-8').rstrip()}\n```\n"


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in lines) + "\n"


def _cell(text: str) -> str:
    text = text.replace("|", "\\|")
    return text if "`" in text else text.replace("<", "&lt;")


def _default(value: Any, kind: str = "") -> str:
    if value is None or value is MISSING or value in ("", (), {}, []):
        return ""
    if kind.startswith("duration") and value >= 60:
        size, letter = next((size, letter) for letter, size in _LENGTHS if value % size == 0)
        return f'`"{value / size:g}{letter}"`'
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (str, Path)):
        return f'`"{value}"`'
    return f"`{value:g}`" if isinstance(value, float) and value < 1e6 else f"`{value}`"


_LENGTHS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))

_WORDS: Mapping[Any, str] = {
    str: "text",
    date: "date",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    Secret: "secret",
    Profile: "device model",
}


def _named(annotation: Any) -> str:
    """A type as people say it."""
    if annotation == Seconds:
        return "duration"
    if annotation == FilePath:
        return "path"
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        if inside[:3] == get_args(Seconds):
            return f"duration{_bounds(inside[3:])}"
        return f"{_named(inside[0])}{_bounds(inside[1:])}"
    if origin is Literal:
        return " or ".join(f'`"{choice}"`' if isinstance(choice, str) else f"`{choice}`" for choice in inside)
    if origin in (Union, types.UnionType):
        names = [_named(branch) for branch in inside if branch is not type(None)]
        return " or ".join(dict.fromkeys(name for name in names if name))
    if origin in (list, tuple):
        return f"list of {_named(inside[0])}s" if inside else "list"
    if origin is dict or annotation is dict:
        return "table"
    if isinstance(annotation, type) and annotation in _WORDS:
        return _WORDS[annotation]
    return "`[[point]]` table" if annotation is Point else ""


def _bounds(limits: tuple[Any, ...]) -> str:
    """What a number must keep to, such as ` from 1 to 65535`."""
    flat = [
        part for limit in limits for part in (limit.metadata if isinstance(limit, FieldInfo) else (limit,))
    ]
    low = next((f"from {limit.ge}" for limit in flat if isinstance(limit, Ge)), "")
    above = next((f"above {limit.gt}" for limit in flat if isinstance(limit, Gt)), "")
    high = next((f"to {limit.le}" for limit in flat if isinstance(limit, Le)), "")
    below = next((f"below {limit.lt}" for limit in flat if isinstance(limit, Lt)), "")
    said = " ".join(part for part in (low, above, high, below) if part)
    return f" {said}" if said else ""


if __name__ == "__main__":
    print(reference(), end="")
