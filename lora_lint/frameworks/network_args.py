"""`network_args` of sd-scripts and musubi-tuner: `key=value` items, whose numbers are facts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lora_lint.document import Path, Unknown
from lora_lint.facts import Fact

Arguments = Mapping[str, Fact[Any]]
"""`key=value` items by key: the text of the value, placed at the item."""


def parsed(items: object, path: Path) -> Arguments:
    """The items of `network_args`; one that isn't known whole still gives its key where that is written out."""
    found: dict[str, Fact[Any]] = {}
    if isinstance(items, Unknown):
        return {UNREAD: Fact(items, path, "unknown")}
    listed = items if isinstance(items, list) else [items]
    for at, item in enumerate(listed):
        text = item.text.strip("\"'") if isinstance(item, Unknown) else str(item)
        key, equals, value = text.partition("=")
        # The item itself is no number that could be rewritten, so the facts stand one step below it.
        place = (*path, at, key)
        if isinstance(item, Unknown):
            found[key if equals else UNREAD] = Fact(item, place, "unknown")
        elif equals:
            found[key.strip()] = Fact(value.strip("\"' "), place)
    return found


UNREAD = "?"
"""The key of arguments that only running the command would give."""


def number_of(arguments: Arguments, key: str) -> Fact[Any] | None:
    fact = arguments.get(key)
    return as_number(str(fact.value), fact) if fact is not None and fact.known else fact


def numbers_of(arguments: Arguments, key: str) -> list[Fact[Any]]:
    """The numbers of a list with commas, all placed at its item."""
    fact = arguments.get(key)
    if fact is None or not fact.known or not str(fact.value).strip():
        return []
    return [as_number(text, fact) for text in str(fact.value).split(",")]


def as_number(text: str, fact: Fact[Any]) -> Fact[Any]:
    try:
        value = float(text)
    except ValueError:
        return Fact(Unknown(text[:40], f"{text[:40]!r} is no number"), fact.path, "unknown")
    return replace(fact, _value=int(value) if value.is_integer() else value)
