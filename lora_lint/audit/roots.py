"""Where adapters lie, and what they are called there: folders, Hugging Face caches, runs with checkpoints."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import NamedTuple, Protocol

from lora_lint.audit.beside import Stamp, is_current, stamp, stamped
from lora_lint.audit.rows import Names, run_of
from lora_lint.base_name import cached_repository
from lora_lint.files import Candidate, Top, Walk
from lora_lint.finding import Skipped
from lora_lint.linter import Linter
from lora_lint.reading import Reading

CONFIG = "adapter_config.json"
SHORT = 7
"""Digits of a revision that are shown, as git and the hub show it."""

_SNAPSHOTS = f"{os.sep}snapshots"
_SNAPSHOT = re.compile(r"(?P<model>.*/models--[^/]+)/snapshots/(?P<revision>[^/]+)(?:/(?P<inside>.*))?")


class Place(NamedTuple):
    """Something still to be gone through: a folder with all below it, or one file."""

    path: str
    kind: str
    """`folder`, `file`, `link` for a file that is none by itself, `named` for one that was asked for."""
    anew: bool = False
    """Whether nothing that a store holds of it is true any more."""


class Root(Protocol):
    """A place where adapters lie. What it lists is read by the linter, which asks for ranges of files."""

    whole: bool
    """Whether a folder's files are gone through in one share, however many."""

    @property
    def path(self) -> str: ...

    def listed_as(self, folder: str) -> str | None:
        """What the store knows a folder as whose listing depends on nothing else; None for others."""

    def level(self, place: Place) -> tuple[list[Candidate], list[Place]]:
        """The files to read at a place itself, and the places below it, in order."""

    def read(self, path: str, start: int, length: int) -> bytes:
        """
        Raises:
            OSError: when it can't be read.
        """

    def names(self, path: str) -> Names:
        """What an adapter's file is called."""

    def reading(self, candidate: Candidate, linter: Linter) -> Reading | None:
        """What the linter makes of a file; None where another file's row says all of it."""

    @property
    def skipped(self) -> list[Skipped]:
        """What was left out; emptied by whoever takes it."""

    def address(self, path: str) -> str:
        """What a file is known as in every process."""

    def cleared(self, text: str) -> str:
        """A text without the place where a file lies only for now."""

    def stamp(self, path: str) -> Stamp | None:
        """What changes with a file, None where there is none."""

    def stamped(self, path: str, others: Set[str]) -> str | None:
        """What else the rows of a file were made of; None where that can't be known again."""

    def is_current(self, path: str, beside: str) -> bool:
        """Whether that is as it was."""

    def ahead(self, places: Iterable[Place], known: Callable[[str], Mapping[str, str]], most: int) -> None:
        """Told what will be gone through next, at most so many; `known` are what the store holds beside the files."""

    def is_ahead(self, place: Place) -> bool:
        """Whether work was begun for a place, so that it would be lost."""

    def end(self) -> None:
        """A share is done."""


