"""A text inside another one: a notebook's cell, a heredoc, a block of Markdown, placed in the whole."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module

from lora_lint.document import Document, Entry, Path, Source, Span, Syntax, UnreadableError

_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a character, which only escapes can write; no parser takes it."""


def read_inside(
    outer: Source, text: str, places: Sequence[int], syntax: Syntax, *, example: bool = False
) -> Iterator[Document]:
    """The documents of a text that stands in `outer`; `places` is where each of its characters stands there.

    Nothing can be rewritten in them: a fix would have to know both syntaxes. A text that can't be read holds nothing.
    """
    inner = Source(outer.name, text if text.isascii() else _SURROGATE.sub("\ufffd", text), outer.inside)
    reader = import_module(f"lora_lint.readers.{syntax}")
    try:
        for document in reader.read(inner):
            yield _placed(document, outer, places, example=example)
    except UnreadableError:
        return


def _placed(document: Document, outer: Source, places: Sequence[int], *, example: bool) -> Document:
    def moved(span: Span) -> Span:
        start = places[span.start] if span.start < len(places) else len(outer.text)
        if span.end <= span.start:
            return Span(start, start)
        return Span(start, max(start, places[min(span.end, len(places)) - 1] + 1))

    def locate() -> Mapping[Path, Entry]:
        return {
            path: Entry(
                moved(entry.value),
                moved(entry.key) if entry.key is not None else None,
                literal=None,
                origin=moved(entry.origin) if entry.origin is not None else None,
            )
            for path, entry in document.entries.items()
        }

    return replace(
        document,
        source=outer,
        span=moved(document.span),
        locate=locate,
        duplicates=tuple(one._replace(first=moved(one.first), second=moved(one.second)) for one in document.duplicates),
        example=document.example or example,
        embedded=True,
    )
