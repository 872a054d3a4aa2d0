"""What stands for a name that is None unless somebody sets it: `a or 2 * r`, `a if a is not None else 2 * r`."""

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from lora_lint.document import Unknown
from lora_lint.expression import dotted
from lora_lint.readers.python.scopes import Binding, Block
from lora_lint.readers.python.values import Context, Reference, Value, elsewhere

if TYPE_CHECKING:
    from lora_lint.readers.python.names import Resolver


class Choice(NamedTuple):
    """A name that is asked for, and what counts where it is there and where it isn't."""

    asked: Reference
    there: ast.expr
    absent: ast.expr
    empty: bool
    """Whether 0 counts as absent as well as None."""


def choice(node: ast.expr) -> Choice | None:
    """The choice that an expression makes."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and len(node.values) == 2:
        first, second = node.values
        return Choice(first, first, second, empty=True) if isinstance(first, Reference) else None
    asked = _asked(node.test) if isinstance(node, ast.IfExp) else None
    if asked is None or not isinstance(node, ast.IfExp):
        return None
    name, there, empty = asked
    return Choice(name, *((node.body, node.orelse) if there else (node.orelse, node.body)), empty)


def chosen(resolver: "Resolver", made: Choice, context: Context) -> Value | None:
    """The value of a choice where it is known whether the name is there, by default at least; None elsewhere."""
    value = resolver.value(made.asked, context.deeper())
    if isinstance(value.data, Unknown) and not value.nothing:
        return None
    there = not value.nothing and value.data is not None and not (made.empty and not value.data)
    if there and ast.dump(made.there) == ast.dump(made.asked):
        return value
    branch = resolver.value(made.there if there else made.absent, context.deeper())
    return branch if value.symbol is None else by_default(branch)


def by_default(value: Value) -> Value | None:
    """A value that counts as long as nobody gives another one; None where it isn't known."""
    if isinstance(value.data, Unknown):
        return None
    return replace(elsewhere(value, rewritable=False), default=True, symbol=None, free={})


def filled(resolver: "Resolver", text: str, bindings: list[Binding], before: Value, context: Context) -> Value | None:
    """The value of a name that its one assignment gives it only where it had none; `before` is what it had."""
    assigned = [binding for binding in bindings if binding.kind == "assign"]
    if len(assigned) != 1 or len(bindings) > len(assigned) + any(one.kind == "parameter" for one in bindings):
        return None
    binding, use = assigned[0], context.use
    fill = _fill(text, binding)
    if fill is None or (binding.scope is use.scope and binding.after > use.place):
        return None
    value, block = fill
    if block is None or not use.block.within(block):
        return None
    if before.nothing:
        return by_default(resolver.value(value, context.at(binding)))
    return before if isinstance(before.data, int | float) and before.data else None


def _fill(text: str, binding: Binding) -> tuple[ast.expr, Block | None] | None:
    """What an assignment puts in the place of nothing, and the block after which it holds."""
    if binding.value is None:
        return None
    test = binding.block.test
    asked = _asked(test) if test is not None else None
    if asked is not None and not asked[1] and dotted(asked[0]) == text:
        return binding.value, binding.block.parent
    made = choice(binding.value)
    if made is None or dotted(made.asked) != text or dotted(made.there) != text:
        return None
    return made.absent, binding.block


def _asked(test: ast.expr) -> tuple[Reference, bool, bool] | None:
    """The name that a test asks for, whether the test holds where it is there, and whether 0 counts as absent."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _asked(test.operand)
        return (inner[0], not inner[1], inner[2]) if inner is not None else None
    if isinstance(test, Reference):
        return test, True, True
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.left, Reference):
        return None
    other, operator = test.comparators[0], test.ops[0]
    if not isinstance(other, ast.Constant) or other.value is not None or not isinstance(operator, ast.Is | ast.IsNot):
        return None
    return test.left, isinstance(operator, ast.IsNot), False
