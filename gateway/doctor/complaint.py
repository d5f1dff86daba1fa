"""Complaint: one thing that the doctor found, what it means, and what to do."""

import ipaddress
from dataclasses import dataclass
from typing import Literal

Level = Literal["problem", "advice", "fine"]


@dataclass(frozen=True)
class Complaint:
    """`fine` is no complaint at all: it says what was looked at."""

    level: Level
    about: str  # which part: a broker, the disk, the clock
    says: str
    do: str = ""  # what to do; empty where nothing is to be done


def problem(about: str, says: str, do: str) -> Complaint:
    """Something that loses readings, keeps alerts from people, or lets strangers in."""
    return Complaint("problem", about, says, do)


def advice(about: str, says: str, do: str) -> Complaint:
    """Something that may be meant so."""
    return Complaint("advice", about, says, do)


def fine(about: str, says: str) -> Complaint:
    return Complaint("fine", about, says)


def is_here(host: str) -> bool:
    """Whether a host is this machine by the loopback address: what is said there stays here."""
    if host in ("localhost", "localhost.localdomain"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
