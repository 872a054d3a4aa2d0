"""OmegaConf's `${...}` within one YAML document: the value, the place it comes from, and arithmetic over other keys."""

from collections.abc import Mapping
from dataclasses import replace

from lora_lint.document import Document, Entry, Path
from lora_lint.interpolation.resolver import Resolver


def resolved(document: Document) -> Document:
    """The document with its interpolations filled in, as far as it tells; the others are unknown, with the reason."""
    resolver = Resolver(document.data)
    data = resolver.tree(document.data, (), root=True)[0]
    found = resolver.found
    if not found:
        return document

    def locate() -> Mapping[Path, Entry]:
        entries = dict(document.entries)
        for path, result in found.items():
            if path in entries:
                target = entries.get(result.origin) if result.origin is not None else None
                entries[path] = replace(entries[path], literal=None, origin=target.value if target else None)
        return entries

    return replace(
        document,
        data=data,
        locate=locate,
        defaults=document.defaults | {path for path, result in found.items() if result.default},
        expressions={**document.expressions, **resolver.expressions()},
    )
