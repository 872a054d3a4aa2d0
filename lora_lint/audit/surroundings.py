"""What lies around an adapter's folder: as far up as nothing could have a part in what its config means."""

import os
import re
from collections.abc import Sequence
from functools import lru_cache

from lora_lint.project import tells
from lora_lint.upwards import upwards

MOST_NAMES = 2048
"""Names of a folder that are looked through; one that holds more counts by itself."""
KEPT = 64
"""Folders that are remembered."""
_STRINGS = re.compile(rb'"([^"]*)"(\s*:)?')
"""Strings of JSON, and whether they are keys."""


class Surroundings:
    """The folders above configs. Two configs of the same text have the same around them where nothing up to a common
    folder could tell them apart: there are only other folders, none of which the text names or a reader looks for.
    """

    def __init__(self) -> None:
        # Of an audit alone: by the next one folders may have changed.
        self._above = lru_cache(KEPT)(_above)
        self._bare = lru_cache(KEPT)(_only_folders)

    def around(self, folder: str, names: Sequence[bytes] | None) -> str:
        """The nearest folder upwards, from the one that an adapter's own folder is in, which may have a part in what
        its config means; `names` are what the config may name, None where that isn't known.
        """
        above = self._above(folder)
        if names is None:
            return above[0]
        for one in above:
            bare = self._bare(one)
            if bare is None or not bare.isdisjoint(names):
                return one
        return above[-1]


def may_name(text: bytes) -> tuple[bytes, ...] | None:
    """What the paths in a JSON text begin with, go through or end in, and other values; None where that can't be said:
    where some are escaped, or lead upwards.
    """
    if b"\\" in text or b".." in text:
        return None
    return tuple({part for value, key in _STRINGS.findall(text) if not key for part in value.split(b"/")})


def branch(around: str, folder: str) -> str:
    """The way from the surroundings of a folder to it, by its first step: what isn't around others."""
    return os.path.join(around, os.path.relpath(folder, around).partition(os.sep)[0])


def _above(folder: str) -> tuple[str, ...]:
    return tuple(upwards(os.path.abspath(folder)))


def _only_folders(folder: str) -> frozenset[bytes] | None:
    """The names in a folder that holds only folders, and none that is looked for."""
    names: set[bytes] = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if len(names) == MOST_NAMES or tells(entry.name) or not entry.is_dir(follow_symlinks=False):
                    return None
                names.add(os.fsencode(entry.name))
    except OSError:
        return None
    return frozenset(names)
