"""Forms: what people write for a duration, and values taken strictly."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import SettingsError
from config.forms import FilePath, Seconds, fill, notes_of, said_at, seconds


@dataclass(frozen=True)
class Pump:
    name: str  # what people call it
    levels: tuple[float, ...] = ()  # in m
    spread: float | NDArray[np.float64] = 1.0
    wait_s: Seconds = 1.0
    notes: dict[str, Any] = field(default_factory=dict)
    on: bool = False
    log: FilePath | None = None

    def __post_init__(self) -> None:
        if self.name == "broken":
            raise ValueError("broken pumps are not taken")


def pump(**written: Any) -> Pump:
    return fill(Pump, written, said_at("x"), Path("/etc/site"))


def refusal(**written: Any) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        pump(**written)
    return refused.value.mistakes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5s", 5),
        ("500ms", 0.5),
        ("15m", 900),
        ("15 min", 900),
        ("2h", 7200),
        ("3d", 259200),
        ("1w", 604800),
        ("7", 7),
    ],
)
def test_a_duration_is_written_as_people_do(text: str, expected: float) -> None:
    assert seconds(text) == expected
    assert pump(name="a", wait_s=text).wait_s == expected


@pytest.mark.parametrize("text", ["", "5 parsecs", "-5s", "1e3s", "five", "5ss", "٣s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="15m"):
        seconds(text)


def test_a_list_stands_for_a_tuple_and_a_whole_number_for_a_float() -> None:
    assert pump(name="a", levels=[1, 2.5], spread=2) == Pump("a", (1.0, 2.5), 2.0)


def test_an_array_is_given_in_code_only() -> None:
    assert refusal(name="a", spread="wide") == ('x.spread: must be a number, not "wide"',)


def test_a_relative_path_begins_at_the_file_that_holds_it() -> None:
    assert pump(name="a", log="logs/a").log == Path("/etc/site/logs/a")
    assert pump(name="a", log="/var/log/a").log == Path("/var/log/a")


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"on": 1}, "x.on: must be true or false, not 1"),
        ({"wait_s": True}, "x.wait_s: must be a number, not true"),
        ({"wait_s": -1}, "x.wait_s: must not be negative, not -1"),
        ({"levels": 5}, "x.levels: must be a list in [ ], not 5"),
        ({"levels": [1, "2"]}, 'x.levels[1]: must be a number, not "2"'),
        ({"spread": float("nan")}, "x.spread: must be a finite number, not nan"),
        ({"notes": []}, "x.notes: must be a table, not []"),
        ({"levls": []}, "x.levls: unknown key; did you mean levels?"),
        ({"wiat_s": 5.0}, "x.wiat_s: unknown key; did you mean wait_s? (its value: 5.0)"),
    ],
)
def test_each_mistake_says_what_was_written_and_what_to_write(written: dict[str, Any], told: str) -> None:
    assert refusal(name="a", **written) == (told,)


@pytest.mark.parametrize("key", ["password", "apikey", "auth"])
def test_what_may_be_a_secret_is_not_shown_though_nobody_knows_its_key(key: str) -> None:
    assert "hunter2" not in "".join(refusal(name="a", **{key: "hunter2"}))


def test_all_mistakes_come_at_once() -> None:
    assert len(refusal(levels=5, on=1, zzz=2)) == 4


def test_what_is_missing_is_told_with_its_meaning() -> None:
    assert refusal() == ("x.name: missing; add name = … (what people call it)",)
    assert notes_of(Pump) == {"name": "what people call it", "levels": "in m"}


def test_what_the_form_itself_refuses_is_told_too() -> None:
    assert refusal(name="broken") == ("x: broken pumps are not taken",)
