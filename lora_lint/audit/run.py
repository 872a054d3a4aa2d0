"""A whole audit: roots to rows, in the order of the walk, remembered in a store where there is one."""

import os
from collections.abc import Iterator, Sequence, Set
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import lora_lint
from lora_lint.audit.beside import stamp
from lora_lint.audit.changes import Against, Changes
from lora_lint.audit.database import StoreError
from lora_lint.audit.local import Forks, Here, Processes, processors
from lora_lint.audit.remote import Objects, RemoteError, absolute, is_owner, is_remote
from lora_lint.audit.roots import Place
from lora_lint.audit.rows import FORMAT, Names, Row, lost
from lora_lint.audit.shares import Pool, ordered
from lora_lint.audit.store import Store
from lora_lint.audit.tasks import Item, Outcome
from lora_lint.audit.work import Work
from lora_lint.catalogue import root as rule_pages
from lora_lint.project import pinning
from lora_lint.settings import Settings


@dataclass
class Tally:
    """What an audit says besides its rows."""

    files: int = 0
    kept: int = 0
    """Files that the store knew."""
    repeats: int = 0
    """Files of a Hugging Face cache whose blobs another snapshot of the model has too."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Files and folders that were left out, by the reason."""
    suppressed: int = 0
    unopened: int = 0
    failures: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    """What the names of files begin with that may be there or not, since their folder couldn't be listed."""
    unstored: str = ""
    """Why the store couldn't be written any more."""
    changes: Changes | None = None
    """What became of the adapters since an earlier audit."""


@dataclass
class Audit:
    """Rows of the adapters below some roots.

    `workers` is the number of processes; 0 is this one alone. `store` is a file that remembers what was found.
    """

    roots: Sequence[str]
    settings: Settings
    workers: int | None = None
    store: str | None = None
    baseline: str | None = None
    cluster: str | None = None
    """The address of the Ray cluster that does the work, `local` for one of its own; None for processes."""
    verify: bool = False
    """Whether the tensors are read as well, with torch."""
    forks: Forks | None = None
    """Processes that were made for it."""
    against: Against | None = None
    """An earlier audit that it is compared with."""
    tally: Tally = field(default_factory=Tally)

    def __iter__(self) -> Iterator[list[Row]]:
        """The rows of one file after the other.

        Raises:
            BaselineError: when the baseline can't be read.
            StoreError: when the store can't be used.
            PoolError: when no process can be started.
        """
        return (found for found, _ in self.counted(together=False))

    def counted(self, *, together: bool) -> Iterator[tuple[list[Row], int]]:
        """The same, and how many files have these rows: `together` takes less time where only numbers are wanted, and
        tells of files that differ in their names alone, some at a time, the rows of the first.
        """
        roots = tuple(apart(self.roots))
        prefixes = tuple("" if len(roots) == 1 else f"{root.rstrip('/')}/" for root in roots)
        # Adapters are verified in less time than a GPU takes to start; the actors of a cluster that have one keep it.
        device = "" if not self.verify else "cpu" if self.cluster is None else "auto"
        work = Work(self.settings, roots, prefixes, self.baseline, device=device, together=together)
        unlisted: dict[str, str] = {}
        """Why whole roots couldn't be."""
        starts = [(at, _starts(root, unlisted)) for at, root in enumerate(roots)]
        with ExitStack() as stack:
            if any(map(is_remote, roots)):
                work = work._replace(scratch=stack.enter_context(TemporaryDirectory(prefix="lora-lint-")))
            store = stack.enter_context(_Keeper(self.store, self.tally)) if self.store else None
            if store is not None:
                given = fingerprint(self.settings, self.baseline, roots, verify=self.verify)
                work = work._replace(store=self.store, scopes=store.scopes(roots, given))
            work.worker().close()
            pool = stack.enter_context(self._pool(work))
            once = _Once()
            for number, outcome in ordered(starts, pool):
                repeats = {at for at, item in enumerate(outcome.items) if once.is_repeat(item)}
                self._count(outcome, len(repeats))
                if store is not None:
                    store.take(number, outcome, repeats)
                for at, item in enumerate(outcome.items):
                    if at not in repeats and (found := item.found):
                        yield self._compared(found), item.times
            for root, problem in unlisted.items():
                self.tally.unlisted.append(prefixes[roots.index(root)].rstrip("/"))
                self.tally.failures.append(f"{root}: {problem}")
                yield self._compared([lost(Names(root, root, root), f"could not be gone through: {problem}")]), 1
            # Which may be the store that is let go of below: nobody else reads it then.
            if self.against is not None:
                self.tally.changes = self.against.finish(self.tally.unlisted)
            # What wasn't listed may still be there, and isn't to be forgotten.
            if store is not None and not unlisted:
                store.finish()

    def _compared(self, rows: list[Row]) -> list[Row]:
        if self.against is not None:
            self.against.compare(rows)
        return rows

    def _pool(self, work: Work) -> AbstractContextManager[Pool]:
        if self.cluster is not None:
            from lora_lint.audit.cluster import Cluster

            local = [root for root in work.roots if not is_remote(root)]
            return Cluster(work, self.workers, self.cluster, gpus=self.verify, paths=local)
        workers = processors() if self.workers is None else self.workers
        return Processes(work, workers, self.forks) if workers else Here(work)

    def _count(self, outcome: Outcome, repeats: int) -> None:
        tally = self.tally
        tally.repeats += repeats
        tally.files += outcome.files
        tally.suppressed += outcome.suppressed
        tally.unopened += outcome.unopened
        tally.kept += outcome.known
        tally.unlisted += outcome.unlisted
        tally.failures += (failure for item in outcome.items for failure in item.failures)
        for _, reason in outcome.skipped:
            tally.skipped[reason] = tally.skipped.get(reason, 0) + 1


