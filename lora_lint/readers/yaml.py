"""YAML: composed from the C parser's events, within limits, as PyYAML's safe loader would read it."""

import math
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import yaml
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.resolver import Resolver

from lora_lint.document import Document, Duplicate, Entry, Path, Source, Span, UnreadableError
from lora_lint.document import Unknown as UnknownValue

MAX_DEPTH = 200
MAX_ALIAS_NODES = 100_000
"""Nodes that aliases may stand for in all, so that a bomb of aliases costs nothing."""
MAX_DOCUMENTS = 5000
"""Far more than any one file holds; each is a setup with findings of its own."""

_TOO_DEEP = f"not read: nested deeper than {MAX_DEPTH} levels"
_MERGE = "tag:yaml.org,2002:merge"
_TEMPLATE = re.compile(r"\{\{|\{%")
_COMMAND = re.compile(
    r"(?:^[ \t-]*+|[{,][ \t]*+)[\"']?"
    r"(?:run|(?:before_|after_)?script|inlineScript|bash|setup|commands?|cmds?|entrypoint|args)[\"']?[ \t]*:",
    re.MULTILINE,
)
"""A key of which `yaml_commands` reads the value."""
_FILE = re.compile(r"\.(?:ya?ml|json|toml|sh|py)[\"']?[ \t]*:[ \t]*(?:[&!][^\s]*[ \t]*)?[|>\"']")
"""A key of which `yaml_files` reads the value."""


class _Resolver(Resolver):
    """The implicit types of YAML 1.1, as PyYAML resolves them."""


class _Scalars(SafeConstructor):
    """PyYAML's own conversion of scalars."""


@dataclass(slots=True)
class _Node:
    """A composed node: a plain value for a scalar, items for a sequence, pairs for a mapping."""

    span: Span
    value: Any = None
    items: list["_Node"] | None = None
    pairs: list[tuple["_Node", "_Node"]] | None = None
    size: int = 1
    depth: int = 0
    shared: bool = False
    merge: bool = False


@dataclass(slots=True)
class _Open:
    """A collection whose end hasn't come."""

    node: _Node
    anchor: str | None
    key: _Node | None = None


@dataclass(slots=True)
class _Composer:
    """Turns the events of one file into nodes, without recursion."""

    loader: Any
    resolver: _Resolver = field(default_factory=_Resolver)
    scalars: _Scalars = field(default_factory=_Scalars)
    alias_nodes: int = 0

    def documents(self) -> Iterator[tuple[_Node, Span]]:
        stack: list[_Open] = []
        anchors: dict[str, _Node] = {}
        root: _Node | None = None
        start = count = 0
        while (event := self.loader.get_event()) is not None:
            kind = type(event)
            if kind is yaml.DocumentStartEvent:
                anchors, root, start = {}, None, event.start_mark.index
                count += 1
                if count > MAX_DOCUMENTS:
                    raise UnreadableError(f"not read: more than {MAX_DOCUMENTS} documents", start)
            elif kind is yaml.DocumentEndEvent:
                if root is not None:
                    yield root, Span(start, event.end_mark.index)
            elif kind in (yaml.SequenceStartEvent, yaml.MappingStartEvent):
                stack.append(self._opened(event, len(stack)))
            elif kind not in (yaml.StreamStartEvent, yaml.StreamEndEvent):
                node = self._node(event, stack, anchors)
                if stack:
                    _attach(stack[-1], node)
                else:
                    root = node

    @staticmethod
    def _opened(event: Any, depth: int) -> _Open:
        at = event.start_mark.index
        if depth >= MAX_DEPTH:
            raise UnreadableError(_TOO_DEEP, at)
        node = _Node(Span(at, at))
        if type(event) is yaml.SequenceStartEvent:
            node.items = []
        else:
            node.pairs = []
        return _Open(node, event.anchor)

    def _node(self, event: Any, stack: list[_Open], anchors: dict[str, _Node]) -> _Node:
        """The node that an event completes: a collection that ends, an alias or a scalar."""
        if type(event) is yaml.AliasEvent:
            return self._alias(event, anchors, len(stack))
        if type(event) is yaml.ScalarEvent:
            node, anchor = self._scalar(event), event.anchor
        else:
            done = stack.pop()
            node, anchor = done.node, done.anchor
            node.span = Span(node.span.start, event.end_mark.index)
        if anchor:
            anchors[anchor] = node
        return node

    def _alias(self, event: Any, anchors: dict[str, _Node], depth: int) -> _Node:
        target = anchors.get(event.anchor)
        if target is None:
            raise UnreadableError(f"not YAML: the alias *{event.anchor} stands for nothing", event.start_mark.index)
        target.shared = True
        self.alias_nodes += target.size
        if self.alias_nodes > MAX_ALIAS_NODES:
            raise UnreadableError(
                f"not read: its aliases stand for more than {MAX_ALIAS_NODES} values", event.start_mark.index
            )
        if depth + target.depth > MAX_DEPTH:
            raise UnreadableError(_TOO_DEEP, event.start_mark.index)
        span = Span(event.start_mark.index, event.end_mark.index)
        return replace(target, span=span, shared=True)

    def _scalar(self, event: Any) -> _Node:
        span = Span(event.start_mark.index, event.end_mark.index)
        text = event.value
        tag = event.tag
        if tag is None or tag == "!":
            tag = self.resolver.resolve(yaml.ScalarNode, text, event.implicit)  # type: ignore[no-untyped-call]
        if tag == _MERGE:
            return _Node(span, text, merge=True)
        return _Node(span, self._construct(tag, text, event))

    def _construct(self, tag: str, text: str, event: Any) -> object:
        if tag == "tag:yaml.org,2002:str":
            return _from_template(text) if _TEMPLATE.search(text) else text
        make = SafeConstructor.yaml_constructors.get(tag)
        if make is None:
            return UnknownValue(text, f"the tag {tag.removeprefix('tag:yaml.org,2002:')[:40]} isn't plain YAML")
        try:
            value = make(self.scalars, yaml.ScalarNode(tag, text))
        except (ValueError, OverflowError, ConstructorError, KeyError, IndexError):
            return UnknownValue(text, f"{text[:40]} isn't a {tag.rpartition(':')[2]} that can be read")
        if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 1000:
            return UnknownValue(text, "a number too long to be read")
        return value


