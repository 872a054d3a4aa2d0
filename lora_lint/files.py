"""Arguments to files worth reading: a walk that skips rubbish, counts it, and never skips what was named."""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from lora_lint.finding import Skipped
from lora_lint.settings import Settings

SYNTAXES = {
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".toml": "toml",
    ".sh": "shell",
    ".bash": "shell",
    ".zsh": "shell",
    ".ksh": "shell",
    ".slurm": "shell",
    ".sbatch": "shell",
    ".py": "python",
    ".ipynb": "notebook",
    ".md": "markdown",
    ".markdown": "markdown",
    ".mk": "makefile",
    ".dockerfile": "dockerfile",
    ".safetensors": "safetensors",
}
"""Endings of files worth opening; others are read when they are named, by what they look like."""

NAMES = {
    "makefile": "makefile",
    "gnumakefile": "makefile",
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
}
"""Names of files worth opening, in small letters and without what follows a dot: `Dockerfile.gpu`."""

READ_HIDDEN = frozenset((".github", ".hydra", ".circleci", ".buildkite", ".gitlab", ".gitlab-ci.yml"))
"""Hidden folders and files that people write by hand, or that keep what a run was started with."""

RUBBISH = frozenset(
    (
        "site-packages",
        "node_modules",
        "bower_components",
        "wandb",
        "mlruns",
        "__pycache__",
        "venv",
        "env",
        "dist",
        "build",
    )
)
"""Folders that hold other people's code or a run's logs."""


def syntax_of_name(name: str) -> str | None:
    """The syntax that a file's name, without its folder, tells."""
    syntax = SYNTAXES.get(os.path.splitext(name)[1].lower())
    return syntax or NAMES.get(name.partition(".")[0].lower())


CONFIGS = ("adapter_config.json", "config.json")
"""What says what the weights in its folder are."""


class Candidate(NamedTuple):
    """A file to be read; `named` ones come from the command line and are read whatever they are."""

    path: str
    named: bool
    inside: str = ""
    """The path below the folder that was named, where that was an absolute one."""


class Walk:
    """The files under some roots; what was left out is in `skipped` when the walk is done."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.skipped: list[Skipped] = []
        self._exclude = _spec(settings.exclude) if settings.exclude else None
        self._seen: set[str] = set()

    def files(self, roots: list[str]) -> Iterator[Candidate]:
        for root in roots:
            path = os.path.normpath(root)
            if os.path.isdir(path):
                yield from self._folder(path)
                continue
            for one in (path, *_configs_of(path)):
                if not self._new(os.path.abspath(one)):
                    continue
                if self._exclude is not None and self._excluded(one):
                    self.skipped.append(Skipped(one, "excluded by settings"))
                else:
                    yield Candidate(one, named=True, inside=os.path.basename(one) if os.path.isabs(one) else one)

    def _new(self, full: str) -> bool:
        if full in self._seen:
            return False
        self._seen.add(full)
        return True

    def _folder(self, top: str) -> Iterator[Candidate]:
        pending: list[tuple[str, list[_Gitignore]]] = [(top, _gitignores_above(top))]
        track = bool(self._seen) or top != "."
        base, cut = (os.path.abspath(top), len(top)) if top != "." else (os.path.join(os.getcwd(), ""), 0)
        skip = len(top) + 1 if os.path.isabs(top) else 0
        while pending:
            folder, rules = pending.pop()
            try:
                with os.scandir(folder) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                self.skipped.append(Skipped(folder, (error.strerror or "can't be listed").lower()))
                continue
            if any(entry.name == ".gitignore" for entry in found):
                rules = [*rules, *_gitignore(folder)]
            below: list[tuple[str, list[_Gitignore]]] = []
            for entry in found:
                path = entry.path if folder != "." else entry.name
                try:
                    is_folder = entry.is_dir(follow_symlinks=False)
                except OSError:
                    is_folder = False
                reason = self._reason(entry.name, path, rules, is_folder=is_folder)
                if reason:
                    if is_folder or syntax_of_name(entry.name):
                        self.skipped.append(Skipped(path, reason))
                elif is_folder:
                    below.append((path, rules))
                elif syntax_of_name(entry.name) and (not track or self._new(base + path[cut:])):
                    yield Candidate(path, named=False, inside=path[skip:])
            pending += reversed(below)

    def _reason(self, name: str, path: str, rules: "list[_Gitignore]", *, is_folder: bool) -> str:
        if name.startswith(".") and name not in READ_HIDDEN:
            return "hidden"
        if is_folder and name in RUBBISH:
            return "not your configs"
        if self._exclude is not None and self._excluded(path):
            return "excluded by settings"
        if rules and _ignored(path, rules, is_folder=is_folder):
            return "ignored by git"
        return ""

    def _excluded(self, path: str) -> bool:
        full = os.path.abspath(path)
        folder = self.settings.folder or os.getcwd()
        if not full.startswith(folder.rstrip(os.sep) + os.sep):
            return False
        return bool(self._exclude and self._exclude.match_file(os.path.relpath(full, folder)))


def _configs_of(path: str) -> Iterator[str]:
    """The configs beside weights that were named: a hook is given only what changed, and either may have."""
    if path.endswith((".safetensors", ".safetensors.index.json")):
        folder = os.path.dirname(path)
        yield from (one for name in CONFIGS if os.path.isfile(one := os.path.join(folder, name)))


class _Gitignore(NamedTuple):
    folder: str
    spec: Any


def _spec(lines: list[str]) -> Any:
    import pathspec

    return pathspec.GitIgnoreSpec.from_lines(lines)


def _gitignore(folder: str) -> Iterator[_Gitignore]:
    try:
        with open(os.path.join(folder, ".gitignore"), encoding="utf-8", errors="replace") as file:
            lines = [line for line in file.read().splitlines() if line.strip() and not line.startswith("#")]
    except OSError:
        return
    if lines:
        try:
            yield _Gitignore(os.path.abspath(folder), _spec(lines))
        except ValueError:
            return


def _gitignores_above(top: str) -> list[_Gitignore]:
    """The ignore files between the top of the repository and the folder, outermost first."""
    found: list[_Gitignore] = []
    folder = os.path.abspath(top)
    inside = os.path.exists(os.path.join(folder, ".git"))
    while not inside:
        parent = os.path.dirname(folder)
        if parent == folder:
            return []
        folder = parent
        found = [*_gitignore(folder), *found]
        inside = os.path.exists(os.path.join(folder, ".git"))
    return found


def _ignored(path: str, rules: list[_Gitignore], *, is_folder: bool) -> bool:
    """The innermost ignore file that says anything about the path decides, as in git."""
    full = os.path.abspath(path)
    for rule in reversed(rules):
        relative = os.path.relpath(full, rule.folder) + ("/" if is_folder else "")
        verdict = rule.spec.check_file(relative).include
        if verdict is not None:
            return bool(verdict)
    return False
