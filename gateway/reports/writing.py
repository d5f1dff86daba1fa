"""Writing: a file that appears under its name only when it is complete."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from config.errors import InputError


@contextlib.contextmanager
def written(path: Path) -> Iterator[IO[str]]:
    """UTF-8 text; whatever goes wrong, nothing half-written stays, and what was there before does."""
    with _beside(path) as part, part.open("w", encoding="utf-8") as out:
        yield out


@contextlib.contextmanager
def written_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The same for bytes."""
    with _beside(path) as part, part.open("wb") as out:
        yield out


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
