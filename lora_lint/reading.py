"""One file to its documents and setups: decoding, syntax, recognition; nothing that is read is executed."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from lora_lint.document import Document, Problem, Source, Span, Syntax, UnreadableError
from lora_lint.facts import Checkpoint, Setup
from lora_lint.files import syntax_of_name
from lora_lint.frameworks import LAST, candidates, framework, has_marker, owner
from lora_lint.frameworks import setup as setup_of

if TYPE_CHECKING:
    from lora_lint.nearby import Nearby

ADAPTER_NAMES = ("adapter_config.json", "adapter_model.safetensors")
"""Endings of files that are an adapter's whatever they hold, so that an unreadable one is always reported."""

_PROSE = ("markdown", "makefile", "dockerfile")
"""Syntaxes of files that few people write for lora-lint: one that can't be read is no fault."""

_LFS = b"version https://git-lfs.github.com/spec/"
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_MOST_FILES = 64 * 1024
"""Bytes that hold most files whole: asking for the limit at once costs a buffer of that size each time."""


@dataclass(eq=False)
class Reading:
    """What was made of one file. `problem` says why it can't be read; `reason` why nothing was found in it."""

    path: str
    source: Source
    documents: list[Document] = field(default_factory=list)
    setups: list[Setup] = field(default_factory=list)
    problem: Problem | None = None
    reason: str = ""
    unopened: bool = False
    """Whether the file couldn't even be opened."""


def read_file(path: str, *, named: bool, limit: int, only: str | None = None, inside: str = "") -> Reading:
    """Read one file; every fault of its content ends in `problem`, never in an exception."""
    name = path.replace(os.sep, "/")
    ours = name.endswith(ADAPTER_NAMES)
    try:
        if path.endswith(".safetensors"):
            return _header(path, name)
        with open(path, "rb", opener=None if named else _regular) as file:
            data = file.read(min(_MOST_FILES, limit + 1))
            if len(data) == _MOST_FILES:
                data += file.read(limit + 1 - len(data))
    except OSError as error:
        problem = Problem(f"can't be read: {(error.strerror or str(error)).lower()}")
        reading = Reading(path, Source(name, ""), problem=problem, unopened=True)
        if not (named or ours):
            reading.problem, reading.reason = None, problem.message
        return reading
    if len(data) > limit:
        problem = Problem(f"not read: larger than {limit} bytes")
        reading = Reading(path, Source(name, ""), reason=problem.message)
        if named or ours:
            reading.problem = problem
        return reading
    return read_bytes(name, data, named=named, only=only, inside=inside, beside=lambda: _beside(path), path=path)


