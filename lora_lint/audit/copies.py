"""Adapters side by side that say the same: what was made of the first of them holds for the others.

A registry holds thousands of adapters of few kinds. One is a copy of another where both lie in one folder, their
configs are the same text but for the order of the target modules, their folders hold files of the same names, and of
each of these that had a part in what was made of the first the other has the same. What lies outside of both is the
same for both.
"""

import json
import os
import re
from collections.abc import Callable, Set
from hashlib import sha256
from typing import NamedTuple

from lora_lint.audit.roots import CONFIG
from lora_lint.audit.rows import Names, Row, decoded, encoded
from lora_lint.files import PICKLED, Candidate

KEPT = 512
"""Kinds of adapters that are remembered."""
TRIED, WORTH, UNLOOKED = 1000, 10, 9000
"""Where not one of ten configs is a copy among so many that were looked at, so many are taken for none."""
LARGEST = 16 * 1024
"""Bytes of a config that is remembered."""
LARGEST_BESIDE = 256 * 1024
"""Bytes that are read of a file beside one, to tell whether it is the same: a header of 1,700 tensors, or all."""

_json = json.JSONEncoder().encode
_TARGETS = re.compile(rb'("target_modules": ?\[)(\s*"[\w.]+"(?:,\s*"[\w.]+")*\s*)\]')
"""PEFT writes a set, whose order is another in every run."""
_WORDS = re.compile(rb"[\w.]+")


class Copy(NamedTuple):
    """A config that may be a copy of one that was read, or one that others are copies of."""

    path: str
    data: bytes
    kind: tuple[object, ...]
    targets: bytes


class Made(NamedTuple):
    """The rows of a file, encoded, and the paths of all that had a part in them besides the file.

    `content` is the SHA-256 of its text; empty for files that aren't text, or none that could be opened.
    """

    rows: str
    content: str
    others: Set[str]
    unopened: bool = False


class _First(NamedTuple):
    """The first of a kind, and what was made of it."""

    config: Copy
    made: Made


class _Form(NamedTuple):
    """What holds for all of a kind; `targets` are in the order that its findings quote, None where they quote none."""

    targets: bytes | None
    rows: tuple[tuple[str, str], ...]
    """Of each row the text before and after its content."""
    outside: Set[str]
    inside: tuple[tuple[str, bytes], ...]
    """Files in its folder, and what is held of them."""


class Copies:
    """The kinds of adapters that one process has met.

    In some registries no two are alike: little is done before a second of a kind is met, and where few are, most
    aren't even looked at.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], _First | _Form | None] = {}
        self._looked = self._met = self._unlooked = 0

    def likely(self, candidate: Candidate) -> Copy | None:
        """The config of an adapter, to be looked up here; None for other files, which are few or large or links."""
        folder, name = os.path.split(candidate.path)
        if name != CONFIG or not candidate.regular or candidate.beside is None:
            return None
        if self._unlooked:
            self._unlooked -= 1
            return None
        data = _beginning(candidate.path, LARGEST + 1)
        if data is None or len(data) > LARGEST:
            return None
        above = os.path.dirname(folder)
        targets = _TARGETS.search(data)
        if targets is None:
            return Copy(candidate.path, data, (above, candidate.beside, data), b"")
        start, end = targets.span(2)
        words = targets[2]
        kind = (above, candidate.beside, data[:start], data[end:], words.count(b"\n"), *sorted(_WORDS.findall(words)))
        return Copy(candidate.path, data, kind, words)

    def made(self, copy: Copy, names_of: Callable[[str], Names]) -> Made | None:
        """The rows of a copy; None where it is the first of its kind, or something beside it is another."""
        self._looked += 1
        if self._looked == TRIED:
            self._unlooked = 0 if self._met * WORTH > TRIED else UNLOOKED
            self._looked = self._met = 0
        form = self._known.get(copy.kind)
        if isinstance(form, _First):
            form = self._known[copy.kind] = _form(form)
        if form is None or (form.targets is not None and form.targets != copy.targets):
            return None
        folder = os.path.dirname(copy.path)
        for name, held in form.inside:
            if _held(os.path.join(folder, name)) != held:
                return None
        content = sha256(copy.data).hexdigest()
        self._met += 1
        names = names_of(copy.path)
        begin = f"[{_json(names.adapter)},{_json(names.file)},"
        end = f",{_json(names.run)}]"
        rows = ",".join([f'{begin}{before}"{content}"{after}{end}' for before, after in form.rows])
        inside = [os.path.join(folder, name) for name, _ in form.inside]
        return Made(f"[{rows}]", content, form.outside | set(inside) if inside else form.outside)

    def remember(self, copy: Copy, made: Made) -> None:
        """Keep what was made of a config, for those that are like it."""
        if copy.kind not in self._known and len(self._known) >= KEPT:
            del self._known[next(iter(self._known))]
        self._known[copy.kind] = _First(copy, made)


def _form(first: _First) -> _Form | None:
    """What holds for all of the kind of one; None where its rows are its own."""
    folder = os.path.abspath(os.path.dirname(first.config.path))
    inside: dict[str, bytes] = {}
    outside: set[str] = set()
    for other in first.made.others:
        full = os.path.abspath(other)
        if not full.startswith(os.path.join(folder, "")):
            outside.add(other)
        elif full != os.path.join(folder, CONFIG):
            held = _held(full)
            if held is None:
                return None
            inside[full[len(folder) + 1 :]] = held
    content = sha256(first.config.data).hexdigest()
    rows = decoded(first.made.rows)
    if not rows or any(row.content != content for row in rows):
        return None
    rest = encoded([row._replace(adapter="", file="", run="") for row in rows])
    if any(json.dumps(path)[1:-1] in rest for path in (folder, first.config.path)):
        return None
    findings = json.dumps([row.findings for row in rows])
    quoted = any(word in findings for word in map(bytes.decode, _WORDS.findall(first.config.targets)))
    return _Form(
        first.config.targets if quoted else None,
        tuple(map(_around, rows)),
        frozenset(outside),
        tuple(sorted(inside.items())),
    )


def _around(row: Row) -> tuple[str, str]:
    """The text of a row between its file's name and its content, and from there to its run."""
    text = encoded([row._replace(adapter="", file="", run="")])
    before, after = text.removeprefix('[["","",').removesuffix(',""]]').split(f'"{row.content}"', 1)
    return before, after


def _held(path: str) -> bytes | None:
    """A digest of what is read of a file beside a config: the header of weights and their size, other files whole.

    None for what can't be told apart by that: large files, links, weights of other formats or without a header.
    """
    if path.endswith((*PICKLED, ".gguf", ".nemo")):
        return None
    if not path.endswith(".safetensors"):
        data = _beginning(path, LARGEST_BESIDE + 1)
        return sha256(data).digest() if data is not None and len(data) <= LARGEST_BESIDE else None
    try:
        size = os.stat(path).st_size
    except OSError:
        return None
    data = _beginning(path, 4096)
    end = 8 + int.from_bytes(data[:8], "little") if data is not None and len(data) >= 8 else size + 1
    if end > min(size, LARGEST_BESIDE):
        return None
    if end > 4096:
        data = _beginning(path, end)
    return sha256(b"%d " % size + data[:end]).digest() if data is not None and len(data) >= end else None


_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


def _beginning(path: str, most: int) -> bytes | None:
    """So many bytes of a regular file, fewer where it ends before; None for links and what can't be read."""
    try:
        descriptor = os.open(path, _FLAGS | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    data = b""
    try:
        while len(data) < most and (more := os.read(descriptor, most - len(data))):
            data += more
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return data
