"""The baseline: findings that are known and accepted, by rule, file and key path; never a line or a value."""

import json
import os
from collections import Counter
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


def load(path: str) -> Counter[tuple[str, str, tuple[Any, ...]]]:
    """
    Raises:
        BaselineError: when the file can't be read or isn't a baseline.
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        if data["format"] != FORMAT:
            raise BaselineError(f"{path}: format {data['format']!r}; this release reads {FORMAT}")
        return Counter((entry["rule"], entry["file"], tuple(entry["path"])) for entry in data["findings"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BaselineError(f"{path}: not a baseline of lora-lint: {error}") from None


def remaining(diagnostics: list[Diagnostic], path: str) -> list[Diagnostic]:
    """The findings that the baseline doesn't hold; an entry covers one finding.

    Raises:
        BaselineError: see `load`.
    """
    known = load(path)
    folder = _folder(path)
    kept = []
    for diagnostic in diagnostics:
        entry = _entry(diagnostic, folder)
        if known[entry] > 0:
            known[entry] -= 1
        else:
            kept.append(diagnostic)
    return kept


def text(diagnostics: list[Diagnostic], path: str) -> str:
    """A baseline file that holds these findings."""
    folder = _folder(path)
    entries = [
        {"rule": rule, "file": file, "path": list(parts)}
        for rule, file, parts in (_entry(diagnostic, folder) for diagnostic in diagnostics)
    ]
    return json.dumps({"format": FORMAT, "findings": entries}, indent=2) + "\n"
