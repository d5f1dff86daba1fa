"""What holds for every test."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _logging_is_heard_again() -> Iterator[None]:
    """Fuzz targets and the rig switch logging off for the whole process; the next test must hear it."""
    yield
    logging.disable(logging.NOTSET)
