"""Options that several commands share, and the settings that come of them."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lora_lint.cli.output import fail

if TYPE_CHECKING:
    from lora_lint.linter import Linter
    from lora_lint.reading import Reading
    from lora_lint.settings import Settings

Paths = Annotated[list[str] | None, typer.Argument(help="Files and folders; - is standard input.", show_default=".")]
Policy = Annotated[str | None, typer.Option(help="What s or alpha ought to be: 2r, r, scale:S or fixed:N.")]
FrameworkName = Annotated[str | None, typer.Option("--framework", help="Read every file as this framework's.")]
Config = Annotated[str | None, typer.Option(help="Settings file to use instead of the nearest one.")]
StdinName = Annotated[str, typer.Option("--stdin-filename", help="Name, and so the syntax, of standard input.")]


def settings_for(paths: list[str], config: str | None, policy: str | None, framework: str | None) -> "Settings":
    """The settings of a run: the named file or the nearest one, with what the command line says on top."""
    from lora_lint.settings import Settings, SettingsError, find

    try:
        if config is None:
            first = os.path.abspath(paths[0])
            config = find(first if os.path.isdir(first) else os.path.dirname(first))
        settings = Settings.load(config) if config else Settings.model_construct()
        given = {"policy": policy, "framework": framework}
        for name, value in given.items():
            if value is not None:
                settings = _with(settings, name, value)
    except SettingsError as error:
        fail(str(error))
    return settings


def _with(settings: "Settings", name: str, value: str) -> "Settings":
    """The settings with one value from the command line, which overrides don't change."""
    from pydantic import ValidationError

    try:
        type(settings).model_validate({name: value})
    except ValidationError as error:
        fail(f"--{name}: {error.errors()[0]['msg'].removeprefix('Value error, ')}")
    changed = settings.model_copy(
        update={
            name: value,
            "overrides": [override.model_copy(update={name: None}) for override in settings.overrides],
        }
    )
    changed.remember(name, f"--{name}")
    return changed


def standard_input(linter: "Linter", name: str) -> "Reading":
    """What standard input holds, as a file called `name`."""
    from lora_lint.reading import read_bytes

    return read_bytes(name, sys.stdin.buffer.read(), only=linter.effective(name).framework)
