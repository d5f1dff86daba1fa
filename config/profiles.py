"""Profiles: device models as data; a new meter of a known protocol is a TOML file and no code."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from config.errors import SettingsError
from config.forms import Seconds, fill
from config.quantities import conversion, did_you_mean, quantity_named, unit_named
from config.tomlfile import Place, TomlFile, in_file_order, read_toml

T = TypeVar("T")
FOLDER = Path(__file__).parent / "profiles"
WORDS = {  # Modbus registers of 16 bit that a value takes
    "bit": 1,
    "int16": 1,
    "uint16": 1,
    "int32": 2,
    "uint32": 2,
    "float32": 2,
    "int64": 4,
    "uint64": 4,
    "float64": 4,
}
Table = Literal["holding", "input", "coil", "discrete"]
Type = Literal["bit", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
Order = Literal["ABCD", "CDAB", "BADC", "DCBA"]


def _plain_name(name: str) -> str:
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)*", name):
        raise ValueError("must be letters, digits, _, - and dots between them, since it ends a channel's id")
    return name


def _known_quantity(name: str) -> str:
    return _refused(lambda: quantity_named(name).name)


def _fitting_unit(code: str, info: ValidationInfo) -> str:
    quantity = info.data.get("quantity")
    if quantity is None:
        return _refused(lambda: unit_named(code).code)
    _refused(lambda: conversion(code, quantity_named(quantity).unit))
    return code


def _fitting_type(kind: str, info: ValidationInfo) -> str:
    table = info.data.get("table")
    if table in ("coil", "discrete") and kind != "bit":
        raise ValueError(f'the {table} table holds single bits; write type = "bit"')
    words, address = WORDS[kind], info.data.get("address")
    if address is not None and address + words > 65537:
        raise ValueError(f"{words} registers from address {address} reach beyond register 65535")
    return kind


def _fitting_bit(bit: int | None, info: ValidationInfo) -> int | None:
    table, kind = info.data.get("table"), info.data.get("type")
    if bit is None and kind == "bit" and table in ("holding", "input"):
        raise ValueError("is needed where a bit is read from a register: 0 (lowest) to 15")
    if bit is not None and (kind not in ("bit", None) or table in ("coil", "discrete")):
        raise ValueError(f'is only for type = "bit" in holding or input registers; this is {kind} in {table}')
    return bit


def _not_zero(scale: float) -> float:
    if scale == 0:
        raise ValueError("must not be 0: every reading would be the same")
    return scale


PointName = Annotated[str, AfterValidator(_plain_name)]
KnownQuantity = Annotated[str, AfterValidator(_known_quantity)]
FittingUnit = Annotated[str, AfterValidator(_fitting_unit)]
Address = Annotated[int, Field(ge=0, le=65536)]
FittingType = Annotated[Type, Field(validate_default=True), AfterValidator(_fitting_type)]
FittingBit = Annotated[int | None, Field(ge=0, le=15, validate_default=True), AfterValidator(_fitting_bit)]
NotZero = Annotated[float, AfterValidator(_not_zero)]


@dataclass(frozen=True)
class Point:
    """One value of a device: value = raw * scale + offset, in `unit`.

    address counts from 0 on the wire (40001 in the old style is holding register 0). order names the
    bytes of a 32-bit value as they arrive, A the highest: ABCD big endian, CDAB word-swapped. MQTT points
    use name, quantity, unit, scale, offset and sentinel only.
    """

    name: PointName  # ends the channel's id; for MQTT the name in the payload
    quantity: KnownQuantity  # what it measures, such as pressure
    unit: FittingUnit  # UCUM unit of the value after scale and offset
    table: Table = "holding"  # holding, input, coil or discrete: read by function code 3, 4, 1 or 2
    address: Address = 0  # of its first register, counted from address_base
    type: FittingType = "uint16"  # how the registers are read
    bit: FittingBit = None  # which bit of a register, 0 is the lowest
    order: Order = "ABCD"  # order of the bytes of values of 32 and 64 bit
    scale: NotZero = 1.0  # value = raw * scale + offset
    offset: float = 0.0  # in the unit
    sentinel: tuple[int, ...] = ()  # raw values that mean "nothing was measured"
    period_s: Seconds | None = None  # read this seldom; without it, as often as the source

    @property
    def words(self) -> int:
        """Registers that the value takes (coils and discrete inputs: bits)."""
        return WORDS[self.type]


@dataclass(frozen=True)
class Profile:
    """A device model. In settings and sources it is written as its name, or as the path of a TOML file."""

    name: str
    title: str
    protocol: Literal["modbus", "mqtt"]
    points: tuple[Point, ...]
    max_registers: int = 125  # registers that the device gives in one answer
    max_gap: int = 8  # unused registers that may be read along so that two blocks become one

    def point(self, name: str) -> Point:
        """The point of that name; SettingsError names the nearest."""
        for point in self.points:
            if point.name == name:
                return point
        guess = did_you_mean(name, [point.name for point in self.points])
        raise SettingsError(f'profile {self.name} has no point "{name}"; {guess}')

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(_as_profile)


@dataclass(frozen=True)
class ProfileFile:
    """A profile as it is written; `[[point]]` tables hold its points."""

    title: str  # what people call the device
    protocol: Literal["modbus", "mqtt"]  # who can read it
    point: tuple[Point, ...]  # its values
    address_base: Literal[0, 1] | None = None  # Modbus: the number that the manual gives its first register
    max_registers: Annotated[int, Field(ge=1, le=125)] = 125  # that the device gives in one answer
    max_gap: Annotated[int, Field(ge=0, le=124)] = 8  # unused registers read along to join two blocks
    manual: str = ""  # where the register list comes from


def read_profile(name_or_path: str | Path, folder: Path | None = None) -> Profile:
    """A built-in profile by name, or a file by path (relative to `folder`); SettingsError: all mistakes."""
    path = _located(str(name_or_path), folder)
    file = read_toml(path)
    try:
        written = fill(ProfileFile, file.data, file.mistake)
    except SettingsError as error:
        raise SettingsError(in_file_order(error.mistakes)) from error
    mistakes = _disagreements(written, file)
    if mistakes:
        raise SettingsError(in_file_order(mistakes))
    base = written.address_base or 0
    points = tuple(replace(point, address=point.address - base) for point in written.point)
    if written.protocol == "mqtt":
        points = written.point
    return Profile(path.stem, written.title, written.protocol, points, written.max_registers, written.max_gap)


def profile_names() -> list[str]:
    """The built-in profiles."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def _located(text: str, folder: Path | None) -> Path:
    if text.endswith(".toml") or "/" in text:
        path = (folder or Path()) / Path(text).expanduser()
        if not path.is_file():
            raise SettingsError(f'no profile file "{text}" ({path}); built in: {", ".join(profile_names())}')
        return path
    path = FOLDER / f"{text}.toml"
    if not path.is_file():
        raise SettingsError(
            f'unknown profile "{text}"; {did_you_mean(text, profile_names())} '
            'A profile of your own is written as a path: "./acme_pm210.toml"'
        )
    return path


