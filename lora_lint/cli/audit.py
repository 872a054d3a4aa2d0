"""`lora-lint audit`: what a folder full of adapters holds, and which of them are not what they claim."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from lora_lint.cli import output
from lora_lint.cli.options import Config, Names, Outputs, Policy, files_of, narrowed, settings_for
from lora_lint.cli.output import emit, fail, say

if TYPE_CHECKING:
    from lora_lint.audit.changes import Against, Changes
    from lora_lint.audit.findings import Findings
    from lora_lint.audit.report.page import Page
    from lora_lint.audit.run import Audit, Tally
    from lora_lint.audit.summary import Summary
    from lora_lint.audit.table import Table
    from lora_lint.finding import Severity

FORMATS = ("text", "json", "github", "gitlab", "sarif", "junit")
"""Those of `check`; `text` is the screen and `json` the rows."""
ENGINES = ("local", "ray")
EVERY = 0.2
"""Seconds between two looks of the progress line."""
_AT_ONCE = 500
"""Rows that are written in one go."""


def audit(
    roots: Annotated[
        list[str],
        typer.Argument(help="Folders of adapters, Hugging Face caches, runs; s3://, gs://, hf://ORG/NAME, hf://ORG."),
    ],
    format_: Annotated[str, typer.Option("--format", help=", ".join(FORMATS[:-1]) + f" or {FORMATS[-1]}.")] = "text",
    outputs: Outputs = None,
    table: Annotated[
        str | None, typer.Option(metavar="FILE", help="One row per site: F.csv, F.jsonl or F.parquet.")
    ] = None,
    report: Annotated[
        str | None, typer.Option(metavar="F.html", help="One page with charts and a table, for a browser.")
    ] = None,
    store: Annotated[
        str | None, typer.Option(metavar="F.db", help="Remember what was found: read only what changed, go on.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="OLD.db", help="Say what is new, mended, worse or gone since that store.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes; as many as processors by default, 0 for this one alone.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Where the work is done: local or ray.")] = "local",
    address: Annotated[
        str | None, typer.Option(help="The Ray cluster, as ray.init takes it; by default one is started here.")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read the tensors too, with torch.")] = False,
    select: Names = None,
    ignore: Names = None,
    policy: Policy = None,
    fail_on: Annotated[
        str | None, typer.Option(help="Lowest severity that makes status 1: error, warning, note.")
    ] = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Status 0 whatever is found.")] = False,
    config: Config = None,
    baseline: Annotated[str | None, typer.Option(help="Leave out the findings that this file holds.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show tracebacks of what failed.")] = False,
) -> None:
    """Go through many adapters: how many hold the policy, which don't, what can't be read.

    \b
      lora-lint audit adapters/
      lora-lint audit ~/.cache/huggingface/hub --table adapters.csv
      lora-lint audit adapters/ --report adapters.html
      lora-lint audit runs/ --store runs.db --against runs.db
    """
    from lora_lint.audit.changes import Against
    from lora_lint.audit.findings import Findings
    from lora_lint.audit.local import PoolError
    from lora_lint.audit.run import Audit
    from lora_lint.audit.store import StoreError
    from lora_lint.audit.summary import Summary
    from lora_lint.baseline import BaselineError

    files = files_of(format_, outputs)
    if engine not in ENGINES:
        fail(f"there is no engine {engine!r}; there are {' and '.join(ENGINES)}")
    if address and engine != "ray":
        fail("--address is that of a Ray cluster: it needs --engine ray")
    if verify and find_spec("torch") is None:
        fail("--verify needs torch: pip install 'lora-lint[torch]'")
    _check(roots)
    settings = narrowed(settings_for(roots, config, policy, None), select, ignore)
    known = baseline or (settings.baseline and os.path.join(settings.folder, settings.baseline)) or None
    cluster = (address or "local") if engine == "ray" else None
    whole = Audit(roots, settings, workers, store, known, cluster, verify)
    summary = Summary(policy=settings.policy)
    threshold = _threshold(fail_on, settings.fail_on)
    try:
        earlier = Against(against, roots) if against else None
        with _table(table) as rows, _page(report, roots) as page, _rows(format_, files) as lines:
            by_finding = any(name in FORMATS[2:] for name in (format_, *(name for name, _ in files)))
            found = Findings(roots, settings.policy, threshold) if by_finding else None
            changes = _go(whole, summary, rows, page, earlier, found, lines)
            _tell(format_, files, whole.tally, found, _Screen(summary, whole.tally, changes))
            if report is not None and page is not None:
                _save(report, page.pieces(summary, whole.tally, changes))
    except (BaselineError, StoreError, PoolError, ImportError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or table or 'a file'}: can't be written: {(error.strerror or str(error)).lower()}")
    if verbose:
        for failure in whole.tally.failures:
            say(failure)
    raise typer.Exit(_status(whole.tally, summary.severity(), threshold, exit_zero=exit_zero))


def _check(roots: list[str]) -> None:
    """Stop where a root isn't there; a URL is asked for with the library that it needs."""
    from lora_lint.audit.remote import Objects, RemoteError, is_remote, normal

    for root in roots:
        if is_remote(root):
            try:
                if not Objects(url := normal(root)).is_folder(url):
                    fail(f"{url}: is one object; name the folder that it is in")
            except RemoteError as error:
                fail(str(error))
        elif not os.path.lexists(root):
            fail(f"{root}: there is no such file or folder")


