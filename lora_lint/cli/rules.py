"""`lora-lint rules`: the catalogue as a table."""

from lora_lint.cli.output import emit


def rules() -> None:
    """List every rule with its family, severity and kind of fix."""
    from lora_lint.catalogue import load_rules

    rows = [
        (rule.name, rule.family, str(rule.severity), str(rule.fix or "-"), rule.title) for rule in load_rules().values()
    ]
    head = ("rule", "family", "severity", "fix", "what it finds")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(4)]
    for row in (head, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)]
        emit("  ".join([*cells, row[4]]).rstrip())
