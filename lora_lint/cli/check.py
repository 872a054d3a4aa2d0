"""`lora-lint check`: findings with file, line, the number, why, and a fix."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lora_lint.cli import output
from lora_lint.cli.options import (
    Config,
    FrameworkName,
    Names,
    Outputs,
    Paths,
    Policy,
    StdinName,
    files_of,
    narrowed,
    settings_for,
    standard_input,
)
from lora_lint.cli.output import emit, fail, say

if TYPE_CHECKING:
    from lora_lint.finding import Report
    from lora_lint.linter import Linter
    from lora_lint.settings import Settings
    from lora_lint.since import Since


def check(
    paths: Paths = None,
    format_: Annotated[str, typer.Option("--format", help="text, json, github, gitlab, sarif or junit.")] = "text",
    outputs: Outputs = None,
    fix: Annotated[bool, typer.Option("--fix", help="Write safe fixes.")] = False,
    unsafe_fixes: Annotated[
        bool, typer.Option("--unsafe-fixes", help="With --fix or --diff: also fixes that change training.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show fixes as a diff; write nothing.")] = False,
    select: Names = None,
    ignore: Names = None,
    policy: Policy = None,
    framework: FrameworkName = None,
    fail_on: Annotated[
        str | None, typer.Option(help="Lowest severity that makes status 1: error, warning, note.")
    ] = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Status 0 whatever is found.")] = False,
    config: Config = None,
    since: Annotated[
        str | None, typer.Option(metavar="REV", help="Only what changed in git since REV, and what that touched.")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Leave out the findings that this file holds.")] = None,
    write_baseline: Annotated[str | None, typer.Option(help="Write all findings to this file and end.")] = None,
    stdin_filename: StdinName = "<stdin>",
    statistics: Annotated[bool, typer.Option("--statistics", help="Counts per rule instead of findings.")] = False,
    show_settings: Annotated[bool, typer.Option("--show-settings", help="Show every setting and its origin.")] = False,
    require_setup: Annotated[
        bool, typer.Option("--require-setup", help="Status 3 when no LoRA setup is found.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Findings only, no summary.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say why files were skipped.")] = False,
) -> None:
    """Check files and folders.

    \b
      lora-lint check                              this folder
      lora-lint check configs/ run.sh --policy r   some paths, alpha = r
      lora-lint check --diff --unsafe-fixes        what would be mended
      lora-lint check --output sarif=out.sarif     for code scanning
      lora-lint check --output gitlab=quality.json --output junit=tests.xml
      lora-lint check --since origin/main          what a pull request touches
      cat x.yaml | lora-lint check - --stdin-filename x.yaml
    """
    from lora_lint.finding import Severity
    from lora_lint.linter import Linter

    roots = paths or ["."]
    settings = settings_for(roots, config, policy, framework)
    settings = narrowed(settings, select, ignore)
    if show_settings:
        _show(settings)
        return
    try:
        threshold = Severity(fail_on) if fail_on else settings.fail_on
    except ValueError:
        fail(f"--fail-on is {fail_on!r}; it can be error, warning or note")
    files = files_of(format_, outputs)
    linter = Linter(settings, None, since=_since(roots, since) if since else None)
    report, unreadable = _run(linter, roots, stdin_filename, fix=fix, unsafe=unsafe_fixes, diff=diff)
    report.fail_on = threshold
    if write_baseline:
        from lora_lint.baseline import text

        output.save(write_baseline, text(report.diagnostics, write_baseline))
        say(f"lora-lint: {len(report.diagnostics)} findings written to {write_baseline}")
        return
    known = baseline or (settings.baseline and os.path.join(settings.folder, settings.baseline))
    if known:
        _leave_out(report, known)
    _print(report, format_, statistics=statistics, quiet=quiet, verbose=verbose, silent=diff)
    for name, path in files:
        output.save(path, _rendered(report, name))
    if verbose:
        for failure in report.failures:
            say(failure)
    raise typer.Exit(_status(report, threshold, exit_zero, require_setup, unreadable=unreadable))


def _since(roots: list[str], revision: str) -> "Since":
    from lora_lint.git import GitError
    from lora_lint.linter import since_revision

    try:
        return since_revision(next((root for root in roots if root != "-"), "."), revision)
    except GitError as error:
        fail(f"--since {revision}: {error}")


def _leave_out(report: "Report", known: str) -> None:
    """Take the findings that a baseline holds out of a report."""
    from lora_lint.baseline import Baseline, BaselineError

    try:
        report.keep(Baseline(known).remaining(report.diagnostics))
    except BaselineError as error:
        fail(str(error))


def _status(report: "Report", threshold: str, exit_zero: bool, require_setup: bool, *, unreadable: bool) -> int:
    from lora_lint.finding import Severity

    if unreadable or report.failures:
        return output.MISUSED
    worst = report.worst()
    if worst is not None and worst.rank >= Severity(threshold).rank and not exit_zero:
        return output.FOUND
    return output.NO_SETUP if require_setup and not report.summary.setups else output.CLEAN


def _run(
    linter: "Linter", roots: list[str], stdin_filename: str, *, fix: bool, unsafe: bool, diff: bool
) -> "tuple[Report, bool]":
    """The report of all roots, and whether a path that was named couldn't be read."""
    from lora_lint.finding import Report

    report = Report(policy=linter.settings.policy)
    unreadable = False
    if "-" in roots:
        linter.add(standard_input(linter, stdin_filename), report)
    for candidate, reading in linter.walk([root for root in roots if root != "-"], report):
        if (fix or diff) and reading.problem is None:
            from lora_lint.cli.fixing import mended

            reading = mended(linter, reading, unsafe=unsafe, write=not diff)
        linter.add(reading, report)
        unreadable |= candidate.named and reading.unopened
    return report, unreadable


def _print(report: "Report", format_: str, *, statistics: bool, quiet: bool, verbose: bool, silent: bool) -> None:
    from lora_lint.printable import printable

    if statistics:
        counts: dict[str, int] = {}
        for diagnostic in report.diagnostics:
            counts[diagnostic.rule] = counts.get(diagnostic.rule, 0) + 1
        for rule, number in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            emit(f"{number:6} {rule}")
    elif silent:
        pass
    elif format_ == "text":
        emit(_text(report, quiet=quiet))
    else:
        emit(_rendered(report, format_))
    if verbose:
        for skipped in (*report.skipped, *report.unrecognised):
            say(printable(f"{skipped.name}: {skipped.reason}"))
        for name, line, reason in report.undecided:
            say(printable(f"{name}:{line}: undecided: {reason}"))


def _rendered(report: "Report", format_: str) -> str:
    from lora_lint.reporters import render

    return render(report, format_)


def _text(report: "Report", *, quiet: bool) -> str:
    from lora_lint.reporters import text

    if output.on_terminal():
        links = sys.stdout.isatty() and bool(os.environ.get("TERM"))
        return text.for_terminal(
            report, width=output.width(), color=output.colour(), links=links and output.colour(), summary=not quiet
        )
    return text.plain(report, summary=not quiet)


def _show(settings: "Settings") -> None:
    for name in type(settings).model_fields:
        key = name.replace("_", "-")
        value = getattr(settings, name)
        shown = [override.paths for override in value] if name == "overrides" else value
        emit(f"{key} = {shown}  ({settings.origins.get(key, 'default')})")
