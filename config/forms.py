"""Forms: hold what was written against what may be written, and report every mistake at once.

A form is a pydantic model or a plain dataclass. Values are read strictly, as from JSON: a list may stand
for a tuple, a text for a path and a whole number for a float, but "5" is no number and 1 is no boolean.
"""

import contextlib
import inspect
import json
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import pydantic
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    create_model,
)
from pydantic_core import ErrorDetails

from config.errors import SettingsError
from config.quantities import did_you_mean
from config.tomlfile import Place, may_be_secret, shown, spelled

T = TypeVar("T")
HIDDEN = "hidden"  # the type of a pydantic error whose input must not be shown, such as a password
Mistake = Callable[[Place, str], str]
"""Makes one line for people of a place in the form and of what is wrong there."""

_DURATION = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def seconds(text: str) -> float:
    """A duration as people write it: "500ms", "5s", "15m", "2h", "3d", "1w", or "5", which is seconds."""
    written = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*", text)
    if written is None or written[2] not in _DURATION:
        raise ValueError('must be seconds as a number, or a text such as "500ms", "5s", "15m", "2h", "3d"')
    return float(written[1]) * _DURATION[written[2]]


def _in_seconds(value: Any) -> Any:
    return seconds(value) if isinstance(value, str) else value


def _not_negative(value: float) -> float:
    if value < 0:
        raise ValueError("must not be negative")
    return value


Seconds = Annotated[float, BeforeValidator(_in_seconds), AfterValidator(_not_negative)]
"""A duration. In TOML a number of seconds, or a text with its unit."""


def _beside(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return path if folder is None else Path(folder) / path.expanduser()


FilePath = Annotated[Path, AfterValidator(_beside)]
"""A path; one that is relative begins at the folder of the file in which it is written."""


def fill(form: type[T], written: Mapping[str, Any], mistake: Mistake, folder: Path | None = None) -> T:
    """`form` made from what was written; SettingsError lists every mistake, each as `mistake` words it."""
    model = model_of(form)
    try:
        filled = model.model_validate_json(
            json.dumps(written, default=str), strict=True, context={"folder": folder}
        )
    except ValidationError as error:
        raise SettingsError(_worded(error, model, written, mistake)) from error
    if isinstance(filled, form):
        return filled
    try:
        return form(**{name: getattr(filled, name) for name in filled.model_fields_set})
    except SettingsError as error:
        raise SettingsError([mistake((), text) for text in error.mistakes]) from error
    except ValueError as error:
        raise SettingsError(mistake((), str(error))) from error


def mistakes_in(
    form: type[Any], written: Mapping[str, Any], mistake: Mistake, folder: Path | None
) -> list[str]:
    """What `fill` would say, with missing fields forgiven: somebody fills them in later."""
    model = model_of(form)
    try:
        model.model_validate_json(json.dumps(written, default=str), strict=True, context={"folder": folder})
    except ValidationError as error:
        return _worded(error, model, written, mistake, forgive=("missing",))
    return []


def model_of(form: type[Any]) -> type[BaseModel]:
    """The form as a pydantic model; a dataclass' init fields become the model's."""
    return _models(form)


def options_of(form: type[Any]) -> tuple[Field[Any], ...]:
    """A dataclass' fields that may be written."""
    return tuple(column for column in fields(form) if column.init)


def hints_of(form: type[Any]) -> dict[str, Any]:
    """The types of those fields; what else the class annotates need not be importable at run time."""
    names: dict[str, Any] = {}
    for owner in reversed(form.__mro__):
        names |= vars(sys.modules[owner.__module__])
    written = types.SimpleNamespace(__annotations__={column.name: column.type for column in options_of(form)})
    return get_type_hints(written, globalns=names, include_extras=True)


def _make_model(form: type[Any]) -> type[BaseModel]:
    if issubclass(form, BaseModel):
        return form
    if not is_dataclass(form):
        raise TypeError(f"{form.__qualname__} must be a dataclass, so that its fields can be its options")
    hints = hints_of(form)
    columns: dict[str, Any] = {}
    for column in options_of(form):
        default: Any = ... if column.default is MISSING else column.default
        if column.default_factory is not MISSING:
            default = pydantic.Field(default_factory=column.default_factory)
        columns[column.name] = (hints[column.name], default)
    config = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False, protected_namespaces=()
    )
    model = cast("type[BaseModel]", create_model(form.__qualname__, __config__=config, **columns))
    _dataclasses[model] = form
    return model


_dataclasses: dict[type[BaseModel], type[Any]] = {}
_models: Callable[[Any], type[BaseModel]] = cache(_make_model)


def _worded(
    error: ValidationError,
    model: type[BaseModel],
    written: Mapping[str, Any],
    mistake: Mistake,
    forgive: tuple[str, ...] = (),
) -> list[str]:
    """One line a mistake, in the order of the file."""
    seen: dict[Place, str] = {}
    for detail in error.errors():
        if detail["type"] in forgive or detail["type"] == "needs_python_object":
            continue
        place = _place(detail["loc"], written)
        text = _said(detail, model, place)
        seen[place] = text if place not in seen or text in seen[place] else f"{seen[place]}; or {text}"
    return [mistake(place, text) for place, text in seen.items()]


