"""Configs and programs that a script writes: here-documents that go into a file, or to Python, expanded as it would."""

import os
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from lora_lint.document import Document, Path, Source, Syntax, Unknown
from lora_lint.embedding import read_inside
from lora_lint.expression import Expression
from lora_lint.readers.shell.events import Command, Event, plain, program_of
from lora_lint.readers.shell.fields import Part
from lora_lint.readers.shell.strings import target
from lora_lint.readers.shell.text import Text, spread
from lora_lint.readers.shell.tokens import Heredoc
from lora_lint.readers.shell.variables import Expander
from lora_lint.readers.shell.words import Words

_SYNTAXES: dict[str, Syntax] = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml", ".py": "python"}
_PYTHON = re.compile(r"i?python[\d.]*")
_EXPANDED = re.compile(r"[$`\\]")
_MARK = re.compile("\ue000(?P<index>[0-9]+)\ue001")
"""Stands for an expansion without a value, in characters that nobody writes."""


def written_files(
    command: Command, text: Text, following: Event | None, expander: Expander, source: Source
) -> Iterator[Document]:
    """The documents of the here-documents that a command, or `tee` behind it, writes into files of other syntaxes."""
    if not command.heredocs:
        return
    syntax = _syntax(command)
    if syntax is None and isinstance(following, Command) and following.connector == "|":
        syntax = _syntax(following)
    if syntax is not None:
        content = _Content(syntax)
        content.add(command.heredocs[-1], text, expander)
        for document in read_inside(source, "".join(content.chars), content.places, syntax):
            yield content.with_unknowns(document)


def _syntax(command: Command) -> Syntax | None:
    program = program_of(command)
    if _PYTHON.fullmatch(program) and [plain(word) for word in command.words[1:]] in ([], ["-"]):
        return "python"
    return _SYNTAXES.get(os.path.splitext(target(command))[1].lower())


@dataclass
class _Content:
    """What is written, with the place of each character, and the expansions that nothing is known of."""

    syntax: Syntax
    chars: list[str] = field(default_factory=list)
    places: "array[int]" = field(default_factory=lambda: array("q"))
    unknown: list[Part] = field(default_factory=list)
    _quotes: int = 0
    """Quotes in the line so far."""

    def add(self, heredoc: Heredoc, text: Text, expander: Expander) -> None:
        body = text.part(heredoc.start, heredoc.end)
        if heredoc.quoted or not _EXPANDED.search(body.chars):
            self._say(body.chars, body.at)
            return
        for piece in Words(body.chars).quoted(0, len(body.chars), heredoc=True):
            for part in expander.parts(piece, body):
                if part.unknown is not None or part.conditional:
                    said = self._mark(part)
                    self._say(said, spread(part.span, len(said)))
                elif piece.kind == "text" and len(part.at) == len(part.text):
                    self._say(part.text, part.at)
                else:
                    self._say(part.text, spread(part.span, len(part.text)))

    def _say(self, chars: str, at: Sequence[int]) -> None:
        self.chars.append(chars)
        self.places.extend(at)
        self._quotes = chars.count('"', chars.rfind("\n") + 1) + (0 if "\n" in chars else self._quotes)

    def _mark(self, part: Part) -> str:
        """What stands for an unknown value: in Python a name, in JSON and TOML a string."""
        name = part.text.strip("${}")
        if self.syntax == "python":
            return name if name.isidentifier() else "_"
        self.unknown.append(part)
        mark = f"\ue000{len(self.unknown) - 1}\ue001"
        outside = self.syntax in ("json", "toml") and self._quotes % 2 == 0
        return f'"{mark}"' if outside else mark

    def with_unknowns(self, document: Document) -> Document:
        """The document with its marks made unknown values."""
        if not self.unknown:
            return document
        expressions: dict[Path, Expression] = {}
        data = self._without_marks(document.data, (), expressions)
        syntax: Syntax = "yaml" if document.syntax == "json" else document.syntax
        return replace(document, syntax=syntax, data=data, expressions={**document.expressions, **expressions})

    def _without_marks(self, value: object, path: Path, expressions: dict[Path, Expression]) -> object:
        if isinstance(value, dict):
            return {
                self._written(key) if isinstance(key, str) else key: self._without_marks(
                    inner, (*path, key), expressions
                )
                for key, inner in value.items()
            }
        if isinstance(value, list):
            return [self._without_marks(inner, (*path, at), expressions) for at, inner in enumerate(value)]
        match = _MARK.search(value) if isinstance(value, str) else None
        if match is None or not isinstance(value, str):
            return value
        part = self._part(match)
        if part is None:
            return value
        if match.span() == (0, len(value)) and part.node is not None:
            expressions[path] = Expression(part.text, part.node)
        reason = part.unknown.reason if part.unknown is not None else f"{part.text} is set only in a branch"
        return Unknown(self._written(value), reason)

    def _part(self, match: re.Match[str]) -> Part | None:
        index = int(match["index"][:9])
        return self.unknown[index] if index < len(self.unknown) else None

    def _written(self, text: str) -> str:
        """Text with the expansions as they are written."""
        return _MARK.sub(lambda match: part.text if (part := self._part(match)) else match[0], text)
