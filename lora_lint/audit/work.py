"""One share of an audit: some folders or files to rows, in whatever process it is done."""

import os
from collections.abc import Sequence
from contextlib import nullcontext
from hashlib import sha256
from typing import NamedTuple

from lora_lint.audit.beside import NOWHERE, heard
from lora_lint.audit.copies import Copies
from lora_lint.audit.remote import RemoteError, is_remote
from lora_lint.audit.roots import Folder, Place, Root, blobs
from lora_lint.audit.rows import NOTHING, Row, encoded, lost, rows
from lora_lint.audit.store import Known, Record, Store
from lora_lint.audit.tasks import Item, Made, Outcome, Task, Tell
from lora_lint.baseline import Baseline
from lora_lint.files import Candidate, Walk
from lora_lint.finding import Report
from lora_lint.linter import Linter
from lora_lint.settings import Settings

MOST = 128
"""Files after which a share ends; what is below its folders is another."""


class Work(NamedTuple):
    """All that a process needs to know; `scopes` are the numbers of the roots in the store."""

    settings: Settings
    roots: tuple[str, ...]
    prefixes: tuple[str, ...]
    baseline: str | None = None
    store: str | None = None
    scopes: tuple[int, ...] = ()
    verify: bool = False
    scratch: str | None = None
    """Where folders of remote roots are laid out, where that is on this machine."""

    def worker(self) -> "Auditor":
        """
        Raises:
            BaselineError: when the baseline can't be read.
            StoreError: when the store can't be read.
        """
        return Auditor(self)


class Auditor:
    """Goes through the places of a task."""

    def __init__(self, work: Work) -> None:
        linter, walk = Linter(work.settings, None), Walk(work.settings, ask_git=False)
        self._roots: list[Root] = []
        self._linters: list[Linter] = []
        for path, prefix in zip(work.roots, work.prefixes, strict=True):
            if is_remote(path):
                from lora_lint.audit.mirror import Bucket

                bucket = Bucket(path, work.settings, prefix, work.scratch, tensors=work.verify)
                self._roots.append(bucket)
                self._linters.append(Linter(bucket.settings, None))
            else:
                self._roots.append(Folder(path, walk, prefix))
                self._linters.append(linter)
        self._baseline = Baseline(work.baseline) if work.baseline else None
        self._store = Store(work.store, readonly=True) if work.store else None
        self._scopes = work.scopes
        self._verify = work.verify
        self._limit = work.settings.max_file_size
        # A baseline, and settings for some paths, tell adapters apart that say the same.
        alike = not (work.verify or work.baseline or work.settings.overrides)
        self._copies = Copies() if alike else None

    def __call__(self, task: Task, tell: Tell) -> Outcome:
        root, report = self._roots[task.root], Report()
        share = _Share(self, task, root, report, tell)
        pending = list(reversed(task.places))
        while pending and (share.left > 0 or root.is_ahead(pending[-1])):
            root.ahead(reversed(pending), share.beside, share.left)
            place = pending.pop()
            if share.is_deadly(place):
                continue
            tell(place.path)
            try:
                candidates, below = root.level(place)
            except RemoteError as error:
                share.lose(place.path, str(error))
                continue
            most = len(candidates) if root.whole else MOST
            now, later = candidates[:most], candidates[most:]
            share.go_through(now)
            rest = [Place(one.path, "file" if one.regular else "link") for one in later]
            pending += reversed((*rest, *below))
        root.end()
        skipped = [(one.name, one.reason) for one in (*root.skipped, *report.skipped)]
        root.skipped.clear()
        return Outcome(
            tuple(share.items),
            tuple(reversed(pending)),
            report.summary.files + share.kept,
            tuple(skipped),
            report.summary.suppressed,
            share.unopened,
        )

    def known(self, task: Task, folder: str) -> dict[str, Known]:
        """What the store holds of a folder below a root."""
        return self._store.known(self._scopes[task.root], folder) if self._store is not None else {}

    def made(self, candidate: Candidate, number: int, report: Report) -> Made:
        """The rows of one file below a root, which may be those of another that says the same."""
        root = self._roots[number]
        copies = self._copies if isinstance(root, Folder) else None
        config = copies.likely(candidate) if copies is not None else None
        if copies is not None and config is not None:
            made = copies.made(config, root.names)
            if made is not None:
                report.summary.files += 1
                return made
            candidate = candidate._replace(data=config.data)
        before = _told(report)
        with heard() if config is not None or self.stores else nullcontext(frozenset[str]()) as others:
            found, unopened = self._read(candidate, number, report)
        content = found[0].content if found and found[0].line is not None else ""
        made = Made(encoded(found), content, frozenset(others), unopened)
        if copies is not None and config is not None and _told(report) == before:
            copies.remember(config, made)
        return made

    def _read(self, candidate: Candidate, number: int, report: Report) -> tuple[list[Row], bool]:
        """The rows of one file, and whether it couldn't be opened."""
        root, linter = self._roots[number], self._linters[number]
        reading = root.reading(candidate, linter)
        if reading is None:
            return [], False
        diagnostics = linter.add(reading, report)
        if self._baseline is not None:
            diagnostics = self._baseline.remaining(diagnostics)
        if not (reading.setups or diagnostics or reading.problem):
            return [], False
        policy = linter.effective(candidate.path).policy
        made = rows(reading, diagnostics, policy, root.names(candidate.path))
        if self._verify and made and reading.setups:
            from lora_lint.audit.verified import verified

            said = {one.rule for one in made[0].findings}
            more = (one for one in verified(reading, linter) if one.rule not in said)
            made[0] = made[0]._replace(findings=(*made[0].findings, *more))
        return made, candidate.named and reading.unopened

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()

    @property
    def stores(self) -> bool:
        return self._store is not None

    def content(self, root: Root, path: str) -> str:
        """The SHA-256 of a file as it is; empty for one that is too large to be read."""
        try:
            data = root.read(path, 0, self._limit + 1)
        except OSError:
            return ""
        return sha256(data).hexdigest() if len(data) <= self._limit else ""


