"""What a walk over Python code finds: scopes, calls, options, and the strings that may hold examples."""

import ast
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from lora_lint.expression import dotted
from lora_lint.readers.python.scopes import Class, Function, Parameter, Scope, Use, field_default

LORA = re.compile(r"(?<![eE]xp)([ld]ora|peft|lycoris)(?!tion)", re.IGNORECASE)
"""A name that speaks of LoRA; `exploration` doesn't."""
LORA_KEY = re.compile(r"lora_(r$|r_|rank|alpha|parameters$)", re.IGNORECASE)


class Change(NamedTuple):
    """`owner.key = value` or `owner["key"] = value`; `value` is None where no expression gives it."""

    owner: str
    key: str
    value: ast.expr | None
    target: ast.Attribute | ast.Subscript
    use: Use


@dataclass(eq=False)
class Index:
    """What the walk found."""

    module: Scope
    calls: dict[str, list[tuple[ast.Call, Use]]] = field(default_factory=dict)
    """All calls by the last part of the function's name."""
    interesting: list[tuple[ast.Call | ast.Dict, Use]] = field(default_factory=list)
    functions: dict[ast.AST, Function] = field(default_factory=dict)
    classes: dict[ast.AST, Class] = field(default_factory=dict)
    methods: dict[str, list[Function]] = field(default_factory=dict)
    options: dict[str, list[tuple[ast.expr | None, Use]]] = field(default_factory=dict)
    """Defaults of command line options by destination."""
    fields: dict[str, list[tuple[ast.expr | None, Use]]] = field(default_factory=dict)
    """Defaults of class fields by name."""
    loads: Counter[str] = field(default_factory=Counter)
    mutated: set[str] = field(default_factory=set)
    """Mappings that are changed by a method or under a computed key."""
    updates: dict[str, list[tuple[ast.Call, Use]]] = field(default_factory=dict)
    """Calls of `update` that name each key, by what they change."""
    items: dict[str, set[str]] = field(default_factory=dict)
    """Keys that are assigned to mappings after they were made."""
    texts: list[ast.Constant] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    """Attributes and items that are set, in the order of the text."""
    meant: dict[ast.expr, ast.Call] = field(default_factory=dict)
    """Calls that stand for others, which are in `interesting`."""


def parameters(arguments: ast.arguments) -> list[Parameter]:
    """The named parameters in order; keyword-only ones come last, as positional arguments never reach them."""
    plain = [*arguments.posonlyargs, *arguments.args]
    missing: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults))
    defaults = [*missing, *arguments.defaults, *arguments.kw_defaults]
    return [
        Parameter(argument.arg, argument, field_default(default))
        for argument, default in zip([*plain, *arguments.kwonlyargs], defaults, strict=True)
    ]


def type_name(node: ast.Call | ast.Dict) -> str:
    kind = type_of(node)
    if isinstance(kind, ast.Constant):
        return str(kind.value).rpartition(".")[2] if isinstance(kind.value, str) else ""
    return (dotted(kind) or "").rpartition(".")[2] if kind is not None else ""


def type_of(node: ast.Call | ast.Dict) -> ast.expr | None:
    """The `type` of a dict that stands for a call."""
    if isinstance(node, ast.Call):
        return next((keyword.value for keyword in node.keywords if keyword.arg == "type"), None)
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == "type":
            return value
    return None
