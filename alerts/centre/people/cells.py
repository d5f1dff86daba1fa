"""Cells: how one cell of an imported list is read; a ValueError says what is wrong and what to do."""

import re
from collections.abc import Callable
from datetime import date, time
from math import isfinite
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from config.lists import credit_code_mistake, time_ns
from config.quantities import did_you_mean
from config.tomlfile import shown

Read = Callable[[str], Any]

CHANNELS = ("phone", "sms", "email", "wecom", "dingtalk", "app", "radio")  # how a person can be reached
YES, NO = ("yes", "y", "true", "1", "是"), ("no", "n", "false", "0", "否", "")
_ID = re.compile(r"[\w.@:-]{1,80}")
_PHONE = re.compile(r"\+?[0-9][0-9 -]{2,19}")


def text(cell: str) -> str:
    """Any text on one line, up to 200 characters."""
    if len(cell) > 200:
        raise ValueError(f"has {len(cell)} characters; 200 is the most")
    if any(not sign.isprintable() for sign in cell):
        raise ValueError(f"{shown(cell)} holds a line break or a control character; remove it")
    return cell


def identity(cell: str) -> str:
    """A short name by which other rows refer to this one."""
    if not _ID.fullmatch(cell):
        raise ValueError(f"{shown(cell)} must be 1 to 80 letters, digits or . _ - : @ without blanks")
    return cell


def one_of(*choices: str) -> Read:
    """One of a few words."""

    def read(cell: str) -> str:
        if cell not in choices:
            raise ValueError(f"{shown(cell)} is not known; {did_you_mean(cell, choices)}")
        return cell

    return read


def words(cell: str) -> str:
    """Several short names, written with ; between them; kept as " a b "."""
    names = [identity(part.strip()) for part in re.split("[;；]", cell) if part.strip()]
    return f" {' '.join(dict.fromkeys(names))} " if names else ""


def credit_code(cell: str) -> str:
    """A unified social credit code whose last character checks (GB 32100-2015)."""
    mistake = credit_code_mistake(cell)
    if mistake:
        raise ValueError(f"credit code {shown(cell)} {mistake}")
    return cell


def contacts(cell: str) -> str:
    """Ways to reach somebody, the first one first: "sms:+8613800000000; wecom:li.wei"."""
    ways = []
    for part in re.split("[;；]", cell):
        way, colon, where = (piece.strip() for piece in part.partition(":"))
        if not part.strip():
            continue
        if not colon or not where:
            raise ValueError(f"{shown(part.strip())} must be written like sms:+8613800000000 or wecom:li.wei")
        if way not in CHANNELS:
            raise ValueError(f"{shown(way)} is no way to reach people; {did_you_mean(way, CHANNELS)}")
        if way in ("phone", "sms") and not _PHONE.fullmatch(where):
            raise ValueError(f"{shown(where)} is no telephone number")
        if way == "email" and not re.fullmatch(r"[^@\s]+@[^@\s]+", where):
            raise ValueError(f"{shown(where)} is no e-mail address")
        ways.append(f"{way}:{text(where)}")
    return "; ".join(ways)


def yes_or_no(cell: str) -> int:
    """yes, no, 是, 否."""
    if cell.lower() in YES:
        return 1
    if cell.lower() in NO:
        return 0
    raise ValueError(f"{shown(cell)} must be yes or no")


def number(least: float, most: float, unit: str) -> Read:
    """A number within bounds."""

    def read(cell: str) -> float:
        try:
            value = float(cell)
        except ValueError:
            value = float("nan")
        if not isfinite(value) or "_" in cell:
            raise ValueError(f"{shown(cell)} is not a number")
        if not least <= value <= most:
            raise ValueError(f"{cell} lies outside {least:g} … {most:g} {unit}")
        return value

    return read


def day(cell: str) -> str:
    """A calendar day, such as 2026-01-05."""
    try:
        return date.fromisoformat(cell[:10] if cell[10:] in ("", "T00:00:00") else cell).isoformat()
    except ValueError as error:
        raise ValueError(f"{shown(cell)} is not a day; write it like 2026-01-05") from error


def clock(cell: str) -> str:
    """A time of day, such as 08:30; 24:00 is the end of a day."""
    if cell in ("24:00", "24:00:00"):
        return "00:00"
    try:
        return f"{time.fromisoformat(cell):%H:%M}"
    except ValueError as error:
        raise ValueError(f"{shown(cell)} is not a time of day; write it like 08:30") from error


def moment(cell: str) -> str:
    """A moment with its zone, such as 2026-01-05T08:00:00+08:00."""
    time_ns(cell)
    return cell


def zone(cell: str) -> str:
    """A time zone by its IANA name."""
    try:
        return ZoneInfo(cell).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{shown(cell)} is no time zone; write it like Asia/Shanghai") from error


def whole(least: int, most: int) -> Read:
    """A whole number within bounds."""

    def read(cell: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,9}(\.0)?", cell) or not least <= int(float(cell)) <= most:
            raise ValueError(f"{shown(cell)} must be a whole number from {least} to {most}")
        return int(float(cell))

    return read


def link(cell: str) -> str:
    """An address that a browser or player can open, without a password in it."""
    parts = urlsplit(cell)
    if parts.scheme not in ("http", "https", "rtsp", "rtsps") or not parts.hostname:
        raise ValueError(f"{shown(cell)} must be an address such as https://video.example/cam/17")
    if parts.username or parts.password:
        raise ValueError("the address holds a user or password; give the player its own login instead")
    return cell
