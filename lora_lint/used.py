"""Saying what a result was made of, where a cache stands between the result and the opening of the file."""

import sys

EVENT = "lora_lint.used"
"""The event of `sys.audit` that carries the path; Python itself raises one for what is opened or listed."""


def used(path: str) -> None:
    """Tell whoever listens that a file or folder has a part in what is being read; free where nobody does."""
    sys.audit(EVENT, path)
