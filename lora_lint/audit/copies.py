"""Adapters that say the same: what was made of the first of them holds for the others.

A registry holds thousands of adapters of few kinds. One is a copy of another where both have the same surroundings,
their configs are the same text but for the order of the target modules, their folders hold files of the same names, and
of each of these that had a part in what was made of the first the other has the same. What lies outside of both is the
same for both.
"""

import json
import os
import re
from collections.abc import Sequence, Set
from hashlib import sha256
from typing import NamedTuple

from lora_lint.audit.roots import CONFIG
from lora_lint.audit.rows import decoded
from lora_lint.audit.surroundings import Surroundings, branch, may_name
from lora_lint.audit.tasks import Made
from lora_lint.document import UnreadableError
from lora_lint.files import PICKLED, Candidate
from lora_lint.readers.weights import GGUF, NEMO, SAFETENSORS
from lora_lint.reading import content

KEPT = 2048
"""Kinds of adapters that are remembered."""
TRIED, WORTH, UNLOOKED = 1000, 10, 9000
"""Where not one of ten configs is a copy among so many that were looked at, so many are taken for none."""
LARGEST = 16 * 1024
"""Bytes of a config that is remembered."""
LARGEST_BESIDE = 256 * 1024
"""Bytes that are read of a file beside one, to tell whether it is the same: a header of 1,700 tensors, or all."""

_TARGETS = re.compile(rb'("target_modules": ?\[)(\s*"[\w.]+"(?:,\s*"[\w.]+")*\s*)\]')
"""PEFT writes a set, whose order is another in every run."""
_WORDS = re.compile(rb"[\w.]+")


class Kind(NamedTuple):
    """What copies have in common: the surroundings, the names in the folder, and a digest of what the config says."""

    around: str
    beside: Set[str]
    said: bytes


class Copy(NamedTuple):
    """A config that may be a copy of one that was read, or one that others are copies of."""

    path: str
    data: bytes
    content: str
    """The SHA-256 of `data`."""
    kind: Kind
    targets: bytes


class _First(NamedTuple):
    """The first of a kind, and what was made of it."""

    config: Copy
    made: Made


class _Form(NamedTuple):
    """What holds for all of a kind; `targets` are in the order that its findings quote, None where they quote none."""

    targets: bytes | None
    rows: str
    outside: Set[str]
    inside: tuple[tuple[str, bytes], ...]
    """Files in its folder, and what is held of them."""


class Copies:
    """The kinds of adapters that one process has met.

    In some registries no two are alike: little is done before a second of a kind is met, and where few are, most
    aren't even looked at.
    """

    def __init__(self) -> None:
        self._known: dict[Kind, _First | _Form] = {}
        self._names: dict[bytes, Sequence[bytes] | None] = {}
        """What configs may name, by what they say."""
        self._surroundings = Surroundings()
        self._looked = self._met = self._unlooked = 0

    def likely(self, candidate: Candidate) -> Copy | None:
        """The config of an adapter, to be looked up here; None for other files, which are few or large or links."""
        folder, name = os.path.split(candidate.path)
        if name != CONFIG or not candidate.regular or candidate.beside is None:
            return None
        if self._unlooked:
            self._unlooked -= 1
            return None
        try:
            data = content(candidate.path, LARGEST, any_kind=True)
        except OSError:
            return None
        if len(data) > LARGEST:
            return None
        targets, said = _said(data)
        if said not in self._names:
            if len(self._names) >= KEPT:
                del self._names[next(iter(self._names))]
            self._names[said] = may_name(data)
        around = self._surroundings.around(os.path.dirname(folder) or os.curdir, self._names[said])
        digest = sha256(data).hexdigest()
        return Copy(candidate.path, data, digest, Kind(around, candidate.beside, said), targets)

    def made(self, copy: Copy) -> Made | None:
        """The rows of a copy; None where it is the first of its kind, or something beside it is another."""
        self._looked += 1
        if self._looked == TRIED:
            self._unlooked = 0 if self._met * WORTH > TRIED else UNLOOKED
            self._looked = self._met = 0
        known = self._known.pop(copy.kind, None)
        form = _form(known) if isinstance(known, _First) else known
        if form is not None:
            # Those that come again and again are forgotten last.
            self._known[copy.kind] = form
        if form is None or (form.targets is not None and form.targets != copy.targets):
            return None
        folder = os.path.dirname(copy.path)
        for name, held in form.inside:
            if _held(os.path.join(folder, name)) != held:
                return None
        self._met += 1
        inside = [os.path.join(folder, name) for name, _ in form.inside]
        others = form.outside | set(inside) if inside else form.outside
        return Made(form.rows, copy.content, others)

    def remember(self, copy: Copy, made: Made) -> None:
        """Keep what was made of a config, for those that are like it."""
        if copy.kind not in self._known and len(self._known) >= KEPT:
            del self._known[next(iter(self._known))]
        self._known[copy.kind] = _First(copy._replace(data=b""), made)


def _said(data: bytes) -> tuple[bytes, bytes]:
    """The target modules of a config, and a digest of all that it says but for their order."""
    targets = _TARGETS.search(data)
    if targets is None:
        return b"", sha256(data).digest()
    start, end = targets.span(2)
    words = targets[2]
    parts = (b"%d %d" % (start, words.count(b"\n")), data[:start], data[end:], *sorted(_WORDS.findall(words)))
    return words, sha256(b"\0".join(parts)).digest()


def _form(first: _First) -> _Form | None:
    """What holds for all of the kind of one; None where its rows are its own."""
    folder = os.path.abspath(os.path.dirname(first.config.path))
    own = branch(first.config.kind.around, folder)
    inside: dict[str, bytes] = {}
    outside: set[str] = set()
    for other in first.made.others:
        full = os.path.abspath(other)
        if not full.startswith(os.path.join(folder, "")):
            if full == own or full.startswith(os.path.join(own, "")):
                return None
            outside.add(other)
        elif full != os.path.join(folder, CONFIG):
            held = _held(full)
            if held is None:
                return None
            inside[full[len(folder) + 1 :]] = held
    rows = decoded(first.made.rows)
    if not rows or first.made.content != first.config.content or any(row.content for row in rows):
        return None
    if any(json.dumps(path)[1:-1] in first.made.rows for path in (folder, first.config.path)):
        return None
    findings = json.dumps([row.findings for row in rows])
    quoted = any(word in findings for word in map(bytes.decode, _WORDS.findall(first.config.targets)))
    return _Form(
        first.config.targets if quoted else None,
        first.made.rows,
        frozenset(outside),
        tuple(sorted(inside.items())),
    )


def _held(path: str) -> bytes | None:
    """A digest of what is read of a file beside a config: the header of weights and their size, other files whole.

    None for what can't be told apart by that: large files, links, weights of other formats or without a header.
    """
    if path.endswith((*PICKLED, GGUF, NEMO)) or os.path.islink(path):
        return None
    try:
        if path.endswith(SAFETENSORS):
            from lora_lint.readers.safetensors import header_bytes

            data, size = header_bytes(path)
        else:
            data = content(path, LARGEST_BESIDE, any_kind=False)
            size = len(data)
    except (OSError, UnreadableError):
        return None
    return sha256(b"%d " % size + data).digest() if len(data) <= LARGEST_BESIDE else None
