"""`lora-lint audit`: what a folder full of adapters holds, and which of them are not what they claim."""

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from lora_lint.cli import output
from lora_lint.cli.options import Config, Names, Outputs, Policy, files_of, narrowed, settings_for
from lora_lint.cli.output import emit, fail, say

if TYPE_CHECKING:
    from lora_lint.audit.changes import Against
    from lora_lint.audit.findings import Findings
    from lora_lint.audit.report.page import Page
    from lora_lint.audit.run import Audit, Tally
    from lora_lint.audit.summary import Summary
    from lora_lint.audit.table import Table
    from lora_lint.cli.sinks import Lines, Screen
    from lora_lint.finding import Severity

FORMATS = ("text", "json", "github", "gitlab", "sarif", "junit")
"""Those of `check`; `text` is the screen and `json` the rows."""
ENGINES = ("local", "ray")


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
    from lora_lint.audit.database import StoreError
    from lora_lint.audit.findings import Findings
    from lora_lint.audit.local import Forks, PoolError
    from lora_lint.audit.run import Audit
    from lora_lint.audit.summary import Summary
    from lora_lint.baseline import BaselineError
    from lora_lint.cli.sinks import Screen, json_lines, page_at, save_page, table_at

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
    summary = Summary(policy=settings.policy)
    threshold = _threshold(fail_on, settings.fail_on)
    try:
        with (
            Forks(workers if cluster is None else 0) as forks,
            table_at(table) as rows,
            page_at(report, roots) as page,
            json_lines(format_, files) as lines,
        ):
            earlier = _earlier(against, store, roots)
            whole = Audit(roots, settings, workers, store, known, cluster, verify, forks, earlier)
            by_finding = any(name in FORMATS[2:] for name in (format_, *(name for name, _ in files)))
            found = Findings(roots, settings.policy, threshold) if by_finding else None
            _go(whole, summary, rows, page, found, lines)
            _tell(format_, files, whole.tally, found, Screen(summary, whole.tally))
            if report is not None and page is not None:
                save_page(report, page.pieces(summary, whole.tally))
    except (BaselineError, StoreError, PoolError, ImportError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or table or 'a file'}: can't be written: {(error.strerror or str(error)).lower()}")
    if verbose:
        for failure in whole.tally.failures:
            say(failure)
    raise typer.Exit(_status(whole.tally, summary.severity(), threshold, exit_zero=exit_zero))


def _earlier(against: str | None, store: str | None, roots: list[str]) -> "Against | None":
    """The audit that this one is compared with; none where both are to be in one store, and this is the first."""
    from lora_lint.audit.changes import Against, NoAuditError

    if against is None:
        return None
    own = store is not None and os.path.realpath(store) == os.path.realpath(against)
    try:
        if not own or os.path.exists(against):
            return Against(against, roots)
    except NoAuditError:
        if not own:
            raise
    say(f"{against}: holds no earlier audit; there is nothing to compare with")
    return None


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
    found: "Findings | None",
    written: "list[Lines]",
) -> None:
    """Go through all rows, and say what they come to."""
    from lora_lint.cli.sinks import Progress
    from lora_lint.reporters import audit as reporter

    progress = Progress(whole.tally)
    each = whole.against or table or page or found or written
    for rows, times in whole.counted(together=not each):
        summary.add(rows, times)
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
    for lines in written:
        lines.end(reporter.json_tail(summary, whole.tally))


def _tell(
    format_: str, files: list[tuple[str, str]], tally: "Tally", found: "Findings | None", screen: "Screen"
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


def _status(tally: "Tally", worst: "Severity | None", threshold: "Severity", *, exit_zero: bool) -> int:
    if tally.unopened or tally.failures or tally.unstored:
        return output.MISUSED
    found = worst is not None and worst.rank >= threshold.rank and not exit_zero
    return output.FOUND if found else output.CLEAN
