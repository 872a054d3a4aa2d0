"""What the words of a shell script become when its variables are expanded, as far as the script itself tells."""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from lora_lint.document import Span, Unknown
from lora_lint.readers.shell.arithmetic import arithmetic, name_node
from lora_lint.readers.shell.events import Assignment
from lora_lint.readers.shell.fields import (
    BLANKS,
    Field,
    Fields,
    Part,
    Use,
    literal_part,
    places,
    resplit,
    unknown_part,
    unsplit,
)
from lora_lint.readers.shell.scope import Binding, Scope, unknown
from lora_lint.readers.shell.text import Piece, Text, Word, written
from lora_lint.readers.shell.words import Words

_MAX_NESTED_DEFAULTS = 4
_FLAG_OR_KEY = re.compile(r"--?[A-Za-z]|\+{0,2}[A-Za-z_][\w.]*=")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass
class Expander:
    """Expands words in a scope."""

    scope: Scope
    assigning: bool = False
    """Whether the words are the value of an assignment, so that what they are made of is kept."""
    used: set[str] = field(default_factory=set)
    """The variables that were expanded."""

    def fields(self, word: Word, text: Text) -> Iterator[Field]:
        """The arguments that a word becomes; none, one or many."""
        span = text.span(word.start, word.end)
        first = word.pieces[0]
        if len(word.pieces) == 1 and first.kind == "text":
            yield Field((literal_part(first, text),), span)
            return
        building = Fields(span)
        for piece in word.pieces:
            array = self._array(piece)
            if array is not None and len(word.pieces) == 1:
                yield from array
                return
            if array is not None:
                yield from building.elements(array)
                continue
            splits = piece.kind == "variable" and not piece.quoted
            for part in self.parts(piece, text):
                yield from building.add(part, splits=splits and not part.whole and part.unknown is None)
        yield from building.end()

    def value(self, word: Word, text: Text, start: int) -> tuple[Part, ...]:
        """The parts of what is assigned by a word, of whose first piece `start` characters are the name."""
        pieces = _without_start(word.pieces, start)
        if len(pieces) == 1:
            return tuple(part._replace(whole=False) for part in self.parts(pieces[0], text))
        parts = (part for piece in pieces for part in self.parts(piece, text, verbatim=True))
        return tuple(part._replace(whole=False) if part.whole else part for part in parts)

    def bind(self, assigned: Assignment, text: Text, *, local: bool = False) -> None:
        """Run an assignment."""
        name, word = assigned.name, assigned.word
        if assigned.indexed:
            self.scope.bind(name, unknown(name, f"${name} is set by index"), local=local)
            return
        before = self.scope.bindings.get(name)
        self.assigning = True
        if word.array is None:
            binding = self._scalar(assigned, text, before)
        else:
            kept = before.array or () if before is not None and assigned.appends else ()
            added = (unsplit(argument) for element in word.array for argument in self.fields(element, text))
            binding = Binding(array=(*kept, *added))
            self.scope.spend(len(binding.array or ()))
        self.assigning = False
        self.scope.bind(name, binding, local=local)

    def _scalar(self, assigned: Assignment, text: Text, before: Binding | None) -> Binding:
        parts = self.value(assigned.word, text, assigned.start)
        raw: Text | None = written(Word(0, 0, tuple(_without_start(assigned.word.pieces, assigned.start))), text)
        if assigned.appends:
            if before is not None and before.array is not None:
                return unknown(assigned.name, f"${assigned.name} is an array that text is added to")
            if before is not None:
                parts, raw = (*before.parts, *parts), None
        self.scope.spend(len(parts) + sum(len(part.text) for part in parts))
        node = parts[0].node if len(parts) == 1 else None
        return Binding(parts, raw=raw, node=None if isinstance(node, ast.Name) and node.id[:1] == "$" else node)

    def _array(self, piece: Piece) -> Iterable[Field] | None:
        """The elements of `${NAME[@]}`, no field where nothing is known of `$@`; None for other pieces."""
        if piece.kind != "variable" or piece.operator == "transform":
            return None
        if piece.text in ("@", "*"):
            return ()
        if piece.subscript not in ("[@]", "[*]"):
            return None
        binding = self.scope.bindings.get(piece.text)
        if binding is None or binding.array is None:
            return ()
        self.scope.spend(len(binding.array))
        if self.assigning:
            return binding.array
        use = Use(piece.text, scalar=False)
        elements = (
            Field(tuple(part._replace(uses=(*part.uses, use)) for part in element.parts), element.span)
            for element in binding.array
        )
        return elements if piece.quoted else (argument for element in elements for argument in resplit(element))

    def parts(self, piece: Piece, text: Text, *, verbatim: bool = False, depth: int = 0) -> Sequence[Part]:
        """What one piece becomes; `verbatim` keeps the parts that a variable was assigned from."""
        if piece.kind == "text":
            return (literal_part(piece, text),)
        if piece.kind == "variable":
            return self._variable(piece, text, verbatim=verbatim, depth=depth)
        if piece.kind == "arithmetic":
            return (arithmetic(piece, text, self.scope),)
        return (unknown_part(piece, text, "is the output of a command"),)

    def _variable(self, piece: Piece, text: Text, *, verbatim: bool, depth: int) -> Sequence[Part]:
        name, operator = piece.text, piece.operator
        self.used.add(name)
        if operator == "transform" or not (piece.subscript == "" or piece.subscript[1:-1].isdecimal()):
            return (unknown_part(piece, text, "is made from another value"),)
        binding = self.scope.bindings.get(name)
        if operator in ("-", ":-", "=", ":=") and (binding is None or (operator[0] == ":" and binding.empty)):
            return self._default(piece, text, depth)
        if operator in ("+", ":+"):
            empty = Part("", (), text.span(piece.start, piece.end))
            return (empty if binding is None else unknown_part(piece, text, f"depends on ${name}"),)
        if binding is None:
            if not _IDENTIFIER.fullmatch(name):
                return (unknown_part(piece, text, "is known only when the script runs"),)
            return (unknown_part(piece, text, "isn't set in this script", name_node(self.scope.symbol(name))),)
        if binding.array is not None:
            return self._element(piece, text, binding.array)
        return self._bound(piece, text, binding, verbatim=verbatim)

    def _element(self, piece: Piece, text: Text, array: tuple[Field, ...]) -> Sequence[Part]:
        index = int(piece.subscript[1:-1][:6] or 0)
        self.scope.spend(index)
        if not all(element.known and not element.conditional for element in array[: index + 1]) or index >= len(array):
            return (unknown_part(piece, text, "isn't set in this script"),)
        return self._bound(piece, text, Binding(array[index].parts), verbatim=False)

    def _bound(self, piece: Piece, text: Text, binding: Binding, *, verbatim: bool) -> Sequence[Part]:
        """What a variable with a value becomes: one part written here, or those it was assigned from."""
        name, content = piece.text, binding.text
        self.scope.spend(len(content) + len(binding.parts))
        flags = len(binding.parts) > 1 or BLANKS.search(content) or _FLAG_OR_KEY.match(content)
        if flags and (verbatim or self.assigning):
            return binding.parts
        if flags and not piece.quoted:
            use = Use(name, scalar=False)
            return [part._replace(uses=(*part.uses, use)) for part in binding.parts]
        problem = next((part.unknown.reason for part in binding.parts if part.unknown is not None), "")
        if not problem and not binding.known:
            problem = f"${name} is set only in a branch"
        node = binding.node or (name_node(self.scope.symbol(name)) if _IDENTIFIER.fullmatch(name) else None)
        return (_unknown(piece, text, problem, node) if problem else _one(piece, text, binding, node),)

    def _default(self, piece: Piece, text: Text, depth: int) -> Sequence[Part]:
        """The value that `${NAME:-value}` has where NAME is not set."""
        if depth >= _MAX_NESTED_DEFAULTS:
            return (unknown_part(piece, text, "isn't set in this script"),)
        start, end = piece.argument
        quoted = end - start > 1 and text.chars[start] in "'\"" and text.chars[start] == text.chars[end - 1]
        if quoted:
            start, end = start + 1, end - 1
        pieces = list(Words(text.chars).quoted(start, end))
        inner = [part for inner in pieces for part in self.parts(inner, text, depth=depth + 1) if part.text]
        if "=" in piece.operator:
            self.scope.bind(piece.text, Binding(tuple(part._replace(default=True) for part in inner)))
        whole = text.span(piece.start, piece.end)
        if not inner:
            return (Part("", (), whole, default=True),)
        node = name_node(text.chars[piece.start : piece.end]) if len(inner) == 1 else None
        return [_defaulted(part, whole, node, quoted=quoted) for part in inner]


