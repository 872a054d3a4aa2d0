"""A command over a composed config: `model=lora` and `+experiment=x` choose configs, other keys set values."""

import os
from collections.abc import Mapping
from typing import Any

from lora_lint.document import Unknown
from lora_lint.hydra.composition import Composition, composed
from lora_lint.hydra.element import Element
from lora_lint.hydra.tree import Choice
from lora_lint.nearby import ConfigFile


def chosen(
    primary: ConfigFile, name: str, given: Mapping[Any, Any], top: str
) -> tuple[Composition, Composition, dict[Any, Any]]:
    """The composition without the command, that with what it chooses, and what else it gives.

    `name` is what the command calls the config; the tree begins where that name begins.
    """
    plain = composed(primary, top, _root(primary, name, top))
    choices: dict[str, Choice] = {}
    added: list[Element] = []
    rest: dict[Any, Any] = {}
    for key, value in given.items():
        if key in plain.groups:
            choices[key] = _choice(value)
        elif _is_group(plain.root, key):
            group, _, package = str(key).partition("@")
            added.append(Element(group, _choice(value), package or None, appended=True))
        else:
            rest[key] = value
    if not choices and not added:
        return plain, plain, rest
    return plain, composed(primary, top, plain.root, choices, tuple(added)), rest


def _root(primary: ConfigFile, name: str, top: str) -> str:
    """The folder that a config's name is looked up in; empty where the defaults must tell."""
    return "" if os.path.dirname(name) else os.path.dirname(primary.path)


def _is_group(root: str, key: object) -> bool:
    group = str(key).partition("@")[0]
    return "." not in group and os.path.isdir(os.path.join(root, group))


def _choice(value: object) -> Choice:
    """The option that a command names; a variable is no name, so that its config isn't found."""
    if isinstance(value, Unknown):
        return "???"
    if isinstance(value, list):
        return [str(one) for one in value]
    return None if value in ("null", "None") else str(value)
