"""What the rows of a file were made of: the files that were opened for it, and its folder."""

import json
import os
import sys
from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import Any

import lora_lint
from lora_lint.used import EVENT

_EVENTS = frozenset(("open", EVENT))
"""Folders that are listed on the way don't count, besides the file's own and those that `used` names: whatever comes
into a folder of adapters would make all of them new."""
_OWN = tuple({os.path.dirname(os.path.abspath(lora_lint.__file__)), sys.prefix, sys.base_prefix})
"""Where code lies; what is imported on the way has no part in the result."""

Stamp = tuple[int, int, int]
"""Size, time of the last change in nanoseconds, inode: a file of the same stamp is taken to be the same."""

NOWHERE: Stamp = (-1, -1, -1)
"""That of a link to a file that isn't there."""

_heard: set[str] | None = None
_listening = False


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _heard is not None and event in _EVENTS and isinstance(arguments[0], str):
        _heard.add(arguments[0])


@contextmanager
def heard() -> Iterator[set[str]]:
    """The paths that are opened or used meanwhile; not for several threads."""
    global _heard, _listening
    if not _listening:
        sys.addaudithook(_hear)
        _listening = True
    paths: set[str] = set()
    _heard = paths
    try:
        yield paths
    finally:
        _heard = None


def stamp(path: str) -> Stamp | None:
    """The stamp of a file or folder, links followed; None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def only_folder(size: int, changed: int, inode: int) -> str:
    """What `stamped` gives where nothing but a folder of this stamp was used."""
    return f'[[".",{size},{changed},{inode}]]'


def stamped(path: str, others: Set[str]) -> str:
    """The folder of a file and the other paths that were used for it, with their stamps, as JSON."""
    folder = os.path.dirname(path)
    own = stamp(folder or ".")
    if own is not None and others <= {path}:
        return only_folder(*own)
    inside = os.path.join(folder, "")
    found: list[list[object]] = [[".", *(own or ())]]
    for other in sorted(others):
        if other not in (path, folder) and not other.startswith(_OWN):
            short = other[len(inside) :] if folder and other.startswith(inside) else other
            found.append([short, *(stamp(other) or ())])
    return json.dumps(found, separators=(",", ":"))


def is_current(path: str, beside: str) -> bool:
    """Whether all that a file's rows were made of, besides itself, is as it was."""
    folder = os.path.dirname(path)
    for name, *before in json.loads(beside):
        now = stamp(os.path.join(folder, name) or ".")
        if list(now or ()) != before:
            return False
    return True
