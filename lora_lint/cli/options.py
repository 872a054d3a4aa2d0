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
Names = Annotated[list[str] | None, typer.Option(help="Rules or families, comma-separated or repeated.")]
Outputs = Annotated[
    list[str] | None, typer.Option("--output", metavar="FORMAT=FILE", help="Also write a report to a file; repeatable.")
]
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


def narrowed(settings: "Settings", select: list[str] | None, ignore: list[str] | None) -> "Settings":
    """The settings with the rules of the command line: `select` in place of theirs, `ignore` besides theirs."""
    from lora_lint.catalogue import resolve

    for flag, given in (("select", select), ("ignore", ignore)):
        names = [name.strip() for item in given or () for name in item.split(",") if name.strip()]
        for name in names:
            if resolve(name) is None:
                fail(f"--{flag}: there is no rule or family {name!r}; lora-lint rules lists them")
        if names:
            value = names if flag == "select" else [*settings.ignore, *names]
            settings = settings.model_copy(update={flag: value})
            settings.remember(flag, f"--{flag}")
    return settings


def files_of(format_: str, outputs: list[str] | None) -> list[tuple[str, str]]:
    """The formats and the files of `--output`, all of them, like that of `--format`, formats that there are."""
    from lora_lint.reporters import FORMATS

    files = [_output(item) for item in outputs or ()]
    for name in (format_, *(name for name, _ in files)):
        if name not in FORMATS:
            fail(f"there is no format {name!r}; there are {', '.join(FORMATS)}")
    return files


def _output(item: str) -> tuple[str, str]:
    name, equals, path = item.partition("=")
    if not equals or not path:
        fail(f"--output is {item!r}; it needs FORMAT=FILE")
    return name, path


def standard_input(linter: "Linter", name: str) -> "Reading":
    """What standard input holds, as a file called `name`."""
    from lora_lint.reading import read_bytes

    return read_bytes(name, sys.stdin.buffer.read(), only=linter.effective(name).framework)
