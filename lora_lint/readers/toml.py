"""TOML: values by the standard library, positions by tree-sitter when something was found."""

import tomllib
from collections.abc import Iterator
from typing import Any

from lora_lint.document import Document, Entry, Path, Source, Span, UnreadableError


def read(source: Source) -> Iterator[Document]:
    """The one document of a TOML file.

    Raises:
        UnreadableError: for a syntax error or nesting that is too deep.
    """
    text = source.text
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnreadableError(
            f"not TOML: {str(error)[:1].lower()}{str(error)[1:]}", _offset(source, str(error))
        ) from None
    except (RecursionError, ValueError, OverflowError) as error:
        raise UnreadableError(f"not read: {str(error)[:80] or 'nested too deep'}") from None
    yield Document(source, "toml", data, Span(0, len(text)), locate=lambda: entries(text))


def _offset(source: Source, message: str) -> int:
    import re

    place = re.search(r"line (\d+), column (\d+)", message)
    if place is None:
        return len(source.text)
    line = min(int(place[1]), len(source.line_starts))
    return min(source.line_starts[line - 1] + int(place[2]) - 1, len(source.text))


def entries(text: str) -> dict[Path, Entry]:
    """Every path of a valid TOML text with the spans of its key and value."""
    import tree_sitter_toml
    from tree_sitter import Language, Parser

    data = text.encode("utf-8")
    tree = Parser(Language(tree_sitter_toml.language())).parse(data)
    places = _Places(text, data)
    places.document(tree.root_node)
    return places.found


class _Places:
    """Collects entries while walking the tables of a document; TOML nests values only as deep as tomllib accepted."""

    def __init__(self, text: str, data: bytes) -> None:
        self.found: dict[Path, Entry] = {}
        self.plain = len(text) == len(data)
        self.data = data
        self.counts: dict[Path, int] = {}

    def span(self, node: Any) -> Span:
        if self.plain:
            return Span(node.start_byte, node.end_byte)
        start = len(self.data[: node.start_byte].decode("utf-8", "ignore"))
        return Span(start, start + len(self.data[node.start_byte : node.end_byte].decode("utf-8", "ignore")))

    def document(self, node: Any) -> None:
        for child in node.named_children:
            if child.type == "pair":
                self.pair(child, ())
            elif child.type in ("table", "table_array_element"):
                self.table(child)

    def table(self, node: Any) -> None:
        key, *pairs = [child for child in node.named_children if child.type != "comment"]
        path = self.resolved(self.keys(key))
        if node.type == "table_array_element":
            index = self.counts[path] = self.counts.get(path, -1) + 1
            path = (*path, index)
        span = self.span(key)
        self.found[path] = Entry(span, span)
        for pair in pairs:
            if pair.type == "pair":
                self.pair(pair, path)

    def resolved(self, keys: tuple[str, ...]) -> Path:
        """A dotted header, with the index of the last element of every array of tables it goes through."""
        path: Path = ()
        for at, key in enumerate(keys):
            path = (*path, key)
            if at < len(keys) - 1 and path in self.counts:
                path = (*path, self.counts[path])
        return path

    def pair(self, node: Any, owner: Path) -> None:
        key, value = (child for child in node.named_children if child.type != "comment")
        path = (*owner, *self.keys(key))
        self.value(value, path, self.span(key))

    def value(self, node: Any, path: Path, key: Span | None) -> None:
        span = self.span(node)
        self.found[path] = Entry(span, key, literal=span)
        if node.type == "array":
            items = (child for child in node.named_children if child.type != "comment")
            for index, item in enumerate(items):
                self.value(item, (*path, index), None)
        elif node.type == "inline_table":
            for pair in node.named_children:
                if pair.type == "pair":
                    self.pair(pair, path)

    def keys(self, node: Any) -> tuple[str, ...]:
        if node.type == "dotted_key":
            return tuple(part for child in node.named_children for part in self.keys(child))
        text = self.data[node.start_byte : node.end_byte].decode("utf-8")
        if node.type == "quoted_key":
            return (next(iter(tomllib.loads(f"{text} = 0"))),)
        return (text,)
