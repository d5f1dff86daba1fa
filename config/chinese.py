"""Chinese: words for quantities, levels, rules and reasons, from `chinese.toml`."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

TABLE = Path(__file__).with_name("chinese.toml")


@dataclass(frozen=True)
class Chinese:
    """The tables of the file. What is not listed is told more generally."""

    quantity: dict[str, str]
    level: dict[str, str]
    rule: dict[str, tuple[str, str, str]]  # too high or rising, too low or falling, neither
    otherwise: dict[str, str]
    reason: dict[str, str]
    announced: dict[str, str]

    def phrase(self, rule: str, direction: int) -> str:
        """What a rule says; direction +1, -1 or 0."""
        high, low, neither = self.rule.get(rule, tuple(self.otherwise[n] for n in ("high", "low", "neither")))
        return {1: high, -1: low}.get(direction, neither)


@cache
def read_chinese() -> Chinese:
    """The built-in words."""
    return msgspec.convert(tomllib.loads(TABLE.read_text(encoding="utf-8")), Chinese)
