"""A shell script put together from parts of another file, with the place of each character there."""

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lora_lint.document import Document, Source
from lora_lint.embedding import read_inside

RESERVED = re.compile(
    r"(?:if|then|else|elif|fi|for|while|until|do|done|case|esac|function|select|time|in|coproc)(?![\w./\\:=-])"
)
"""Words that the shell doesn't take for a program."""

UNKNOWN = "$(:)"
"""A word that nobody knows: what a command prints."""

_PLAIN = re.compile(r"[\w./:=,@%+-]+", re.ASCII)
"""A word that needs no quotes."""


@dataclass
class Composition:
    """The text so far; characters that stand nowhere in the file are placed where the last one stands."""

    _parts: list[str] = field(default_factory=list)
    _places: "array[int]" = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self._places)

    def copy(self, text: str, places: Sequence[int]) -> None:
        """Text as it stands in the file."""
        self._parts.append(text)
        self._places.extend(places)

    def say(self, text: str, at: int | None = None) -> None:
        """Text that the file doesn't hold, placed `at`."""
        place = at if at is not None else self._places[-1] if self._places else 0
        self._parts.append(text)
        self._places.extend([place] * len(text))

    def add(self, other: "Composition") -> None:
        """Another script behind this one."""
        self._parts += other._parts
        self._places.extend(other._places)

    def places(self, start: int, end: int) -> Sequence[int]:
        """Where a part of the script stands in the file."""
        return self._places[start:end]

    def word(self, text: str, places: Sequence[int]) -> None:
        """Text that the shell is to take as one word, and a space; `$(NAME)` is Kubernetes' way to use a variable."""
        if _PLAIN.fullmatch(text):
            self.copy(text, places)
            self.say(" ")
            return
        at = places[0] if places else None
        self.say("'", at)
        end = 0
        for start, name, stop in _variables(text):
            self._quoted(text[end:start], places[end:start])
            self.say("'\"${", places[start])
            self.copy(name, places[start + 2 : stop - 1])
            self.say("}\"'", places[stop - 1])
            end = stop
        self._quoted(text[end:], places[end:])
        self.say("' ")

    def _quoted(self, text: str, places: Sequence[int]) -> None:
        end = 0
        while (quote := text.find("'", end)) >= 0:
            self.copy(text[end:quote], places[end:quote])
            self.say("'\\''", places[quote])
            end = quote + 1
        self.copy(text[end:], places[end:])

    def documents(self, source: Source) -> Iterator[Document]:
        """What the script says about LoRA."""
        text = "".join(self._parts)
        if text.strip():
            yield from read_inside(source, text, self._places, "shell")


def _variables(text: str) -> Iterator[tuple[int, str, int]]:
    """Every `$(NAME)` in a text."""
    end = 0
    while (start := text.find("$(", end)) >= 0:
        end = start + 2
        stop = text.find(")", end)
        if stop < 0:
            return
        name = text[end:stop]
        if name.isidentifier() and name.isascii():
            yield start, name, stop + 1
            end = stop + 1
