"""The summary of an audit for a pipe and for a terminal, and its rows and numbers as JSON."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from lora_lint.audit.changes import Changes
from lora_lint.audit.rows import FORMAT, Row, as_data
from lora_lint.audit.run import Tally
from lora_lint.audit.summary import Groups, Summary
from lora_lint.printable import printable_json
from lora_lint.reporters.screen import DRAWN, NARROWEST, TYPED, screen

if TYPE_CHECKING:
    from rich.console import Console

_ENDLESS = 1000
"""Lines of a pipe."""


def plain(summary: Summary, tally: Tally, *, width: int = NARROWEST) -> str:
    """The summary as text for a pipe, with air between its parts."""
    lines = screen(summary, tally, width=width, height=_ENDLESS, marks=TYPED)
    return "\n".join("".join(piece.text for piece in line).rstrip() for line in lines)


def for_terminal(summary: Summary, tally: Tally, *, width: int, height: int, color: bool, drawn: bool) -> str:
    """The summary in colours, no wider than the terminal and, from 24 lines of 80 on, no higher."""
    from rich.text import Text

    from lora_lint.reporters import terminal

    def draw(console: "Console") -> None:
        marks = DRAWN if drawn else TYPED
        for line in screen(summary, tally, width=width, height=height, marks=marks):
            text = Text.assemble(*line)
            text.rstrip()
            console.print(text, soft_wrap=True, highlight=False)

    return terminal.drawn(draw, width=max(width, NARROWEST), color=color)


def json_rows(rows: Iterable[Row]) -> Iterator[str]:
    """Rows as JSON, each in a text of its own without an end."""
    return (printable_json(as_data(row), indent=None) for row in rows)


def json_summary(summary: Summary, tally: Tally) -> dict[str, Any]:
    """The numbers of an audit, for machines."""
    return {
        "policy": summary.policy,
        "files": tally.files,
        "unchanged": tally.kept,
        "adapters": summary.adapters.total,
        "verdicts": dict(summary.adapters.verdicts),
        "kinds": summary.kinds,
        "examples": summary.examples,
        "sites": summary.sites,
        "scales": dict(summary.scales.largest()),
        "rules": dict(summary.rules.largest()),
        **{f"{severity}s": count for severity, count in summary.findings.items()},
        "frameworks": _as_data(summary.frameworks),
        "base_models": _as_data(summary.base_models),
        "worst": [{"adapter": bad.row.adapter, "more": bad.more, "rules": list(bad.rules)} for bad in summary.worst],
        "unreadable": dict(summary.problems.largest()),
        "skipped": tally.skipped,
        "repeats": tally.repeats,
        "suppressed": tally.suppressed,
        "failures": len(tally.failures),
        "changes": None if tally.changes is None else _changes(tally.changes),
    }


def _changes(changes: Changes) -> dict[str, Any]:
    counts = {str(change): count for change, count in changes.counts.items()}
    return {"complete": changes.complete, **counts, "names": changes.names}


def _as_data(groups: Groups) -> dict[str, dict[str, int]]:
    return {name: {str(word): count for word, count in group.verdicts.items()} for name, group in groups.largest()}


def json_head() -> str:
    return f'{{"format": {FORMAT},\n "rows": ['


def json_tail(summary: Summary, tally: Tally) -> str:
    return f'],\n "summary": {printable_json(json_summary(summary, tally), indent=None)}}}'
