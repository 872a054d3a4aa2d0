"""Fingerprints: which finding it is, wherever its line has moved to."""

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256

from lora_lint.finding import Diagnostic
from lora_lint.reporters import relative


def fingerprints(diagnostics: Iterable[Diagnostic]) -> Iterator[str]:
    """For each finding the digest of what a baseline remembers of it, and which one of that digest it is, from 1."""
    seen: Counter[str] = Counter()
    for diagnostic in diagnostics:
        digest = _digest(diagnostic)
        seen[digest] += 1
        yield f"{digest}:{seen[digest]}"


def _digest(diagnostic: Diagnostic) -> str:
    """A hash of rule, file and key path, the same however the file was named on the command line."""
    named = f"{diagnostic.rule}\0{diagnostic.file}\0"
    path = diagnostic.key.removeprefix(named) or "\0".join(str(part) for part in diagnostic.path)
    key = "\0".join((diagnostic.rule, relative(diagnostic.file) or diagnostic.file, path))
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
