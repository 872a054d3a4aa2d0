"""Arithmetic in Python code: folded to a number, or kept as an expression over names."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from lora_lint.document import Unknown
from lora_lint.expression import UndecidableError, evaluate
from lora_lint.readers.python.values import MAX_DEPTH, Context, Free, Reference, Value, called, is_literal, lookup_call

if TYPE_CHECKING:
    from lora_lint.readers.python.names import Resolver

MAX_SYMBOL = 200
"""Nodes of an expression that is kept with its names."""

_CONVERSIONS: Mapping[str, type[int] | type[float]] = {"int": int, "float": float}
_FUNCTIONS = frozenset((*_CONVERSIONS, "round", "max", "min", "sqrt"))


class _NotArithmeticError(Exception):
    """An expression that holds more than numbers, names and arithmetic."""


def arithmetic(resolver: "Resolver", node: ast.expr, context: Context) -> Value:
    """The number that an expression has; over names with defaults a default, over other names unknown."""
    folding = _Folding(resolver)
    try:
        symbol = folding.fold(node, context)
    except _NotArithmeticError:
        return resolver.unknown(node)
    if sum(1 for _ in islice(ast.walk(symbol), MAX_SYMBOL + 1)) > MAX_SYMBOL:
        return resolver.unknown(node, "is too long to be read")
    free = folding.free
    kept = symbol if free else None
    numbers = {name: given.data for name, given in free.items() if isinstance(given.data, int | float)}
    missing = next((given.data for name, given in free.items() if name not in numbers), None)
    if missing is not None:
        text = resolver.lines.code(node)
        reason = missing.reason if isinstance(missing, Unknown) else f"{text[:60]} isn't a number"
        return Value(Unknown(text, reason), node, symbol=kept, free=free)
    try:
        number = evaluate(symbol, numbers)
    except UndecidableError:
        return replace(resolver.unknown(node, "isn't a number that can be read"), symbol=kept, free=free)
    return Value(number, node, literal=node if is_literal(node) else None, default=bool(free), symbol=kept, free=free)


@dataclass(eq=False)
class _Folding:
    """One expression being folded; `free` gathers the names that remain."""

    resolver: "Resolver"
    free: dict[str, Free] = field(default_factory=dict)

    def fold(self, node: ast.expr, context: Context) -> ast.expr:
        """The expression over free names alone.

        Raises:
            _NotArithmeticError: when it holds anything but arithmetic.
        """
        if context.depth > MAX_DEPTH:
            raise _NotArithmeticError
        inner = context.deeper()
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            return ast.UnaryOp(node.op, self.fold(node.operand, inner))
        if isinstance(node, ast.BinOp):
            return ast.BinOp(self.fold(node.left, inner), node.op, self.fold(node.right, inner))
        if isinstance(node, ast.BoolOp):
            return ast.BoolOp(node.op, [self.fold(value, inner) for value in node.values])
        if isinstance(node, ast.Call) and not node.keywords and called(node) in _FUNCTIONS:
            if called(node) in _CONVERSIONS and len(node.args) == 1:
                return self._converted(node, node.args[0], inner)
            return ast.Call(node.func, [self.fold(part, inner) for part in node.args], [])
        if isinstance(node, ast.Constant | Reference) or lookup_call(node) is not None:
            return self._leaf(node, self.resolver.value(node, inner))
        raise _NotArithmeticError

    def _leaf(self, node: ast.expr, value: Value) -> ast.expr:
        if value.symbol is not None:
            self.free.update(value.free)
            return value.symbol
        if type(value.data) is int or type(value.data) is float:
            return ast.copy_location(ast.Constant(value.data), node)
        raise _NotArithmeticError

    def _converted(self, node: ast.Call, argument: ast.expr, context: Context) -> ast.expr:
        """`int(...)` over arithmetic, or over a text that holds a number: `int(os.environ.get("RANK", "8"))`."""
        value = self.resolver.value(argument, context)
        if not isinstance(value.data, str):
            return ast.Call(node.func, [self.fold(argument, context)], [])
        try:
            number = _CONVERSIONS[called(node)](value.data[:40])
        except (ValueError, OverflowError):
            raise _NotArithmeticError from None
        if not isinstance(value.symbol, ast.Name):
            return ast.copy_location(ast.Constant(number), node)
        self.free[value.symbol.id] = Free(number)
        return ast.Call(node.func, [value.symbol], [])