def _without_start(pieces: tuple[Piece, ...], start: int) -> list[Piece]:
    first = pieces[0]
    rest = list(pieces[1:])
    if start < len(first.text) or not rest:
        rest.insert(0, first._replace(start=first.start + start, text=first.text[start:]))
    return rest


def _unknown(piece: Piece, text: Text, reason: str, node: ast.expr | None) -> Part:
    raw = text.part(piece.start, piece.end)
    return Part(raw.chars, raw.at, text.span(piece.start, piece.end), Unknown(raw.chars, reason), node=node)


def _one(piece: Piece, text: Text, binding: Binding, node: ast.expr | None) -> Part:
    """What a variable holds as one part, written where the variable is used."""
    whole = binding.parts[0] if len(binding.parts) == 1 else None
    return Part(
        binding.text,
        whole.at if whole is not None else places(binding.parts),
        text.span(piece.start, piece.end),
        default=any(part.default for part in binding.parts),
        node=node,
        literal=whole and whole.literal,
        origin=whole and (whole.literal or whole.origin),
        uses=(*(whole.uses if whole else ()), Use(piece.text, scalar=True)),
    )


def _defaulted(part: Part, span: Span, node: ast.expr | None, *, quoted: bool) -> Part:
    """A part of the value of `${NAME:-value}`, which nobody should rewrite alone: NAME may be set from outside."""
    node = part.node if isinstance(part.node, ast.BinOp) else node
    origin = part.literal or part.origin
    known = part.unknown is None
    return part._replace(default=known, span=span, node=node, literal=None, origin=origin, whole=quoted)
