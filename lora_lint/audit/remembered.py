"""Folders that the store holds with all their files, and which of them are as they were: they aren't even listed."""

import json
import os
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice, takewhile
from typing import Any, NamedTuple

from lora_lint.audit.beside import Stamp, is_current, only_folder, stamp
from lora_lint.audit.records import FOLDER, Known, Record
from lora_lint.audit.roots import Place, Root, within
from lora_lint.audit.store import Store
from lora_lint.files import Candidate
from lora_lint.finding import Skipped

AT_ONCE = 128
"""Folders that are asked for at once, and the most files of one whose listing is kept."""
SETTLED = 2 * 10**9
"""Nanoseconds after which a folder that changes has another time of change, whatever the file system counts in."""


class Same(NamedTuple):
    """A folder that is as it was: what the store knows it as, and holds of it, by number and by the names of its files.

    `below` are the folders in it, `skipped` what was left out of it.
    """

    folder: str
    ids: list[int]
    files: list[tuple[str, Known]]
    below: list[Place]
    skipped: list[Skipped]


class Remembered:
    """What the store holds of a root's folders, asked for many at a time; without a store nothing."""

    def __init__(self, store: Store | None, scope: int, root: Root) -> None:
        self._store, self._scope, self._root = store, scope, root
        self._names: dict[str, str] = {}
        """The folders that were asked for, by their paths, as the store knows them."""
        self._listed: dict[str, dict[str, Known]] = {}

    def same(self, place: Place, next_: Iterable[Place]) -> Same | None:
        """What the store holds of a folder; None where that, or a file in it, or what it was made of is another.

        `next_` are places that will be asked for after it.
        """
        path = place.path
        if self._store is None or place.kind != "folder":
            return None
        if path not in self._names:
            self._ask(self._store, place, next_)
        folder = self._names.pop(path, None)
        held = self._listed.pop(folder, None) if folder is not None else None
        if folder is None or held is None:
            return None
        own = held.pop(FOLDER)
        if own.stamp != stamp(path):
            return None
        count, (below, skipped) = _found(own.beside)
        if len(held) != count:
            return None
        alone = only_folder(own.stamp)
        start = within(path)
        ids = [own.id]
        for name, known in held.items():
            file = start + name
            if known.stamp != stamp(file) or not (known.beside == alone or is_current(file, known.beside)):
                return None
            ids.append(known.id)
        return Same(
            folder,
            ids,
            list(held.items()),
            [Place(start + name, "folder") for name in below],
            [Skipped(start + name, reason) for name, reason in skipped],
        )

    def listing(
        self,
        place: Place,
        before: Stamp | None,
        candidates: Sequence[Candidate],
        below: Sequence[Place],
        skipped: Sequence[Skipped],
    ) -> Record | None:
        """What is to be remembered of a folder that was listed, `before` being its stamp until then; None where the
        same stamp may stand for something else: links lead elsewhere, and what changed just now may change again.
        """
        folder = self._root.listed_as(place.path) if place.kind == "folder" else None
        if folder is None or before is None or time.time_ns() - before[1] < SETTLED or len(candidates) > AT_ONCE:
            return None
        if not all(one.regular for one in candidates) or any(one.name == place.path for one in skipped):
            return None
        found = [
            [os.path.basename(one.path) for one in below],
            [[os.path.basename(one.name), one.reason] for one in skipped],
        ]
        text = json.dumps(found, separators=(",", ":")) if below or skipped else "[[],[]]"
        return Record(folder, FOLDER, before, "", f"[{len(candidates)},{text}]")

    def _ask(self, store: Store, place: Place, next_: Iterable[Place]) -> None:
        # Its siblings: what comes after them was asked for when the folder above was gone through.
        siblings = takewhile(lambda one: one.kind == "folder" and one.path not in self._names, next_)
        paths = [place.path, *(one.path for one in islice(siblings, AT_ONCE - 1))]
        self._fetch(store, paths)
        # An owner has few adapters: those of many are asked for with them.
        held = ((path, self._listed[self._names[path]]) for path in paths if self._names.get(path) in self._listed)
        below = (within(path) + name for path, files in held for name in _found(files[FOLDER].beside)[1][0])
        self._fetch(store, list(islice(below, AT_ONCE)))

    def _fetch(self, store: Store, paths: Sequence[str]) -> None:
        names = {path: name for path in paths if (name := self._root.listed_as(path)) is not None}
        if names:
            self._names |= names
            self._listed |= store.listed(self._scope, list(names.values()))


@lru_cache(256)
def _found(beside: str) -> Any:
    return json.loads(beside)
