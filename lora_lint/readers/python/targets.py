"""The function or class of the same file that a call of Python code runs."""

import ast
from dataclasses import dataclass, field
from typing import NamedTuple

from lora_lint.expression import dotted
from lora_lint.readers.python.index import Index
from lora_lint.readers.python.names import Resolver
from lora_lint.readers.python.parts import class_of
from lora_lint.readers.python.scopes import Class, Function, Parameter, Use


class Target(NamedTuple):
    """The function that a call runs, and whether its first parameter is given already."""

    function: Function
    bound: bool


@dataclass(eq=False)
class Targets:
    """Finds what the calls of one piece of code run."""

    found: Index
    resolver: Resolver
    _records: dict[Class, Function] = field(default_factory=dict)

    def of(self, node: ast.Call | ast.Dict, use: Use) -> Target | None:
        """The function or class that a call runs, where that is clear."""
        function = node.func if isinstance(node, ast.Call) else None
        if isinstance(function, ast.Name):
            definition = next((b.node for b in use.scope.find(function.id) if b.kind == "definition"), None)
            if definition is None:
                return None
            if definition in self.found.functions:
                return Target(self.found.functions[definition], bound=False)
            return self._constructor(self.found.classes.get(definition))
        return self._method(function, use) if isinstance(function, ast.Attribute) else None

    def _method(self, function: ast.Attribute, use: Use) -> Target | None:
        owner, any_class = self._receiver(function.value, use)
        method = owner.methods.get(function.attr) if owner is not None else None
        if owner is None and any_class:
            methods = self.found.methods.get(function.attr, ())
            method = methods[0] if len(methods) == 1 else None
        if method is None:
            return None
        through_class = (
            owner is not None and isinstance(function.value, ast.Name) and function.value.id == owner.node.name
        )
        return Target(method, method.bound and not through_class)

    def _receiver(self, node: ast.expr, use: Use) -> tuple[Class | None, bool]:
        """The class of the file whose method is called, and whether any class may be meant."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super":
            around = use.scope.enclosing_class()
            bases = around.node.bases if around is not None else []
            return next(filter(None, (class_of(self.resolver, base, use) for base in bases)), None), False
        if not isinstance(node, ast.Name):
            return None, dotted(node) is not None
        if node.id in ("self", "cls"):
            around = use.scope.enclosing_class()
            return around, around is None
        known = any(binding.kind in ("import", "definition") for binding in use.scope.find(node.id))
        return class_of(self.resolver, node, use), not known

    def _constructor(self, owner: Class | None) -> Target | None:
        if owner is None:
            return None
        if "__init__" in owner.methods:
            return Target(owner.methods["__init__"], bound=True)
        if not owner.is_record:
            return None
        record = self._records.get(owner)
        if record is None:
            defaults = {name: owner.attributes[name][0].value for name in owner.fields if owner.attributes.get(name)}
            parameters = [Parameter(name, node, defaults.get(name)) for name, node in owner.fields.items()]
            use = Use(owner.scope, owner.scope.block, (owner.node.end_lineno or 0, 0))
            record = Function(owner.node.name, None, owner.scope, use, parameters, ordered=not owner.node.bases)
            self._records[owner] = record
        return Target(record, bound=False)
