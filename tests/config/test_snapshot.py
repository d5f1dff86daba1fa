"""A snapshot of today is read again, so is one of before there was a number, and none of a later version."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import zstandard

from config.snapshot import FORM, Keyed, State, pack, unpack

STATE: State = {"level": Keyed(("a", "b"), np.array([1.0, 2.0])), "rows": 7}


def written_as(form: int | None) -> bytes:
    plain = msgspec.msgpack.decode(zstandard.decompress(pack(STATE)))
    plain["form"] = form
    if form is None:
        del plain["form"]
    return zstandard.ZstdCompressor(write_checksum=True).compress(msgspec.msgpack.encode(plain))


@pytest.mark.parametrize("form", [None, FORM])
def test_a_snapshot_of_this_form_or_from_before_forms_is_read(form: int | None) -> None:
    state = unpack(written_as(form))

    assert state["rows"] == 7 and state["level"].keys == ("a", "b")
    assert state["level"].array.tolist() == [1.0, 2.0]


def test_a_snapshot_of_a_later_version_is_refused() -> None:
    with pytest.raises(ValueError, match="later version"):
        unpack(written_as(FORM + 1))
