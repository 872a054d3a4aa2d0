"""What is computed once: a property of an instance, and what a function makes of the same few arguments."""

from collections.abc import Callable, Iterable, Sized
from functools import lru_cache, wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

S = TypeVar("S", bound=Sized)
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

KEPT = 64
"""Subjects that are remembered, for each function."""
LARGEST = 4_000
"""Tensors of a subject that is remembered; a hostile header may have a million."""


def for_each(function: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A function that remembers what it made of the last few first arguments: the very objects, not their like.

    What follows from the tensors of a file alone is found once, however many rules and adapters ask for it: adapters of
    one base, rank and library have the same header to the byte, and a folder of checkpoints holds many.

    Other arguments have to be hashable; what is returned is shared, and not to be changed.
    """
    kept: dict[tuple[object, ...], tuple[S, R]] = {}

    @wraps(function)
    def remembered(subject: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        key = (id(subject), *args, *kwargs.items())
        found = kept.get(key)
        if found is not None and found[0] is subject:
            return found[1]
        result = function(subject, *args, **kwargs)
        if len(subject) <= LARGEST:
            if len(kept) >= KEPT:
                del kept[next(iter(kept))]
            kept[key] = (subject, result)
        return result

    return remembered


def alike(names: Iterable[str]) -> tuple[str, ...]:
    """Some names, as the very tuple that these names were before, so that a function `for_each` of them knows them.

    Adapters of one base have the same tensors by name, whatever their ranks and dtypes.
    """
    found = tuple(names)
    return _first_of(found) if len(found) <= LARGEST else found


@lru_cache(maxsize=KEPT)
def _first_of(names: tuple[str, ...]) -> tuple[str, ...]:
    return names


class once(Generic[T]):  # noqa: N801 - read as a decorator, as `cached_property` is
    """A property that is computed when it is first asked for, without the lock that Python 3.11 takes each time.

    A report has hundreds of thousands of them, and one thread.
    """

    def __init__(self, method: Callable[[Any], T]) -> None:
        self.method = method
        self.__doc__ = method.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object, owner: type) -> Self | T:
        if instance is None:
            return self
        value = instance.__dict__[self.name] = self.method(instance)
        return value
