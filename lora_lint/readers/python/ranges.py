"""Numbers that Python code counts out: `list(range(16, 32))`, and a comprehension that keeps them as they are."""

import ast
from typing import TYPE_CHECKING

from lora_lint.readers.python.values import Context, Value, called

if TYPE_CHECKING:
    from lora_lint.readers.python.names import Resolver

MOST = 1_000
"""Numbers of one range; layers and tokens are fewer."""
_KEEPS = ("list", "tuple", "sorted", "set")


def counted(resolver: "Resolver", node: ast.expr, context: Context) -> Value | None:
    """The numbers of a range, or of a list that is made of one; None for other expressions and for open bounds."""
    made = _range(node)
    if made is None:
        return None
    bounds = [resolver.value(bound, context.deeper()) for bound in made.args]
    numbers = [bound.data for bound in bounds if type(bound.data) is int]
    if len(numbers) != len(bounds) or not all(abs(number) < 10**6 for number in numbers):
        return None
    try:
        items = range(*numbers)
    except (TypeError, ValueError):
        return None
    if len(items) > MOST:
        return None
    return Value(list(items), node, default=any(bound.default for bound in bounds))


def _range(node: ast.expr) -> ast.Call | None:
    """The call of `range` whose numbers an expression stands for."""
    if isinstance(node, ast.ListComp):
        inner = node.generators[0]
        plain = len(node.generators) == 1 and not inner.ifs and isinstance(inner.target, ast.Name)
        same = plain and isinstance(node.elt, ast.Name) and node.elt.id == ast.unparse(inner.target)
        return _range(inner.iter) if same else None
    if isinstance(node, ast.List) and len(node.elts) == 1 and isinstance(node.elts[0], ast.Starred):
        return _range(node.elts[0].value)
    if not isinstance(node, ast.Call) or node.keywords or not isinstance(node.func, ast.Name):
        return None
    if called(node) == "range" and 1 <= len(node.args) <= 3:
        return node
    return _range(node.args[0]) if called(node) in _KEEPS and len(node.args) == 1 else None