def _regular(path: str, flags: int) -> int:
    """Open a regular file; others found in a folder, or linked to from there, might never end or answer."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("is not a regular file")
    return descriptor


def _beside(path: str) -> Checkpoint | None:
    from lora_lint.checkpoint import beside

    return beside(path)


def _header(path: str, name: str) -> Reading:
    from lora_lint.readers.safetensors import read_header

    source = Source(name, "")
    try:
        read_header(path)
    except UnreadableError as error:
        return Reading(path, source, problem=error.problem)
    return Reading(path, source, reason="weights are read with the config beside them")


def read_bytes(
    name: str,
    data: bytes,
    *,
    named: bool = True,
    only: str | None = None,
    inside: str = "",
    beside: Callable[[], Checkpoint | None] = lambda: None,
    path: str = "",
) -> Reading:
    """Read the bytes of a text file called `name`. `only` names the one framework to see it as.

    `path` is where the file is, so that what its commands name can be found.
    """
    ours = name.endswith(ADAPTER_NAMES)
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    if data.startswith(_LFS) and (named or ours):
        return _unreadable(name, "is a Git LFS pointer, not the file itself; git lfs pull fetches it")
    if (
        not (ours or wide or has_marker(data) or _may_compose(name, data))
        and not (named and only)
        and not (named and not data and name.endswith(".json"))
    ):
        return Reading(name, Source(name, ""), reason="holds no LoRA setting")
    syntax = syntax_of(name, data)
    if syntax is None:
        return Reading(name, Source(name, ""), reason="is in a syntax that isn't read")
    if not data.strip() and syntax == "json":
        return _unreadable(name, "is empty")
    try:
        source = Source(name, decode(data), inside)
    except UnreadableError as error:
        if syntax in _PROSE and not named:
            return Reading(name, Source(name, ""), reason=error.problem.message)
        return _unreadable(name, error.problem.message)
    reading = Reading(name, source)
    try:
        reading.documents = list(documents(source, syntax))
    except UnreadableError as error:
        if not (named or ours) and _names(reading, only) in ([LAST], []):
            reading.reason = f"holds no LoRA setting that can be read: {error.problem.message}"
        else:
            reading.problem = error.problem
        return reading
    names = _names(reading, only)
    _add_setups(reading, names, beside, path)
    if not reading.setups:
        seen = ", ".join(names) or "no framework"
        reading.reason = f"nothing in it is a LoRA setup (keys of {seen})"
    return reading


def _names(reading: Reading, only: str | None) -> list[str]:
    """The frameworks to ask about the documents of a file."""
    if only:
        return [only]
    if len(reading.documents) == 1 and (own := owner(reading.documents[0])):
        return [own]
    return candidates(reading.source.text.encode("utf-8", "surrogatepass"))


def _add_setups(reading: Reading, names: list[str], beside: Callable[[], Checkpoint | None], path: str) -> None:
    """What the documents say; those of commands become what is meant, with the config files that they name."""
    nearby = _nearby(reading, path)
    if len(reading.documents) == 1 and reading.documents[0].syntax == "yaml":
        parts = _of_tree(reading.documents[0], names, nearby)
        if parts is not None:
            reading.setups += map(_completed, parts)
            reading.documents = [setup.document for setup in reading.setups] or reading.documents
            return
    for index, document in enumerate(reading.documents):
        if nearby is not None and document.syntax == "shell" and _names_a_config(document):
            from lora_lint.overrides import setup

            reading.documents[index], found = setup(document, names, nearby)
        else:
            found = setup_of(document, names, (lambda: None) if document.embedded else beside)
        if found is not None:
            reading.setups.append(_completed(found))


def _nearby(reading: Reading, path: str) -> "Nearby | None":
    if not path or not any(document.syntax in ("shell", "yaml") for document in reading.documents):
        return None
    from lora_lint.nearby import Nearby

    return Nearby(path, reading.source.inside)


def _of_tree(document: Document, names: list[str], nearby: "Nearby | None") -> list[Setup] | None:
    if not isinstance(document.data, dict):
        return None
    from lora_lint.hydra.setups import of_file

    return of_file(document, names, nearby)


def _may_compose(name: str, data: bytes) -> bool:
    """Whether a file without a mark of its own may bring in others that have some."""
    if name.endswith((".yaml", ".yml")) and (data.startswith(b"defaults:") or b"\ndefaults:" in data):
        return True
    return b"--config-name" in data


def _names_a_config(command: Document) -> bool:
    """Whether a command names a config file, or sets keys of one that the script it runs may name."""
    from lora_lint.nearby import config_names

    dotted = isinstance(command.data, dict) and any("." in str(key) for key in command.data)
    return any(config_names(command)) or dotted


def _unreadable(name: str, message: str) -> Reading:
    return Reading(name, Source(name, ""), problem=Problem(message))


def _completed(setup: Setup) -> Setup:
    setup.title = framework(setup.framework).TITLE
    data = setup.document.data
    weights = setup.checkpoint is not None and bool(setup.checkpoint.files)
    saved = isinstance(data, dict) and data.get("inference_mode") is True
    setup.trained = setup.kind == "checkpoint" and (weights or saved)
    return setup


def syntax_of(name: str, data: bytes) -> Syntax | None:
    """The syntax by the name's ending; without one, by a shebang or the brace of JSON."""
    if (syntax := syntax_of_name(name.rpartition("/")[2])) is not None:
        return syntax  # type: ignore[return-value]
    ending = os.path.splitext(name)[1]
    first = data[:128].partition(b"\n")[0]
    if first.startswith(b"#!"):
        return "python" if b"python" in first else "shell" if b"sh" in first else None
    return "json" if not ending and data.lstrip()[:1] == b"{" else None


def decode(data: bytes) -> str:
    """The text of a file, without its byte order mark.

    Raises:
        UnreadableError: for bytes that aren't UTF-8 (or UTF-16 with a mark), or NUL bytes.
    """
    encoding = "utf-8"
    for mark, of_mark in _BOMS:
        if data.startswith(mark):
            data, encoding = data[len(mark) :], of_mark
            break
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableError(
            f"isn't {encoding.upper()}: byte {data[error.start]:#04x} at offset {error.start}"
        ) from None
    if "\0" in text:
        raise UnreadableError("holds NUL bytes; it is binary, or was cut off by a crash")
    return text


def documents(source: Source, syntax: Syntax) -> Iterator[Document]:
    """
    Raises:
        UnreadableError: when the text can't be read.
    """
    found: Iterator[Document] = _reader(syntax).read(source)
    yield from found


@cache
def _reader(syntax: Syntax) -> ModuleType:
    return import_module(f"lora_lint.readers.{syntax}")


def whole(source: Source) -> Document:
    """A document that stands for the file itself, to place what concerns no part of it."""
    return Document(source, "yaml", None, Span(0, 0))
