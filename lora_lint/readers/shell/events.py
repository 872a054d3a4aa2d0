"""What happens in a shell script, in order: commands, and the blocks they stand in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lora_lint.readers.shell.text import Word
from lora_lint.readers.shell.tokens import Heredoc

Block = Literal["group", "subshell", "function", "loop", "branch"]
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[[^\]]*\])?\+?=")
DECLARES = frozenset({"declare", "export", "local", "readonly", "typeset"})
SETS = frozenset({"getopts", "let", "mapfile", "printf", "read", "readarray", "unset"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ARITHMETIC_CHANGE = re.compile(r"([A-Za-z_]\w*)\s*(?:\+\+|--|(?:[-+*/%&|^]|<<|>>)?=(?!=))|(?:\+\+|--)([A-Za-z_]\w*)")


class Assignment(NamedTuple):
    """`NAME=value` before a command or as one; `start` is where the value begins in the first piece of the word."""

    name: str
    word: Word
    start: int
    appends: bool
    indexed: bool


@dataclass(slots=True)
class Command:
    """A simple command; `connector` is the operator before it, where that is `&&`, `||` or `|`."""

    start: int
    connector: str
    end: int = 0
    assignments: list[Assignment] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    heredocs: list[Heredoc] = field(default_factory=list)
    targets: list[Word] = field(default_factory=list)
    """The files that the command writes."""
    strings: list[Word] = field(default_factory=list)
    """What `<<<` hands to the command."""


class Open(NamedTuple):
    """A block begins; `name` is its function, or the variable that a `for` sets from `words`."""

    block: Block
    connector: str = ""
    name: str = ""
    words: tuple[Word, ...] = ()


class Branch(NamedTuple):
    """The next arm of an `if` or `case` begins."""


class Close(NamedTuple):
    """The innermost block ends."""


class Changes(NamedTuple):
    """Arithmetic, which may set any of the names in `text`."""

    text: str
    connector: str = ""


Event = Command | Open | Branch | Close | Changes


def assignment(word: Word) -> Assignment | None:
    """The assignment that a word is, or None."""
    first = word.pieces[0]
    if first.kind != "text" or first.quoted or "=" not in first.text:
        return None
    match = _ASSIGNMENT.match(first.text)
    if match is None:
        return None
    return Assignment(match[1], word, match.end(), match[0].endswith("+="), match[2] is not None)


def plain(word: Word) -> str:
    """The text of a word without quotes and expansions, or an empty string."""
    first = word.pieces[0]
    return first.text if len(word.pieces) == 1 and first.kind == "text" and not first.quoted else ""


def program_of(command: Command) -> str:
    """The name of the program without its folders, where it is written out."""
    return plain(command.words[0]).rpartition("/")[2] if command.words else ""


def assigned_by(arithmetic: str) -> list[str]:
    """The variables that arithmetic sets."""
    return [match[1] or match[2] for match in _ARITHMETIC_CHANGE.finditer(arithmetic)]


def changed_by(event: Event) -> list[str]:
    """The variables to which an event gives another value than one with something added."""
    if isinstance(event, Changes):
        return assigned_by(event.text)
    if isinstance(event, Open):
        return [event.name] if event.block == "loop" and event.name else []
    if not isinstance(event, Command):
        return []
    declared = [assignment(word) for word in event.words[1:]] if program_of(event) in DECLARES else []
    names = [
        found.name
        for found in (*(() if event.words else event.assignments), *declared)
        if found is not None and not found.appends and not _adds(found.word)
    ]
    return names if program_of(event) not in SETS else [*names, *_set_by(event)]


def _set_by(command: Command) -> Iterator[str]:
    """The variables that `read NAME`, `printf -v NAME`, `let NAME=...` and their like set."""
    program = program_of(command)
    words = [plain(word) for word in command.words[1:]]
    if program == "let":
        for word in words:
            yield from assigned_by(word)
    elif program != "printf":
        yield from filter(_NAME.fullmatch, words)
    elif words[:1] == ["-v"]:
        yield from words[1:2]


def _adds(word: Word) -> bool:
    """Whether `NAME=...` begins with what NAME held."""
    name = word.pieces[0].text.partition("=")[0]
    pieces = word.pieces[1:] if word.array is None else tuple(element.pieces[0] for element in word.array)
    if len(pieces) < 2:
        return False
    first = pieces[0]
    return first.kind == "variable" and first.text == name and not first.operator