def _threshold(given: str | None, otherwise: "Severity") -> "Severity":
    from lora_lint.finding import Severity

    try:
        return Severity(given) if given else otherwise
    except ValueError:
        fail(f"--fail-on is {given!r}; it can be error, warning or note")


def _go(
    whole: "Audit",
    summary: "Summary",
    table: "Table | None",
    page: "Page | None",
    earlier: "Against | None",
    found: "Findings | None",
    written: "list[_Lines]",
) -> "Changes | None":
    """Go through all rows, and say what they come to."""
    from lora_lint.reporters import audit as reporter

    progress = _Progress(whole.tally)
    for rows in whole:
        summary.add(rows)
        if earlier is not None:
            earlier.compare(rows)
        if table is not None:
            table.add(rows)
        if page is not None:
            page.add(rows)
        if found is not None:
            found.add(rows)
        for lines in written:
            lines.add(reporter.json_rows(rows))
        progress.show(summary.adapters.total)
    progress.clear()
    changes = earlier.finish() if earlier is not None else None
    for lines in written:
        lines.end(reporter.json_tail(summary, whole.tally, changes))
    return changes


@dataclass(frozen=True)
class _Screen:
    """What an audit comes to, as text."""

    summary: "Summary"
    tally: "Tally"
    changes: "Changes | None"

    def show(self) -> None:
        """The screen, or the same for a pipe."""
        from lora_lint.reporters import audit as reporter

        if output.on_terminal():
            drawn = (sys.stdout.encoding or "").lower().startswith("utf")
            width, height, color = output.width(), output.height(), output.colour()
            parts = self.summary, self.tally, self.changes
            emit(reporter.for_terminal(*parts, width=width, height=height, color=color, drawn=drawn))
        else:
            emit(self.plain())

    def plain(self) -> str:
        from lora_lint.reporters import audit as reporter

        return reporter.plain(self.summary, self.tally, self.changes)


def _tell(
    format_: str, files: list[tuple[str, str]], tally: "Tally", found: "Findings | None", screen: _Screen
) -> None:
    """The reports that aren't written row by row."""
    from lora_lint.reporters import render

    if found is not None:
        found.report.failures += tally.failures
    if format_ == "text":
        screen.show()
    elif format_ != "json" and found is not None:
        emit(render(found.report, format_))
    for name, path in files:
        if name == "text":
            output.save(path, f"{screen.plain()}\n")
        elif name != "json" and found is not None:
            output.save(path, render(found.report, name))


class _Lines:
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


class _Progress:
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
def _rows(format_: str, files: list[tuple[str, str]]) -> "Iterator[list[_Lines]]":
    """Where rows are written as JSON: on standard output and into files, each there when all of it is."""
    with ExitStack() as stack:
        found = [_Lines(output.put)] if format_ == "json" else []
        paths = [path for name, path in files if name == "json"]
        found += [_Lines(_into(stack.enter_context(output.replacing(path)), path)) for path in paths]
        yield found


def _into(file: BinaryIO, path: str) -> Callable[[str], None]:
    def put(text: str) -> None:
        with output.naming(path):
            file.write(text.encode("utf-8", "backslashreplace"))

    return put


@contextmanager
def _table(path: str | None) -> "Iterator[Table | None]":
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
def _page(path: str | None, roots: list[str]) -> "Iterator[Page | None]":
    """The page to make, where one is wanted."""
    if path is None:
        yield None
        return
    from lora_lint.audit.report.page import Page

    if not os.path.isdir(os.path.dirname(path) or "."):
        fail(f"--report is {path!r}; there is no such folder")
    with Page(roots, datetime.now().astimezone()) as page:
        yield page


def _save(path: str, pieces: Iterable[bytes]) -> None:
    """Write a page whole, or say why not and end."""
    try:
        with output.replacing(path) as file:
            file.writelines(pieces)
    except OSError as error:
        fail(f"{path}: can't be written: {(error.strerror or str(error)).lower()}")


def _status(tally: "Tally", worst: "Severity | None", threshold: "Severity", *, exit_zero: bool) -> int:
    if tally.unopened or tally.failures or tally.unstored:
        return output.MISUSED
    found = worst is not None and worst.rank >= threshold.rank and not exit_zero
    return output.FOUND if found else output.CLEAN
