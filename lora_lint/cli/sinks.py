"""Where the rows of an audit go: the screen, JSON while they come, a table, a page; and how far it has come."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO

from lora_lint.cli import output
from lora_lint.cli.output import emit, fail

if TYPE_CHECKING:
    from lora_lint.audit.report.page import Page
    from lora_lint.audit.run import Tally
    from lora_lint.audit.summary import Summary
    from lora_lint.audit.table import Table

EVERY = 0.2
"""Seconds between two looks of the progress line."""
_AT_ONCE = 500
"""Rows that are written in one go."""


@dataclass(frozen=True)
class Screen:
    """What an audit comes to, as text."""

    summary: "Summary"
    tally: "Tally"

    def show(self) -> None:
        """The screen, or the same for a pipe."""
        from lora_lint.reporters import audit as reporter

        if output.on_terminal():
            drawn = (sys.stdout.encoding or "").lower().startswith("utf")
            width, height, color = output.width(), output.height(), output.colour()
            shown = reporter.for_terminal(
                self.summary, self.tally, width=width, height=height, color=color, drawn=drawn
            )
            emit(shown)
        else:
            emit(self.plain())

    def plain(self) -> str:
        from lora_lint.reporters import audit as reporter

        return reporter.plain(self.summary, self.tally)


class Lines:
    """Rows as JSON, written while they come."""

    def __init__(self, put: Callable[[str], None]) -> None:
        from lora_lint.reporters.audit import json_head

        self._put = put
        self._pending = [json_head()]
        self._between = ""

    def add(self, rows: Iterable[str]) -> None:
        for row in rows:
            self._pending.append(f"{self._between}\n  {row}")
            self._between = ","
        if len(self._pending) > _AT_ONCE:
            self._write()

    def end(self, tail: str) -> None:
        self._pending.append(tail)
        self._pending.append("\n")
        self._write()

    def _write(self) -> None:
        self._put("".join(self._pending))
        self._pending.clear()


class Progress:
    """A line on standard error, where that is a terminal, that says how far the audit has come."""

    def __init__(self, tally: "Tally") -> None:
        self._tally = tally
        self._begun = self._last = time.monotonic()
        self._shown = False
        self._possible = sys.stderr.isatty()

    def show(self, adapters: int) -> None:
        now = time.monotonic()
        if not self._possible or now - self._last < EVERY:
            return
        self._last, self._shown = now, True
        rate = self._tally.files / (now - self._begun)
        sys.stderr.write(f"\r\x1b[K{self._tally.files:,} files, {adapters:,} adapters, {rate:,.0f} files/s")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@contextmanager
def json_lines(format_: str, files: list[tuple[str, str]]) -> "Iterator[list[Lines]]":
    """Where rows are written as JSON: on standard output and into files, each there when all of it is."""
    with ExitStack() as stack:
        found = [Lines(output.put)] if format_ == "json" else []
        paths = [path for name, path in files if name == "json"]
        found += [Lines(_into(stack.enter_context(output.replacing(path)), path)) for path in paths]
        yield found


def _into(file: BinaryIO, path: str) -> Callable[[str], None]:
    def put(text: str) -> None:
        with output.naming(path):
            file.write(text.encode("utf-8", "backslashreplace"))

    return put


@contextmanager
def table_at(path: str | None) -> "Iterator[Table | None]":
    """The table to write, which is there when all of it is."""
    from lora_lint.audit.table import FORMATS

    if path is None:
        yield None
        return
    kind = FORMATS.get(path.rpartition(".")[2].lower())
    if kind is None:
        fail(f"--table is {path!r}; its name must end in {', '.join(f'.{name}' for name in FORMATS)}")
    with output.replacing(path) as file:
        table = kind(file)
        yield table
        table.finish()


@contextmanager
def page_at(path: str | None, roots: list[str]) -> "Iterator[Page | None]":
    """The page to make, where one is wanted."""
    if path is None:
        yield None
        return
    from lora_lint.audit.report.page import Page

    if not os.path.isdir(os.path.dirname(path) or "."):
        fail(f"--report is {path!r}; there is no such folder")
    with Page(roots, datetime.now().astimezone()) as page:
        yield page


def save_page(path: str, pieces: Iterable[bytes]) -> None:
    """Write a page whole, or say why not and end."""
    try:
        with output.replacing(path) as file:
            file.writelines(pieces)
    except OSError as error:
        fail(f"{path}: can't be written: {(error.strerror or str(error)).lower()}")
