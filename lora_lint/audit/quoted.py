"""The lines of a file that a finding speaks of, as an audit keeps them: short, and without the tokens in them."""

from collections.abc import Iterator

from lora_lint.credentials import masked
from lora_lint.finding import Diagnostic

WIDEST = 160
"""Characters of a line; a config may be one line of a megabyte."""
MOST = 3
_BEFORE = 24
"""Characters in front of the place in a line that is too long."""
_CUT = "…"


def quoted(diagnostic: Diagnostic) -> str:
    """The line of a finding and those that explain it, in order: `4<tab>"lora_alpha": 8,` each.

    Empty where the finding stands in no text.
    """
    if not diagnostic.source_lines:
        return ""
    shown: dict[int, str] = {}
    for line, column, text in _lines(diagnostic):
        if line not in shown and len(shown) < MOST:
            shown[line] = _short(masked(text), column)
    return "\n".join(f"{line}\t{text}" for line, text in sorted(shown.items()))


def _lines(diagnostic: Diagnostic) -> Iterator[tuple[int, int, str]]:
    """Line, column from 0 and text of where it stands, then of what it is explained by in the same file."""
    start = diagnostic.range.start
    yield start.line, start.column - 1, diagnostic.source_lines[0]
    if diagnostic.document is not None and diagnostic.document.source.name == diagnostic.file:
        for related in diagnostic.related:
            at = related.range.start
            yield at.line, at.column - 1, diagnostic.document.source.line(at.line)


def _short(text: str, column: int) -> str:
    """What stands around a column of a line."""
    text = text.rstrip()
    if len(text) <= WIDEST:
        return text
    start = max(0, min(column - _BEFORE, len(text) - WIDEST))
    end = start + WIDEST
    return _CUT * (start > 0) + text[start:end] + _CUT * (end < len(text))
