"""Reports as text: one module per format, each a pure function from a report to a string."""

import os
from importlib import import_module

from lora_lint.finding import Diagnostic, Report

_REMOTE = ("s3://", "gs://", "hf://")
FORMATS = ("text", "json", "github", "gitlab", "sarif", "junit")


def render(report: Report, name: str) -> str:
    """The report in one of `FORMATS`.

    Raises:
        ValueError: when there is no such format.
    """
    if name not in FORMATS:
        raise ValueError(f"there is no format {name!r}; there are {', '.join(FORMATS)}")
    text: str = import_module(f"lora_lint.reporters.{name}").render(report)
    return text


def placed(diagnostic: Diagnostic) -> bool:
    """Whether its range says something: weights and files that can't be read have no lines."""
    start, end = diagnostic.range
    if start != end or any(diagnostic.source_lines):
        return True
    return diagnostic.document is not None and bool(diagnostic.document.source.text and diagnostic.source_lines)


def related_file(diagnostic: Diagnostic) -> str:
    """The file of the related places: the config, even where the finding is about weights beside it."""
    return diagnostic.document.source.name if diagnostic.document is not None else diagnostic.file


def is_url(file: str) -> bool:
    """Whether a file is in a bucket or on the hub."""
    return file.startswith(_REMOTE)


def relative(file: str) -> str | None:
    """The path from the working directory, with forward slashes; None for a file outside it, or behind a URL."""
    if is_url(file):
        return None
    root, full = os.getcwd(), os.path.abspath(file)
    if full != root and not full.startswith(os.path.join(root, "")):
        return None
    return os.path.relpath(full, root).replace(os.sep, "/")
