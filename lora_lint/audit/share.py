"""What is made of one share of an audit: items in the order of the walk, and what the store is to remember."""

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lora_lint.audit.beside import NOWHERE, Stamp
from lora_lint.audit.records import Known, Record
from lora_lint.audit.remembered import telling_in
from lora_lint.audit.roots import CONFIG, Place, Root, blobs, within
from lora_lint.audit.rows import NOTHING, Names, encoded, lost, said
from lora_lint.audit.seen import spans
from lora_lint.audit.tasks import Item, Outcome, Task, Tell
from lora_lint.files import Candidate
from lora_lint.finding import Report

if TYPE_CHECKING:
    from lora_lint.audit.work import Auditor

MOST = 512
"""Files after which a share ends; what is below its folders is another."""
QUICKER = 8
"""Files that the store knows count as one of others."""


class Share:
    """The files of one task, as they are gone through."""

    def __init__(self, auditor: "Auditor", task: Task, root: Root, tell: Tell) -> None:
        self._auditor, self._task, self._root, self._tell = auditor, task, root, tell
        self._report = Report()
        self._deadly = dict(task.deadly)
        self._items: list[Item] = []
        self._first: dict[int, int] = {}
        """Where the first item with some rows is, by their number, where those that have the same are told with it."""
        self._more: dict[int, int] = {}
        self._records: list[Record] = []
        self._kept: list[tuple[int, int]] = []
        self._known = self._unopened = 0
        self._unlisted: list[str] = []
        self._outdated: list[str] = []
        self._remembered = auditor.remembered(task)

    @property
    def left(self) -> int:
        """Files until the share is large enough."""
        return MOST - self._report.summary.files - self._known // QUICKER

    def outcome(self, left: Iterable[Place]) -> Outcome:
        """What was made of it; `left` are the places that are still to be gone through."""
        skipped = [(one.name, one.reason) for one in (*self._root.skipped, *self._report.skipped)]
        self._root.skipped.clear()
        for at, more in self._more.items():
            self._items[at] = self._items[at]._replace(times=1 + more)
        return Outcome(
            tuple(self._items),
            tuple(self._records),
            tuple(self._kept),
            tuple(left),
            self._report.summary.files + self._known,
            self._known,
            tuple(skipped),
            self._report.summary.suppressed,
            self._unopened,
            tuple(self._unlisted),
            tuple(self._outdated),
        )

    def beside(self, folder: str) -> dict[str, str]:
        """What the files of a folder were made of besides themselves, by name, as the store knows it."""
        return {name: one.beside for name, one in self._auditor.known(self._task, folder).items()}

    def is_deadly(self, place: Place) -> bool:
        """Whether a process died of listing a folder, which is a row then."""
        if place.kind != "folder" or place.path not in self._deadly:
            return False
        self.lose_folder(place.path, self._deadly[place.path])
        return True

    def same(self, pending: list[Place]) -> bool:
        """Take the folders at the end of `pending` that are as the store holds them, with all their files; what lies
        below them comes in their stead. False where the last one isn't.
        """
        if self._remembered is None:
            return False
        # Where a walk begins, everybody waits for what lies below it.
        most = self.left * QUICKER if len(self._task.places) > 1 else self.left
        same = self._remembered.same(pending, most, self._deadly, self._tell)
        if not same.kept:
            return False
        self._tell_of(same.said)
        self._known += same.files
        self._kept += spans(same.kept)
        self._root.skipped.extend(same.skipped)
        return True

    def _tell_of(self, said: Sequence[tuple[int, int]]) -> None:
        """Tell of files that the store holds, by the numbers of their rows and their own."""
        new: list[int] = []
        for number, id_ in said:
            if not self._is_told(number, len(new)):
                new.append(id_)
        items = {id_: Item(one.rows, names, one.content) for id_, names, one in self._auditor.whole(new)}
        self._items += map(items.__getitem__, new)

    def level(self, place: Place) -> tuple[list[Candidate], list[Place]]:
        """
        Raises:
            RemoteError: when the folder can't be listed.
        """
        before = self._root.stamp(place.path) if self._remembered is not None else None
        skipped = len(self._root.skipped)
        candidates, below = self._root.level(place)
        left_out = self._root.skipped[skipped:]
        if any(one.name == place.path for one in left_out) and os.path.isdir(place.path):
            self._unlisted.append(self._called(place.path))
        elif self._remembered is not None:
            telling = telling_in(place.path) if below else []
            record = self._remembered.listing(place, before, candidates, below, left_out, telling)
            if record is not None:
                self._records.append(record)
            anew = place.anew
            if below and self._remembered.told_otherwise(place, telling):
                self._outdated.append(self._called(place.path))
                anew = True
            if anew:
                below = [one._replace(anew=True) for one in below]
        return candidates, below

    def go_through(self, candidates: Sequence[Candidate], *, anew: bool) -> None:
        """Keep or read files, all of them where what the store holds is true no more."""
        for candidate in candidates:
            address = self._root.address(candidate.path)
            self._tell(address)
            if address in self._deadly:
                self.lose(candidate.path, self._deadly[address])
                continue
            names = self._root.names(candidate.path)
            before = self._auditor.file(self._task, names.file) if not anew else None
            if before is None or not self._keep(candidate, names, before):
                self._read(candidate, names)

    def lose_folder(self, path: str, problem: str) -> None:
        """Say why a folder could not be gone through, whose files may all be there as before."""
        self.lose(path, problem)
        self._unlisted.append(self._called(path))

    def _called(self, folder: str) -> str:
        """What the names of the files in a folder begin with."""
        return self._root.names(within(folder) + CONFIG).file.removesuffix(CONFIG).rstrip("/")

    def lose(self, path: str, problem: str, failure: str = "") -> None:
        """Say why a file or a folder could not be gone through."""
        names = self._root.names(path)
        row = lost(names, f"could not be gone through: {problem}")
        told = failure or f"{self._root.address(path)}: {problem}"
        failures = (self._root.cleared(told),)
        self._items.append(Item(self._root.cleared(encoded([row])), names, failures=failures))
        self._report.summary.files += 1

    def _keep(self, candidate: Candidate, names: Names, before: Known) -> bool:
        """Whether the store's rows are still true; a file that was only touched or copied keeps them."""
        path = candidate.path
        now = self._root.stamp(path)
        if now is None or not self._root.is_current(path, before.beside):
            return False
        if now != before.stamp and not (before.content and self._auditor.content(self._root, path) == before.content):
            return False
        item = self._add(before.rows, names, before.content, _blobs(candidate))
        if now == before.stamp:
            self._kept.append((before.id, before.id))
        else:
            self._remember(names, now, before.content, before.beside, before.rows, item)
        self._known += 1
        return True

    def _read(self, candidate: Candidate, names: Names) -> None:
        failed = len(self._report.failures)
        stores = self._auditor.stores
        try:
            before = self._root.stamp(candidate.path) if stores else None
            made = self._auditor.made(candidate, self._task.root, self._report)
            beside = self._root.stamped(candidate.path, made.others) if stores else None
        except Exception as error:  # noqa: BLE001 - one file must not end the audit; it's reported
            import traceback

            self.lose(candidate.path, f"{type(error).__name__}: {error}", traceback.format_exc())
            return
        self._unopened += made.unopened
        failures = tuple(map(self._root.cleared, self._report.failures[failed:]))
        rows = self._root.cleared(made.rows)
        item = self._add(rows, names, made.content, _blobs(candidate), failures)
        if beside is not None and not failures:
            self._remember(names, before or NOWHERE, made.content, beside, rows, item)

    def _add(
        self, rows: str, names: Names, content: str, blobs: str = "", failures: tuple[str, ...] = ()
    ) -> int | None:
        """Tell of a file; the number of the item that is its own alone."""
        alone = bool(blobs or failures)
        if (rows == NOTHING and not failures) or (not alone and self._is_told(said(rows))):
            return None
        self._items.append(Item(rows, names, content, blobs, failures))
        return len(self._items) - 1 if alone else None

    def _is_told(self, number: int, coming: int = 0) -> bool:
        """Whether the rows of this number are told with an earlier item, or else will be with the next, after so many
        that are coming.
        """
        if not self._auditor.together:
            return False
        at = self._first.setdefault(number, len(self._items) + coming)
        if at == len(self._items) + coming:
            return False
        self._more[at] = self._more.get(at, 0) + 1
        return True

    def _remember(self, names: Names, stamp: Stamp, content: str, beside: str, rows: str, item: int | None) -> None:
        folder, _, name = names.file.rpartition("/")
        self._records.append(Record(folder, name, stamp, content, beside, names.adapter, rows, said(rows), item))


def _blobs(candidate: Candidate) -> str:
    return "" if candidate.regular else blobs(candidate.path)
