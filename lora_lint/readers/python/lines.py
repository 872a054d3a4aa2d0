"""Places in Python code: from the lines and UTF-8 columns of `ast` to code points of the file."""

import re
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

from lora_lint.document import Source, Span

_LINE_END = re.compile(r"\r\n?|\n")
_SHORT = 1000


class Located(Protocol):
    """The part of an `ast` node that says where it stands."""

    lineno: int
    col_offset: int
    end_lineno: int | None
    end_col_offset: int | None


@dataclass(eq=False)
class Lines:
    """Where each line of a piece of code begins in the file's text; the pieces of an example are parts of lines."""

    text: str
    starts: Sequence[int]
    _columns: dict[int, "array[int]"] = field(default_factory=dict)

    @classmethod
    def of(cls, source: Source) -> "Lines":
        """All lines of a file; unlike `Source.line_starts`, Python ends a line at a lone carriage return too."""
        text = source.text
        if "\r" not in text:
            return cls(text, source.line_starts)
        return cls(text, [0, *(end.end() for end in _LINE_END.finditer(text))])

    def offset(self, line: int, column: int) -> int:
        start = self.starts[min(line, len(self.starts)) - 1]
        if self.text.isascii() or (column < _SHORT and self.text[start : start + column].isascii()):
            return min(start + column, len(self.text))
        table = self._columns.get(line)
        if table is None:
            table = self._columns[line] = self._table(start)
        return start + bisect_left(table, column)

    def _table(self, start: int) -> "array[int]":
        """The UTF-8 column of each code point of a line."""
        end = _LINE_END.search(self.text, start)
        content = self.text[start : end.start() if end else len(self.text)]
        widths = ((c > "\x7f") + (c > "\u07ff") + (c > "\uffff") + 1 for c in content)
        return array("L", accumulate(widths, initial=0))

    def span(self, node: Located) -> Span:
        start = self.offset(node.lineno, node.col_offset)
        if node.end_lineno is None or node.end_col_offset is None:
            return Span(start, start)
        return Span(start, max(start, self.offset(node.end_lineno, node.end_col_offset)))

    def code(self, node: Located, limit: int = 200) -> str:
        """How the file writes a node, on one line and cut at `limit`."""
        start, end = self.span(node)
        text = " ".join(self.text[start : min(end, start + limit)].split())
        return text if end - start <= limit else f"{text[:limit]}…"
