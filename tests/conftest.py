"""What holds for every test."""

import logging
from collections.abc import Iterator

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The whole system first: its tests take longest, and would leave the other workers idle at the end."""
    items.sort(key=lambda item: len(item.path.parents))


@pytest.fixture(autouse=True)
def _logging_is_heard_again() -> Iterator[None]:
    """Fuzz targets and the rig switch logging off for the whole process; the next test must hear it."""
    yield
    logging.disable(logging.NOTSET)
