"""One file to its documents and setups: decoding, syntax, recognition; nothing that is read is executed."""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import ModuleType

from lora_lint.decoding import decode, syntax_of
from lora_lint.document import Document, Problem, Source, Span, Syntax, UnreadableError
from lora_lint.facts import Setup
from lora_lint.files import PICKLED, Candidate, named_as_lora
from lora_lint.frameworks import LAST, WORDS, candidates, has_marker, owner
from lora_lint.leftovers import leftover
from lora_lint.search import holds_any
from lora_lint.tensors import Checkpoint

_MAY_BE_WEIGHTS = (".safetensors", ".bin", ".pt", ".lora", ".index.json")
"""How the names of what lies beside a config end, so that a folder without any is done with at once."""
_WEIGHTS = (".safetensors", ".gguf", ".nemo", *PICKLED)
ADAPTER_NAMES = ("adapter_config.json", "adapter_model.safetensors")
"""Endings of files that are an adapter's whatever they hold, so that an unreadable one is always reported."""

_BRINGING = (b"defaults:", b"--config-name")
_TELLING = (*WORDS, *_BRINGING)
"""Files without any of these are done with at the first look."""
_ALONE = (".py", ".json", ".ipynb", ".toml", ".md", ".markdown")
"""Endings of files whose own marks say whether they are about LoRA, whatever they bring in."""
NO_SETTING = "holds no LoRA setting"
_PROSE = ("markdown", "makefile", "dockerfile", "powershell", "batch")
"""Syntaxes of files that few people write for lora-lint: one that can't be read is no fault."""

_LFS = b"version https://git-lfs.github.com/spec/"
_WIDE = (b"\xff\xfe", b"\xfe\xff")
"""How text of two bytes a character begins, in which no marker can be found."""
_NOTHING = Source("", "")
"""The source of files that hold nothing: a tree has many, and none of them is pointed into."""


@dataclass(eq=False, slots=True)
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


def read_file(candidate: Candidate, limit: int, only: str | None = None) -> Reading:
    """Read one file of at most `limit` bytes; every fault of its content ends in `problem`, never in an exception."""
    path, named, inside, regular, names, data = candidate
    name = path if os.sep == "/" else path.replace(os.sep, "/")
    try:
        if path.endswith(_WEIGHTS) or leftover(os.path.basename(path)):
            return _header(path, name, named=named)
        if data is None:
            data = content(path, limit, any_kind=named or regular)
    except OSError as error:
        problem = Problem(f"can't be read: {(error.strerror or str(error)).lower()}")
        reading = Reading(path, Source(name, ""), problem=problem, unopened=True)
        if not (named or name.endswith(ADAPTER_NAMES)):
            reading.problem, reading.reason = None, problem.message
        return reading
    if len(data) > limit:
        problem = Problem(f"not read: larger than {limit} bytes")
        reading = Reading(path, Source(name, ""), reason=problem.message)
        if named or name.endswith(ADAPTER_NAMES):
            reading.problem = problem
        return reading
    if not named and _silent(name, data):
        return Reading(name, _NOTHING, reason=NO_SETTING)
    return read_bytes(
        name, data, named=named, only=only, inside=inside, beside=lambda: _beside(path, names), path=path, names=names
    )


_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)
_AT_FIRST = 64 * 1024
"""Bytes that hold most files whole."""
_AT_END = 512
"""Bytes that are asked for where a file has likely ended."""


def content(path: str, limit: int, *, any_kind: bool) -> bytes:
    """The bytes of a file, some more than `limit` of one that is larger.

    Without `any_kind` only of a regular file; others found in a folder, or linked to from there, might never end or
    answer. Python's own file objects take twice as long, which is what a tree without LoRA would mostly cost.

    Raises:
        OSError: when it can't be read.
    """
    descriptor = os.open(path, _FLAGS if any_kind else _FLAGS | _AT_ONCE)
    try:
        if not (any_kind or stat.S_ISREG(os.fstat(descriptor).st_mode)):
            raise OSError("is not a regular file")
        data = os.read(descriptor, _AT_FIRST)
        size = len(data)
        while size <= limit and (more := os.read(descriptor, size if size >= _AT_FIRST else _AT_END)):
            data += more
            size = len(data)
        return data
    finally:
        os.close(descriptor)


def _beside(path: str, names: frozenset[str] | None) -> Checkpoint | None:
    if names is not None and not any(name.endswith(_MAY_BE_WEIGHTS) for name in names):
        return None
    from lora_lint.checkpoint import beside

    return beside(path)


