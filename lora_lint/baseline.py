"""The baseline: findings that are known and accepted, by rule, file and key path; never a line or a value."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

from lora_lint.finding import Diagnostic

FORMAT = 1


class BaselineError(Exception):
    """A baseline file that can't be used, and why."""


def _entry(diagnostic: Diagnostic, folder: str) -> tuple[str, str, tuple[Any, ...]]:
    file = os.path.relpath(os.path.abspath(diagnostic.file), folder).replace(os.sep, "/")
    path: tuple[Any, ...] = tuple(diagnostic.path) or ((diagnostic.tensor,) if diagnostic.tensor else ())
    return diagnostic.rule, file, path


def _folder(path: str) -> str:
    return os.path.dirname(os.path.abspath(path))


class Baseline:
    """The findings that a file holds; each of its entries covers one finding."""

    def __init__(self, path: str) -> None:
        """
        Raises:
            BaselineError: when the file can't be read or isn't a baseline.
        """
        self._known = _load(path)
        self._folder = _folder(path)

    def remaining(self, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
        """The findings that it doesn't hold."""
        kept = []
        for diagnostic in diagnostics:
            entry = _entry(diagnostic, self._folder)
            if self._known[entry] > 0:
                self._known[entry] -= 1
            else:
                kept.append(diagnostic)
        return kept


def _load(path: str) -> Counter[tuple[str, str, tuple[Any, ...]]]:
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        if data["format"] != FORMAT:
            raise BaselineError(f"{path}: format {data['format']!r}; this release reads {FORMAT}")
        return Counter((entry["rule"], entry["file"], tuple(entry["path"])) for entry in data["findings"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BaselineError(f"{path}: not a baseline of lora-lint: {error}") from None


def text(diagnostics: list[Diagnostic], path: str) -> str:
    """A baseline file that holds these findings."""
    folder = _folder(path)
    entries = [
        {"rule": rule, "file": file, "path": list(parts)}
        for rule, file, parts in (_entry(diagnostic, folder) for diagnostic in diagnostics)
    ]
    return json.dumps({"format": FORMAT, "findings": entries}, indent=2) + "\n"
