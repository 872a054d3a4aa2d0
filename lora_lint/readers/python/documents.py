"""Calls and declarations of Python code as documents, each value where it stands."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from lora_lint.document import Document, Entry, Path, Source, Span
from lora_lint.expression import Expression
from lora_lint.readers.python.arguments import Arguments, Binder, Place
from lora_lint.readers.python.lines import Lines, Located
from lora_lint.readers.python.values import Value


@dataclass(eq=False)
class Documents:
    """Makes the documents of one piece of code."""

    source: Source
    lines: Lines
    binder: Binder
    example: bool

    def of_call(self, place: Place, arguments: Arguments, *, through: str = "") -> Document:
        lines = self.lines
        values = {name: _told(value) if through else value for name, value in arguments.values.items()}
        span = lines.span(place.node)
        head = place.node.func if isinstance(place.node, ast.Call) and not through else None

        def locate() -> Mapping[Path, Entry]:
            entries = {path: _entry(value, lines) for path, value in _paths(values.items())}
            entries[()] = Entry(document.span, key=lines.span(head) if head is not None else None)
            return entries

        named = [(path, value) for path, value in _paths(values.items()) if value.default or value.symbol is not None]
        document = Document(
            self.source,
            "python",
            {name: value.data for name, value in values.items()},
            span,
            locate,
            callee=self.binder.callee(place),
            through=through,
            scope=_around(place),
            words=("**",) if arguments.open else (),
            defaults=frozenset(path for path, value in named if value.default),
            expressions={path: Expression(lines.code(value.at), value.symbol) for path, value in named if value.symbol},
            example=self.example,
        )
        return document

    def of_declaration(
        self, title: str, node: ast.expr | ast.ClassDef, values: Mapping[str, Value], *, default: bool = True
    ) -> Document:
        """A class or a parser whose defaults are a rank and an alpha, or a thing that they are assigned to."""
        span = self.line(node)
        return Document(
            self.source,
            "python",
            {name: value.data for name, value in values.items()},
            span,
            lambda: {(): Entry(span)} | {(name,): _entry(value, self.lines) for name, value in values.items()},
            callee=title,
            defaults=frozenset((name,) for name in values if default),
            example=self.example,
        )

    def line(self, node: ast.expr | ast.stmt) -> Span:
        """From the start of a node to the end of its first line."""
        start = self.lines.offset(node.lineno, node.col_offset)
        end = self.source.text.find("\n", start)
        return Span(start, end if end >= 0 else len(self.source.text))


def _around(place: Place) -> str:
    """The functions and classes that a call stands in, the outermost first."""
    names = [scope.name for scope in place.use.scope.chain() if scope.kind == "function"]
    return ".".join(reversed(names))


def _told(value: Value) -> Value:
    """A value of a call that was reached through a wrapper; what its caller didn't give is for other callers too."""
    return value if value.given else replace(value, literal=None)


def _paths(values: Iterable[tuple[str | int, Value]]) -> Iterator[tuple[Path, Value]]:
    pending: list[tuple[Path, Value]] = [((name,), value) for name, value in values]
    while pending:
        path, value = pending.pop()
        yield path, value
        pending += [((*path, name), item) for name, item in value.items or ()]


def _entry(value: Value, lines: Lines) -> Entry:
    return Entry(
        lines.span(value.at),
        key=_key(value.key, lines) if value.key is not None else None,
        literal=lines.span(value.literal) if value.literal is not None else None,
        origin=lines.span(value.origin) if value.origin is not None else None,
    )


def _key(node: Located, lines: Lines) -> Span:
    """The node of a keyword covers its value, that of a parameter its annotation; the name alone is the key."""
    name = getattr(node, "arg", None)
    if not isinstance(name, str):
        return lines.span(node)
    start = lines.offset(node.lineno, node.col_offset)
    return Span(start, start + len(name))
