"""`lora-lint facts`: what the files say about LoRA, normalised."""

from typing import TYPE_CHECKING, Annotated

import typer

from lora_lint.cli.options import Config, FrameworkName, Paths, StdinName, settings_for, standard_input
from lora_lint.cli.output import MISUSED, emit, fail

if TYPE_CHECKING:
    from lora_lint.reading import Reading


def facts(
    paths: Paths = None,
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    framework: FrameworkName = None,
    config: Config = None,
    stdin_filename: StdinName = "<stdin>",
) -> None:
    """Say what every setup holds: framework, rank, alpha, scale, and where each comes from.

    \b
      lora-lint facts adapters/
      lora-lint facts --format json run.sh | jq '.setups[].sites[].scale'
    """
    from lora_lint.finding import Report
    from lora_lint.linter import Linter
    from lora_lint.reporters import facts as reporter

    if format_ not in ("text", "json"):
        fail(f"there is no format {format_!r}; there are text and json")
    roots = paths or ["."]
    linter = Linter(settings_for(roots, config, None, framework), None)
    readings: list[Reading] = []
    unreadable = False
    if "-" in roots:
        readings.append(standard_input(linter, stdin_filename))
    for candidate, reading in linter.walk([root for root in roots if root != "-"], Report()):
        unreadable |= candidate.named and reading.unopened
        if reading.setups or reading.problem is not None:
            readings.append(reading)
    emit(reporter.as_json(readings) if format_ == "json" else reporter.as_text(readings))
    if unreadable:
        raise typer.Exit(MISUSED)
