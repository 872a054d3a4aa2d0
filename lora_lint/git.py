"""What git knows: the files that changed since a revision, and what they were before."""

import os
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

_SAFE = (
    *("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "core.quotePath=false"),
    *("-c", "protocol.allow=never", "-c", "diff.external="),
)
"""Nothing of the repository's configuration is run, and nothing is fetched."""
_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
_UNSAFE = ("GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_TRACE")
SECONDS = 120
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""What there was before the first commit."""


class GitError(Exception):
    """Why git has no answer."""


class Change(NamedTuple):
    """One file that changed; `before` names its text at the revision, None where it is new."""

    path: str
    before: str | None


class Changes(NamedTuple):
    """The files that changed since a revision, by absolute path."""

    top: str
    files: Mapping[str, Change]

    def of(self, path: str) -> Change | None:
        return self.files.get(os.path.realpath(path))

    def before(self, change: Change) -> bytes | None:
        """The bytes that a file had, None where it is new or git doesn't have them."""
        if change.before is None:
            return None
        try:
            return _git(self.top, "cat-file", "blob", change.before)
        except GitError:
            return None


def changes(folder: str, revision: str) -> Changes:
    """What changed in the working tree since this branch left a revision, files that git doesn't know yet included.

    Raises:
        GitError: when the folder is in no repository, the revision is none, or git can't be run.
    """
    top = os.path.realpath(_git(folder, "rev-parse", "--show-toplevel").decode().rstrip("\n"))
    base = _base(top, revision)
    found: dict[str, Change] = {}
    listed = _git(top, "diff", "--no-ext-diff", "--no-textconv", "--name-status", "-z", "-M", base, "--")
    for change in _changed(listed, base):
        found[os.path.join(top, change.path)] = change
    for name in _git(top, "ls-files", "-z", "--others", "--exclude-standard").split(b"\0"):
        if name:
            path = os.fsdecode(name)
            found[os.path.join(top, path)] = Change(path, None)
    return Changes(top, found)


def _base(top: str, revision: str) -> str:
    """Where this branch left a revision; the revision itself where the two have nothing in common."""
    try:
        commit = _commit(top, revision)
    except GitError:
        if revision == "HEAD" and not _git(top, "rev-list", "-n", "1", "--all"):
            return _EMPTY_TREE
        raise
    try:
        return _git(top, "merge-base", commit, "HEAD").decode().split()[0]
    except (GitError, IndexError):
        return commit


def _commit(top: str, revision: str) -> str:
    named = f"{revision}^{{commit}}"
    return _git(top, "rev-parse", "--verify", "--end-of-options", named).decode().strip()


def _changed(listed: bytes, base: str) -> "list[Change]":
    """The entries of `git diff --name-status -z`: a status, then a path, or two for what was renamed or copied."""
    words = [os.fsdecode(word) for word in listed.split(b"\0")]
    found, at = [], 0
    while at + 1 < len(words):
        status = words[at][:1]
        old = new = words[at + 1]
        at += 2
        if status in ("R", "C"):
            new = words[at]
            at += 1
        if status != "D":
            found.append(Change(new, None if status == "A" else f"{base}:{old}"))
    return found


def _git(folder: str, *arguments: str) -> bytes:
    """
    Raises:
        GitError: with the first line of what git says.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _UNSAFE}
    try:
        done = subprocess.run(
            ["git", "-C", folder, *_SAFE, *arguments],
            env={**environment, **_ENVIRONMENT},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitError(f"git can't be run: {error}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0].removeprefix("fatal: ")
        raise GitError(said or f"git {arguments[0]} says no")
    return done.stdout
