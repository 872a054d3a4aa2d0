"""Expressions of Python code to values: names followed to their one assignment or default, nothing run."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lora_lint.document import Unknown
from lora_lint.readers.python.arithmetic import arithmetic
from lora_lint.readers.python.choices import choice, chosen, filled
from lora_lint.readers.python.index import Index
from lora_lint.readers.python.lines import Lines, Located
from lora_lint.readers.python.mappings import MAX_ITEMS, mapping, with_later_items
from lora_lint.readers.python.parts import before_assignment, part
from lora_lint.readers.python.ranges import counted
from lora_lint.readers.python.scopes import Binding, Function, Scope, Use, settled
from lora_lint.readers.python.values import (
    MAX_DEPTH,
    Context,
    Environment,
    Free,
    Reference,
    Value,
    elsewhere,
    is_dict_call,
    lookup_call,
)

MAX_STEPS = 20_000
"""Expressions looked at in one file, so that no web of names costs more than half a second; PEFT's tests need 1,700."""


@dataclass(eq=False)
class Resolver:
    """Resolves expressions of one piece of code; `home` is the scope whose names stay as they are written."""

    found: Index
    lines: Lines
    home: Scope
    steps: int = MAX_STEPS
    consumed: set[tuple[Located, str | int]] = field(default_factory=set)
    """Dicts and their keys that were used for something else; `**` for all of a dict."""

    def resolve(self, node: ast.expr, use: Use, environment: Environment) -> Value:
        return self.value(node, Context(use, environment))

    def value(self, node: ast.expr, context: Context) -> Value:
        self.steps -= 1
        if self.steps < 0 or context.depth > MAX_DEPTH:
            return self.unknown(node, "takes too many steps to follow")
        if isinstance(node, ast.Constant):
            return self._constant(node)
        if isinstance(node, ast.Call | ast.ListComp | ast.List):
            numbers = counted(self, node, context)
            if numbers is not None:
                return numbers
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return self._sequence(node, context)
        if isinstance(node, ast.Dict) or is_dict_call(node):
            return self.mapping(node, context)
        if isinstance(node, Reference):
            value = self._name(node, context) if isinstance(node, ast.Name) else part(self, node, context)
            return value if value.given else replace(value, at=node)
        lookup = lookup_call(node)
        if lookup is not None:
            return self._looked_up(node, *lookup, context)
        made = choice(node)
        by_choice = chosen(self, made, context) if made is not None else None
        return by_choice or self._joined(node, context) or arithmetic(self, node, context)

    def _joined(self, node: ast.expr, context: Context) -> Value | None:
        """Lists that are added to each other, as groups of target modules are; None for any other sum."""
        parts = _summands(node)
        if len(parts) < 2 or not self._is_list(parts[0], context):
            return None
        values = [self.value(part, context.deeper()) for part in parts]
        if any(not isinstance(value.data, list) or value.items is None for value in values):
            return None
        items = tuple(enumerate(item for value in values for _, item in value.items or ()))
        return Value([item.data for _, item in items], node, items=items) if len(items) <= MAX_ITEMS else None

    def _is_list(self, node: ast.expr, context: Context) -> bool:
        if isinstance(node, ast.Name):
            binding = settled(context.use.scope.find(node.id), context.use)
            node = binding.value if binding is not None and binding.value is not None else node
        return isinstance(node, ast.List | ast.Tuple)

    def unknown(self, node: ast.expr, why: str = "is only known when it runs") -> Value:
        text = self.lines.code(node)
        return Value(Unknown(text, f"{text[:60]} {why}"), node)

    def _constant(self, node: ast.Constant) -> Value:
        value = node.value
        if not isinstance(value, str | int | float | None) or (isinstance(value, int) and value.bit_length() > 1024):
            return self.unknown(node, "isn't a value that is read")
        return Value(value, node, literal=node)

    def _sequence(self, node: ast.List | ast.Tuple | ast.Set, context: Context) -> Value:
        if len(node.elts) > MAX_ITEMS or any(isinstance(item, ast.Starred) for item in node.elts):
            return self.unknown(node)
        items = tuple((index, self.value(item, context.deeper())) for index, item in enumerate(node.elts))
        return Value([item.data for _, item in items], node, literal=node, items=items)

    def mapping(self, node: ast.expr, context: Context) -> Value:
        """A dict literal or a call of `dict`, with what `**` brings in."""
        return mapping(self, node, context)

    def taken(self, value: Value) -> Mapping[str | int, Value]:
        """The items of a mapping that becomes a part of something else."""
        if not isinstance(value.data, dict):
            return {}
        self.consumed.add((value.origin or value.at, "**"))
        return dict(value.items or ())

    def _name(self, node: ast.Name, context: Context) -> Value:
        value = self.bound(node.id, context.use.scope.find(node.id), node, context)
        if not isinstance(value.data, dict) or value.default:
            return value
        if node.id in self.found.mutated:
            return self.free(node.id, None, node, f"{node.id} is changed after it is made")
        return with_later_items(self, node, value, context)

    def bound(self, text: str, bindings: list[Binding], node: ast.expr, context: Context) -> Value:
        """The value that its bindings give a name, or `name.attribute`."""
        if not bindings:
            return self.free(text, None, node)
        scope = bindings[0].scope
        full = self._filled(text, bindings, node, context)
        if full is not None:
            return full
        binding = settled(bindings, context.use)
        if binding is None:
            why = "set more than once" if len(bindings) > 1 else "set only under a condition"
            return self.free(text, scope, node, f"{text} is {why}")
        if binding.kind == "parameter":
            return context.environment.get((scope, text)) or self._parameter(text, binding, node, context)
        if binding.value is None:
            why = "imported" if binding.kind == "import" else "only known when it runs"
            return self.free(text, scope, node, f"{text} is {why}")
        value = self.value(binding.value, context.at(binding))
        if value.given:
            return value
        if value.symbol is not None:
            return replace(value, literal=None)
        if isinstance(value.data, Unknown):
            return self.free(text, scope, node, value.data.reason)
        alone = self.found.loads[text] == 1 and len(bindings) == 1 and value.origin is None
        return elsewhere(value, rewritable=alone)

    def _filled(self, text: str, bindings: list[Binding], node: ast.expr, context: Context) -> Value | None:
        """The value of a name that is given one only where it has none."""
        parameter = next((binding for binding in bindings if binding.kind == "parameter"), None)
        if parameter is not None and len(bindings) > 1:
            given = context.environment.get((parameter.scope, text))
            before = given or self._parameter(text, parameter, node, context)
        elif isinstance(node, ast.Attribute):
            before = before_assignment(self, node, context)
        else:
            return None
        return filled(self, text, bindings, before, context)

    def _parameter(self, name: str, binding: Binding, node: ast.expr, context: Context) -> Value:
        function = binding.scope.owner
        reason = f"{name} is a parameter"
        if not isinstance(function, Function):
            return self.free(name, binding.scope, node, reason)
        given = next((parameter.default for parameter in function.parameters if parameter.name == name), None)
        default = self.value(given, context.deeper(function.outer)) if given is not None else None
        return self.free(name, binding.scope, node, reason, default=default, parameter=(function, name))

    def free(
        self,
        name: str,
        scope: Scope | None,
        node: ast.expr,
        reason: str = "",
        *,
        default: Value | None = None,
        parameter: tuple[Function, str] | None = None,
    ) -> Value:
        """A name that stays a name, with a default of this file where there is one; None is no default."""
        qualified = self._qualified(name, scope)
        symbol = ast.copy_location(ast.Name(qualified), node)
        if default is None or default.data is None or isinstance(default.data, Unknown):
            nothing = default is not None and default.data is None
            why = f"{name} is None unless it is set" if nothing else reason or f"{name} isn't set in this file"
            missing = Unknown(name, why)
            return Value(missing, node, symbol=symbol, free={qualified: Free(missing, parameter)}, nothing=nothing)
        moved = elsewhere(default, rewritable=False)
        return replace(moved, default=True, symbol=symbol, free={qualified: Free(default.data, parameter)})

    def _qualified(self, name: str, scope: Scope | None) -> str:
        """The name as it is, unless it means something else at home."""
        here = self.home.find(name.partition(".")[0].partition("[")[0])
        if scope is None or (here and here[0].scope is scope):
            return name
        return f"{scope.name or 'globals'}.{name}"

    def _looked_up(self, node: ast.expr, item: Reference, fallback: ast.expr | None, context: Context) -> Value:
        """`cfg.get("r", 8)` and its like: the item, or the fallback as its default."""
        value = self.value(item, context.deeper())
        value = value if value.given else replace(value, at=node)
        if fallback is None or not isinstance(value.data, Unknown) or not isinstance(value.symbol, ast.Name):
            return value
        default = self.value(fallback, context.deeper())
        if default.data is None or isinstance(default.data, Unknown):
            return value
        free = {value.symbol.id: Free(default.data)}
        return replace(elsewhere(default, rewritable=False), at=node, default=True, symbol=value.symbol, free=free)


def _summands(node: ast.expr) -> list[ast.expr]:
    """The parts of `a + b + c`, in order."""
    parts: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts.append(node.right)
        node = node.left
    return [node, *reversed(parts)]
