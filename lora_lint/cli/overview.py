"""Bare `lora-lint`: what this folder holds, what is wrong with it, and what to type next."""

import typer

from lora_lint.cli.output import CLEAN, FOUND, emit


def overview() -> None:
    """Facts and findings of the current folder, for the first minute."""
    from lora_lint.cli.check import _text
    from lora_lint.cli.options import settings_for
    from lora_lint.finding import Report
    from lora_lint.linter import Linter
    from lora_lint.reporters.facts import as_text

    linter = Linter(settings_for(["."], None, None, None), None)
    report = Report(policy=linter.settings.policy)
    readings = []
    for _, reading in linter.walk(["."], report):
        linter.add(reading, report)
        if reading.setups:
            readings.append(reading)
    if readings:
        emit(as_text(readings) + "\n")
    emit(_text(report, quiet=False))
    worst = report.worst()
    raise typer.Exit(FOUND if worst is not None and worst.rank >= linter.settings.fail_on.rank else CLEAN)