def _from_template(text: str) -> UnknownValue:
    return UnknownValue(text, f"{text.strip()[:40]} is filled in by a template")


def _attach(parent: _Open, node: _Node) -> None:
    parent.node.size += node.size
    parent.node.depth = max(parent.node.depth, node.depth + 1)
    if parent.node.items is not None:
        parent.node.items.append(node)
    elif parent.key is None:
        parent.key = node
    else:
        assert parent.node.pairs is not None
        parent.node.pairs.append((parent.key, node))
        parent.key = None


@dataclass(slots=True)
class _Builder:
    """Nodes to plain data, with the entry of every path."""

    text: str
    entries: dict[Path, Entry] = field(default_factory=dict)
    duplicates: list[Duplicate] = field(default_factory=list)

    def build(self, node: _Node, path: Path, key: Span | None, *, shared: bool) -> object:
        """Recursive, which the composer's limit on depth makes safe."""
        shared = shared or node.shared
        span = Span(node.span.start, _trimmed(self.text, node.span)) if node.pairs or node.items else node.span
        self.entries[path] = Entry(span, key, literal=None if shared else span)
        if node.items is not None:
            return [self.build(item, (*path, at), None, shared=shared) for at, item in enumerate(node.items)]
        if node.pairs is None:
            return node.value
        if self.text.startswith("{{", node.span.start):
            return _from_template(self.text[slice(*span)])
        return self._mapping(node.pairs, path, shared=shared)

    def _mapping(self, pairs: list[tuple[_Node, _Node]], path: Path, *, shared: bool) -> dict[Any, object]:
        data: dict[Any, object] = {}
        seen: dict[Any, Span] = {}
        for key, value in _merged(pairs):
            name = self._name(key)
            data[name] = self.build(value, (*path, name), key.span, shared=True)
        for key, value in pairs:
            if key.merge:
                continue
            name = self._name(key)
            before = data.get(name)
            data[name] = now = self.build(value, (*path, name), key.span, shared=shared)
            if name in seen and not shared:
                same = value.pairs is None and value.items is None and (type(before), before) == (type(now), now)
                self.duplicates.append(Duplicate((*path, name), seen[name], key.span, same))
            seen[name] = key.span
        return data

    def _name(self, key: _Node) -> Any:
        return _plain(key.value if key.pairs is None and key.items is None else self.text[slice(*key.span)])


def _merged(pairs: list[tuple[_Node, _Node]]) -> Iterator[tuple[_Node, _Node]]:
    """The pairs that merge keys bring in, and those that come through these, the weakest first."""
    for key, value in pairs:
        if key.merge:
            for mapping in (value, *reversed(value.items or ())):
                yield from _merged(mapping.pairs or [])
                yield from (pair for pair in mapping.pairs or () if not pair[0].merge)


def _plain(key: object) -> Any:
    if isinstance(key, UnknownValue):
        return key.text
    if isinstance(key, float) and not math.isfinite(key):
        return str(key)
    return key if isinstance(key, str | int | float | bool | None) and isinstance(key, Hashable) else str(key)


def _trimmed(text: str, span: Span) -> int:
    """A block collection's events end where the next one begins; the value ends with its last visible character."""
    end = span.end
    while end > span.start and text[end - 1] in " \t\r\n":
        end -= 1
    return end


def read(source: Source) -> Iterator[Document]:
    """The documents of a YAML file, in order, interpolations filled in, each followed by commands and files in it.

    Raises:
        UnreadableError: for a syntax error, or more depth or aliases than the limits allow.
    """
    interpolated = "${" in source.text or "???" in source.text
    with_files = _FILE.search(source.text) is not None
    with_commands = _COMMAND.search(source.text) is not None
    for document in composed(source):
        if interpolated:
            from lora_lint.interpolation import resolved

            yield resolved(document)
        else:
            yield document
        if with_commands:
            from lora_lint.readers.yaml_commands import commands

            yield from commands(document)
        if with_files:
            from lora_lint.readers.yaml_files import files

            yield from files(document)


def composed(source: Source) -> Iterator[Document]:
    """The documents of a YAML file as they are written.

    Raises:
        UnreadableError: for a syntax error, or more depth or aliases than the limits allow.
    """
    loader_class = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        composer = _Composer(loader_class(source.text))
        for root, span in composer.documents():
            builder = _Builder(source.text)
            data = builder.build(root, (), None, shared=False)
            entries = builder.entries
            yield Document(
                source,
                "yaml",
                data,
                Span(root.span.start, max(root.span.end, span.start)),
                locate=lambda entries=entries: entries,  # type: ignore[misc]
                duplicates=tuple(builder.duplicates),
            )
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if "nesting depth" in (error.problem or ""):
            # Newer C parsers have a limit of their own and look ahead, so that it may come before ours.
            raise UnreadableError(_TOO_DEEP, mark.index if mark else 0) from None
        problem = (error.problem or "syntax error").replace("\n", " ")
        raise UnreadableError(f"not YAML: {problem}", mark.index if mark else 0) from None
    except yaml.YAMLError as error:
        at = getattr(error, "position", 0)
        raise UnreadableError(f"not YAML: {getattr(error, 'reason', 'a character that is not allowed')}", at) from None
