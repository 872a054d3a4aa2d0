"""Arithmetic over names, as configs write it: `2 * args.rank`, `$((R * 2))`, compared without running anything."""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_CALLS: dict[str, Callable[..., Any]] = {"int": int, "float": float, "round": round, "max": max, "min": min}
_ROOTS: dict[str, Callable[[float], float]] = {"sqrt": math.sqrt}

_SAMPLES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73)
_ROUNDS = 4
LARGEST = 2**63
"""Beyond this no rank or alpha is meant; folding stops so that `9**9**9` costs nothing."""


class UndecidableError(Exception):
    """An expression that needs more than arithmetic on numbers and names."""


def dotted(node: ast.expr) -> str | None:
    """`args.lora_r` for an attribute chain of names, `cfg['r']` for a constant subscript, else None."""
    parts: list[str] = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            parts.append(f".{node.attr}")
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            parts.append(f"[{node.slice.value!r}]")
        else:
            return None
        node = node.value
    return "".join((node.id, *reversed(parts)))


def evaluate(node: ast.expr, values: Mapping[str, float]) -> float:
    """The number that `node` has when its names have `values`.

    Raises:
        UndecidableError: a name without a value, a result out of range, or anything that is not arithmetic.
    """
    try:
        result: float = _evaluate(node, values)
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise UndecidableError(str(error)) from None
    if not -LARGEST < result < LARGEST:
        raise UndecidableError("out of range")
    return result


def _evaluate(node: ast.expr, values: Mapping[str, float]) -> Any:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    name = dotted(node)
    if name is not None:
        if name in values:
            return values[name]
        raise UndecidableError(name)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](_evaluate(node.left, values), _evaluate(node.right, values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        base, exponent = _evaluate(node.left, values), _evaluate(node.right, values)
        if abs(exponent) > 64 or abs(base) > LARGEST:
            raise UndecidableError("power out of range")
        return base**exponent
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_evaluate(node.operand, values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd):
        return _evaluate(node.operand, values)
    if isinstance(node, ast.BoolOp):
        result: Any = 0
        for operand in node.values:
            result = _evaluate(operand, values)
            if bool(result) is isinstance(node.op, ast.Or):
                return result
        return result
    if isinstance(node, ast.Call) and not node.keywords:
        called = (dotted(node.func) or "").rpartition(".")[2]
        function = _CALLS.get(called) or _ROOTS.get(called)
        if function is not None:
            return function(*(_evaluate(argument, values) for argument in node.args))
    raise UndecidableError(type(node).__name__)


@dataclass(frozen=True, eq=False)
class Expression:
    """A value written with names; `text` is how the file writes it."""

    text: str
    node: ast.expr

    @cached_property
    def names(self) -> frozenset[str]:
        """The free names, dotted as written: `args.rank`."""
        found: set[str] = set()
        pending: list[ast.AST] = [self.node]
        while pending:
            node = pending.pop()
            name = dotted(node) if isinstance(node, ast.expr) else None
            if name is not None:
                found.add(name)
            elif isinstance(node, ast.Call):
                pending += [*node.args, *(keyword.value for keyword in node.keywords)]
                if isinstance(node.func, ast.Attribute):
                    pending.append(node.func.value)
            else:
                pending += ast.iter_child_nodes(node)
        return frozenset(found)


def constant_over_names(function: Callable[..., float], *arguments: Expression | float) -> float | None:
    """The one value that `function` takes whatever the names in its arguments are, or None.

    Each name is given several primes in turn, so equality at all of them means equality as expressions.
    """
    names = sorted({name for argument in arguments if isinstance(argument, Expression) for name in argument.names})
    results = []
    for turn in range(_ROUNDS):
        values = {name: float(_SAMPLES[(turn * 7 + index * 3) % len(_SAMPLES)]) for index, name in enumerate(names)}
        try:
            results.append(
                function(
                    *(
                        evaluate(argument.node, values) if isinstance(argument, Expression) else argument
                        for argument in arguments
                    )
                )
            )
        except (UndecidableError, ArithmeticError, ValueError):
            return None
    first = results[0]
    return first if all(math.isclose(first, other, rel_tol=1e-9) for other in results) else None
