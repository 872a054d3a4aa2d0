"""One share of an audit: some folders or files to rows, in whatever process it is done."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from hashlib import sha256
from typing import NamedTuple

from lora_lint.audit.beside import heard
from lora_lint.audit.copies import Copies
from lora_lint.audit.records import Known
from lora_lint.audit.remembered import Remembered
from lora_lint.audit.remote import RemoteError, is_remote
from lora_lint.audit.roots import Folder, Place, Root
from lora_lint.audit.rows import Names, Row, encoded
from lora_lint.audit.share import MOST, Share
from lora_lint.audit.sites import rows
from lora_lint.audit.store import Store
from lora_lint.audit.tasks import Made, Outcome, Task, Tell
from lora_lint.baseline import Baseline
from lora_lint.files import Candidate, Walk
from lora_lint.finding import Report
from lora_lint.linter import Linter
from lora_lint.settings import Settings


class Work(NamedTuple):
    """All that a process needs to know; `scopes` are the numbers of the roots in the store."""

    settings: Settings
    roots: tuple[str, ...]
    prefixes: tuple[str, ...]
    baseline: str | None = None
    store: str | None = None
    scopes: tuple[int, ...] = ()
    device: str = ""
    """Where the tensors are verified, empty if they aren't."""
    together: bool = False
    """Whether files of a share that say the same are told as one."""
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

                bucket = Bucket(path, work.settings, prefix, work.scratch, tensors=bool(work.device))
                self._roots.append(bucket)
                self._linters.append(Linter(bucket.settings, None))
            else:
                self._roots.append(Folder(path, walk, prefix))
                self._linters.append(linter)
        self._baseline = Baseline(work.baseline) if work.baseline else None
        self._store = Store(work.store, readonly=True) if work.store else None
        self._scopes = work.scopes
        store = self._store
        self._earlier = [store if store is not None and not store.is_empty(scope) else None for scope in work.scopes]
        """Of each root the store, where that holds something of an earlier audit."""
        self.together = work.together
        self._device = work.device
        self._limit = work.settings.max_file_size
        # A baseline, and settings for some paths, tell adapters apart that say the same.
        alike = not (work.device or work.baseline or work.settings.overrides)
        self._copies = Copies() if alike else None

    def __call__(self, task: Task, tell: Tell) -> Outcome:
        root = self._roots[task.root]
        share = Share(self, task, root, tell)
        pending = list(reversed(task.places))
        while pending and (share.left > 0 or root.is_ahead(pending[-1])):
            if share.same(pending):
                continue
            root.ahead(reversed(pending), share.beside, share.left)
            place = pending.pop()
            if share.is_deadly(place):
                continue
            tell(place.path)
            try:
                candidates, below = share.level(place)
            except RemoteError as error:
                share.lose_folder(place.path, str(error))
                continue
            most = len(candidates) if root.whole else MOST
            now, later = candidates[:most], candidates[most:]
            share.go_through(now, anew=place.anew)
            rest = [Place(one.path, "file" if one.regular else "link", place.anew) for one in later]
            pending += reversed((*rest, *below))
        root.end()
        return share.outcome(reversed(pending))

    def known(self, task: Task, folder: str) -> dict[str, Known]:
        """What the store holds of a folder below a root."""
        store = self._held(task)
        return store.known(self._scopes[task.root], folder) if store is not None else {}

    def file(self, task: Task, path: str) -> Known | None:
        """What the store holds of a file, as it is called there."""
        store = self._held(task)
        return store.file(self._scopes[task.root], path) if store is not None else None

    def whole(self, ids: Sequence[int]) -> Iterator[tuple[int, Names, Known]]:
        """What the store holds of files, by their numbers there."""
        return self._store.whole(ids) if self._store is not None else iter(())

    def remembered(self, task: Task) -> Remembered | None:
        """The folders of a root that the store holds, and is to hold."""
        if self._store is None:
            return None
        return Remembered(self._held(task), self._scopes[task.root], self._roots[task.root])

    def _held(self, task: Task) -> Store | None:
        return self._earlier[task.root] if self.stores else None

    def made(self, candidate: Candidate, number: int, report: Report) -> Made:
        """The rows of one file below a root, which may be those of another that says the same."""
        root = self._roots[number]
        copies = self._copies if isinstance(root, Folder) else None
        config = copies.likely(candidate) if copies is not None else None
        if copies is not None and config is not None:
            made = copies.made(config)
            if made is not None:
                report.summary.files += 1
                return made
            candidate = candidate._replace(data=config.data)
        before = _told(report)
        with heard() if config is not None or self.stores else nullcontext(frozenset[str]()) as others:
            found, unopened = self._read(candidate, number, report)
        content = found[0].content if found and found[0].line is not None else ""
        made = Made(encoded(found, content), content, frozenset(others), unopened)
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
        made = rows(reading, diagnostics, policy)
        if self._device and made and reading.setups:
            from lora_lint.audit.verified import verified

            said = {one.rule for one in made[0].findings}
            more = (one for one in verified(reading, linter, self._device) if one.rule not in said)
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


def _told(report: Report) -> tuple[int, ...]:
    """What a report says besides the findings of a file, which its rows don't hold."""
    return report.summary.suppressed, len(report.skipped), len(report.failures)
