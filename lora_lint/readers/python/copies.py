"""`dataclasses.replace(config, r=64)`: the call that made a thing, with other values."""

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lora_lint.readers.python.arguments import Arguments, Binder, Place
from lora_lint.readers.python.scopes import Binding, Use
from lora_lint.readers.python.values import keyed

_COPIERS = ("replace", "evolve")
MAX_COPIES = 200


class Copy(NamedTuple):
    """A copy, what it was made from and the name of that, and its arguments."""

    name: str
    place: Place
    original: Place
    arguments: Arguments


def copies(binder: Binder, originals: Sequence[Place]) -> Iterator[Copy]:
    """The copies that code makes of what `originals` make, with other values."""
    made: dict[ast.expr, Place] = {place.node: place for place in originals}
    calls = [call for name in _COPIERS for call in binder.found.calls.get(name, ())]
    for node, use in calls[:MAX_COPIES]:
        first = node.args[0] if len(node.args) == 1 else None
        if not isinstance(first, ast.Name):
            continue
        binding = _latest(use.scope.find(first.id), use)
        original = made.get(binding.value) if binding is not None and binding.value is not None else None
        if original is None or not node.keywords or any(keyword.arg is None for keyword in node.keywords):
            continue
        arguments = binder.evaluate([original])
        for keyword in node.keywords:
            arguments.values[keyword.arg or ""] = keyed(binder.resolver.resolve(keyword.value, use, {}), keyword)
        yield Copy(first.id, Place(node, use), original, arguments)


def _latest(bindings: list[Binding], use: Use) -> Binding | None:
    """The binding that counts at `use`, or None where a condition decides."""
    before = [one for one in bindings if one.scope is not use.scope or one.after <= use.place]
    last = max(before, key=lambda one: one.after, default=None)
    if last is None or not use.block.within(last.block) or (last.scope is not use.scope and len(bindings) > 1):
        return None
    return last
