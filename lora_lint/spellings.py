"""What a schema calls its keys and the words of the vocabulary, asked once for each schema."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from lora_lint.schema import Old, Schema


@cache
def spelling_of(model: type[Schema]) -> Mapping[str, str]:
    """Words of `lora_lint.vocabulary` -> what they are called here, those of the schemas it builds on included."""
    found: dict[str, str] = {}
    for parent in reversed(model.__mro__):
        found |= vars(parent).get("SPELLED", {})
    return found


@cache
def keys_of(model: type[Schema]) -> frozenset[str]:
    """All keys of a schema, in all spellings."""
    return frozenset(key for spellings in spellings_of(model).values() for key in spellings)


@cache
def words_of(model: type[Schema]) -> Mapping[str, tuple[str, ...]]:
    """Key -> the words that it stands for."""
    found: dict[str, tuple[str, ...]] = {}
    spelled = {own: word for word, own in spelling_of(model).items()}
    for name, keys_ in spellings_of(model).items():
        for key in keys_:
            found[key] = (spelled[name], name) if name in spelled else (name,)
    return found


@cache
def old_keys_of(model: type[Schema]) -> Mapping[str, Old]:
    """Keys of earlier releases, those of the schemas it builds on included."""
    found: dict[str, Old] = {}
    for parent in reversed(model.__mro__):
        found |= vars(parent).get("OLD", {})
    return found


@cache
def dotted_words_of(model: type[Schema]) -> tuple[tuple[str, str], ...]:
    """Words that stand at a dotted path."""
    return tuple(
        (word, own) for word, own in spelling_of(model).items() if "." in own and own not in model.model_fields
    )


@cache
def defaults_of(model: type[Schema]) -> Mapping[str, object]:
    """Key -> the default of its field."""
    defaults = {name: field.get_default(call_default_factory=True) for name, field in model.model_fields.items()}
    return {key: defaults[name] for name, keys_ in spellings_of(model).items() for key in keys_}


@cache
def releases_of(model: type[Schema]) -> Mapping[str, str]:
    """Field -> the release that brought it."""
    extras = {name: field.json_schema_extra for name, field in model.model_fields.items()}
    return {name: str(extra["since"]) for name, extra in extras.items() if isinstance(extra, dict) and "since" in extra}


@cache
def spellings_of(model: type[Schema]) -> Mapping[str, tuple[str, ...]]:
    """Field -> the keys that it can be written under."""
    return {name: _choices(name, field.validation_alias) for name, field in model.model_fields.items()}


def _choices(name: str, alias: Any) -> tuple[str, ...]:
    if alias is None:
        return (name,)
    return (alias,) if isinstance(alias, str) else tuple(alias.choices)


def whole_flag(model: type[Schema], name: str) -> str:
    """The flag that the beginning of one stands for, among those of LoRA: of others the schema may not know all."""
    known = {spelling for spellings in spellings_of(model).values() for spelling in spellings}
    if name in known or not name.startswith("lora_"):
        return name
    begun = [spelling for spelling in known if spelling.startswith(name)]
    return begun[0] if len(begun) == 1 else name
