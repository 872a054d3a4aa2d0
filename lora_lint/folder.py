"""The files beside a config: what there is, and the small ones that say something about it."""

import json
import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from lora_lint.checkpoint import leads_out

LARGEST = 4 * 2**20
"""Bytes of a file that is read whole: configs and model cards are far smaller, tokenizers aren't needed whole."""


class Folder:
    """The folder of one file. Nothing outside of it, or of the model in a Hugging Face cache, is opened."""

    def __init__(self, path: str) -> None:
        self.path = os.path.dirname(os.path.abspath(path))

    @cached_property
    def top(self) -> str:
        """The repository that it is in, or the folder itself: nothing outside of it is opened for what a file names."""
        from lora_lint.nearby import repository

        return os.path.realpath(repository(self.path) or self.path)

    @cached_property
    def names(self) -> frozenset[str]:
        """The files and folders in it; none where it can't be listed."""
        try:
            return frozenset(os.listdir(self.path))
        except OSError:
            return frozenset()

    def text(self, name: str) -> str | None:
        """The text of a file beside it, None where there is no such file or it isn't a small text."""
        path = os.path.join(self.path, name)
        if name not in self.names or leads_out(self.path, name) or not os.path.isfile(path):
            return None
        try:
            with open(path, "rb") as file:
                data = file.read(LARGEST + 1)
            return data.decode("utf-8-sig") if len(data) <= LARGEST else None
        except (OSError, UnicodeDecodeError):
            return None

    def json(self, name: str) -> Mapping[str, Any] | None:
        """The mapping in a JSON file beside it, None where there is none."""
        text = self.text(name)
        try:
            data = json.loads(text) if text is not None else None
        except (ValueError, RecursionError):
            return None
        return data if isinstance(data, dict) else None

    def size(self, name: str) -> int:
        """The bytes of a file beside it, 0 where there is none."""
        path = os.path.join(self.path, name)
        if name not in self.names or leads_out(self.path, name):
            return 0
        try:
            return os.path.getsize(path) if os.path.isfile(path) else 0
        except OSError:
            return 0
