"""Annotations on GitHub: workflow commands, within the limit that GitHub sets for each step."""

from collections.abc import Iterator

from lora_lint.finding import Diagnostic, Report, Severity
from lora_lint.printable import printable
from lora_lint.reporters import placed, relative
from lora_lint.reporters.text import counted, line_of, message, summary_lines

LIMIT = 10
"""Annotations of a kind that GitHub keeps per step; it drops the others in silence."""

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render(report: Report) -> str:
    """The worst findings as commands, the others as lines of the log, then the summary."""
    lines: list[str] = []
    rest: list[str] = []
    for severity in _COMMANDS:
        found = [diagnostic for diagnostic in report.diagnostics if diagnostic.severity is severity]
        lines += _commands(found[:LIMIT], len(found) - LIMIT)
        rest += [line_of(diagnostic) for diagnostic in found[LIMIT:]]
    return "\n".join([*lines, *rest, *summary_lines(report)])


def _commands(shown: list[Diagnostic], more: int) -> Iterator[str]:
    for index, diagnostic in enumerate(shown):
        tail = ""
        if more > 0 and index == len(shown) - 1:
            tail = f" (and {counted(more, diagnostic.severity.value)} more: see the log)"
        yield _command(diagnostic, tail)


def _command(diagnostic: Diagnostic, tail: str) -> str:
    properties = {"file": relative(diagnostic.file) or diagnostic.file, **_lines(diagnostic), "title": diagnostic.rule}
    written = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{_COMMANDS[diagnostic.severity]} {written}::{_data(message(diagnostic) + tail)}"


def _lines(diagnostic: Diagnostic) -> dict[str, int]:
    if not placed(diagnostic):
        return {}
    start, end = diagnostic.range
    lines = {"line": start.line, "endLine": end.line}
    # GitHub takes columns only where the range stays on one line.
    return {**lines, "col": start.column, "endColumn": end.column} if start.line == end.line else lines


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
