"""Documents: plain data as a framework would read it, and where in the file each value stands."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from lora_lint.once import once

if TYPE_CHECKING:
    from lora_lint.credentials import Credential
    from lora_lint.expression import Expression

Path = tuple[str | int, ...]
"""Keys and indices from the root of a document, the shape of pydantic's `loc`."""

Syntax = Literal[
    "yaml",
    "json",
    "toml",
    "shell",
    "powershell",
    "batch",
    "python",
    "notebook",
    "makefile",
    "dockerfile",
    "markdown",
    "weights",
]


class Span(NamedTuple):
    """Half-open range of code points in a file's text."""

    start: int
    end: int


class Position(NamedTuple):
    """Line and column, both from 1; a byte order mark is not counted."""

    line: int
    column: int


@dataclass(slots=True, frozen=True)
class Unknown:
    """A value that only running the program would give: `$RANK`, `args.lora_r`, `{{ jinja }}`."""

    text: str
    reason: str


@dataclass(slots=True, frozen=True)
class Entry:
    """Where one value stands.

    `literal` is the one place that holds the value's text and that may be rewritten: the value itself, or the
    assignment of the only variable it comes from. It is None where a rewrite would touch something else as well.
    """

    value: Span
    key: Span | None = None
    literal: Span | None = None
    origin: Span | None = None
    """The other place that gives the value (a variable, a default), where there is one."""


class Duplicate(NamedTuple):
    """The same key twice in one mapping; the last one counts in every syntax we read."""

    path: Path
    first: Span
    second: Span
    same: bool = False
    """Whether the value is the same both times, so that it doesn't matter which one counts."""


class Problem(NamedTuple):
    """Why a text, or a part of it, can't be read, and where."""

    message: str
    offset: int = 0


class UnreadableError(Exception):
    """The text can't be read at all; carries the message and the offset of the fault."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.problem = Problem(message, offset)


@dataclass(eq=False)
class Source:
    """One file, decoded once. All offsets count code points of `text`, which holds no byte order mark."""

    name: str
    text: str
    inside: str = ""
    """The path from the folder that was to be checked, for what a path tells: the name when not given."""

    def __post_init__(self) -> None:
        self.inside = self.inside or self.name

    @once
    def line_starts(self) -> list[int]:
        starts, at = [0], self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        return starts

    def position(self, offset: int) -> Position:
        if not offset:
            return Position(1, 1)
        from bisect import bisect_right

        line = bisect_right(self.line_starts, offset)
        return Position(line, offset - self.line_starts[line - 1] + 1)

    @once
    def credentials(self) -> "tuple[Credential, ...]":
        """The tokens of services that stand in the text."""
        from lora_lint.credentials import credentials

        return tuple(credentials(self.text))

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its end; tokens are blotted out, as it is to be shown."""
        start = self.line_starts[number - 1]
        end = self.line_starts[number] if number < len(self.line_starts) else len(self.text)
        text = self.text[start:end].rstrip("\r\n")
        for _, span in self.credentials:
            if start <= span.start < end:
                text = text[: span.start - start] + "*" * (span.end - span.start) + text[span.end - start :]
        return text


def _nowhere() -> Mapping[Path, Entry]:
    return {}


def _alone() -> "Mapping[str, Document]":
    return {}


@dataclass(eq=False)
class Document:
    """One thing that a framework reads: a JSON file, a YAML document, one command, one Python call.

    `data` holds plain values and `Unknown`. `callee` is the program of a command or the function of a call, as written;
    `words` are the command's words that belong to no flag; `("**",)` for a call that more keywords may come into.
    """

    source: Source
    syntax: Syntax
    data: object
    span: Span
    locate: Callable[[], Mapping[Path, Entry]] = field(default=_nowhere, repr=False)
    callee: str = ""
    through: str = ""
    """The LoRA call that a same-file wrapper makes on behalf of `callee`."""
    scope: str = ""
    """The function or method, with its classes, that a call stands in."""
    words: tuple[str, ...] = ()
    defaults: frozenset[Path] = frozenset()
    """Paths whose value is a default of the same file: argparse, a dataclass, a parameter."""
    expressions: "Mapping[Path, Expression]" = field(default_factory=dict)
    """Values written with names, whether or not the names could be resolved."""
    duplicates: tuple[Duplicate, ...] = ()
    example: bool = False
    """Stands in a docstring, a string or a test: worth a note at most."""
    deed: str = ""
    """What code does to an adapter or its base model where no setting tells: `loads-frozen`, `thaws` and their like."""
    embedded: bool = False
    """Stands in a text of another syntax, where nothing is rewritten."""
    program: Mapping[str, object] = field(default_factory=dict)
    """The options of the program that a command runs, with their defaults, where the program stands near the file."""
    base: str = ""
    """The config file that a command names; its values are in `data`, beneath those that the command gives."""
    comes_from: Callable[[Path], str] | None = field(default=None, repr=False)
    """The file and the line of a value that another file gives, where `base` is composed of several."""
    open: Mapping[Path, str] = field(default_factory=dict)
    """Mappings into which something that isn't read may put more keys, with the reason."""
    alongside: "Callable[[], Mapping[str, Document]]" = field(default=_alone, repr=False)
    """Finds the `companions`."""

    @property
    def alive(self) -> bool:
        """Whether it is an object of a running program, which has no text and so no places."""
        return self.embedded and not self.source.text

    @property
    def called(self) -> str:
        """The program or the function, behind a same-file wrapper where there is one."""
        return self.through or self.callee

    @once
    def companions(self) -> "Mapping[str, Document]":
        """The other calls of the same file that make up the run, by what they call; their paths begin with it."""
        return self.alongside()

    @once
    def entries(self) -> Mapping[Path, Entry]:
        own = self.locate()
        beside = [
            ((name, *path), entry)
            for name, document in self.companions.items()
            for path, entry in (*document.entries.items(), ((), Entry(document.span)))
        ]
        return {**dict(beside), **own} if beside else own

    def entry(self, path: Path) -> Entry | None:
        """The entry of `path`, or None where nothing is written there."""
        return self.entries.get(path)

    def gives_default(self, path: Path) -> bool:
        """Whether the file itself gives the value at `path`, as the default of an option, a field or a parameter."""
        if path in self.defaults:
            return True
        companion = self.companions.get(str(path[0])) if path else None
        return companion is not None and path[1:] in companion.defaults

    def opened(self, path: Path) -> str:
        """Why nobody knows whether something sets the key at `path`; empty where the document is all there is."""
        if not self.open:
            return ""
        return next((why for at, why in self.open.items() if path[: len(at)] == at or at[: len(path)] == path), "")

    def span_of(self, path: Path) -> Span:
        """Where `path` stands; parts that were never written (union tags, defaults) fall back to the parent."""
        entries = self.entries
        while path:
            entry = entries.get(path)
            if entry is not None:
                return entry.value
            path = path[:-1]
        entry = entries.get(())
        return entry.key or entry.value if entry else self.span


def lookup(data: object, path: Iterable[str | int]) -> object:
    """
    Raises:
        KeyError: when nothing stands at `path`.
    """
    for part in path:
        if isinstance(data, list):
            if not isinstance(part, int) or not 0 <= part < len(data):
                raise KeyError(part)
            data = data[part]
        elif isinstance(data, Mapping):
            data = data[part]
        else:
            raise KeyError(part)
    return data
