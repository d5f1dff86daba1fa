"""Machine: what results may hang on beside the readings: versions, processor, system."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

LIBRARIES = ("watchline", "numpy", "scipy", "numba", "pyarrow", "pydantic")


def versions() -> dict[str, str | None]:
    """Of Python and the libraries that calculate; None where one is not installed."""
    return {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}


def machine() -> dict[str, Any]:
    """Processor, its features that NumPy may use, system and C library."""
    core: Any = np._core  # type: ignore[attr-defined,unused-ignore]
    features = core._multiarray_umath.__cpu_features__
    return {
        "processor": platform.machine(),
        "features": [name for name, there in features.items() if there],
        "system": platform.system(),
        "libc": " ".join(platform.libc_ver()),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
