"""Text: one greppable line per finding for a pipe, or the source with the place underlined for a terminal."""

import math
from collections.abc import Iterator

from lora_lint.finding import Diagnostic, Report, Safety, Severity, Summary
from lora_lint.policy import Policy
from lora_lint.printable import printable

_NAMED_POLICIES = {"2": "2r", "1": "r"}
_ENOUGH_SITES = 2
"""Sites with a known scale from which on a majority says something about a project."""


def render(report: Report) -> str:
    return plain(report)


def plain(report: Report, *, summary: bool = True) -> str:
    """One line per finding, never wrapped, and the summary."""
    lines = [line_of(diagnostic) for diagnostic in report.diagnostics]
    return "\n".join([*lines, *(summary_lines(report) if summary else ())])


def for_terminal(report: Report, *, width: int, color: bool, links: bool, summary: bool = True) -> str:
    """Findings with their source lines, no wider than the terminal."""
    from lora_lint.reporters import terminal

    return terminal.render(report, width=width, color=color, links=links, summary=summary)


def svg(report: Report, *, width: int = 96, title: str = "lora-lint check") -> str:
    """The terminal's report as a picture."""
    from lora_lint.reporters import terminal

    return terminal.svg(report, width=width, title=title)


def line_of(diagnostic: Diagnostic) -> str:
    line, column = diagnostic.range.start
    kind = f"{diagnostic.severity.value}[{diagnostic.rule}]"
    alive = diagnostic.document is not None and diagnostic.document.alive
    place = diagnostic.file if alive else f"{diagnostic.file}:{line}:{column}"
    return printable(f"{place}: {kind} {message(diagnostic)}{_marker(diagnostic)}")


def message(diagnostic: Diagnostic) -> str:
    """The message, with the tensor where it doesn't name it."""
    text, tensor = diagnostic.message, diagnostic.tensor
    return f"{text} (tensor {tensor})" if tensor and tensor not in text else text


def _marker(diagnostic: Diagnostic) -> str:
    if diagnostic.suggestion is None:
        return ""
    return " [fix]" if diagnostic.suggestion.safety is Safety.SAFE else " [unsafe fix]"


def summary_lines(report: Report) -> Iterator[str]:
    """What was read and found, what can be fixed, and whether the policy looks like another project's."""
    summary = report.summary
    yield f"{_read(summary)}{_found(summary)}"
    if summary.fixable:
        yield f"{counted(summary.fixable, 'finding')} fixable with lora-lint check --fix"
    if summary.unsafe_fixable:
        unsafe = counted(summary.unsafe_fixable, "finding")
        yield f"{unsafe} fixable with lora-lint check --fix --unsafe-fixes, which changes training"
    if report.diagnostics:
        yield from _other_policy(report)
    if report.failures:
        yield f"{counted(len(report.failures), 'check')} failed: a fault of lora-lint, -v shows it"


def _read(summary: Summary) -> str:
    parts = [counted(summary.files, "file")]
    if summary.setups:
        undecided = f" ({summary.undecided} undecided)" if summary.undecided else ""
        parts += [counted(summary.setups, "setup"), f"{counted(summary.sites, 'site')}{undecided}"]
    else:
        parts.append("no LoRA setup found")
    if summary.skipped:
        parts.append(f"{summary.skipped} skipped")
    return ", ".join(parts)


def _found(summary: Summary) -> str:
    counts = {Severity.ERROR: summary.errors, Severity.WARNING: summary.warnings, Severity.NOTE: summary.notes}
    found = [counted(count, severity.value) for severity, count in counts.items() if count]
    if summary.suppressed:
        found.append(f"{summary.suppressed} suppressed")
    if not any(counts.values()) and summary.setups:
        found.insert(0, "no findings")
    return f": {', '.join(found)}" if found else ""


def _other_policy(report: Report) -> Iterator[str]:
    wanted = Policy.parse(report.policy).wanted_scale
    total = sum(report.summary.ratios.values())
    if wanted is None or total < _ENOUGH_SITES:
        return
    scale, count = max(report.summary.ratios.items(), key=lambda item: item[1])
    if 2 * count > total and not math.isclose(float(scale), wanted, rel_tol=1e-6):
        policy = _NAMED_POLICIES.get(scale, f"scale:{scale}")
        yield (
            f"{count} of {counted(total, 'site')} have scale {scale}, not the policy's {wanted:g}; if that is meant, "
            f'set policy = "{policy}" in [tool.lora-lint], or let lora-lint init do it'
        )


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
