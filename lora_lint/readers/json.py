"""JSON: values by the standard library, positions by a scanner that runs only when something was found."""

import json
import re
from array import array
from collections.abc import Iterator, Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NamedTuple

from lora_lint.document import Document, Duplicate, Entry, Path, Source, Span, UnreadableError

MAX_DEPTH = 200
_WHITESPACE = " \t\n\r"
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)")
_TOO_LONG = re.compile(r"\d{309}")
"""A whole number that doesn't fit a float."""


class _Repeats(dict[str, Any]):
    """A mapping that had a key twice; marked so that the scanner is run to find where."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    return mapping if len(mapping) == len(pairs) else _Repeats(pairs)


def read(source: Source) -> Iterator[Document]:
    """The one document of a JSON file.

    Raises:
        UnreadableError: for a syntax error, or nesting that is too deep.
    """
    text = source.text
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(text)
    integer = _integer if _TOO_LONG.search(text) else None
    repeated = False

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        data = dict(pairs)
        repeated |= len(data) != len(pairs)
        return data

    try:
        data = json.loads(text, object_pairs_hook=mapping, parse_int=integer)
    except json.JSONDecodeError as error:
        raise UnreadableError(f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}", error.pos) from None
    yield Document(
        source,
        "json",
        data,
        Span(0, len(text)),
        locate=lambda: scan(text),
        duplicates=tuple(repeats(text)) if repeated else (),
    )


def _check_depth(text: str) -> None:
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > MAX_DEPTH:
            raise UnreadableError(f"not read: nested deeper than {MAX_DEPTH} levels", found.start())


def _integer(text: str) -> float:
    """A whole number; one that is too long for any meaning is infinite, as `1e999` is."""
    return int(text) if len(text) < 309 else float(text)


def _has_repeats(data: object) -> bool:
    pending = [data]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if type(value) is _Repeats:
                return True
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return False


def scan(text: str) -> Mapping[Path, Entry]:
    """Every path of a valid JSON text with the spans of its key and value; the last of repeated keys counts."""
    return {value.path: Entry(value.span, value.key, literal=value.span) for value in _values(text)}


def repeats(text: str) -> Iterator[Duplicate]:
    """Keys that occur twice in one mapping."""
    seen: dict[tuple[int, Path], tuple[Span, str]] = {}
    for value in _values(text):
        if value.key is None:
            continue
        written = text[slice(*value.span)]
        first, before = seen.get((value.owner, value.path), (None, ""))
        if first is not None:
            yield Duplicate(value.path, first, value.key, before == written)
        seen[value.owner, value.path] = value.key, written


class _Value(NamedTuple):
    """A value, its key, and where the container that holds it begins."""

    path: Path
    key: Span | None
    span: Span
    owner: int


class _Container(NamedTuple):
    """A container that is being read; `at` counts the items of a list and is -1 in a mapping."""

    path: Path
    key: Span | None
    owner: int
    start: int
    at: int


def _values(text: str) -> Iterator[_Value]:
    stack: list[_Container] = []
    path: Path = ()
    key: Span | None = None
    owner, at = -1, _skip(text, 0)
    while True:
        character = text[at]
        if character in "{[":
            end = _skip(text, at + 1)
            if text[end] not in "}]":
                stack.append(_Container(path, key, owner, at, 0 if character == "[" else -1))
                path, key, owner, at = _enter(text, end, stack[-1])
                continue
            end += 1
        elif character == '"':
            end = scanstring(text, at + 1, False)[1]
        else:
            end = at
            while end < len(text) and text[end] not in ",]} \t\n\r":
                end += 1
        yield _Value(path, key, Span(at, end), owner)
        at = _skip(text, end)
        while stack:
            top = stack[-1]
            if text[at] == ",":
                stack[-1] = top = top._replace(at=top.at + 1 if top.at >= 0 else -1)
                path, key, owner, at = _enter(text, _skip(text, at + 1), top)
                break
            stack.pop()
            yield _Value(top.path, top.key, Span(top.start, at + 1), top.owner)
            at = _skip(text, at + 1)
        else:
            return


def _enter(text: str, at: int, container: _Container) -> tuple[Path, Span | None, int, int]:
    """Path, key and owner of the next value of a container, and where the value begins."""
    if container.at >= 0:
        return (*container.path, container.at), None, container.start, at
    name, end = scanstring(text, at + 1, False)
    return (*container.path, name), Span(at, end), container.start, _skip(text, _skip(text, end) + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _WHITESPACE:
        at += 1
    return at


def decoded(text: str, span: Span) -> "tuple[str, array[int]]":
    """The string that stands at `span`, with the place of each of its characters."""
    value: str = json.loads(text[slice(*span)], strict=False)
    places, at = array("q"), span.start + 1
    while at < span.end - 1:
        places.append(at)
        match = _ESCAPE.match(text, at) if text[at] == "\\" else None
        at = match.end() if match else at + 1
    return value, places
