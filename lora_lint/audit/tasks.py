"""What goes to those who do the shares of an audit, and what comes back: plain data, for whatever carries it."""

from collections.abc import Callable, Set
from typing import NamedTuple

from lora_lint.audit.records import Record
from lora_lint.audit.roots import Place
from lora_lint.audit.rows import NAMELESS, Names, Row, decoded

Tell = Callable[[str], None]
"""Told what is gone through next, so that it is known when the process doesn't survive it."""


class Task(NamedTuple):
    """Places of one root, in order; at those in `deadly` nothing is opened, since a process died there."""

    root: int
    places: tuple[Place, ...]
    deadly: tuple[tuple[str, str], ...] = ()


class Item(NamedTuple):
    """One file: its rows as text, and what the text leaves out.

    `times` is how many files of a task have this text, where they are told as one: the first of them.
    """

    rows: str
    names: Names = NAMELESS
    content: str = ""
    blobs: str = ""
    failures: tuple[str, ...] = ()
    times: int = 1

    @property
    def found(self) -> list[Row]:
        """The rows as those of this file."""
        return decoded(self.rows, self.names, self.content)


class Outcome(NamedTuple):
    """What was made of a task, in the order of the walk, and what is left of it: the places below its own.

    `records` are what the store is to remember, `kept` the first and last numbers of what
    stays there as it is: `known` of the files.
    """

    items: tuple[Item, ...]
    records: tuple[Record, ...]
    kept: tuple[tuple[int, int], ...]
    left: tuple[Place, ...]
    files: int
    known: int
    skipped: tuple[tuple[str, str], ...]
    suppressed: int = 0
    unopened: int = 0
    """Files that were named and couldn't even be opened."""
    unlisted: tuple[str, ...] = ()
    """Folders that couldn't be listed, as the files below them are called: nobody knows what is there now."""
    outdated: tuple[str, ...] = ()
    """Folders below which nothing that the store held is true any more, called likewise."""


class Made(NamedTuple):
    """The rows of a file, encoded without its `content`, and the paths of all that had a part in them besides the file.

    `content` is the SHA-256 of its text; empty for files that aren't text, or none that could be opened.
    """

    rows: str
    content: str
    others: Set[str]
    unopened: bool = False
