"""Shortmessage: parts as 3GPP TS 23.038 and 23.040 count them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.shortmessage import ALONE, BASIC, EXTENDED, IN_PARTS, in_one, size_of

HAN, FACE = "漏", "🚒"  # one UTF-16 unit, and two
OF_GSM = st.text(st.sampled_from(sorted(BASIC | EXTENDED)), max_size=400)
ANY = OF_GSM | st.text(max_size=200)


@pytest.mark.parametrize(
    ("text", "alphabet", "units", "parts"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),  # an escape is not torn from what it escapes
        (HAN * 70, "UCS-2", 70, 1),
        (HAN * 71, "UCS-2", 71, 2),
        (HAN * 134, "UCS-2", 134, 2),
        (HAN * 135, "UCS-2", 135, 3),
        ("a" * 70 + HAN, "UCS-2", 71, 2),  # one sign beyond the alphabet, and all of it is UCS-2
        (FACE * 35, "UCS-2", 70, 1),
        (FACE * 66, "UCS-2", 132, 2),
        (FACE * 67, "UCS-2", 134, 3),  # nor is a surrogate pair torn
        ("`", "UCS-2", 1, 1),
        ("…", "UCS-2", 1, 1),
    ],
)
def test_parts_are_counted_as_the_standard_has_it(text: str, alphabet: str, units: int, parts: int) -> None:
    size = size_of(text)

    assert (size.alphabet, size.units, size.parts) == (alphabet, units, parts)


def test_the_default_alphabet_has_128_places_one_of_them_the_escape() -> None:
    assert len(BASIC) == 127
    assert {name: 140 * 8 // bits for name, bits in (("GSM-7", 7), ("UCS-2", 16))} == ALONE
    assert {name: 134 * 8 // bits for name, bits in (("GSM-7", 7), ("UCS-2", 16))} == IN_PARTS


@given(ANY)
def test_parts_hold_all_units_and_none_is_more_than_needed(text: str) -> None:
    size = size_of(text)

    if size.parts > 1:
        room = IN_PARTS[size.alphabet]
        assert (size.parts - 1) * (room - 1) < size.units <= size.parts * room


@given(ANY, ANY)
def test_what_is_sent_is_always_one_message_and_ends_as_it_should(front: str, end: str) -> None:
    short = in_one(front, end)

    assert size_of(short).parts == 1
    if size_of(f"...{end}").parts == 1:
        assert short.endswith(end)


def test_as_much_is_kept_as_one_message_holds() -> None:
    assert in_one("a" * 160, "") == "a" * 160
    assert in_one("a" * 200, " over") == "a" * 152 + "... over"
    assert in_one(HAN * 90, " 结束") == HAN * 64 + "... 结束"
