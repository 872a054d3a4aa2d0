"""The folders above a folder, and the top of the repository among them."""

import os
from collections.abc import Iterator
from functools import lru_cache


def upwards(folder: str) -> Iterator[str]:
    """The folder and those that it is in."""
    yield folder
    while (above := os.path.dirname(folder)) != folder:
        yield (folder := above)


def to_the_top(folder: str) -> Iterator[str]:
    """The folder and those that it is in, no further than the top of the repository."""
    for each in upwards(folder):
        yield each
        if _is_top(each):
            return


def repository(folder: str) -> str | None:
    """The nearest folder upwards that is the top of a repository."""
    return folder if _is_top(folder) else _above(os.path.dirname(folder))


@lru_cache(maxsize=256)
def _above(folder: str) -> str | None:
    """The same, remembered: the folders of a thousand adapters have one folder above them."""
    return next(filter(_is_top, upwards(folder)), None)


def _is_top(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, ".git"))
