"""Dicts in Python code, with what `**` brings in and what is set in them later."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from lora_lint.readers.python.lines import Located
from lora_lint.readers.python.values import Context, Value, keyed, pairs

if TYPE_CHECKING:
    from lora_lint.readers.python.names import Resolver

MAX_ITEMS = 10_000


def mapping(resolver: "Resolver", node: ast.expr, context: Context) -> Value:
    """A dict literal or a call of `dict`, with what `**` brings in."""
    items: dict[str | int, Value] = {}
    unclear = False
    for key, name, given in islice(pairs(node), MAX_ITEMS):
        value = resolver.value(given, context.deeper())
        if key is None:
            unclear = unclear or value.open or not isinstance(value.data, dict)
            items.update(resolver.taken(value))
        elif name is None:
            unclear = True
        else:
            items[name] = keyed(value, key)
    data = {name: item.data for name, item in items.items()}
    return Value(data, node, literal=node, items=tuple(items.items()), open=unclear)


def with_later_items(resolver: "Resolver", node: ast.Name, value: Value, context: Context) -> Value:
    """A mapping with what `name["key"] = value` added to it."""
    items = dict(value.items or ())
    for key in sorted(resolver.found.items.get(node.id, ())):
        text = f"{node.id}[{key!r}]"
        bindings = context.use.scope.find(text)
        if bindings:
            items[key] = resolver.bound(text, bindings, node, context.deeper())
    for call, use in resolver.found.updates.get(node.id, ()):
        if use.scope is context.use.scope and use.place > context.use.place:
            continue
        for marker, label, given in _updated(call):
            again = label in resolver.found.items.get(node.id, ())
            if marker is None or again or not context.use.block.within(use.block):
                return resolver.free(node.id, None, node, f"{node.id} is changed after it is made")
            items[label] = keyed(resolver.value(given, context.deeper(use)), marker)
    data = {name: item.data for name, item in items.items()}
    return replace(value, data=data, items=tuple(items.items()))


def _updated(call: ast.Call) -> Iterator[tuple[Located | None, str | int, ast.expr]]:
    """Key node, key and value of each item that `update` sets."""
    for source in (*call.args, call):
        for key, name, given in pairs(source):
            yield key, name if name is not None else "", given
