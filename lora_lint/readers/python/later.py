"""What Python code assigns to the attributes of a thing between the call that makes it and its first use."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from lora_lint.document import Unknown
from lora_lint.expression import dotted
from lora_lint.readers.python.index import Index
from lora_lint.readers.python.names import Resolver
from lora_lint.readers.python.scopes import Binding, Block, Place, Scope, Use
from lora_lint.readers.python.values import Context, Environment, Value, is_dict_call, pairs

_LOOKS = frozenset(
    ("setattr", "update", "print", "repr", "str", "type", "vars", "isinstance", "asdict", "info", "debug", "replace")
)
"""Calls after which a thing is as it was, or whose change is seen here."""


class _Change(NamedTuple):
    """An assignment to one attribute; `value` is None where no expression gives it."""

    key: str
    value: ast.expr | None
    use: Use


@dataclass(eq=False)
class Later:
    """Changes to what the calls of one piece of code make."""

    found: Index
    resolver: Resolver
    _made: dict[Scope, Mapping[ast.expr, tuple[str, Binding]]] = field(default_factory=dict)

    def values(
        self, node: ast.Call, scope: Scope, keys: frozenset[str | int], environment: Environment
    ) -> Iterator[tuple[str, Value]]:
        """The attributes of what a call makes that are set anew, as they are when it is used."""
        if not self._changed:
            return
        name, binding = self._names(scope).get(node, ("", None))
        if binding is None:
            return
        changes = sorted(self._changes(name, scope, keys), key=lambda change: change.use.place)
        if not changes:
            return
        others = [one for one in scope.bindings[name] if one is not binding]
        uses = list(self._uses(name, scope, binding.after))
        for change in changes:
            reason = self._reason(change, binding, others, uses)
            if reason is None:
                continue
            text = f"{name}.{change.key}"
            if reason or change.value is None:
                yield change.key, Value(Unknown(text, f"{text} is {reason or 'only known when it runs'}"), node)
            else:
                yield change.key, self.resolver.value(change.value, Context(change.use, environment))

    def _names(self, scope: Scope) -> Mapping[ast.expr, tuple[str, Binding]]:
        """The expressions that are assigned in a scope, with the name that each is assigned to."""
        if scope not in self._made:
            bound = ((name, one) for name, bindings in scope.bindings.items() for one in bindings)
            meant = self.found.meant
            self._made[scope] = {meant.get(one.value, one.value): (name, one) for name, one in bound if one.value}
        return self._made[scope]

    @cached_property
    def _changed(self) -> Mapping[str, list[_Change]]:
        """What is set after it was made, by the name of its owner."""
        found: dict[str, list[_Change]] = {}
        for change in self.found.changes:
            found.setdefault(change.owner, []).append(_Change(change.key, change.value, change.use))
        for call, use in (*self.found.calls.get("setattr", ()), *self.found.calls.get("update", ())):
            for owner, key, value in _set(call):
                found.setdefault(owner, []).append(_Change(key, value, use))
        return found

    def _changes(self, name: str, scope: Scope, keys: frozenset[str | int]) -> Iterator[_Change]:
        for change in self._changed.get(name, ()):
            there = change.use.scope
            if change.key in keys and scope in there.chain() and (there is scope or name not in there.bindings):
                yield change

    def _uses(self, name: str, scope: Scope, after: Place) -> Iterator[Place]:
        """Where the thing is handed to something."""
        for called, calls in self.found.calls.items():
            if called in _LOOKS:
                continue
            for call, use in calls:
                given = (*call.args, *(keyword.value for keyword in call.keywords))
                if use.place > after and scope in use.scope.chain() and any(dotted(one) == name for one in given):
                    yield use.place

    @staticmethod
    def _reason(change: _Change, made: Binding, others: list[Binding], uses: list[Place]) -> str | None:
        """Why nobody knows whether a change counts, an empty string where it does, None where it doesn't."""
        use = change.use
        if use.scope is not made.scope:
            return "set in another function"
        if use.place <= made.after:
            return None
        before = [one for one in others if made.after < one.after < use.place]
        if any(use.block.within(one.block) for one in before):
            return None
        early = any(place < use.place for place in uses)
        if early and not any(place > use.place for place in uses):
            return None
        if early:
            return "set again between its uses"
        if not made.block.within(use.block):
            return None if _apart(made.block, use.block) and before else "set only under a condition"
        return ""


def _apart(one: Block, other: Block) -> bool:
    """Whether neither block runs inside the other."""
    return not one.within(other) and not other.within(one)


def _set(call: ast.Call) -> Iterator[tuple[str, str, ast.expr]]:
    """Owner, key and value of what `setattr(owner, ...)` or `owner.update(...)` sets."""
    if isinstance(call.func, ast.Name):
        owner, *rest = (*call.args, call.func)
        if len(rest) == 3 and isinstance(rest[0], ast.Constant):
            yield dotted(owner) or "", str(rest[0].value), rest[1]
    elif isinstance(call.func, ast.Attribute):
        name = dotted(call.func.value) or ""
        given = [one for one in call.args[:1] if isinstance(one, ast.Dict) or is_dict_call(one)]
        for source in (*given, call):
            for key, label, value in pairs(source):
                if key is not None and isinstance(label, str):
                    yield name, label, value
