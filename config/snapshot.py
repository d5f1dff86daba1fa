"""Snapshot: what the watch remembers, arrays keyed by what they belong to, as one compressed blob.

Each array names its rows (channel ids, rule points, pools), so that a memory survives a changed
channel list: what is still there finds its row again, what is new starts fresh.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

FORM = 1  # of the blob; one without a number is of a version before they had one, and the same
MOST_BYTES = 1 << 30  # of a snapshot unpacked; a damaged one may claim to hold anything


@dataclass(frozen=True, slots=True)
class Keyed:
    """An array whose axis 0 belongs to `keys`, one a row."""

    keys: tuple[str, ...]
    array: NDArray[Any]

    def onto(self, keys: Sequence[str], fresh: NDArray[Any]) -> NDArray[Any]:
        """`fresh` (rows of `keys`), with each row that this array knows copied over it; shapes must agree."""
        if self.array.shape[1:] != fresh.shape[1:]:
            return fresh
        known = {key: row for row, key in enumerate(self.keys)}
        pairs = [(row, known[key]) for row, key in enumerate(keys) if key in known]
        if pairs:
            here, there = np.array(pairs).T
            fresh[here] = self.array[there]
        return fresh


State = dict[str, Keyed | Any]
"""By name: a `Keyed` array, or anything that JSON can say."""


def prefixed(prefix: str, state: Mapping[str, Any]) -> State:
    """The same state, its names below `prefix/`."""
    return {f"{prefix}/{name}": value for name, value in state.items()}


def below(prefix: str, state: Mapping[str, Any]) -> State:
    """What `prefixed(prefix, …)` put in."""
    start = f"{prefix}/"
    return {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}


def restored(state: State, name: str, keys: Sequence[str], fresh: NDArray[Any]) -> NDArray[Any]:
    """The array saved as `name`, laid onto `fresh`; `fresh` itself where nothing usable was saved."""
    saved = state.get(name)
    return saved.onto(keys, fresh) if isinstance(saved, Keyed) else fresh


def pack(state: State) -> bytes:
    """One blob: msgpack, then zstd. Key lists that several arrays share are written once."""
    key_lists: dict[tuple[str, ...], int] = {}
    rows: dict[str, Any] = {}
    for name, value in state.items():
        if isinstance(value, Keyed):
            number = key_lists.setdefault(value.keys, len(key_lists))
            array = np.ascontiguousarray(value.array)
            rows[name] = {
                "keys": number,
                "dtype": array.dtype.str,
                "shape": array.shape,
                "data": array.tobytes(),
            }
        else:
            rows[name] = {"json": value}
    plain = msgspec.msgpack.encode({"form": FORM, "keys": list(key_lists), "rows": rows})
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(plain)


def unpack(blob: bytes) -> State:
    """What `pack` wrote; raises ValueError on anything else."""
    try:
        if zstandard.frame_content_size(blob) > MOST_BYTES:
            raise ValueError("not a snapshot: larger than any site could need")
        plain = msgspec.msgpack.decode(zstandard.decompress(blob))
        if plain.get("form", FORM) > FORM:
            raise ValueError(f"not a snapshot: its form {plain['form']} is of a later version")
        key_lists = [tuple(keys) for keys in plain["keys"]]
        return {name: _unpacked(row, key_lists) for name, row in plain["rows"].items()}
    except (zstandard.ZstdError, msgspec.DecodeError, KeyError, IndexError, TypeError) as error:
        raise ValueError(f"not a snapshot: {error}") from error


def _unpacked(row: Mapping[str, Any], key_lists: Sequence[tuple[str, ...]]) -> Keyed | Any:
    if "json" in row:
        return row["json"]
    array = np.frombuffer(row["data"], dtype=row["dtype"]).reshape(row["shape"]).copy()
    return Keyed(key_lists[row["keys"]], array)
