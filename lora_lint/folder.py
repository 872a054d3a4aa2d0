"""The files beside a config: what there is, and the small ones that say something about it."""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lora_lint.checkpoint import leads_out
from lora_lint.document import Source, UnreadableError
from lora_lint.once import once
from lora_lint.upwards import repository
from lora_lint.used import used

LARGEST = 4 * 2**20
"""Bytes of a file that is read whole: configs and model cards are far smaller, tokenizers aren't needed whole."""

CARD = "README.md"


class Said(NamedTuple):
    """What a model card says in its head, and the line that says it."""

    value: str
    line: int


class Folder:
    """The folder of one file. Nothing outside of it, or of the model in a Hugging Face cache, is opened.

    `names` are those in it, where it was listed already.
    """

    def __init__(self, path: str, names: frozenset[str] | None = None) -> None:
        self.path = os.path.dirname(os.path.abspath(path))
        self._names = names

    @once
    def top(self) -> str:
        """The repository that it is in, or the folder itself: nothing outside of it is opened for what a file names."""
        return os.path.realpath(repository(self.path) or self.path)

    @once
    def names(self) -> frozenset[str]:
        """The files and folders in it; none where it can't be listed."""
        if self._names is not None:
            return self._names
        try:
            return frozenset(os.listdir(self.path))
        except OSError:
            return frozenset()

    def holds(self, name: str) -> bool:
        """Whether a file lies in it."""
        return name in self.names and os.path.isfile(os.path.join(self.path, name))

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
        used(path)
        try:
            return os.path.getsize(path) if os.path.isfile(path) else 0
        except OSError:
            return 0

    @once
    def card_base_models(self) -> tuple[Said, ...]:
        """The base models that the head of the model card names: one, or those of a merge."""
        text = (self.text(CARD) or "").replace("\r\n", "\n")
        head, mark, _ = text.removeprefix("---\n").partition("\n---")
        if not mark or not text.startswith("---\n") or "base_model" not in head:
            return ()
        return tuple(_base_models(Source(CARD, f"---\n{head}\n")))


def _base_models(head: Source) -> Iterator[Said]:
    from lora_lint.readers.yaml import read

    try:
        documents = list(read(head))
    except UnreadableError:
        return
    for document in documents:
        data = document.data
        named = data.get("base_model") if isinstance(data, dict) else None
        for at, value in enumerate(named if isinstance(named, list) else [named]):
            if isinstance(value, str) and value:
                span = document.span_of(("base_model", at) if isinstance(named, list) else ("base_model",))
                yield Said(value, head.position(span.start).line)
