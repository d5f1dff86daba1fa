"""Once: a property worked out when it is first asked for; `functools.cached_property` without its lock.

Up to Python 3.11 that lock costs more than what a row of few channels wants to know of itself.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class once(Generic[T]):
    """Of an object that never changes; two threads that ask together both work it out, and find the same."""

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function = function
        self._name = function.__name__
        self.__doc__ = function.__doc__

    def __get__(self, owner: Any, kind: type | None = None) -> T:
        found = owner.__dict__[self._name] = self._function(owner)
        return found