def _place(loc: Place, written: Any) -> Place:
    """The part of a pydantic location that names something in the file; the rest names branches of types."""
    place: Place = ()
    for number, part in enumerate(loc):
        last = number == len(loc) - 1
        if isinstance(written, Mapping) and (part in written or (last and isinstance(part, str))):
            written = written.get(part)
        elif isinstance(written, list) and isinstance(part, int) and part < len(written):
            written = written[part]
        else:
            break
        place = (*place, part)
    return place


_WANTED = {
    "string": "a text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list in [ ]",
    "tuple": "a list in [ ]",
    "dict": "a table",
    "model": "a table",
    "dataclass": "a table",
    "path": "a path in quotes",
    "finite": "a finite number",
}


def _said(detail: ErrorDetails, model: type[BaseModel], place: Place) -> str:
    """What is wrong, what was written, what to do."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "missing":
        meaning = _meaning(model, place)
        return f"missing; add {place[-1]} = …" + (f" ({meaning})" if meaning else "")
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        guess = did_you_mean(str(place[-1]), _fields_at(model, place[:-1]))
        hidden = isinstance(value, dict | list) or may_be_secret(f"{place[-1]} {guess}")
        return f"unknown key; {guess}" + ("" if hidden else f" (its value: {shown(value)})")
    if kind == "literal_error":
        allowed = [str(choice) for choice in _literals(_annotation_at(model, place))]
        wanted = f"must be one of {', '.join(allowed)}" if allowed else str(detail["msg"])
        guess = did_you_mean(value, allowed) if isinstance(value, str) and allowed else ""
        return f"{wanted}, not {shown(value)}" + (f"; {guess}" if guess.startswith("did") else "")
    if kind == HIDDEN:
        return str(detail["msg"])
    if kind in ("value_error", "assertion_error"):
        text = str(context["error"])
        return text if str(value) in text or isinstance(value, dict) else f"{text}, not {shown(value)}"
    for prefix, wanted in _WANTED.items():
        if kind.startswith(prefix) and (
            kind.endswith("_type") or kind in ("finite_number", "int_from_float")
        ):
            return f"must be {wanted}, not {shown(value)}"
    text = re.sub(r"^(Input|String|Value|List|Tuple) ", "", str(detail["msg"]))
    return f"{re.sub('^should ', 'must ', text)}, not {shown(value)}"


def _meaning(model: type[BaseModel], place: Place) -> str:
    """What the field at a place is for, or an empty text."""
    name = str(place[-1])
    column = _fields_at(model, place[:-1]).get(name)
    if column is not None and column.description:
        return str(column.description)
    outer = _annotation_at(model, place[:-1]) if len(place) > 1 else _dataclasses.get(model)
    return next((notes_of(form).get(name, "") for form in _members(outer) if _is_form(form)), "")


def notes_of(form: type[Any]) -> dict[str, str]:
    """What the comments beside a dataclass' fields say, by field; its bases' fields too."""
    notes: dict[str, str] = {}
    for owner in reversed(form.__mro__):
        if not is_dataclass(owner):
            continue
        name = ""
        with contextlib.suppress(OSError, TypeError):  # a class made at the keyboard has no source
            for line in inspect.getsource(owner).splitlines():
                if begun := re.match(r"    (\w+): ", line):
                    name = begun[1]
                elif not line.startswith("    ") or line.lstrip().startswith(("def ", "@", '"""')):
                    name = ""
                if name and (note := re.search(r"  # (.+)$", line)):
                    notes.setdefault(name, note[1])
    return notes


def _annotation_at(model: type[BaseModel], place: Place) -> Any:
    """The type that stands at a place of a model, or None."""
    annotation: Any = model
    for part in place:
        choices = [_items(choice) if isinstance(part, int) else choice for choice in _members(annotation)]
        if isinstance(part, int):
            annotation = next((choice for choice in choices if choice is not None), None)
            continue
        columns = next(
            (model_of(choice).model_fields for choice in choices if _is_form(choice)),
            cast("Mapping[str, Any]", {}),
        )
        column = columns.get(part)
        annotation = column.annotation if column is not None else None
    return annotation


def _fields_at(model: type[BaseModel], place: Place) -> Mapping[str, Any]:
    forms = (choice for choice in _members(_annotation_at(model, place)) if _is_form(choice))
    form = next(forms, None)
    return model_of(form).model_fields if form is not None else {}


def _members(annotation: Any) -> Iterator[Any]:
    """The branches of a union, annotations peeled off."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        for branch in get_args(annotation):
            yield from _members(branch)
    else:
        yield annotation


def _items(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) in (list, tuple, set, frozenset) else None


def _is_form(annotation: Any) -> bool:
    return isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation))


def _literals(annotation: Any) -> list[Any]:
    return [
        value
        for choice in _members(annotation)
        if get_origin(choice) is Literal
        for value in get_args(choice)
    ]


def at_place(mistake: Mistake, *outer: str | int) -> Mistake:
    """A `Mistake` for a form that stands inside another one, at `outer`."""
    return lambda place, text: mistake((*outer, *place), text)


def said_at(where: str) -> Mistake:
    """A `Mistake` for a form whose file is not at hand: `where` is such as "gateway.toml:12: source[0]"."""
    return lambda place, text: f"{where}{'.' if place else ''}{spelled(place)}: {text}"
