"""What is new, mended, worse or gone since an earlier audit that a store remembers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lora_lint.audit.database import StoreError
from lora_lint.audit.rows import Row, decoded, off_by
from lora_lint.audit.store import Store

Change = Literal["new", "mended", "worse", "gone"]
CHANGES: tuple[Change, ...] = ("new", "mended", "worse", "gone")
SHOWN = 20
"""Names of each kind that are kept; all are counted."""


@dataclass
class Changes:
    """Adapters by what became of them; an adapter with both fewer and more findings is worse."""

    counts: dict[Change, int] = field(default_factory=lambda: dict.fromkeys(CHANGES, 0))
    names: dict[Change, list[str]] = field(default_factory=lambda: {change: [] for change in CHANGES})
    complete: bool = True
    """Whether the earlier audit went through; otherwise what it didn't reach seems new."""

    def add(self, change: Change, name: str) -> None:
        self.counts[change] += 1
        if len(self.names[change]) < SHOWN:
            self.names[change].append(name)


class NoAuditError(StoreError):
    """A store in which there is nothing to compare with."""


class Against:
    """An earlier audit as it was when this one began, even where this one writes the same store."""

    def __init__(self, path: str, roots: Sequence[str]) -> None:
        """
        Raises:
            NoAuditError: when the store holds nothing of these roots.
            StoreError: when it can't be read.
        """
        self.changes = Changes()
        self._store = Store(path, readonly=True)
        self._scopes = self._store.earlier(roots)
        if not self._scopes:
            self._store.close()
            raise NoAuditError(f"{path}: holds no audit of {', '.join(roots)}")
        self.changes.complete = all(self._scopes.values())

    def compare(self, rows: Sequence[Row]) -> None:
        """Take note of what became of the adapter of a file."""
        if not is_adapter(rows):
            return
        known = next(filter(None, (self._store.file(scope, rows[0].file) for scope in self._scopes)), None)
        before = decoded(known.rows) if known is not None else []
        if known is not None:
            self._store.keep([(known.id, known.id)])
        change = became(before, rows)
        if change is not None:
            self.changes.add(change, rows[0].adapter)

    def finish(self, unlisted: Iterable[str] = ()) -> Changes:
        """All that changed: what wasn't compared is gone, but for what lies in folders that couldn't be listed."""
        self._store.spare(unlisted)
        for adapter, text in self._store.others(self._scopes):
            if is_adapter(decoded(text)):
                self.changes.add("gone", adapter)
        self._store.close()
        return self.changes


def is_adapter(rows: Sequence[Row]) -> bool:
    """Whether a file holds more than examples, and findings of no adapter."""
    return any(row.kind != "example" and (row.kind or row.problem) for row in rows)


def became(before: Sequence[Row], after: Sequence[Row]) -> Change | None:
    """What became of an adapter; None where nothing got better or worse."""
    if not is_adapter(before):
        return "new"
    had, has = faults(before), faults(after)
    off = max(map(off_by, after)) - max(map(off_by, before))
    if has - had or off > 0:
        return "worse"
    return "mended" if had - has or off < 0 else None


def faults(rows: Sequence[Row]) -> Counter[tuple[str, str]]:
    """The rules that spoke, with their severities: a message may change with the release."""
    return Counter((found.rule, found.severity) for row in rows for found in row.findings)
