"""Rationale: every kind that can be raised has its record, in both languages."""

from pathlib import Path

import pytest

from config.errors import SettingsError
from config.grades import FAULT, read_grades
from config.rationale import read_own_rationale, read_rationale


def test_every_kind_has_purpose_consequence_and_time_to_respond() -> None:
    """Where a kind is new: a record in config/rationale.toml."""
    grades, known = read_grades(), read_rationale()
    lacking = [f"{m}.{k}" for m, table in grades.kind.items() for k in table if known.of(m, k) is None]

    assert lacking == []


def test_the_graver_the_less_time_there_is() -> None:
    grades, known = read_grades(), read_rationale()
    longest = {"P1": 900.0, "P2": 3600.0, "P3": 86_400.0, "P4": 86_400.0}
    for medium, table in grades.kind.items():
        for kind, grading in table.items():
            record = known.of(medium, kind)
            if record is not None:
                assert 0 < record.respond <= longest[grading.grade], f"{medium}.{kind}"


def test_texts_are_in_english_and_chinese() -> None:
    known = read_rationale()
    records = [record for table in known.kind.values() for record in table.values()]
    for record in [*records, known.fault]:
        for english, chinese in (record.purpose, record.consequence):
            assert english.isascii()
            assert any("\u4e00" <= sign <= "\u9fff" for sign in chinese)


def test_a_kind_of_any_medium_and_a_fault_are_found_and_a_stranger_is_not() -> None:
    known = read_rationale()

    assert known.of("gas", "well_gas") == known.kind["any"]["well_gas"]
    assert known.of("gas", f"{FAULT}stuck") == known.fault
    assert known.of("gas", "nothing_such") is None


def own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rationale.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_site_changes_part_of_a_record_and_adds_one_of_its_own(tmp_path: Path) -> None:
    text = """
[kind.water.burst]
respond = "15m"
[kind.any.seep]
purpose = ["Find it.", "发现。"]
consequence = ["It fails.", "失效。"]
respond = "24h"
[fault]
respond = "2d"
"""
    built_in = read_rationale()

    known, warnings = read_own_rationale(own(tmp_path, text))

    burst, before = known.of("water", "burst"), built_in.of("water", "burst")
    assert burst is not None
    assert before is not None
    assert (burst.respond, burst.purpose) == (900.0, before.purpose)
    assert known.of("gas", "seep") is known.of("power", "seep") is known.kind["any"]["seep"]
    assert (known.fault.respond, known.fault.purpose) == (172_800.0, built_in.fault.purpose)
    assert known.of("gas", "well_gas") == built_in.of("gas", "well_gas")
    assert built_in.of("water", "burst") == before, "the built-in records stay as they are"
    assert len(warnings) == 1
    assert "rationale.toml:4: kind.any.seep: grades.toml has no such kind" in warnings[0]


def test_what_a_site_says_of_any_medium_holds_for_every_medium(tmp_path: Path) -> None:
    text = 'purpose = ["a", "甲"]\nconsequence = ["b", "乙"]\nrespond = "1h"\n'
    known, warnings = read_own_rationale(own(tmp_path, f"[kind.any.slow_leak]\n{text}"))

    assert {getattr(known.of(medium, "slow_leak"), "respond", None) for medium in ("gas", "water")} == {
        3600.0
    }
    assert warnings == []


def test_a_record_that_lacks_something_and_a_misspelt_kind_are_named_with_line_and_key(
    tmp_path: Path,
) -> None:
    with pytest.raises(SettingsError) as lacking:
        read_own_rationale(own(tmp_path, '[kind.water.seep]\nrespond = "1h"\n'))
    (said,) = lacking.value.mistakes
    assert said.startswith("rationale.toml:1: kind.water.seep: purpose, consequence missing")

    whole = 'purpose = ["a", "甲"]\nconsequence = ["b", "乙"]\nrespond = "1h"\n'
    _, warnings = read_own_rationale(own(tmp_path, f"[kind.water.brust]\n{whole}[kind.watre.burst]\n{whole}"))
    assert "rationale.toml:1: kind.water.brust: grades.toml has no such kind" in warnings[0]
    assert "burst" in warnings[0].partition(";")[2]
    assert 'rationale.toml:5: kind.watre: "watre" is no medium' in warnings[1]
