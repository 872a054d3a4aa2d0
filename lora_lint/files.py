"""Arguments to files worth reading: a walk that skips rubbish, counts it, and never skips what was named."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from lora_lint.finding import Skipped
from lora_lint.gitignore import Gitignore, gitignore, gitignores_above, ignored, spec
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
    ".ps1": "powershell",
    ".bat": "batch",
    ".cmd": "batch",
    ".py": "python",
    ".ipynb": "notebook",
    ".md": "markdown",
    ".markdown": "markdown",
    ".mk": "makefile",
    ".dockerfile": "dockerfile",
    ".safetensors": "weights",
    ".gguf": "weights",
    ".nemo": "weights",
}
"""Endings of files worth opening; others are read when they are named, by what they look like."""

NAMES = {
    "makefile": "makefile",
    "gnumakefile": "makefile",
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
}
"""Names of files worth opening, in small letters and without what follows a dot: `Dockerfile.gpu`."""

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".lora")
"""Endings of files that torch.save writes; LitGPT calls its own `lit_model.pth.lora`. Of a tree only those are opened
that are LoRA's by their name."""

LORA_WEIGHTS = ("lora", "lokr", "loha", "locon", "lycoris", "adapter_model", "pytorch_adapter")
"""What the names of files with LoRA weights hold, in small letters."""

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
    small = name.lower()
    ending = small[small.rfind(".") :]
    if ending in PICKLED:
        return "weights" if named_as_lora(small) else None
    return SYNTAXES.get(ending) or NAMES.get(small.partition(".")[0])


def named_as_lora(name: str) -> bool:
    """Whether a file of weights is LoRA's by its name; LLaVA's `non_lora_trainables.bin` isn't."""
    small = name.lower()
    return any(word in small for word in LORA_WEIGHTS) and not small.startswith("non_lora")


CONFIGS = ("adapter_config.json", "config.json")
"""What says what the weights in its folder are."""


class Candidate(NamedTuple):
    """A file to be read; `named` ones come from the command line and are read whatever they are."""

    path: str
    named: bool
    inside: str = ""
    """The path below the folder that was named, where that was an absolute one."""
    regular: bool = False
    """Whether it is known to be a regular file, and no link to another."""
    beside: frozenset[str] | None = None
    """The names in its folder, where that was listed."""
    data: bytes | None = None
    """What is in it, where it was read already."""


class Top(NamedTuple):
    """A folder to be walked, and how the paths below it are made: absolute ones, and those below a named folder."""

    path: str
    base: str
    cut: int
    skip: int

    @classmethod
    def of(cls, path: str) -> "Top":
        base, cut = (os.path.abspath(path), len(path)) if path != "." else (os.path.join(os.getcwd(), ""), 0)
        return cls(path, base, cut, len(path) + 1 if os.path.isabs(path) else 0)

    def full(self, path: str) -> str:
        return self.base + path[self.cut :]


class Walk:
    """The files under some roots; what was left out is in `skipped` when the walk is done.

    Without `ask_git`, what git ignores is read too: adapters are seldom committed.
    """

    def __init__(self, settings: Settings, *, ask_git: bool = True) -> None:
        self.settings = settings
        self.ask_git = ask_git
        self.skipped: list[Skipped] = []
        self._exclude = spec(settings.exclude) if settings.exclude else None
        self._seen: set[str] = set()
        self._overlapping = False

    def files(self, roots: list[str]) -> Iterator[Candidate]:
        self._overlapping = len(roots) > 1
        for root in roots:
            path = os.path.normpath(root)
            if os.path.isdir(path):
                yield from self._folder(path)
                continue
            for one in (path, *_configs_of(path)):
                full = os.path.abspath(one)
                if not self._new(full):
                    continue
                if self._exclude is not None and self._excluded(full):
                    self.skipped.append(Skipped(one, "excluded by settings"))
                else:
                    yield Candidate(one, named=True, inside=os.path.basename(one) if os.path.isabs(one) else one)

    def _new(self, full: str) -> bool:
        if full in self._seen:
            return False
        self._seen.add(full)
        return True

    def _folder(self, root: str) -> Iterator[Candidate]:
        top = Top.of(root)
        pending: list[tuple[str, list[Gitignore]]] = [(root, gitignores_above(root) if self.ask_git else [])]
        while pending:
            folder, rules = pending.pop()
            candidates, below, rules = self.level(top, folder, rules)
            yield from candidates
            pending += [(path, rules) for path in reversed(below)]

    def level(
        self, top: Top, folder: str, rules: list[Gitignore]
    ) -> tuple[list[Candidate], list[str], list[Gitignore]]:
        """The files to read in one folder, the folders to walk below it, and the ignore files that hold for them."""
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.skipped.append(Skipped(folder, (error.strerror or "can't be listed").lower()))
            return [], [], rules
        if self.ask_git and any(entry.name == ".gitignore" for entry in found):
            rules = [*rules, *gitignore(folder)]
        candidates: list[Candidate] = []
        below: list[str] = []
        names = frozenset([entry.name for entry in found])
        for entry in found:
            name = entry.name
            path = entry.path if folder != "." else name
            try:
                is_folder = entry.is_dir(follow_symlinks=False)
            except OSError:
                is_folder = False
            if not (is_folder or syntax_of_name(name)):
                continue
            full = top.full(path)
            reason = self._reason(name, full, rules, is_folder=is_folder)
            if reason:
                self.skipped.append(Skipped(path, reason))
            elif is_folder:
                below.append(path)
            elif not self._overlapping or self._new(full):
                candidates.append(Candidate(path, False, path[top.skip :], entry.is_file(follow_symlinks=False), names))
        return candidates, below, rules

    def _reason(self, name: str, full: str, rules: list[Gitignore], *, is_folder: bool) -> str:
        if name.startswith(".") and name not in READ_HIDDEN:
            return "hidden"
        if is_folder and name in RUBBISH:
            return "not your configs"
        if self._exclude is not None and self._excluded(full):
            return "excluded by settings"
        if rules and ignored(full, rules, is_folder=is_folder):
            return "ignored by git"
        return ""

    def _excluded(self, full: str) -> bool:
        folder = self.settings.folder or os.getcwd()
        if not full.startswith(folder.rstrip(os.sep) + os.sep):
            return False
        return bool(self._exclude and self._exclude.match_file(os.path.relpath(full, folder)))


def _configs_of(path: str) -> Iterator[str]:
    """The configs beside weights that were named: a hook is given only what changed, and either may have."""
    if path.endswith((".safetensors", ".safetensors.index.json", *PICKLED, ".bin.index.json")):
        folder = os.path.dirname(path)
        yield from (one for name in CONFIGS if os.path.isfile(one := os.path.join(folder, name)))