class Folder:
    """A folder of this machine, or a file that was named; `prefix` is put before names where there are several."""

    whole = False

    def __init__(self, path: str, walk: Walk, prefix: str = "") -> None:
        self.path = os.path.normpath(path)
        self._walk = walk
        self._prefix = prefix
        self._full = os.path.abspath(path).replace(os.sep, "/")
        self._top = Top.of(self.path)
        self._cut = 0 if self.path == "." else len(self.path.rstrip(os.sep)) + 1

    def listed_as(self, folder: str) -> str | None:
        # Which snapshots come first is said elsewhere.
        if folder.endswith(_SNAPSHOTS):
            return None
        inside = folder[self._cut :].replace(os.sep, "/") if folder != self.path else ""
        return f"{self._prefix}{inside}".rstrip("/")

    def level(self, place: Place) -> tuple[list[Candidate], list[Place]]:
        if place.kind != "folder":
            return [self._candidate(place)], []
        candidates, below, _ = self._walk.level(self._top, place.path, [])
        return candidates, [Place(path, "folder") for path in _newest_first(place.path, below)]

    def reading(self, candidate: Candidate, linter: Linter) -> Reading | None:
        return linter.read(candidate)

    @property
    def skipped(self) -> list[Skipped]:
        return self._walk.skipped

    def address(self, path: str) -> str:
        return path

    def cleared(self, text: str) -> str:
        return text

    def stamp(self, path: str) -> Stamp | None:
        return stamp(path)

    def stamped(self, path: str, others: Set[str]) -> str | None:
        return stamped(path, others)

    def is_current(self, path: str, beside: str) -> bool:
        return is_current(path, beside)

    def ahead(self, places: Iterable[Place], known: Callable[[str], Mapping[str, str]], most: int) -> None:
        return

    def is_ahead(self, place: Place) -> bool:
        return False

    def end(self) -> None:
        return

    def _candidate(self, place: Place) -> Candidate:
        if place.kind == "named":
            return Candidate(place.path, named=True, inside=os.path.basename(place.path))
        return Candidate(place.path, False, place.path[self._top.skip :], place.kind == "file")

    def read(self, path: str, start: int, length: int) -> bytes:
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(length)

    def names(self, path: str) -> Names:
        inside = path[self._cut :].replace(os.sep, "/") if path != self.path else os.path.basename(path)
        file = self._prefix + inside
        full = f"{self._full}/{inside}" if path != self.path else self._full
        if "/snapshots/" in full and (snapshot := _SNAPSHOT.fullmatch(full)):
            adapter = _in_cache(snapshot)
        elif inside == CONFIG:
            adapter = self._prefix.rstrip("/") or os.path.basename(os.path.dirname(full))
        else:
            adapter = file.removesuffix(f"/{CONFIG}")
        return Names(adapter, file, run_of(adapter))


def within(folder: str) -> str:
    """What the paths in a folder begin with."""
    return folder if folder.endswith(os.sep) else f"{folder}{os.sep}" if folder != os.curdir else ""


def _in_cache(snapshot: re.Match[str]) -> str:
    model = os.path.basename(snapshot["model"])
    name = cached_repository(snapshot["model"]) or model.removeprefix("models--")
    inside = (snapshot["inside"] or "").removesuffix(CONFIG).rstrip("/")
    return f"{name}@{snapshot['revision'][:SHORT]}" + (f"/{inside}" if inside else "")


def _newest_first(folder: str, below: list[str]) -> list[str]:
    """The snapshots of a model with those first that a ref points to, so that of equal ones these count."""
    model, name = os.path.split(folder)
    if name != "snapshots" or not os.path.basename(model).startswith("models--") or len(below) < 2:
        return below
    pointed = set(_refs(os.path.join(model, "refs")))
    return sorted(below, key=lambda path: os.path.basename(path) not in pointed)


def _refs(folder: str) -> Iterator[str]:
    for top, _, names in os.walk(folder):
        for name in names:
            try:
                with open(os.path.join(top, name), encoding="ascii", errors="replace") as file:
                    yield file.read(100).strip()
            except OSError:
                continue


def blobs(path: str) -> str:
    """What a file of a snapshot is, with the weights beside it, by the blobs they link to; empty for other files."""
    if not os.path.islink(path) or f"{os.sep}snapshots{os.sep}" not in os.path.abspath(path):
        return ""
    folder = os.path.dirname(path)
    real = os.path.realpath(path)
    if f"{os.sep}blobs{os.sep}" not in real:
        return ""
    try:
        beside = sorted(name for name in os.listdir(folder) if name.endswith((".safetensors", ".bin")))
    except OSError:
        beside = []
    linked = (os.path.realpath(os.path.join(folder, name)) for name in beside)
    return "\n".join((os.path.basename(path), real, *linked))
