"""Files in YAML: the configs and scripts that a Kubernetes ConfigMap, or a list of files, holds under their names."""

from collections.abc import Iterator

from lora_lint.document import Document, Path, Syntax
from lora_lint.embedding import read_inside
from lora_lint.readers.yaml_scalars import places

_SYNTAXES: dict[str, Syntax] = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".toml": "toml",
    ".sh": "shell",
    ".py": "python",
}
MAX_CHARACTERS = 500_000
"""Characters of files in one document, which aliases can repeat."""

MAX_VALUES = 20_000
"""Mappings and lists that are looked into."""


def files(document: Document) -> Iterator[Document]:
    """The documents of the files in a YAML document; text of one line is the name of a file rather than a file."""
    characters = 0
    for path, text in _texts(document.data):
        syntax = _SYNTAXES.get("." + str(path[-1]).rpartition(".")[2])
        characters += len(text) if syntax is not None else 0
        if syntax is None or "\n" not in text.strip() or characters > MAX_CHARACTERS:
            continue
        entry = document.entry(path)
        span = entry.value if entry is not None else document.span
        yield from read_inside(document.source, text, places(document.source.text, span, text), syntax)


def _texts(data: object) -> Iterator[tuple[Path, str]]:
    """The strings that stand under a key, in order."""
    pending: list[tuple[Path, object]] = [((), data)]
    for _ in range(MAX_VALUES):
        if not pending:
            return
        path, value = pending.pop()
        if isinstance(value, str) and path and isinstance(path[-1], str):
            yield path, value
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        pending += [((*path, key), item) for key, item in reversed(list(inner)) if isinstance(item, str | dict | list)]
