"""What follows from the tensors of a file alone is found once, however many rules and adapters ask for it.

Adapters of one base, rank and library have the same header to the byte, and a folder of checkpoints holds many.
"""

from collections.abc import Callable, Sized
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

S = TypeVar("S", bound=Sized)
P = ParamSpec("P")
R = TypeVar("R")

KEPT = 16
"""Subjects that are remembered, for each function."""
LARGEST = 4_000
"""Tensors of a subject that is remembered; a hostile header may have a million."""


def for_each(function: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A function that remembers what it made of the last few first arguments: the very objects, not their like.

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
