"""Compiling: a loop in Python becomes machine code that gives the bits of the Python it stands for."""

from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numba

llvmlite.binding.set_option("watchline", "--runtime-memory-check-threshold=1024")
# a loop over a dozen arrays is vectorised only if as many comparisons of their places are allowed before it


def compiled(function: Callable[..., Any]) -> Any:
    """The function as machine code, kept for the next process where a folder can be written."""
    try:
        return numba.njit(function, cache=True, error_model="numpy")
    except RuntimeError:  # no folder to keep it in: each process compiles anew
        return numba.njit(function, error_model="numpy")