def _header(path: str, name: str, *, named: bool) -> Reading:
    """Weights: read with the config beside them, else a setup of their own where they are a LoRA's.

    Faults of a base model's are passed over: most clones hold LFS pointers.
    """
    from lora_lint import lone
    from lora_lint.dialects import holds_lora
    from lora_lint.readers.weights import read_contents

    reading = Reading(path, Source(name, ""))
    if (what := leftover(os.path.basename(path))) is not None:
        reading.reason = f"not read: {what}"
    elif (config := lone.claimed(path)) is not None:
        reading.reason = f"is read with the {config} beside it"
    else:
        try:
            if not holds_lora(read_contents(path).tensors):
                reading.reason = "holds no LoRA tensors"
            else:
                _add_lone(reading, path, name)
        except UnreadableError as error:
            ours = named and not path.endswith(PICKLED)  # a hook is given firmware.bin as well
            if ours or name.endswith(ADAPTER_NAMES) or _holds_lora(path):
                reading.problem = error.problem
            else:
                reading.reason = error.problem.message
    return reading


def _add_lone(reading: Reading, path: str, name: str) -> None:
    from lora_lint import lone
    from lora_lint.setups import complete

    if (first := lone.first_shard(path)) is not None and first != os.path.basename(path):
        reading.reason = f"is read with {first}"
    elif (found := lone.setup_of(path, name)) is None:
        reading.reason = "names its tensors as no trainer that is known here"
    else:
        reading.documents, reading.setups = [found.document], [complete(found)]


def _holds_lora(path: str) -> bool:
    """Whether a file of weights is LoRA's by its name, and is there rather than a pointer to it."""
    if not named_as_lora(os.path.basename(path)) or not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(_LFS)) != _LFS


def read_bytes(
    name: str,
    data: bytes,
    *,
    named: bool = True,
    only: str | None = None,
    inside: str = "",
    beside: Callable[[], Checkpoint | None] = lambda: None,
    path: str = "",
    names: frozenset[str] | None = None,
) -> Reading:
    """Read the bytes of a text file called `name`. `only` names the one framework to see it as.

    `path` is where the file is, so that what its commands name can be found.
    """
    ours = name.endswith(ADAPTER_NAMES)
    if data.startswith(_LFS) and (named or ours):
        return _unreadable(name, "is a Git LFS pointer, not the file itself; git lfs pull fetches it")
    awaited = named and (only or (not data and name.endswith(".json")))
    if not awaited and _silent(name, data):
        return Reading(name, _NOTHING, reason=NO_SETTING)
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
        if not (named or ours) and (_is_no_fault(syntax, str(error)) or _names(reading, only) in ([LAST], [])):
            reading.reason = f"holds no LoRA setting that can be read: {error.problem.message}"
        else:
            reading.problem = error.problem
        return reading
    asked = _names(reading, only)
    _understand(reading, asked, beside, path)
    for setup in reading.setups:
        setup.names_beside = names
    if not reading.setups:
        seen = ", ".join(asked) or "no framework"
        reading.reason = f"nothing in it is a LoRA setup (keys of {seen})"
    return reading


def _is_no_fault(syntax: Syntax, message: str) -> bool:
    """Whether what can't be read here may be right all the same: code that is too much for a linter or newer than its
    own Python, and JSON lines, which are data."""
    if syntax in ("python", "notebook"):
        return message.startswith("not read") or ("f-string" in message and sys.version_info < (3, 12))
    return syntax == "json" and "extra data" in message


def _names(reading: Reading, only: str | None) -> list[str]:
    """The frameworks to ask about the documents of a file."""
    if only:
        return [only]
    if len(reading.documents) == 1 and (own := owner(reading.documents[0])):
        return [own]
    return candidates(reading.source.text.encode("utf-8", "surrogatepass"))


def _understand(reading: Reading, names: list[str], beside: Callable[[], Checkpoint | None], path: str) -> None:
    from lora_lint.setups import setups

    meant = list(setups(reading.documents, names, beside, path))
    reading.documents = [document for document, _ in meant]
    reading.setups = [found for _, found in meant if found is not None]


def _silent(name: str, data: bytes) -> bool:
    """Whether a file can't say anything about LoRA: so little of most trees does that this is asked first."""
    if name.endswith(ADAPTER_NAMES) or data.startswith(_WIDE):
        return False
    if not holds_any(data, _TELLING):
        return True
    return not (has_marker(data) or _brings_others(name, data))


def _brings_others(name: str, data: bytes) -> bool:
    """Whether a file without a mark of its own may bring in others that have some."""
    if name.endswith(_ALONE):
        return False
    if name.endswith((".yaml", ".yml")) and (data.startswith(b"defaults:") or b"\ndefaults:" in data):
        return True
    return b"--config-name" in data


def _unreadable(name: str, message: str) -> Reading:
    return Reading(name, Source(name, ""), problem=Problem(message))


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
