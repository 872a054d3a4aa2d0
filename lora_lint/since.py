"""What a change brought about: the setups as they were before it, and the findings that it touched."""

import difflib
from collections.abc import Iterable, Iterator

from lora_lint.facts import Setup
from lora_lint.finding import Diagnostic
from lora_lint.git import Changes
from lora_lint.reading import Reading, read_bytes

MOST_LINES = 20_000
"""Lines of a file that are compared; of a longer one every line counts as touched."""


class Since:
    """The state of the files at a revision."""

    def __init__(self, changes: Changes) -> None:
        self.changes = changes

    def changed(self, path: str) -> bool:
        return self.changes.of(path) is not None

    def before(self, reading: Reading) -> Reading | None:
        """A file as it was, its setups tied to those of today; None for a new file."""
        change = self.changes.of(reading.path)
        data = self.changes.before(change) if change is not None else None
        if data is None:
            return None
        before = read_bytes(reading.path, data, named=False, inside=reading.source.inside)
        for old, new in _pairs(before.setups, reading.setups):
            new.before = old
        return before

    @staticmethod
    def touched(
        found: Iterable[Diagnostic], reading: Reading, before: Reading | None, known: Iterable[Diagnostic]
    ) -> Iterator[Diagnostic]:
        """The findings on a line that changed, and those that weren't there before."""
        if before is None or before.problem is not None:
            yield from found
            return
        lines = _changed_lines(before.source.text, reading.source.text)
        old = {(one.key, one.message) for one in known}
        for one in found:
            within = lines is None or any(at in lines for at in range(one.range.start.line, one.range.end.line + 1))
            if within or (one.key, one.message) not in old:
                yield one


def _pairs(old: list[Setup], new: list[Setup]) -> Iterator[tuple[Setup, Setup]]:
    """Setups of the same framework and call, in order: one that was put in between shifts none of another kind."""
    left = list(old)
    for setup in new:
        mark = (setup.framework, setup.document.callee, setup.document.scope)
        one = next((one for one in left if (one.framework, one.document.callee, one.document.scope) == mark), None)
        if one is not None:
            left.remove(one)
            yield one, setup


def _changed_lines(before: str, after: str) -> set[int] | None:
    """The lines of the new text that were changed or added, and the ones around what was taken out; None for all."""
    old, new = before.splitlines(), after.splitlines()
    if len(old) + len(new) > MOST_LINES:
        return None
    found: set[int] = set()
    for kind, _, _, start, end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            found.update(range(start + 1, end + 1) if end > start else (start, start + 1))
    return found