class _Share:
    """The items of one task."""

    def __init__(self, auditor: Auditor, task: Task, root: Root, report: Report, tell: Tell) -> None:
        self.items: list[Item] = []
        self.kept = 0
        self.unopened = 0
        self._auditor, self._task, self._root, self._report, self._tell = auditor, task, root, report, tell
        self._deadly = dict(task.deadly)

    @property
    def left(self) -> int:
        """Files until the share is large enough."""
        return MOST - self._report.summary.files - self.kept

    def beside(self, folder: str) -> dict[str, str]:
        """What the files of a folder were made of besides themselves, by name, as the store knows it."""
        return {name: one.beside for name, one in self._auditor.known(self._task, folder).items()}

    def is_deadly(self, place: Place) -> bool:
        """Whether a process died of listing a folder, which is a row then."""
        if place.kind != "folder" or place.path not in self._deadly:
            return False
        self.lose(place.path, self._deadly[place.path])
        return True

    def go_through(self, candidates: Sequence[Candidate]) -> None:
        known: dict[str, Known] = {}
        folder: str | None = None
        for candidate in candidates:
            above, name = os.path.split(candidate.path)
            if self._auditor.stores and above != folder:
                folder = above
                known = self._auditor.known(self._task, self._place(candidate)[0])
            address = self._root.address(candidate.path)
            self._tell(address)
            if address in self._deadly:
                self.lose(candidate.path, self._deadly[address])
                continue
            before = known.get(name)
            if before is None or not self._keep(candidate, before):
                self._read(candidate)

    def _place(self, candidate: Candidate) -> tuple[str, str]:
        """The folder and the name by which the store knows a file."""
        folder, _, name = self._root.names(candidate.path).file.rpartition("/")
        return folder, name

    def _keep(self, candidate: Candidate, before: Known) -> bool:
        """Whether the store's rows are still true; a file that was only touched or copied keeps them."""
        path = candidate.path
        now = self._root.stamp(path)
        if now is None or not self._root.is_current(path, before.beside):
            return False
        item = Item(before.rows, True, before.id, blobs=_blobs(candidate))
        if now != before.stamp:
            if not before.content or self._auditor.content(self._root, path) != before.content:
                return False
            record = Record(*self._place(candidate), now, before.content, before.beside)
            item = item._replace(kept=None, record=record)
        self.items.append(item)
        self.kept += 1
        return True

    def _read(self, candidate: Candidate) -> None:
        stores = self._auditor.stores
        record = None
        failed = len(self._report.failures)
        try:
            before = self._root.stamp(candidate.path) if stores else None
            made = self._auditor.made(candidate, self._task.root, self._report)
            beside = self._root.stamped(candidate.path, made.others) if stores else None
            if beside is not None:
                record = Record(*self._place(candidate), before or NOWHERE, made.content, beside)
        except Exception as error:  # noqa: BLE001 - one file must not end the audit; it's reported
            import traceback

            self.lose(candidate.path, f"{type(error).__name__}: {error}", traceback.format_exc())
            return
        self.unopened += made.unopened
        failures = tuple(map(self._root.cleared, self._report.failures[failed:]))
        if made.rows != NOTHING or record:
            kept = None if failures else record
            self.items.append(
                Item(self._root.cleared(made.rows), record=kept, blobs=_blobs(candidate), failures=failures)
            )

    def lose(self, path: str, problem: str, failure: str = "") -> None:
        row = lost(self._root.names(path), f"could not be gone through: {problem}")
        told = failure or f"{self._root.address(path)}: {problem}"
        self.items.append(Item(self._root.cleared(encoded([row])), failures=(self._root.cleared(told),)))
        self._report.summary.files += 1


def _told(report: Report) -> tuple[int, ...]:
    """What a report says besides the findings of a file, which its rows don't hold."""
    return report.summary.suppressed, len(report.skipped), len(report.failures)


def _blobs(candidate: Candidate) -> str:
    return "" if candidate.regular else blobs(candidate.path)
