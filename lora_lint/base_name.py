"""The base model that a setup names: a repository of the Hugging Face hub, a path of one machine, or either."""

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from lora_lint.document import Path

if TYPE_CHECKING:
    from lora_lint.vocabulary import Adapter

Where = Literal["hub", "path", "nowhere", "unclear"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
"""`org/name`; ids of before 2020 have no slash and look like any folder."""
_PATH = re.compile(r"[/~\\.]|[A-Za-z]:[/\\]|(?!accounts/|\w+:)[^/]+/[^/]+/|[^\\]*\\")
"""Begins at a root, a home or a drive, or goes through two folders, which ids of the hub don't; Fireworks' do."""
_OF_RUNS = re.compile(r"(?:models?|outputs?|results|saves?|checkpoints?)/|[^/]+/checkpoint-\d+/?\Z")
"""Where trainers put what they made."""
_CACHED = re.compile(r"(?:.*[/\\])?models--([A-Za-z0-9][\w.]*(?:-[\w.]+)*)--([\w.-]+?)(?:[/\\].*)?")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_LONGEST = 1000
"""Characters of a name that is looked at."""


class BaseName(NamedTuple):
    """What is written, where it stands, and what kind of place it names; `nowhere` is a written null or blank."""

    name: str
    path: Path
    where: Where

    @property
    def repository(self) -> str:
        """The repository of the hub that a path inside a Hugging Face cache was downloaded from."""
        return cached_repository(self.name) if self.where == "path" else ""


def cached_repository(path: str) -> str:
    """The repository that a path inside a Hugging Face cache was downloaded from; empty for other paths."""
    match = _CACHED.fullmatch(path)
    return f"{match[1]}/{match[2]}" if match else ""


def base_name(adapter: "Adapter", *, default: bool = False) -> BaseName | None:
    """The base model as it is written, or as an option's default gives it; None where it isn't, or isn't known."""
    fact = adapter.ask("base_model")
    if fact is None or not (fact.origin == "written" or (default and fact.path)):
        return None
    if not fact.known or not isinstance(fact.value, str | None):
        return None
    name = (fact.value or "").strip()
    return BaseName(name, fact.path, where(name))


def is_commit(revision: str) -> bool:
    """Whether a revision is a commit, which nobody can move."""
    return _COMMIT.fullmatch(revision) is not None


def where(name: str) -> Where:
    """What kind of place a name is, by its spelling alone: nothing is looked up."""
    if not name or len(name) > _LONGEST:
        return "unclear" if name else "nowhere"
    if _PATH.match(name) or _OF_RUNS.match(name):
        return "path"
    return "hub" if _HUB_ID.fullmatch(name) else "unclear"
