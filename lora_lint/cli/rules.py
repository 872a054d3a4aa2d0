"""`lora-lint rules`: the catalogue as a table, with what each rule finds here."""

from collections import Counter
from typing import Annotated

import typer

from lora_lint.cli.options import Config, Paths, settings_for
from lora_lint.cli.output import emit, fail


def rules(
    paths: Paths = None,
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    config: Config = None,
) -> None:
    """List every rule with its family, severity, kind of fix and number of findings.

    \b
      lora-lint rules              counted in this folder
      lora-lint rules configs/     in another one
    """
    from lora_lint.catalogue import load_rules
    from lora_lint.linter import lint

    if format_ not in ("text", "json"):
        fail(f"there is no format {format_!r}; there are text and json")
    roots = paths or ["."]
    counts = Counter(one.rule for one in lint(roots, settings_for(roots, config, None, None)).diagnostics)
    catalogue = load_rules().values()
    if format_ == "json":
        from lora_lint.printable import printable_json

        rows = [
            {
                "rule": rule.name,
                "family": rule.family,
                "title": rule.title,
                "severity": str(rule.severity),
                "fix": str(rule.fix) if rule.fix else None,
                "since": rule.since,
                "url": rule.url,
                "findings": counts[rule.name],
            }
            for rule in catalogue
        ]
        emit(printable_json({"format": 1, "rules": rows}))
        return
    head = ("rule", "family", "severity", "fix", "found", "what it finds")
    table = [
        (rule.name, rule.family, str(rule.severity), str(rule.fix or "-"), str(counts[rule.name] or "-"), rule.title)
        for rule in catalogue
    ]
    widths = [max(len(row[column]) for row in (head, *table)) for column in range(5)]
    for row in (head, *table):
        cells = [cell.ljust(width) for cell, width in zip(row[:5], widths, strict=True)]
        emit("  ".join([*cells, row[5]]).rstrip())