def _disagreements(written: ProfileFile, file: TomlFile) -> list[str]:
    """What no single field can know."""
    mistakes: list[str] = []

    def wrong(place: Place, text: str) -> None:
        mistakes.append(file.mistake(place, text))

    if written.protocol == "modbus" and written.address_base is None:
        wrong(("address_base",), "missing; write 0 where the manual's first register is 0, 1 where it is 1")
    if not written.point:
        wrong(("point",), "a profile needs at least one [[point]]")
    names: dict[str, int] = {}
    for number, point in enumerate(written.point):
        first = names.setdefault(point.name, number)
        if first != number:
            line = file.line_of(("point", first))
            wrong(("point", number, "name"), f'"{point.name}" is taken by the point in line {line}')
        if written.protocol == "mqtt":
            for key in ("table", "address", "type", "bit", "order"):
                if key in file.data["point"][number]:
                    wrong(("point", number, key), "has no meaning for MQTT; remove it")
        elif point.address < (written.address_base or 0):
            wrong(("point", number, "address"), f"lies below address_base {written.address_base}")
        elif point.words > written.max_registers:
            wrong(("point", number, "type"), f"takes {point.words} registers, max_registers allows fewer")
    return mistakes


def _as_profile(value: Any, info: Any) -> Profile:
    if isinstance(value, Profile):
        return value
    if not isinstance(value, str):
        raise ValueError("must be the name of a profile in quotes, or the path of one")
    return _refused(lambda: read_profile(value, (info.context or {}).get("folder")))


def _refused(attempt: Callable[[], T]) -> T:
    """Pydantic collects ValueErrors; a SettingsError would end the whole check at the first mistake."""
    try:
        return attempt()
    except SettingsError as error:
        raise ValueError("; ".join(error.mistakes)) from error


__all__ = ["FOLDER", "Point", "Profile", "ProfileFile", "profile_names", "read_profile"]
