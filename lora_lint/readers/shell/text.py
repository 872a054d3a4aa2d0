"""Shell text that knows where in the file each character stands, and words cut into pieces."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from lora_lint.document import Span


class Text(NamedTuple):
    """Characters to read as shell, and where in the file each of them stands."""

    chars: str
    at: Sequence[int]

    def span(self, start: int, end: int) -> Span:
        """The range of the file that begins with one character and ends with another."""
        if start >= end or not self.chars:
            place = self.at[min(start, len(self.at) - 1)] if self.at else 0
            return Span(place, place)
        return Span(self.at[start], self.at[end - 1] + 1)

    def part(self, start: int, end: int) -> "Text":
        return Text(self.chars[start:end], self.at[start:end])


class Piece(NamedTuple):
    """A part of a word: text without its quotes, or an expansion; offsets count characters of the Text."""

    kind: Literal["text", "variable", "arithmetic", "command"]
    start: int
    end: int
    text: str
    """The text, the name of the variable, or the inside of `$((...))` and `$(...)`."""
    quoted: bool = False
    operator: str = ""
    argument: tuple[int, int] = (0, 0)
    subscript: str = ""
    inner: int = 0
    """Where the inside of an arithmetic or command piece begins."""


class Word(NamedTuple):
    """One word as written; `array` holds the elements of `NAME=( ... )`."""

    start: int
    end: int
    pieces: tuple[Piece, ...]
    array: "tuple[Word, ...] | None" = None


def spread(span: Span, length: int) -> Sequence[int]:
    """Places for characters that are written nowhere: they begin and end with the span."""
    if length <= 1:
        return (span.start,) * length
    return (*(span.start,) * (length - 1), span.end - 1)


def contiguous(at: Sequence[int]) -> bool:
    return isinstance(at, range) or all(after == before + 1 for before, after in pairwise(at))


def written(word: Word, text: Text) -> Text:
    """What stands between the quotes of a word, its own expansions left as they are."""
    first = word.pieces[0]
    if len(word.pieces) == 1 and first.kind == "text" and len(first.text) == first.end - first.start:
        return text.part(first.start, first.end)
    chars: list[str] = []
    at: list[int] = []
    for piece in word.pieces:
        content = piece.text if piece.kind == "text" else text.chars[piece.start : piece.end]
        span = text.span(piece.start, piece.end)
        chars.append(content)
        if len(content) == piece.end - piece.start:
            at += text.at[piece.start : piece.end]
        else:
            at += spread(span, len(content))
    return Text("".join(chars), at)
