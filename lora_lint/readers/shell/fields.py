"""The arguments that a word becomes, and where each part of them stands."""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lora_lint.document import Span, Unknown
from lora_lint.readers.shell.text import Piece, Text, contiguous, spread

BLANKS = re.compile(r"\s+")


class Use(NamedTuple):
    """A variable that stands between a literal and its use; a scalar must also be assigned only once."""

    name: str
    scalar: bool


class Part(NamedTuple):
    """Text that a word becomes, where each character of it stands, and `span`, which is written for it."""

    text: str
    at: Sequence[int]
    span: Span
    unknown: Unknown | None = None
    default: bool = False
    node: ast.expr | None = None
    literal: Span | None = None
    origin: Span | None = None
    uses: tuple[Use, ...] = ()
    """The variables that may occur nowhere else if `literal` is to be rewritten."""
    conditional: bool = False
    whole: bool = False
    """Quoted where it is written, so never split into words."""


class Field(NamedTuple):
    """One argument of a command; `span` includes its quotes."""

    parts: tuple[Part, ...]
    span: Span

    @property
    def text(self) -> str:
        return self.parts[0].text if len(self.parts) == 1 else "".join(part.text for part in self.parts)

    @property
    def known(self) -> bool:
        return all(part.unknown is None for part in self.parts)

    @property
    def conditional(self) -> bool:
        return any(part.conditional for part in self.parts)


def literal_part(piece: Piece, text: Text) -> Part:
    span = text.span(piece.start, piece.end)
    if len(piece.text) == piece.end - piece.start:
        at = text.at[piece.start : piece.end]
        return Part(piece.text, at, span, literal=span if contiguous(at) else None)
    return Part(piece.text, spread(span, len(piece.text)), span)


def unknown_part(piece: Piece, text: Text, problem: str, node: ast.expr | None = None) -> Part:
    """A part that only running the script would give; `problem` follows the expansion in the reason."""
    raw = text.chars[piece.start : piece.end]
    shown = " ".join(raw[:60].split())
    reason = f"{shown if len(shown) <= 40 else shown[:37] + '...'} {problem}"
    span = text.span(piece.start, piece.end)
    return Part(raw, text.at[piece.start : piece.end], span, Unknown(raw, reason), node=node)


def _split(part: Part) -> Iterator[Part | None]:
    """The words of an expanded text, with None between them."""
    end = 0
    for blank in BLANKS.finditer(part.text):
        if blank.start() > end:
            yield _chunk(part, end, blank.start())
        yield None
        end = blank.end()
    if end < len(part.text):
        yield _chunk(part, end, len(part.text))


def _chunk(part: Part, start: int, end: int) -> Part:
    if start == 0 and end == len(part.text):
        return part
    at = part.at[start:end]
    span = Span(at[0], at[-1] + 1)
    literal = span if part.literal is not None else None
    return part._replace(text=part.text[start:end], at=at, span=span, literal=literal, node=None)


def places(parts: Iterable[Part]) -> Sequence[int]:
    """Where the text of several parts stands."""
    return [place for part in parts for place in (part.at or spread(part.span, len(part.text)))]


def unsplit(argument: Field) -> Field:
    """An element as an array holds it: how it was quoted is forgotten."""
    if not any(part.whole for part in argument.parts):
        return argument
    return argument._replace(parts=tuple(part._replace(whole=False) for part in argument.parts))


def resplit(element: Field) -> Iterator[Field]:
    """What an element becomes where the array is used without quotes."""
    if element.text and not BLANKS.search(element.text):
        yield element
        return
    building = Fields(element.span)
    for part in element.parts:
        yield from building.add(part, splits=part.unknown is None)
    yield from building.end()


@dataclass
class Fields:
    """Builds the arguments that one word becomes; `span` is the word's."""

    span: Span
    current: list[Part] = field(default_factory=list)
    split: bool = False

    def add(self, part: Part, *, splits: bool) -> Iterator[Field]:
        if not splits:
            self.current.append(part)
            return
        inside = self.span.start <= part.span.start and part.span.end <= self.span.end
        self.split = self.split or not inside
        for chunk in _split(part):
            self.split = self.split or chunk is not part
            if chunk is not None:
                self.current.append(chunk)
            elif self.current:
                yield self._joined()

    def elements(self, array: Iterable[Field]) -> Iterator[Field]:
        """An array inside a word: its first and last element join what is beside them."""
        for index, element in enumerate(array):
            self.split = True
            if index:
                yield self._joined()
            self.current += element.parts

    def end(self) -> Iterator[Field]:
        if self.current:
            yield self._joined() if self.split else Field(tuple(self.current), self.span)

    def _joined(self) -> Field:
        parts, self.current = tuple(self.current), []
        start = parts[0].span.start
        return Field(parts, Span(start, max(parts[-1].span.end, start)))
