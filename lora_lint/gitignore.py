"""What git ignores: the `.gitignore` files of a folder and of those above it, up to the top of the repository."""

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from lora_lint.upwards import repository, to_the_top


class Gitignore(NamedTuple):
    """The patterns of one file, for paths below its folder."""

    folder: str
    spec: Any
    any_pattern: "re.Pattern[str] | None"
    """All patterns in one: most paths match none, and asking for each in turn is what a large tree would cost."""

    def verdict(self, full: str, *, is_folder: bool) -> bool | None:
        """Whether the file ignores a path, keeps it, or says nothing about it."""
        relative = full[len(self.folder) :].lstrip(os.sep).replace(os.sep, "/") + ("/" if is_folder else "")
        if self.any_pattern is not None and not self.any_pattern.match(relative):
            return None
        verdict: bool | None = self.spec.check_file(relative).include
        return verdict


def spec(lines: list[str]) -> Any:
    """
    Raises:
        ValueError: for a pattern that git doesn't know.
    """
    import pathspec

    return pathspec.GitIgnoreSpec.from_lines(lines)


def gitignore(folder: str) -> Iterator[Gitignore]:
    """The ignore file of a folder, if it says anything."""
    try:
        with open(os.path.join(folder, ".gitignore"), encoding="utf-8", errors="replace") as file:
            lines = [line for line in file.read().splitlines() if line.strip() and not line.startswith("#")]
    except OSError:
        return
    if lines:
        try:
            patterns = spec(lines)
        except ValueError:
            return
        yield Gitignore(os.path.abspath(folder), patterns, _any_of(patterns))


def _any_of(patterns: Any) -> "re.Pattern[str] | None":
    """One expression for all patterns; their groups are named alike, which one expression can't have."""
    texts = [re.sub(r"\(\?P<\w+>", "(?:", one.regex.pattern) for one in patterns.patterns if one.regex is not None]
    try:
        return re.compile("|".join(texts)) if texts else None
    except (re.error, OverflowError, RecursionError):
        return None


def gitignores_above(top: str) -> list[Gitignore]:
    """The ignore files between the top of the repository and a folder, outermost first."""
    folder = os.path.abspath(top)
    if repository(folder) is None:
        return []
    _, *above = to_the_top(folder)
    return [rule for each in reversed(above) for rule in gitignore(each)]


def ignored(full: str, rules: list[Gitignore], *, is_folder: bool) -> bool:
    """The innermost ignore file that says anything about a path decides, as in git."""
    for rule in reversed(rules):
        verdict = rule.verdict(full, is_folder=is_folder)
        if verdict is not None:
            return bool(verdict)
    return False
