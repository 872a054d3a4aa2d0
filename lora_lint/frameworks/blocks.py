"""Blocks of keys: nested mappings in a config file, the same keys under dotted names in a command's overrides."""

from collections.abc import Iterator, Mapping
from copy import copy
from functools import cache
from itertools import islice
from typing import Any

from pydantic import create_model

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact
from lora_lint.schema import Schema

_MOST_MAPPINGS = 2_000
_DEEPEST = 8


def block(data: object, path: Path) -> Mapping[Any, Any]:
    """The mapping at `path`; an empty one where nothing or something else stands."""
    for part in path:
        data = data.get(part) if isinstance(data, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def blocks(
    document: Document, model: type[Schema], keys: tuple[str, ...], *owners: str
) -> Iterator[tuple[type[Schema], Path]]:
    """The schemas and paths of the blocks that hold one of `keys`; an owner is a dotted path, `""` the root."""
    for owner in owners:
        if document.syntax == "shell":
            if any(name in block(document.data, ()) for name in _dotted(owner, keys)):
                yield under(model, owner), ()
            continue
        path: Path = tuple(owner.split(".")) if owner else ()
        if any(key in block(document.data, path) for key in keys):
            yield model, path


def overrides(document: Document, owner: str, *keys: str) -> tuple[str, ...]:
    """Those of the keys that are written in a block, as marks."""
    data = block(document.data, ())
    if document.syntax != "shell" and owner:
        data = {f"{owner}.{key}": value for key, value in block(data, tuple(owner.split("."))).items()}
    return tuple(name for name in _dotted(owner, keys) if name in data)


@cache
def under(model: type[Schema], owner: str) -> type[Schema]:
    """The schema of a block whose keys are written with their owner's dotted name before them."""
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        field = copy(field)
        field.validation_alias = f"{owner}.{name}" if owner else name
        fields[name] = (field.annotation, field)
    return create_model(model.__name__, __base__=model, **fields)


def instantiated(data: object, *modules: str, key: str = "_target_") -> Iterator[tuple[str, Path]]:
    """The mappings whose `_target_` is in one of the modules: the target and the path."""
    for path, mapping in mappings(data):
        target = mapping.get(key)
        if isinstance(target, str) and target.startswith(modules):
            yield target, path


def mappings(data: object) -> Iterator[tuple[Path, Mapping[Any, Any]]]:
    """All mappings with their paths, the outer ones first; of a file that nobody would write only so many."""
    return islice(_mappings(data), _MOST_MAPPINGS)


def _mappings(data: object) -> Iterator[tuple[Path, Mapping[Any, Any]]]:
    pending: list[tuple[Path, object]] = [((), data)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, Mapping):
            yield path, value
            if len(path) < _DEEPEST:
                pending += [((*path, key), inner) for key, inner in reversed(list(value.items()))]


def at(document: Document, *names: str) -> Fact[Any] | None:
    """What stands under the first of some dotted names that is written; commands have each as one key."""
    for name in names:
        path: Path = (name,) if document.syntax == "shell" else tuple(name.split("."))
        owner = block(document.data, path[:-1])
        if path[-1] in owner:
            value = owner[path[-1]]
            return Fact(value, path, "unknown" if isinstance(value, Unknown) else "written")
    return None


def _dotted(owner: str, keys: tuple[str, ...]) -> Iterator[str]:
    return (f"{owner}.{key}" if owner else key for key in keys)
