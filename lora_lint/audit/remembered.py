"""Folders that the store holds with all their files, and which of them are as they were: they aren't even listed."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice, takewhile
from typing import Any

from lora_lint.audit.beside import NOWHERE, Stamp, is_current, only_folder, stamp
from lora_lint.audit.records import FOLDER, Held, Record
from lora_lint.audit.roots import Place, Root, within
from lora_lint.audit.store import Store
from lora_lint.audit.tasks import Tell
from lora_lint.files import Candidate
from lora_lint.finding import Skipped
from lora_lint.project import tells

AT_ONCE = 128
"""Folders that are asked for at once, and the most files of one whose listing is kept."""
SETTLED = 2 * 10**9
"""Nanoseconds after which a folder that changes has another time of change, whatever the file system counts in."""


@dataclass(slots=True)
class Same:
    """Folders that are as they were, with all their files; `skipped` is what was left out of them."""

    files: int = 0
    kept: list[int] = field(default_factory=list)
    """The numbers of folders and files."""
    said: list[tuple[int, int]] = field(default_factory=list)
    """Of the files that have rows the numbers of these, and their own."""
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, path: str, held: Sequence[Held]) -> bool:
        """Add a folder, unless it, or a file in it, or what that was made of is another."""
        _, folder_id, size, changed, inode, found, named, *_ = held[0]
        files = held if named is not None else ()
        if stamp(path) != (size, changed, inode) or len(files) != _found(found)[0]:
            return False
        alone = only_folder(size, changed, inode)
        for _, _, _, _, _, _, name, _, size, changed, inode, beside, _ in files:
            file = f"{path}{os.sep}{name}"
            if stamp(file) != (size, changed, inode) or not (beside == alone or is_current(file, beside)):
                return False
        self.files += len(files)
        self.kept.append(folder_id)
        for _, _, _, _, _, _, _, id_, _, _, _, _, said in files:
            self.kept.append(id_)
            if said:
                self.said.append((said, id_))
        return True


class Remembered:
    """What the store holds of a root's folders, asked for many at a time; without a store nothing."""

    def __init__(self, store: Store | None, scope: int, root: Root) -> None:
        self._store, self._scope, self._root = store, scope, root
        self._held: dict[str, list[Held] | None] = {}
        """What is held of the folders that were asked for, by their paths."""
        self._changed: dict[str, str] = {}
        """What was found in folders that aren't as they were."""

    def same(self, pending: list[Place], most: int, deadly: Mapping[str, str], tell: Tell) -> Same:
        """Take the folders at the end of `pending` that are as they were, until there are so many files, and a few more
        so that none is left of those that lie side by side; what lies below them comes in their stead.
        """
        same, side = Same(), ""
        while pending and self._store is not None and same.files < 2 * most:
            path, kind, anew = pending[-1]
            if same.files >= most:
                above = os.path.dirname(path)
                side = side or above
                if above != side:
                    break
            if kind != "folder" or anew or path in deadly:
                break
            if path not in self._held:
                self._ask(self._store, pending)
            held = self._held.pop(path)
            tell(path)
            if held is None:
                break
            found = held[0][5]
            if not same.add(path, held):
                self._changed[path] = found
                break
            pending.pop()
            below, skipped, _ = _found(found)[1]
            if below or skipped:
                start = within(path)
                pending += [Place(start + name, "folder") for name in reversed(below)]
                same.skipped += [Skipped(start + name, reason) for name, reason in skipped]
        return same

    def listing(
        self,
        place: Place,
        before: Stamp | None,
        candidates: Sequence[Candidate],
        below: Sequence[Place],
        skipped: Sequence[Skipped],
        telling: list[str],
    ) -> Record | None:
        """What is to be remembered of a folder that was listed, `before` being its stamp until then; `telling` are the
        names in it that tell the configs below it something.

        Where the same stamp may stand for something else it's listed again: links lead elsewhere, and what changed just
        now may change again.
        """
        folder = self._root.listed_as(place.path) if place.kind == "folder" else None
        if folder is None or len(candidates) > AT_ONCE or any(one.name == place.path for one in skipped):
            return None
        settled = before is not None and time.time_ns() - before[1] > SETTLED
        if before is None or not settled or not all(one.regular for one in candidates):
            if not below:
                return None
            # What tells the configs below it something is to be known.
            before = NOWHERE
        found = [
            [os.path.basename(one.path) for one in below],
            [[os.path.basename(one.name), one.reason] for one in skipped],
            telling,
        ]
        text = json.dumps(found, separators=(",", ":")) if below or skipped else "[[],[],[]]"
        return Record(folder, FOLDER, before, "", f"[{len(candidates)},{text}]")

    def told_otherwise(self, place: Place, telling: list[str]) -> bool:
        """Whether something came into a folder that was listed, or went, which tells the configs below it something."""
        found = self._changed.pop(place.path, None)
        return found is not None and _found(found)[1][2] != telling

    def _ask(self, store: Store, pending: Sequence[Place]) -> None:
        # Its siblings: what comes after them was asked for when the folder above was gone through.
        siblings = takewhile(lambda one: one.kind == "folder" and one.path not in self._held, reversed(pending))
        paths = [one.path for one in islice(siblings, AT_ONCE)]
        self._fetch(store, paths)
        # An owner has few adapters: those of many are asked for with them.
        held = ((path, files[0][5]) for path in paths if (files := self._held[path]))
        below = (within(path) + name for path, found in held for name in _found(found)[1][0])
        if some := list(islice(below, AT_ONCE)):
            self._fetch(store, some)

    def _fetch(self, store: Store, paths: Sequence[str]) -> None:
        names = {path: self._root.listed_as(path) for path in paths}
        found = store.listed(self._scope, [name for name in names.values() if name is not None])
        self._held.update((path, found.get(name) if name is not None else None) for path, name in names.items())


def telling_in(folder: str) -> list[str]:
    """The names in a folder that tell the configs below it something."""
    try:
        return sorted(filter(tells, os.listdir(folder)))
    except OSError:
        return []


# Most folders hold one file and nothing else; what large ones hold is asked for twice in a row, and not kept.
@lru_cache(16)
def _found(beside: str) -> Any:
    return json.loads(beside)
