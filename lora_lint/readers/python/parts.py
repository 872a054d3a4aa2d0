"""Attributes and items in Python code: `args.lora_r`, `self.rank`, `cfg["r"]`, followed to what gives them a value."""

import ast
import re
from itertools import islice
from typing import TYPE_CHECKING

from lora_lint.document import Unknown
from lora_lint.expression import dotted
from lora_lint.readers.python.scopes import Binding, Class, Function, Scope, Use, settled
from lora_lint.readers.python.values import (
    MAX_DEPTH,
    Context,
    Reference,
    Value,
    at,
    elsewhere,
    makes_record,
    pairs,
    part_of,
)

if TYPE_CHECKING:
    from lora_lint.readers.python.names import Resolver

Part = ast.Attribute | ast.Subscript
Made = tuple[ast.expr, Use]
"""The expression that makes a thing, and where it is evaluated."""
_MEMBER = re.compile(r"(?:peft\.)?(?:TaskType|PeftType)\.([A-Z_0-9]+)|torch\.(float16|bfloat16|float32|half)")
"""Members of libraries' enumerations, which their text stands for as well."""
_MOST_DEFAULTS = 50
_DEFAULT_DEPTH = MAX_DEPTH // 4
"""Defaults that are written with names lead to other defaults; few are followed."""


def part(resolver: "Resolver", node: Part, context: Context) -> Value:
    """The value of an attribute or an item; one that the file doesn't settle stays a name, perhaps with a default."""
    text, key, use = dotted(node), part_of(node), context.use
    if text is None or key is None or context.depth > MAX_DEPTH:
        return _opaque(resolver, node)
    owner = use.scope.enclosing_class()
    if owner and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
        return _member(resolver, owner, str(key), text, node, context)
    bindings = use.scope.find(text)
    if bindings:
        return resolver.bound(text, bindings, node, context)
    renamed = _renamed(node, use)
    if renamed is not None:
        return part(resolver, renamed[0], context.deeper(renamed[1]))
    root = use.scope.find(text.partition(".")[0].partition("[")[0])
    member = _MEMBER.fullmatch(text) if not root or root[0].kind == "import" else None
    if member is not None:
        return Value(member[1] or member[2], node)
    return _Search(resolver, node, text, key, root[0] if root else None).value(context)


def before_assignment(resolver: "Resolver", node: ast.Attribute, context: Context) -> Value:
    """The value of an attribute that nothing in the file had assigned."""
    text = dotted(node) or ""
    root = context.use.scope.find(text.partition(".")[0].partition("[")[0])
    return _Search(resolver, node, text, node.attr, root[0] if root else None).value(context)


def class_of(resolver: "Resolver", node: ast.expr | None, use: Use) -> Class | None:
    """The class of the file that a name stands for."""
    if not isinstance(node, ast.Name):
        return None
    classes = resolver.found.classes
    return next((classes[b.node] for b in use.scope.find(node.id) if b.node is not None and b.node in classes), None)


def _opaque(resolver: "Resolver", node: Part) -> Value:
    """`ranks[i]` stands for itself where it is short and calls nothing."""
    text = resolver.lines.code(node, 60)
    if text.endswith("…") or "(" in text:
        return resolver.unknown(node)
    return resolver.free(text, None, node, f"{text} is only known when it runs")


def _member(resolver: "Resolver", owner: Class, key: str, text: str, node: Part, context: Context) -> Value:
    """`self.key`, where the class or one of its methods assigns it once."""
    bindings = owner.attributes.get(key, [])
    binding = bindings[0] if len(bindings) == 1 else None
    if binding is None or binding.value is None:
        why = "is set more than once" if bindings else "isn't set in this class"
        return resolver.free(text, None, node, f"{text} {why}")
    always = binding.block is binding.scope.block
    if not (settled(bindings, context.use) if binding.scope is context.use.scope else always):
        return resolver.free(text, None, node, f"{text} is set only under a condition")
    value = resolver.value(binding.value, context.at(binding))
    if value.given or value.symbol is not None:
        return value
    if binding.kind == "parameter":
        return resolver.free(text, None, node, default=value)
    return resolver.free(text, None, node) if isinstance(value.data, Unknown) else elsewhere(value, rewritable=False)


def _renamed(node: Part, use: Use) -> tuple[Part, Use] | None:
    """`cfg.r` as `self.config.r` after `cfg = self.config`."""
    chain = [node]
    while isinstance(inner := chain[-1].value, Part):
        chain.append(inner)
    binding = settled(use.scope.find(inner.id), use) if isinstance(inner, ast.Name) else None
    if binding is None or binding.kind != "assign" or not isinstance(binding.value, Reference):
        return None
    if dotted(binding.value) is None:
        return None
    whole: ast.expr = binding.value
    for link in reversed(chain):
        same = ast.Attribute(whole, link.attr) if isinstance(link, ast.Attribute) else ast.Subscript(whole, link.slice)
        whole = ast.copy_location(same, link)
    assert isinstance(whole, Part)
    return whole, at(binding)


