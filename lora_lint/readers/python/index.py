"""What a walk over Python code finds: scopes, calls, options, and the strings that may hold examples."""

import ast
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from lora_lint.expression import dotted
from lora_lint.readers.python.scopes import Class, Function, Parameter, Scope, Use, field_default

LORA = re.compile(r"(?<![eE]xp)([ld]ora|peft|lycoris)(?!tion)", re.IGNORECASE)
"""A name that speaks of LoRA; `exploration` doesn't."""
LORA_KEY = re.compile(r"lora_(r$|r_|rank|alpha)", re.IGNORECASE)
LORA_FLAG = re.compile(r"(?:^|\s)--[\w.-]*(?:lora|peft)", re.IGNORECASE)


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
    commands: list[tuple[ast.List | ast.Tuple | ast.JoinedStr, Use]] = field(default_factory=list)
    """Lists of words and f-strings that hold a flag of LoRA's."""
    partial: set[ast.AST] = field(default_factory=set)
    """Expressions that are added to others."""
    extended: set[str] = field(default_factory=set)
    """Lists and texts to which more is added."""
    split: set[ast.AST] = field(default_factory=set)
    """Texts that are split at white space, line ends included."""
    updates: dict[str, list[tuple[ast.Call, Use]]] = field(default_factory=dict)
    """Calls of `update` that name each key, by what they change."""
    items: dict[str, set[str]] = field(default_factory=dict)
    """Keys that are assigned to mappings after they were made."""
    texts: list[ast.Constant] = field(default_factory=list)

    def added(self, name: str) -> bool:
        """Whether a name is an operand: `command + more`."""
        return any(isinstance(node, ast.Name) and node.id == name for node in self.partial)


def parameters(arguments: ast.arguments) -> list[Parameter]:
    """The named parameters in order; keyword-only ones come last, as positional arguments never reach them."""
    plain = [*arguments.posonlyargs, *arguments.args]
    missing: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults))
    defaults = [*missing, *arguments.defaults, *arguments.kw_defaults]
    return [
        Parameter(argument.arg, argument, field_default(default))
        for argument, default in zip([*plain, *arguments.kwonlyargs], defaults, strict=True)
    ]


def has_flag(parts: Sequence[ast.expr]) -> bool:
    """Whether a constant among the parts of a command is, or holds, a LoRA flag."""
    texts = (part.value for part in parts if isinstance(part, ast.Constant))
    return any(isinstance(text, str) and "-" in text and LORA_FLAG.search(text) for text in texts)


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
