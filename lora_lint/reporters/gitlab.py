"""GitLab's Code Quality report: the part of Code Climate's format that GitLab reads."""

from typing import Any

from lora_lint.finding import Diagnostic, Report, Severity
from lora_lint.printable import printable, printable_json
from lora_lint.reporters import placed, relative
from lora_lint.reporters.fingerprint import fingerprints
from lora_lint.reporters.text import message

SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.NOTE: "info"}
"""GitLab's words from info to blocker; https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format.

A wrong scale spoils a run and stops nothing else: critical and blocker are left to findings that do.
"""


def render(report: Report) -> str:
    """A list with an object for each finding, empty where there are none."""
    found = report.diagnostics
    return printable_json([_issue(one, digest) for one, digest in zip(found, fingerprints(found), strict=True)])


def _issue(diagnostic: Diagnostic, fingerprint: str) -> dict[str, Any]:
    return {
        # GitLab's pages show the description alone, so it names the rule.
        "description": printable(f"{diagnostic.rule}: {message(diagnostic)}"),
        "check_name": diagnostic.rule,
        # Of findings with one fingerprint GitLab keeps only the last.
        "fingerprint": fingerprint,
        "severity": SEVERITIES[diagnostic.severity],
        "location": {
            "path": relative(diagnostic.file) or diagnostic.file,
            "lines": {"begin": diagnostic.range.start.line if placed(diagnostic) else 1},
        },
    }
