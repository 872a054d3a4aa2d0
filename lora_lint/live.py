"""Configs that are alive: a `LoraConfig`, a model that carries some, a dataclass or a mapping, read like a document."""

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from lora_lint.document import Document, Source, Span, Syntax, Unknown
from lora_lint.frameworks import OWN_KEYS, candidates, setup
from lora_lint.reading import NO_SETTING, Reading
from lora_lint.setups import complete


def readings(subject: object, only: str | None = None) -> Iterator[Reading]:
    """What a live object says, each config on its own; `only` names the one framework to see it as.

    A model carries its configs in `peft_config`, by adapter, as those of PEFT, transformers and diffusers do. Neither
    these libraries nor torch are imported.

    Raises:
        TypeError: for an object that holds no keys.
    """
    if isinstance(subject, list | tuple):
        for one in subject:
            yield from readings(one, only)
        return
    carried = getattr(subject, "peft_config", None)
    if isinstance(carried, Mapping):
        for adapter, config in carried.items():
            yield _reading(f"<{type(subject).__name__}: {adapter}>", _keys(config), only)
        return
    yield _reading(f"<{type(subject).__name__}>", _keys(subject), only)


def _reading(name: str, keys: dict[str, Any], only: str | None) -> Reading:
    # What PEFT has loaded from a checkpoint says so; else it is about to be trained.
    syntax: Syntax = "json" if keys.get("inference_mode") is True else "yaml"
    document = Document(Source(name, ""), syntax, keys, Span(0, 0), embedded=True)
    own = next((framework for key, framework in OWN_KEYS.items() if isinstance(keys.get(key), str)), None)
    asked = only or own
    names = [asked] if asked else candidates(json.dumps(keys, default=str).encode())
    found = setup(document, names, lambda: None)
    setups = [complete(found)] if found is not None else []
    return Reading(name, document.source, [document], setups, reason="" if setups else NO_SETTING)


def _keys(subject: object) -> dict[str, Any]:
    data = _mapping(subject)
    if data is None:
        what = f"the class {subject.__name__}" if isinstance(subject, type) else f"{type(subject).__name__} object"
        raise TypeError(f"{what} is neither a path nor a config nor a model that carries one")
    return {str(_plain(key)): _plain(value) for key, value in data.items()}


def _mapping(subject: object) -> Mapping[Any, Any] | None:
    """The keys of a mapping, of what can tell them (PEFT's and transformers' configs, pydantic), or a dataclass."""
    if isinstance(subject, Mapping):
        return subject
    if isinstance(subject, type):
        return None
    for name in ("to_dict", "model_dump"):
        if callable(tell := getattr(subject, name, None)):
            data: object = tell()
            return data if isinstance(data, Mapping) else None
    if dataclasses.is_dataclass(subject):
        return {field.name: getattr(subject, field.name, None) for field in dataclasses.fields(subject)}
    return None


def _plain(value: Any) -> Any:
    """A value as a file would hold it; unknown where none could."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if getattr(value, "ndim", None) == 0 and callable(item := getattr(value, "item", None)):
        return _plain(item())
    if (data := _mapping(value)) is not None:
        return {str(_plain(key)): _plain(one) for key, one in data.items()}
    if isinstance(value, set | frozenset):
        return sorted((_plain(one) for one in value), key=str)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return Unknown(str(value), f"is a {type(value).__name__}, which no config file holds")
