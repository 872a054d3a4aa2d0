"""JSON for scripts: format 1, apart from internal types; keys may be added to it, none may go."""

from typing import Any

from lora_lint.finding import Diagnostic, Range, Report
from lora_lint.printable import printable_json
from lora_lint.reporters import placed

FORMAT = 1
_COUNTS = ("files", "setups", "sites", "undecided", "skipped", "errors", "warnings", "notes")


def render(report: Report) -> str:
    return printable_json(
        {
            "format": FORMAT,
            "diagnostics": [_diagnostic(diagnostic) for diagnostic in report.diagnostics],
            "summary": {name: getattr(report.summary, name) for name in _COUNTS},
        }
    )


def _diagnostic(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "rule": diagnostic.rule,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "file": diagnostic.file,
        "tensor": diagnostic.tensor,
        **_lines(diagnostic.range if placed(diagnostic) else None),
        "path": list(diagnostic.path),
        "url": diagnostic.url,
        "related": [
            {"line": related.range.start.line, "column": related.range.start.column, "message": related.message}
            for related in diagnostic.related
        ],
        "fix": _fix(diagnostic),
    }


def _fix(diagnostic: Diagnostic) -> dict[str, Any] | None:
    if diagnostic.suggestion is None:
        return None
    edits = [{**_lines(place), "text": text} for place, text in diagnostic.edit_ranges]
    return {"safety": diagnostic.suggestion.safety.value, "edits": edits}


def _lines(place: Range | None) -> dict[str, int | None]:
    """Counted from 1 in code points, the end exclusive; null where there are no lines."""
    (line, column), (end_line, end_column) = place or ((None, None), (None, None))
    return {"line": line, "column": column, "end_line": end_line, "end_column": end_column}
