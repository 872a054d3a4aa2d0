"""What lies around an adapter's folder: as far up as nothing could have a part in what its config means."""

import os
import re
from typing import NamedTuple

MOST_NAMES = 2048
"""Names of a folder that are looked through; one that holds more counts by itself."""
KEPT = 64
"""Folders that are remembered."""
_LOOKED_FOR = frozenset((".git", "requirements", "src"))
"""Folders that a reader looks for by themselves, in those above a config."""
_PARTS = re.compile(rb'[^"/]+')


class _Above(NamedTuple):
    """The folders upwards that hold nothing but folders, with the names of these, and the first that holds more."""

    bare: tuple[tuple[str, frozenset[bytes]], ...]
    end: str


class Surroundings:
    """The folders above configs. Two configs of the same text have the same around them where nothing up to a common
    folder could tell them apart: there are only other folders, none of which the text names or a reader looks for.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Above] = {}

    def around(self, folder: str, data: bytes) -> str:
        """The nearest folder upwards, from the one that an adapter's own folder is in, which may have a part in what
        its config means.
        """
        above = self._known.get(folder)
        if above is None:
            if len(self._known) >= KEPT:
                del self._known[next(iter(self._known))]
            above = self._known[folder] = _above(os.path.abspath(folder))
        if not above.bare:
            return above.end
        if b"\\" in data or b".." in data:
            return above.bare[0][0]
        parts = set(_PARTS.findall(data))
        return next((path for path, names in above.bare if not names.isdisjoint(parts)), above.end)


def branch(around: str, folder: str) -> str:
    """The way from the surroundings of a folder to it, by its first step: what isn't around others."""
    return os.path.join(around, os.path.relpath(folder, around).partition(os.sep)[0])


def _above(folder: str) -> _Above:
    bare = []
    while (names := _only_folders(folder)) is not None and (up := os.path.dirname(folder)) != folder:
        bare.append((folder, names))
        folder = up
    return _Above(tuple(bare), folder)


def _only_folders(folder: str) -> frozenset[bytes] | None:
    """The names in a folder that holds only folders, and none that is looked for."""
    names: set[bytes] = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if len(names) == MOST_NAMES or entry.name in _LOOKED_FOR or not entry.is_dir(follow_symlinks=False):
                    return None
                names.add(os.fsencode(entry.name))
    except OSError:
        return None
    return frozenset(names)
