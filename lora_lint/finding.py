"""What a rule says by path (Finding), the same placed in a file (Diagnostic), and a whole run (Report)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from lora_lint.document import Document, Path, Position, Span


class Severity(StrEnum):
    """How bad; compares by `rank`, which grows with it."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        return ("note", "warning", "error").index(self.value)


class Safety(StrEnum):
    """`safe`: the run means the same afterwards. `unsafe`: training changes."""

    SAFE = "safe"
    UNSAFE = "unsafe"


class Replace(NamedTuple):
    """Write `text` in place of the value at `path`."""

    path: Path
    text: str


class Insert(NamedTuple):
    """Write `key` with the value `text` after the entry at `after`, in the same mapping, command or call."""

    after: Path
    key: str
    text: str


class RenameKey(NamedTuple):
    """Write `key` in place of the key at `path`."""

    path: Path
    key: str


class Delete(NamedTuple):
    """Take out the key at `path` with its value."""

    path: Path


Fix = Replace | Insert | RenameKey | Delete


class Elsewhere(NamedTuple):
    """A config file that a setup names: where it is, and what it holds."""

    path: str
    document: Document


class Finding(NamedTuple):
    """What a rule says. `at` is a path in the rule's document, or the name of a tensor's file and the tensor.

    `severity` lowers the page's severity for this one finding. `safety` overrides the page's class of fix.
    """

    message: str
    at: Path = ()
    related: tuple[tuple[Path, str], ...] = ()
    fix: Fix | None = None
    severity: Severity | None = None
    safety: Safety | None = None
    tensor: str | None = None
    file: str | None = None
    line: int | None = None
    """The line of `file` that is meant, from 1; the file as a whole where there is none."""
    span: Span | None = None
    on_key: bool = False
    """Point at the key of `at` rather than at its value."""
    elsewhere: Elsewhere | None = None
    """The file that has the fault, where the rule's document only names it; `at` is a path in it then."""


class Edit(NamedTuple):
    """Put `text` in place of `span`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A fix as edits of the file's text, and as the change of data that it is meant to make."""

    safety: Safety
    edits: tuple[Edit, ...]
    fix: Fix


class Range(NamedTuple):
    """A span as people count: lines and columns from 1, the end exclusive."""

    start: Position
    end: Position


class Related(NamedTuple):
    """Another place that explains the finding."""

    message: str
    range: Range


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding, placed. `explanation` is the first sentence of the rule's page."""

    rule: str
    severity: Severity
    message: str
    file: str
    range: Range
    path: Path
    url: str
    explanation: str
    source_lines: tuple[str, ...] = ()
    tensor: str | None = None
    related: tuple[Related, ...] = ()
    suggestion: Suggestion | None = None
    edit_ranges: tuple[tuple[Range, str], ...] = ()
    document: Document | None = field(default=None, repr=False, compare=False)
    sites: frozenset[int] = field(default=frozenset(), repr=False, compare=False)
    """The sites of the setup that it speaks of, by `id`."""
    key: str = ""
    """What a baseline remembers: rule, file and key path, never a line or a value."""


class Skipped(NamedTuple):
    """A file or folder that wasn't read, and why."""

    name: str
    reason: str


@dataclass
class Summary:
    """Counts of a run; `skipped` are files and folders left out, `ratios` says how often each scale occurs."""

    files: int = 0
    setups: int = 0
    sites: int = 0
    undecided: int = 0
    skipped: int = 0
    errors: int = 0
    warnings: int = 0
    notes: int = 0
    suppressed: int = 0
    fixable: int = 0
    unsafe_fixable: int = 0
    ratios: dict[str, int] = field(default_factory=dict)

    def count(self, diagnostic: Diagnostic) -> None:
        """Add one diagnostic."""
        self.errors += diagnostic.severity is Severity.ERROR
        self.warnings += diagnostic.severity is Severity.WARNING
        self.notes += diagnostic.severity is Severity.NOTE
        if diagnostic.suggestion is not None:
            safe = diagnostic.suggestion.safety is Safety.SAFE
            self.fixable += safe
            self.unsafe_fixable += not safe


@dataclass
class Report:
    """Everything that a run of `check` found, in the order of the files."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    summary: Summary = field(default_factory=Summary)
    skipped: list[Skipped] = field(default_factory=list)
    unrecognised: list[Skipped] = field(default_factory=list)
    """Files that were read and hold no LoRA setup, and why."""
    undecided: list[tuple[str, int, str]] = field(default_factory=list)
    """File, line and reason of every active site whose scale is unknown."""
    failures: list[str] = field(default_factory=list)
    """Tracebacks of rules that raised; they end in status 2."""
    policy: str = "2r"
    fail_on: Severity = Severity.ERROR
    """The lowest severity with which the run fails."""

    _seen: set[tuple[str, str, Position, str]] = field(default_factory=set, repr=False)

    def add(self, diagnostic: Diagnostic) -> bool:
        """Keep and count a diagnostic; False for what was said already, as of a shard that two configs share."""
        key = (diagnostic.rule, diagnostic.file, diagnostic.range.start, diagnostic.message)
        if key in self._seen:
            return False
        self._seen.add(key)
        self.diagnostics.append(diagnostic)
        self.summary.count(diagnostic)
        return True

    def keep(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Leave only these diagnostics, and count again."""
        self.diagnostics[:] = diagnostics
        summary = self.summary
        summary.errors = summary.warnings = summary.notes = summary.fixable = summary.unsafe_fixable = 0
        for diagnostic in diagnostics:
            summary.count(diagnostic)

    def worst(self) -> Severity | None:
        return max((d.severity for d in self.diagnostics), key=lambda severity: severity.rank, default=None)


def ordered(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """By file, then by place, then by rule."""
    return sorted(diagnostics, key=lambda d: (d.file, d.range.start, d.rule))