class _Search:
    """The search for what gives a part its value: the dict or record it belongs to, its class, options and fields."""

    def __init__(self, resolver: "Resolver", node: Part, text: str, key: str | int, root: Binding | None) -> None:
        self.resolver = resolver
        self.node = node
        self.text = text
        self.key = key
        self.root = root

    @property
    def scope(self) -> Scope | None:
        return self.root.scope if self.root is not None else None

    def value(self, context: Context) -> Value:
        resolver = self.resolver
        whole = self.definition(self.node.value, context.use, context.depth)
        if isinstance(whole, tuple):
            item = self.item(whole[0], self.key, dotted(self.node.value) or "")
            if item is not None:
                value = resolver.value(item, context.deeper(whole[1]))
                known = value.symbol is not None or not isinstance(value.data, Unknown)
                return elsewhere(value, rewritable=False) if known else self.free()
            made = whole[0]
            whole = class_of(resolver, made.func, whole[1]) if isinstance(made, ast.Call) else None
        if isinstance(whole, Class):
            bindings = whole.attributes.get(str(self.key), [])
            only = bindings[0] if len(bindings) == 1 else None
            given = (
                resolver.value(only.value, context.at(only)) if only is not None and only.value is not None else None
            )
            return self.free(given)
        return self.free(self.default(context))

    def free(self, default: Value | None = None) -> Value:
        imported = self.root is not None and self.root.kind == "import"
        reason = f"{self.text} is imported" if imported else ""
        return self.resolver.free(self.text, self.scope, self.node, reason, default=default)

    def default(self, context: Context) -> Value | None:
        """The default that options and class fields of this name agree on."""
        root, found = self.root, self.resolver.found
        if not isinstance(self.node, ast.Attribute) or (root and root.kind in ("import", "definition")):
            return None
        if root is not None and _is_imported(_annotation(root), root.scope):
            return None
        key, depth = str(self.key), context.depth + _DEFAULT_DEPTH
        agreed: Value | None = None
        options, fields = found.options.get(key, ()), found.fields.get(key, ())
        if options and not fields and all(node is None for node, _ in options):
            return Value(None, self.node)
        for node, use in islice((*options, *fields), _MOST_DEFAULTS):
            if node is not None:
                value = self.resolver.value(node, Context(use, context.environment, depth))
                if agreed is not None and (agreed.data != value.data or type(agreed.data) is not type(value.data)):
                    return None
                agreed = value
        return agreed

    def definition(self, node: ast.expr, use: Use, depth: int) -> Made | Class | None:
        """What makes the thing that a name or a part of a name stands for, or its class."""
        if depth > MAX_DEPTH:
            return None
        made: Made | None = None
        if isinstance(node, ast.Name):
            binding = settled(use.scope.find(node.id), use)
            if binding is None:
                return None
            if binding.kind == "parameter":
                outer = binding.scope.owner
                return (
                    class_of(self.resolver, _annotation(binding), outer.outer) if isinstance(outer, Function) else None
                )
            if binding.node is not None:
                return self.resolver.found.classes.get(binding.node)
            made = (binding.value, at(binding)) if binding.value is not None else None
        elif isinstance(node, Part):
            made = self._definition_of_part(node, use, depth)
        if made is not None and isinstance(made[0], Reference):
            return self.definition(*made, depth + 1)
        return made

    def _definition_of_part(self, node: Part, use: Use, depth: int) -> Made | None:
        key = part_of(node)
        owner = use.scope.enclosing_class()
        if owner and isinstance(node.value, ast.Name) and node.value.id == "self":
            bindings = owner.attributes.get(str(key), [])
            value = bindings[0].value if len(bindings) == 1 else None
            return (value, at(bindings[0])) if value is not None else None
        whole = self.definition(node.value, use, depth + 1)
        if not isinstance(whole, tuple) or key is None:
            return None
        item = self.item(whole[0], key, dotted(node.value) or "")
        return (item, whole[1]) if item is not None else None

    def item(self, made: ast.expr, key: str | int, name: str) -> ast.expr | None:
        """The expression under a key of a dict, or the keyword of a call that makes a record."""
        found = self.resolver.found
        if name in found.mutated or name in found.updates or not (isinstance(made, ast.Dict) or makes_record(made)):
            return None
        item: ast.expr | None = None
        for marker, label, given in pairs(made):
            if marker is None:
                item = None
            elif label == key:
                item = given
        if item is not None:
            self.resolver.consumed.add((made, key))
        elif isinstance(made, ast.Call) and len(made.args) == 1 and isinstance(made.args[0], ast.Dict):
            return self.item(made.args[0], key, name)
        return item


def _annotation(binding: Binding) -> ast.expr | None:
    """The class that a parameter is annotated with."""
    annotation = binding.node.annotation if isinstance(binding.node, ast.arg) else None
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.Name(annotation.value)
    return annotation


def _is_imported(annotation: ast.expr | None, scope: Scope) -> bool:
    return isinstance(annotation, ast.Name) and any(b.kind == "import" for b in scope.find(annotation.id))