class _Once:
    """The blobs of the model that the walk is in, so that each adapter of a cache is counted once."""

    def __init__(self) -> None:
        self._model = ""
        self._seen: set[str] = set()

    def is_repeat(self, item: Item) -> bool:
        if not item.blobs:
            return False
        model = item.blobs.split("\n", 2)[1].partition("/blobs/")[0]
        if model != self._model:
            self._model = model
            self._seen.clear()
        if item.blobs in self._seen:
            return True
        self._seen.add(item.blobs)
        return False


class _Keeper:
    """The store of a running audit. Where it can't be written any more the audit goes on without it, and says so."""

    def __init__(self, path: str, tally: Tally) -> None:
        self._store = Store(path)
        self._tally = tally
        self._scopes: tuple[int, ...] = ()

    def __enter__(self) -> "_Keeper":
        return self

    def __exit__(self, *_: object) -> None:
        with self._noted():
            self._store.close()

    def scopes(self, roots: Sequence[str], given: str) -> tuple[int, ...]:
        self._scopes = tuple(self._store.scope(root, given) for root in roots)
        return self._scopes

    def take(self, root: int, outcome: Outcome, repeats: Set[int]) -> None:
        """Remember what is new and what stays; `repeats` are items of files that were counted under another name."""
        if not self._tally.unstored:
            with self._noted():
                self._store.keep(outcome.kept)
                self._store.forget(self._scopes[root], outcome.outdated)
                self._store.add(self._scopes[root], outcome.records, repeats)

    def finish(self) -> None:
        if not self._tally.unstored:
            with self._noted():
                self._store.spare(self._tally.unlisted)
                self._store.finish(list(self._scopes))

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            self._tally.unstored = self._tally.unstored or str(error)


def _starts(root: str, unlisted: dict[str, str]) -> Iterator[Place]:
    """Where a root is gone into: itself, or the repositories of an owner; why these can't be listed goes to `unlisted`,
    by the root.
    """
    if not is_owner(root):
        yield Place(root, "folder" if is_remote(root) or os.path.isdir(root) else "named")
        return
    try:
        for repository in Objects(root).repositories(root):
            yield Place(repository, "folder")
    except RemoteError as error:
        unlisted[root] = str(error)


def apart(roots: Sequence[str]) -> Iterator[str]:
    """The roots in the order in which they were named, without those that lie below another one; a repository at
    another revision doesn't.
    """
    given = [absolute(root) if is_remote(root) else os.path.normpath(root) for root in roots]
    full = {root: os.path.join(absolute(root), "") for root in given}
    for root, path in full.items():
        others = (other for name, other in full.items() if name != root)
        apart_anyway = path.startswith("hf://") and "@" in path
        if apart_anyway or not any(path.startswith(other) and path != other for other in others):
            yield root


def fingerprint(settings: Settings, baseline: str | None, roots: Sequence[str], *, verify: bool) -> str:
    """What the rows depend on besides the files: the release, the rules, the settings, the baseline, the folder, and
    what the project around the roots is held to.
    """
    code = Path(lora_lint.__file__).parent
    pages = {path for top in {code, rule_pages()} for path in _files(top) if path.endswith((".py", ".md"))}
    parts = [lora_lint.__version__, str(FORMAT), os.getcwd(), settings.folder, settings.model_dump_json()]
    # Where there are several, their names are in those of the files.
    parts += roots if len(roots) > 1 else ()
    for path in sorted(pages):
        parts.append(f"{os.path.basename(path)} {stamp(path)}")
    if verify:
        parts.append("verify")
    parts += (f"{file} {stamp(file)}" for root in roots if not is_remote(root) for file in pinning(root))
    if baseline is not None:
        parts.append(Path(baseline).read_text("utf-8", "replace"))
    return sha256("\n".join(parts).encode()).hexdigest()


def _files(top: Path) -> Iterator[str]:
    for folder, _, names in os.walk(top):
        yield from (os.path.join(folder, name) for name in names)
