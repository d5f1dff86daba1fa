"""Rationale: every kind that can be raised has its record, in both languages."""

from config.grades import FAULT, read_grades
from config.rationale import read_rationale


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
