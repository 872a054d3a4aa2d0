"""The command line: one module per command; the only place that prints or exits."""

import gc
import os
import sys

import typer

from lora_lint.cli.audit import audit
from lora_lint.cli.check import check
from lora_lint.cli.explain import explain
from lora_lint.cli.facts import facts
from lora_lint.cli.init import init
from lora_lint.cli.overview import overview
from lora_lint.cli.rescale import rescale
from lora_lint.cli.rules import rules
from lora_lint.cli.schema import schema
from lora_lint.cli.verify import verify

# Collecting garbage while importing takes a tenth of the start-up, and a run makes little of it.
gc.set_threshold(100_000)
# pydantic would search all installed packages for plugins, which have no business in a linter.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

EXAMPLES = """Checks that LoRA configs and adapters have the scale you think they have.

An adapter adds s * B @ A to a frozen weight, with s = alpha / r in classic LoRA.
lora-lint reads configs, launch scripts, Python and checkpoints, and says what s is.

\b
  lora-lint                            what this folder holds, what is wrong
  lora-lint check configs/ run.sh      check files and folders
  lora-lint check --fix --unsafe-fixes mend what can be mended
  lora-lint facts --format json        rank, alpha and scale of everything
  lora-lint explain alpha-not-2r       why a rule exists, with examples
  lora-lint verify adapter/            what the tensors really do
"""

app = typer.Typer(
    name="lora-lint",
    help=EXAMPLES.replace("\n", "\n\n", 1),
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from lora_lint import __version__

        typer.echo(f"lora-lint {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", "-V", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    if context.invoked_subcommand is None:
        overview()


for command in (check, facts, audit, verify, rescale, explain, rules, init, schema):
    app.command()(command)


def main() -> None:
    """The console script."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        # At its end Python looks for garbage twice, in all that is about to go anyway: a tenth of a short run.
        gc.freeze()
