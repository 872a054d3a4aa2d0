"""What the words of a shell script become when its variables are expanded, as far as the script itself tells."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from lora_lint.document import Span, Unknown
from lora_lint.expression import UndecidableError, evaluate
from lora_lint.readers.shell_commands import Assignment
from lora_lint.readers.shell_scope import Binding, Field, Part, Scope, Use, unknown
from lora_lint.readers.shell_words import Lexer, Piece, Text, Word

_MAX_NESTED_DEFAULTS = 4
_MAX_NODES = 16
"""An expression with more nodes isn't put into another one; its variable's name is."""

_FLAG_OR_KEY = re.compile(r"--?[A-Za-z]|\+{0,2}[A-Za-z_][\w.]*=")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ARITHMETIC = re.compile(r"[\w\s+\-*/%()]+", re.ASCII)
_IN_ARITHMETIC = re.compile(r"\$\{([A-Za-z_]\w*)(?::?-([0-9]+))?\}|\$([A-Za-z_]\w*)", re.ASCII)
_BLANKS = re.compile(r"\s+")


@dataclass
class Expander:
    """Expands words in a scope."""

    scope: Scope
    assigning: str = ""
    """The variable whose value is being read."""
    used: set[str] = field(default_factory=set)

    def fields(self, word: Word, text: Text) -> Iterator[Field]:
        """The arguments that a word becomes; none, one or many."""
        span = text.span(word.start, word.end)
        first = word.pieces[0]
        if len(word.pieces) == 1 and first.kind == "text":
            yield Field((_literal(first, text),), span)
            return
        building = _Fields(span)
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
        self.assigning = name
        if word.array is not None:
            arguments = (argument for element in word.array for argument in self.fields(element, text))
            elements = tuple(_unsplit(argument) for argument in arguments)
            if assigned.appends and before is not None:
                elements = (*(before.array or ()), *elements)
            self.scope.spend(len(elements))
            binding = Binding(array=elements)
        else:
            binding = self._scalar(assigned, text, before)
        self.assigning = ""
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
        if isinstance(node, ast.Name) and not _IDENTIFIER.fullmatch(node.id):
            node = None
        return Binding(parts, raw=raw, node=node)

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
        return elements if piece.quoted else (argument for element in elements for argument in _resplit(element))

    def parts(self, piece: Piece, text: Text, *, verbatim: bool = False, depth: int = 0) -> Sequence[Part]:
        """What one piece becomes; `verbatim` keeps the parts that a variable was assigned from."""
        if piece.kind == "text":
            return (_literal(piece, text),)
        if piece.kind == "variable":
            return self._variable(piece, text, verbatim=verbatim, depth=depth)
        if piece.kind == "arithmetic":
            return (self._arithmetic(piece, text),)
        return (_unknown(piece, text, "is the output of a command"),)

    def _variable(self, piece: Piece, text: Text, *, verbatim: bool, depth: int) -> Sequence[Part]:
        name, operator = piece.text, piece.operator
        self.used.add(name)
        if name == self.assigning:
            self.scope.own_uses[name] += 1
        if operator == "transform" or not (piece.subscript == "" or piece.subscript[1:-1].isdecimal()):
            return (_unknown(piece, text, "is made from another value"),)
        binding = self.scope.bindings.get(name)
        if operator in ("-", ":-", "=", ":=") and (binding is None or (operator[0] == ":" and binding.empty)):
            return self._default(piece, text, depth)
        if operator in ("+", ":+"):
            empty = Part("", (), text.span(piece.start, piece.end))
            return (empty if binding is None else _unknown(piece, text, f"depends on ${name}"),)
        if binding is None:
            argument = name.isdecimal() and name != "0"
            reason = "is an argument of the script" if argument else "isn't set in this script"
            return (_unknown(piece, text, reason, _name(self.scope.symbol(name))),)
        if binding.array is not None:
            return self._element(piece, text, binding.array)
        return self._bound(piece, text, binding, verbatim=verbatim)

    def _element(self, piece: Piece, text: Text, array: tuple[Field, ...]) -> Sequence[Part]:
        index = int(piece.subscript[1:-1][:6] or 0)
        self.scope.spend(index)
        if not all(element.known and not element.conditional for element in array[: index + 1]) or index >= len(array):
            return (_unknown(piece, text, "isn't set in this script"),)
        return self._bound(piece, text, Binding(array[index].parts), verbatim=False)

    def _bound(self, piece: Piece, text: Text, binding: Binding, *, verbatim: bool) -> Sequence[Part]:
        """What a variable with a value becomes: one part written here, or those it was assigned from."""
        name, content = piece.text, binding.text
        self.scope.spend(len(content) + len(binding.parts))
        flags = len(binding.parts) > 1 or _BLANKS.search(content) or _FLAG_OR_KEY.match(content)
        if flags and (verbatim or self.assigning):
            return binding.parts
        if flags and not piece.quoted:
            use = Use(name, scalar=False)
            return [part._replace(uses=(*part.uses, use)) for part in binding.parts]
        span = text.span(piece.start, piece.end)
        node = binding.node or _name(self.scope.symbol(name))
        whole = binding.parts[0] if len(binding.parts) == 1 else None
        problem = next((part.unknown for part in binding.parts if part.unknown is not None), None)
        if problem is None and not binding.known:
            problem = Unknown("", f"${name} is set only in a branch")
        if problem is not None:
            raw = text.chars[piece.start : piece.end]
            return (Part(raw, text.at[piece.start : piece.end], span, Unknown(raw, problem.reason), node=node),)
        return (
            Part(
                content,
                whole.at if whole is not None else _places(binding.parts),
                span,
                default=any(part.default for part in binding.parts),
                node=node,
                literal=whole and whole.literal,
                origin=whole and (whole.literal or whole.origin),
                uses=(*(whole.uses if whole else ()), Use(name, scalar=True)),
            ),
        )

    def _default(self, piece: Piece, text: Text, depth: int) -> Sequence[Part]:
        """The value that `${NAME:-value}` has where NAME is not set."""
        if depth >= _MAX_NESTED_DEFAULTS:
            return (_unknown(piece, text, "isn't set in this script"),)
        start, end = piece.argument
        quoted = end - start > 1 and text.chars[start] in "'\"" and text.chars[start] == text.chars[end - 1]
        if quoted:
            start, end = start + 1, end - 1
        pieces = list(Lexer(text.chars).quoted(start, end))
        inner = [part for inner in pieces for part in self.parts(inner, text, depth=depth + 1) if part.text]
        if "=" in piece.operator:
            self.scope.bind(piece.text, Binding(tuple(part._replace(default=True) for part in inner)))
        span = text.span(piece.start, piece.end)
        node: ast.expr = _name(text.chars[piece.start : piece.end])
        if len(inner) == 1 and isinstance(inner[0].node, ast.BinOp):
            node = inner[0].node
        use = Use(piece.text, scalar=True)
        return [
            part._replace(
                default=part.unknown is None,
                span=span,
                node=node if len(inner) == 1 else None,
                origin=part.literal or part.origin,
                uses=(*part.uses, use),
                whole=quoted,
            )
            for part in inner
        ] or (Part("", (), span, default=True),)

    def _arithmetic(self, piece: Piece, text: Text) -> Part:
        values: dict[str, float] = {}
        nodes: dict[str, ast.expr] = {}
        defaulted: set[str] = set()

        def name(match: re.Match[str]) -> str:
            if match[2] and match[1] not in self.scope.bindings:
                values[match[1]] = int(match[2])
                nodes[match[1]] = _name(match[0])
                defaulted.add(match[1])
            return match[1] or match[3]

        written = _IN_ARITHMETIC.sub(name, piece.text)
        tree = _parsed(written)
        if tree is None:
            return _unknown(piece, text, "is arithmetic that isn't read")
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        reasons = [self._operand(operand, values, nodes, defaulted) for operand in sorted(used)]
        node = _substituted(tree, nodes)
        span = text.span(piece.start, piece.end)
        try:
            content = str(int(evaluate(tree, values)))
        except UndecidableError:
            reason = next(filter(None, reasons), "has no value that can be read")
            return _unknown(piece, text, reason, node)
        return Part(content, _spread(span, len(content)), span, default=bool(defaulted), node=node)

    def _operand(self, name: str, values: dict[str, float], nodes: dict[str, ast.expr], defaulted: set[str]) -> str:
        """Note the value and the symbol of a variable in arithmetic; the reason where it has no value."""
        if name in nodes:
            return ""
        if name == self.assigning:
            self.scope.own_uses[name] += 1
        binding = self.scope.bindings.get(name)
        nodes[name] = _name(self.scope.symbol(name))
        if binding is None:
            return f"needs ${name}, which isn't set in this script"
        if binding.node is not None and sum(1 for _ in ast.walk(binding.node)) <= _MAX_NODES:
            nodes[name] = binding.node
        content = binding.text
        if not binding.known or not re.fullmatch(r"-?[0-9]{1,18}", content):
            reasons = (part.unknown.reason for part in binding.parts if part.unknown is not None)
            return f"needs a value: {next(reasons, f'${name} is not a whole number')}"
        values[name] = int(content)
        if any(part.default for part in binding.parts):
            defaulted.add(name)
        return ""


def _substituted(node: ast.expr, nodes: Mapping[str, ast.expr]) -> ast.expr:
    """A copy of an arithmetic expression with its names replaced."""
    if isinstance(node, ast.Name):
        return nodes.get(node.id, node)
    if isinstance(node, ast.BinOp):
        return ast.BinOp(_substituted(node.left, nodes), node.op, _substituted(node.right, nodes))
    if isinstance(node, ast.UnaryOp):
        return ast.UnaryOp(node.op, _substituted(node.operand, nodes))
    return node


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _parsed(arithmetic: str) -> ast.expr | None:
    if not _ARITHMETIC.fullmatch(arithmetic):
        return None
    try:
        tree = ast.parse(" ".join(arithmetic.split()).replace("/", "//"), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    allowed = (ast.BinOp, ast.UnaryOp, ast.Name, ast.Constant, ast.operator, ast.unaryop, ast.expr_context)
    return tree if all(isinstance(node, allowed) for node in ast.walk(tree)) else None


def _literal(piece: Piece, text: Text) -> Part:
    span = text.span(piece.start, piece.end)
    if len(piece.text) == piece.end - piece.start:
        at = text.at[piece.start : piece.end]
        return Part(piece.text, at, span, literal=span if _contiguous(at) else None)
    return Part(piece.text, _spread(span, len(piece.text)), span)


def _unknown(piece: Piece, text: Text, problem: str, node: ast.expr | None = None) -> Part:
    """A part that only running the script would give; `problem` follows the expansion in the reason."""
    raw = text.chars[piece.start : piece.end]
    shown = " ".join(raw[:60].split())
    reason = f"{shown if len(shown) <= 40 else shown[:37] + '...'} {problem}"
    span = text.span(piece.start, piece.end)
    return Part(raw, text.at[piece.start : piece.end], span, Unknown(raw, reason), node=node)


def _contiguous(at: Sequence[int]) -> bool:
    return isinstance(at, range) or all(after == before + 1 for before, after in pairwise(at))


def _spread(span: Span, length: int) -> Sequence[int]:
    """Places for characters that are written nowhere: they begin and end with the span."""
    if length <= 1:
        return (span.start,) * length
    return (*(span.start,) * (length - 1), span.end - 1)


def _without_start(pieces: tuple[Piece, ...], start: int) -> list[Piece]:
    first = pieces[0]
    rest = list(pieces[1:])
    if start < len(first.text) or not rest:
        rest.insert(0, first._replace(start=first.start + start, text=first.text[start:]))
    return rest


def _split(part: Part) -> Iterator[Part | None]:
    """The words of an expanded text, with None between them."""
    end = 0
    for blank in _BLANKS.finditer(part.text):
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


def _places(parts: Iterable[Part]) -> Sequence[int]:
    """Where the text of several parts stands."""
    return [place for part in parts for place in (part.at or _spread(part.span, len(part.text)))]


def _unsplit(argument: Field) -> Field:
    """An element as an array holds it: how it was quoted is forgotten."""
    if not any(part.whole for part in argument.parts):
        return argument
    return argument._replace(parts=tuple(part._replace(whole=False) for part in argument.parts))


def _resplit(element: Field) -> Iterator[Field]:
    """What an element becomes where the array is used without quotes."""
    if element.text and not _BLANKS.search(element.text):
        yield element
        return
    building = _Fields(element.span)
    for part in element.parts:
        yield from building.add(part, splits=part.unknown is None)
    yield from building.end()


@dataclass
class _Fields:
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


def written(word: Word, text: Text) -> Text:
    """What stands between the quotes of a word, its own expansions left as they are."""
    if (
        len(word.pieces) == 1
        and word.pieces[0].kind == "text"
        and len(word.pieces[0].text) == (word.pieces[0].end - word.pieces[0].start)
    ):
        return text.part(word.pieces[0].start, word.pieces[0].end)
    chars: list[str] = []
    at: list[int] = []
    for piece in word.pieces:
        content = piece.text if piece.kind == "text" else text.chars[piece.start : piece.end]
        span = text.span(piece.start, piece.end)
        chars.append(content)
        if len(content) == piece.end - piece.start:
            at += text.at[piece.start : piece.end]
        else:
            at += _spread(span, len(content))
    return Text("".join(chars), at)
