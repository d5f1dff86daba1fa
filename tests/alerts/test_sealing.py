"""Sealing: who asked can open it, and nobody else, nor they about something else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.sealing import Opener, SealBroken, seal


@given(st.binary(max_size=2000), st.text(max_size=40))
def test_who_asked_reads_what_was_sealed(text: bytes, about: str) -> None:
    asked = Opener()

    assert asked.open(seal(asked.public, text, about), about) == text


def test_another_key_another_matter_and_a_changed_bit_open_nothing() -> None:
    asked = Opener()
    sealed = seal(asked.public, b"heart rate 147", "command-1")
    raw = bytearray(base64.b64decode(sealed))
    raw[-1] ^= 1

    for opener, given_, about in (
        (Opener(), sealed, "command-1"),
        (asked, sealed, "command-2"),
        (asked, base64.b64encode(raw).decode(), "command-1"),
        (asked, "no base64!", "command-1"),
        (asked, "", "command-1"),
    ):
        with pytest.raises(SealBroken):
            opener.open(given_, about)
    assert b"147" not in base64.b64decode(sealed)


@pytest.mark.parametrize("key", ["", "short", base64.b64encode(b"x" * 31).decode()])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(ValueError):
        seal(key, b"text", "command-1")
