"""Values of Python expressions, with the nodes they come from, and the shapes of expressions that hold values."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lora_lint.expression import dotted
from lora_lint.readers.python.lines import Located
from lora_lint.readers.python.scopes import Binding, Function, Scope, Use

MAX_DEPTH = 40
"""Expressions inside each other, and names that stand for names."""

Reference = ast.Name | ast.Attribute | ast.Subscript


class Free(NamedTuple):
    """A name that this file doesn't settle: its default, or why there is none, and the parameter that it is."""

    data: object
    parameter: tuple[Function, str] | None = None


@dataclass(slots=True, frozen=True)
class Value:
    """What an expression stands for, and the nodes that an `Entry` is made from."""

    data: object
    at: Located
    key: Located | None = None
    literal: Located | None = None
    origin: Located | None = None
    default: bool = False
    symbol: ast.expr | None = None
    """The expression with constants filled in, when free names remain."""
    free: Mapping[str, Free] = field(default_factory=dict)
    items: tuple[tuple[str | int, "Value"], ...] | None = None
    open: bool = False
    """Whether a mapping may hold more than `items`."""
    given: bool = False
    """Whether a caller gave it, so that it stands at the call and not where the parameter is used."""
    nothing: bool = False
    """Whether it is unknown only because it is None unless somebody sets it."""

    @property
    def parameters(self) -> set[tuple[Function, str]]:
        """The parameters that this value is made from; empty when anything else goes in."""
        found = {free.parameter for free in self.free.values() if free.parameter is not None}
        return found if len(found) == len(self.free) else set()


Environment = Mapping[tuple[Scope, str], Value]
"""What the parameters of functions stand for in one chain of calls."""


class Context(NamedTuple):
    """Where an expression is evaluated, for which callers, and how deep inside others."""

    use: Use
    environment: Environment
    depth: int = 0

    def deeper(self, use: Use | None = None) -> "Context":
        return Context(use or self.use, self.environment, self.depth + 1)

    def at(self, binding: Binding) -> "Context":
        return self.deeper(at(binding))


def keyed(value: Value, key: Located) -> Value:
    return value if value.given else replace(value, key=key)


def at(binding: Binding) -> Use:
    return Use(binding.scope, binding.block, binding.after)


def part_of(node: ast.Attribute | ast.Subscript) -> str | int | None:
    """The attribute, or the constant key."""
    if isinstance(node, ast.Attribute):
        return node.attr
    key = node.slice.value if isinstance(node.slice, ast.Constant) else None
    return key if isinstance(key, str | int) else None


def is_dict_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict"


def called(node: ast.Call) -> str:
    return (dotted(node.func) or "").rpartition(".")[2]


def makes_record(node: ast.expr) -> bool:
    """Whether the keywords of a call are likely the attributes of what it makes."""
    return isinstance(node, ast.Call) and (is_dict_call(node) or called(node)[:1].isupper() or called(node) == "edict")


def pairs(node: ast.expr) -> Iterator[tuple[Located | None, str | int | None, ast.expr]]:
    """Key node, key and value of a dict or of a call's keywords; the key node is None for `**`."""
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            name = key.value if isinstance(key, ast.Constant) and isinstance(key.value, str | int) else None
            yield key, name, value
    elif isinstance(node, ast.Call):
        if is_dict_call(node):
            for argument in node.args:
                yield None, None, argument
        for keyword in node.keywords:
            yield (keyword if keyword.arg else None), keyword.arg, keyword.value


def elsewhere(value: Value, *, rewritable: bool) -> Value:
    """A value that stands at another place than where it is used."""
    items = value.items
    if items is not None and not rewritable:
        items = tuple((key, replace(item, literal=None)) for key, item in items)
    origin = value.origin or value.literal or value.at
    return replace(value, literal=value.literal if rewritable else None, origin=origin, items=items)


def is_literal(node: ast.expr) -> bool:
    return all(
        isinstance(part, ast.Constant | ast.UnaryOp | ast.BinOp | ast.operator | ast.unaryop) for part in ast.walk(node)
    )


def lookup_call(node: ast.expr) -> tuple[Reference, ast.expr | None] | None:
    """`cfg.get("r", 8)`, `kwargs.pop("r", 8)`, `getattr(args, "r", 8)`, `os.getenv("R", 8)` as part and fallback."""
    if not isinstance(node, ast.Call) or node.keywords or not 1 <= len(node.args) <= 3:
        return None
    function, words = node.func, node.args
    if isinstance(function, ast.Name) and function.id == "getattr" and len(words) > 1:
        name = words[1].value if isinstance(words[1], ast.Constant) else None
        if not isinstance(name, str) or dotted(words[0]) is None:
            return None
        return ast.copy_location(ast.Attribute(words[0], name), node), words[2] if len(words) == 3 else None
    key = words[0]
    if not isinstance(key, ast.Constant) or not isinstance(key.value, str) or len(words) > 2:
        return None
    fallback = words[1] if len(words) == 2 else None
    if dotted(function) == "os.getenv" or (isinstance(function, ast.Name) and function.id == "getenv"):
        environ = ast.copy_location(ast.Attribute(ast.Name("os"), "environ"), node)
        return ast.copy_location(ast.Subscript(environ, key), node), fallback
    if isinstance(function, ast.Attribute) and function.attr in ("get", "pop") and dotted(function.value) is not None:
        return ast.copy_location(ast.Subscript(function.value, key), node), fallback
    return None
