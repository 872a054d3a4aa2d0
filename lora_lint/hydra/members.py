"""The configs further up in a tree whose defaults hold a config, or let it be chosen."""

import os
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from lora_lint.hydra.composition import Composition, composed, composes, inherits, standing
from lora_lint.hydra.element import Element
from lora_lint.nearby import MAX_BYTES, ConfigFile, read
from lora_lint.used import used

MAX_FILES = 200
"""YAML files of one folder that are looked into."""

MAX_PRIMARIES = 8
_HIGHEST = 5


class Membership(NamedTuple):
    """A composition that holds a config: as its files say, or when the command line chooses it."""

    whole: Composition
    chosen: bool


def memberships(file: ConfigFile, top: str) -> Iterator[Membership]:
    """The compositions of the nearest folder upwards that has some with the config in them."""
    for folder in _folders(file.path, top):
        found = list(_of_folder(file, folder, top))
        if found:
            yield from found
            return


def may_be_chosen(path: str, top: str) -> bool:
    """Whether another file near a config has a list of defaults: the cheap question asked of every YAML file."""
    folders = _folders(os.path.realpath(path), top)
    return any(one != path for folder in folders for one in _with_defaults(folder, _changed(folder)))


def _folders(path: str, top: str) -> Iterator[str]:
    folder = os.path.dirname(path)
    for _ in range(_HIGHEST):
        yield folder
        if folder == top or len(folder) < len(top):
            return
        folder = os.path.dirname(folder)


def _of_folder(file: ConfigFile, folder: str, top: str) -> Iterator[Membership]:
    count = 0
    for path in _with_defaults(folder, _changed(folder)):
        primary = read(path, top) if path != file.path else None
        if primary is None or not composes(primary.document.data) or inherits(primary.document.data):
            continue
        member = _member(file, primary, folder, top)
        if member is not None:
            yield member
            count += 1
        if count == MAX_PRIMARIES:
            return


def _member(file: ConfigFile, primary: ConfigFile, root: str, top: str) -> Membership | None:
    whole = standing(primary, top, root)
    if whole.reason:
        return None
    if file.path in whole.files:
        return Membership(whole, chosen=True)
    group = os.path.relpath(os.path.dirname(file.path), root).replace(os.sep, "/")
    option = file.name.removesuffix(".yaml")
    for key in whole.groups:
        if key.partition("@")[0] == group:
            other = composed(primary, top, root, {key: option})
            return Membership(other, chosen=False) if not other.reason and file.path in other.files else None
    if _is_experiment(file):
        other = composed(primary, top, root, added=(Element(group, option, appended=True),))
        return Membership(other, chosen=False) if not other.reason and file.path in other.files else None
    return None


def _is_experiment(file: ConfigFile) -> bool:
    """Whether a config can't stand alone: it overrides what another one must have chosen, for the whole."""
    data = file.document.data
    listed = data.get("defaults") if isinstance(data, dict) else None
    items = [next(iter(item), "") for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    return file.package == "_global_" and any(str(key).startswith("override ") for key in items)


def _changed(folder: str) -> int:
    used(folder)
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=256)
def _with_defaults(folder: str, changed: int) -> tuple[str, ...]:
    """The YAML files of a folder that may have a list of defaults; `changed` makes a new listing new."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(".yaml"))[:MAX_FILES]
    except OSError:
        return ()
    return tuple(path for name in names if _has_defaults(path := os.path.join(folder, name)))


def _has_defaults(path: str) -> bool:
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return b"defaults:" in file.read(MAX_BYTES)
    except OSError:
        return False
