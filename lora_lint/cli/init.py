"""`lora-lint init`: a policy for this repository, written into settings, hook and workflow once they were seen."""

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from lora_lint.cli.output import emit, fail, save, say

if TYPE_CHECKING:
    from lora_lint.proposal import Proposal

BASELINE = "lora-lint-baseline.json"
HOOK = """\
  - repo: https://github.com/lora-lint/lora-lint
    rev: v{version}
    hooks:
      - id: lora-lint
"""
WORKFLOW = """\
name: lora-lint
on:
  push:
    branches: [main]
  pull_request:
permissions:
  contents: read
  security-events: write
jobs:
  lora-lint:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: lora-lint/lora-lint@v{version}
"""


class Piece(NamedTuple):
    """A file to write: its new text whole, and the part of it that is new."""

    path: str
    text: str
    added: str


def init(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")] = False,
    baseline: Annotated[
        bool, typer.Option("--baseline", help=f"Also accept what is found today, in {BASELINE}.")
    ] = False,
) -> None:
    """Look at this repository and propose settings, a hook and a workflow.

    The policy is what most of its configs use. Everything is shown before anything is written.

    \b
      lora-lint init              look, show, ask
      lora-lint init --yes        write it
    """
    if _settings_file():
        fail(f"{_settings_file()} holds settings of lora-lint already; lora-lint check --show-settings shows them")
    proposal = _proposal()
    pieces = [*_settings(proposal, baseline=baseline), *_hook(), *_workflow()]
    emit("\n".join(_shown(proposal, pieces)))
    if not (yes or _agreed()):
        emit("nothing was written; lora-lint init --yes writes it")
        return
    for piece in pieces:
        os.makedirs(os.path.dirname(piece.path) or ".", exist_ok=True)
        save(piece.path, piece.text)
    if baseline:
        _accept()
    emit(f"written: {', '.join([*(piece.path for piece in pieces), *([BASELINE] if baseline else [])])}")


def _settings_file() -> str:
    from lora_lint.settings import find

    return find(os.getcwd()) or ""


def _proposal() -> "Proposal":
    from lora_lint.linter import read_setups
    from lora_lint.proposal import propose, used

    return propose(
        one
        for setup in read_setups(["."])
        if not setup.document.example
        for site in setup.sites
        for one in used(site, setup.document.source.name.split("/")[:-1])
    )


def _settings(proposal: "Proposal", *, baseline: bool) -> Iterator[Piece]:
    """The table for `pyproject.toml` where there is one, else a file of our own."""
    inside = _readable_toml("pyproject.toml")
    table = "tool.lora-lint" if inside else ""
    lines = [f"[{table}]"] if table else []
    lines.append(f'policy = "{proposal.policy}"')
    if baseline:
        lines.append(f'baseline = "{BASELINE}"')
    for folder, policy, _ in proposal.overrides:
        lines += ["", f"[[{table + '.' if table else ''}overrides]]", f"paths = {_toml_text(f'{folder}/**')}"]
        lines.append(f'policy = "{policy}"')
    added = "\n".join(lines) + "\n"
    if not inside:
        yield Piece("lora-lint.toml", added, added)
        return
    with open("pyproject.toml", encoding="utf-8", newline="") as file:
        before = file.read()
    yield Piece("pyproject.toml", f"{before.rstrip()}\n\n{added}" if before.strip() else added, added)


def _toml_text(text: str) -> str:
    import json

    return f"[{json.dumps(text)}]"


def _readable_toml(path: str) -> bool:
    import tomllib

    try:
        with open(path, "rb") as file:
            tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False
    return True


def _hook() -> Iterator[Piece]:
    """The hook, at the end of the list of repositories where pre-commit is in use."""
    from lora_lint import __version__

    name, added = ".pre-commit-config.yaml", HOOK.format(version=__version__)
    if not os.path.exists(name):
        yield Piece(name, f"repos:\n{added}", f"repos:\n{added}")
        return
    with open(name, encoding="utf-8", newline="") as file:
        before = file.read()
    end = _end_of_repos(before)
    if end is not None and "lora-lint" not in before:
        head, tail = before[:end].rstrip(), before[end:].lstrip("\r\n")
        yield Piece(name, f"{head}\n{added}{tail}", added)


def _end_of_repos(text: str) -> int | None:
    """Where the list of repositories ends, None where it isn't indented as ours is."""
    from lora_lint.document import Source, UnreadableError
    from lora_lint.readers import yaml

    try:
        (document,) = yaml.composed(Source("", text))
    except (UnreadableError, ValueError):
        return None
    repos = document.data.get("repos") if isinstance(document.data, dict) else None
    if not isinstance(repos, list) or not repos:
        return None
    first, last = document.entry(("repos", 0)), document.entry(("repos", len(repos) - 1))
    if first is None or last is None or text[: first.value.start].rpartition("\n")[2] != "  - ":
        return None
    end = text.find("\n", last.value.end)
    return len(text) if end < 0 else end + 1


def _workflow() -> Iterator[Piece]:
    from lora_lint import __version__

    path = os.path.join(".github", "workflows", "lora-lint.yml")
    if os.path.isdir(".github") and not os.path.exists(path):
        text = WORKFLOW.format(version=__version__)
        yield Piece(path, text, text)


def _shown(proposal: "Proposal", pieces: list[Piece]) -> Iterator[str]:
    from lora_lint.printable import printable
    from lora_lint.reporters.text import counted

    if proposal.total:
        scales = ", ".join(f"scale {scale} in {count}" for scale, count in proposal.scales[:5])
        yield f"{counted(proposal.total, 'site')} with a chosen alpha: {scales}"
        yield f"policy {proposal.policy} holds in {proposal.kept} of them"
    else:
        yield f"no site with a chosen alpha was found; policy {proposal.policy} is lora-lint's own"
    for folder, policy, count in proposal.overrides:
        yield printable(f"{folder}: policy {policy} in all {count}")
    for piece in pieces:
        yield f"\n{piece.path}:"
        yield from (printable(f"    {line}".rstrip()) for line in piece.added.splitlines())
    yield ""


def _agreed() -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return typer.confirm("Write these files?", default=False)


def _accept() -> None:
    """Write a baseline of what is found under the new settings."""
    from lora_lint.baseline import text
    from lora_lint.cli.options import settings_for
    from lora_lint.linter import lint

    found = lint(["."], settings_for(["."], None, None, None)).diagnostics
    save(BASELINE, text(found, BASELINE))
    say(f"{len(found)} findings of today are accepted")
