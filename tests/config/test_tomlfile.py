"""Toml file: every key, table and list item knows its line, however it is written."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import SettingsError
from config.tomlfile import Place, read_toml, shown

TRICKY = '''\
top = 1 # [not.a.table]
"quoted key" . 'x' = "# no comment"
[site]
name = """line one
key = "inside a text" ""
"""
list = [
  1, # one
  [2,
   3], { a = 1, b = { c = "}]" } },
]
raw = \'\'\'
[[source]]\'\'\'
[[source]]
host = "a\\"b"
when = 1979-05-27 07:32:00
[source.tls]
ca = 'c:\\'
[[source]]
[[source.point]]
address = 0x10
[[source.point]]
a.b.c = inf
'''


def places(value: Any, place: Place = ()) -> dict[Place, Any]:
    """Every place of what tomllib read."""
    found: dict[Place, Any] = {place: value} if place else {}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found |= places(inner, (*place, key))
    return found


def test_each_place_has_the_line_on_which_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "tricky.toml"
    path.write_text(TRICKY, "utf-8")
    file = read_toml(path)

    assert file.line_of(("quoted key", "x")) == 2
    assert file.line_of(("site", "name")) == 4
    assert file.line_of(("site", "list", 0)) == 8
    assert file.line_of(("site", "list", 1, 1)) == 10
    assert file.line_of(("site", "list", 2, "b", "c")) == 10
    assert file.line_of(("site", "raw")) == 12
    assert file.line_of(("source", 0, "host")) == 15
    assert file.line_of(("source", 0, "tls", "ca")) == 18
    assert file.line_of(("source", 1, "point", 1, "a", "b", "c")) == 23
    assert file.line_of(("source", 1, "missing")) == 19
    assert file.line_of(("nowhere",)) == 1
    assert set(file.lines) == set(places(file.data))


KEYS = st.from_regex(r"[a-z]{1,3}", fullmatch=True)
VALUES = st.recursive(
    st.sampled_from(["1", "-2.5", '"a # b"', "'[x]'", "true", '"""p\nq"""', "1979-05-27"]),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: "[\n" + ",\n".join(items) + "]"),
    max_leaves=5,
)


@given(st.lists(st.tuples(st.sampled_from(["pair", "table", "array"]), KEYS, VALUES), max_size=12))
def test_the_scan_finds_exactly_what_the_parser_finds(pieces: list[tuple[str, str, str]]) -> None:
    from config.tomlfile import _Scan

    forms = {"pair": "{k} = {v}  # {k}\n", "table": "\n[{k}]\n", "array": "[[{k}]]\nin = {v}\n"}
    text = "".join(forms[form].format(k=key, v=value) for form, key, value in pieces)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(_Scan(text).lines()) == set(places(data))


def test_a_syntax_error_is_told_alone_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text('[site]\nid = "a"\nname = "b\n', "utf-8")
    with pytest.raises(SettingsError) as refusal:
        read_toml(path)
    (mistake,) = refusal.value.mistakes
    assert mistake.startswith("gateway.toml:3: not TOML: ")


@pytest.mark.parametrize(
    "text", ["[site", "a = ", "a = [1,", "= 3", "a = 1\na = 2", "[a]\n[a]", '"', "x", "a = {"]
)
def test_nothing_that_is_no_toml_gets_through(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=r"x\.toml:\d+: not TOML"):
        read_toml(path)


def test_a_broken_line_with_a_password_does_not_show_it(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('password = "hunter2\n', "utf-8")
    with pytest.raises(SettingsError) as refusal:
        read_toml(path)
    assert "hunter2" not in str(refusal.value)


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n")
    file = read_toml(path)
    assert (file.data, file.line_of(("b",))) == ({"a": 1, "b": 2}, 2)


def test_text_that_is_not_utf_8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b'a = 1\nb = "\xc4\xe3"\n')
    with pytest.raises(SettingsError, match=r"x\.toml:2: byte 0xc4 is not UTF-8"):
        read_toml(path)


def test_a_file_that_is_not_there_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read_toml(tmp_path / "none.toml")


@pytest.mark.parametrize("levels", [40, 150, 250, 500, 5000])
@pytest.mark.parametrize(
    "form",
    [
        lambda levels: "a = " + "[" * levels + "]" * levels,
        lambda levels: "a = " + "{b=" * levels + "1" + "}" * levels,
        lambda levels: f"[{'.'.join('b' * levels)}]",
    ],
)
def test_deep_nesting_is_refused_and_does_not_crash(
    tmp_path: Path, form: Callable[[int], str], levels: int
) -> None:
    path = tmp_path / "x.toml"
    path.write_text(form(levels), "utf-8")
    with pytest.raises(SettingsError, match=r"nested (too deeply|deeper than)"):
        read_toml(path)


def test_an_address_is_shown_without_its_password() -> None:
    assert shown("mqtt://user:pw@host") == '"mqtt://***@host"'
