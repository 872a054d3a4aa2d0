"""One iterative walk over the tree of Python code that fills an Index."""

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lora_lint.expression import dotted
from lora_lint.readers.python.index import LORA, LORA_KEY, Change, Index
from lora_lint.readers.python.scopes import Binding, Block, Kind, Place, Scope, Use
from lora_lint.readers.python.values import part_of

_EXAMPLE = re.compile(r">>>|```|--?[\w.-]*(?:lora|peft)", re.IGNORECASE)
_SHORTEST_EXAMPLE = 15


class Walk:
    """Iterative, so that depth costs no stack; items are pushed in reverse and so met in the order of the text."""

    def __init__(self, handlers: "Handlers") -> None:
        self.found = Index(Scope("", "module", Block()))
        self.handlers = handlers
        self.stack: list[tuple[ast.AST, Scope, Block]] = []
        self._names: dict[str, bool] = {}
        self._keys: dict[str, bool] = {}

    def run(self, tree: ast.Module) -> Index:
        module, stack, handlers = self.found.module, self.stack, self.handlers
        self.push(tree.body, module, module.block)
        while stack:
            node, scope, block = stack.pop()
            handler = handlers.get(type(node))
            if handler is None:
                self.children(node, scope, block)
            else:
                handler(self, node, scope, block)
        return self.found

    def push(self, nodes: Iterable[ast.AST | None], scope: Scope, block: Block) -> None:
        """Names and constants, the most of a tree, are done with at once."""
        loads, found = self.found.loads, []
        for node in nodes:
            while type(node) is ast.Attribute:
                node = node.value
            if type(node) is ast.Name:
                loads[node.id] += 1
            elif type(node) is ast.Constant:
                if type(node.value) is str and len(node.value) > _SHORTEST_EXAMPLE:
                    self.text(node, node.value)
            elif node is not None and node._fields:
                found.append((node, scope, block))
        found.reverse()
        self.stack += found

    def children(self, node: ast.AST, scope: Scope, block: Block) -> None:
        below: list[ast.AST | None] = []
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                below += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST):
                below.append(value)
        self.push(below, scope, block)

    def text(self, node: ast.Constant, text: str) -> None:
        if _EXAMPLE.search(text) and LORA.search(text):
            self.found.texts.append(node)

    def bind(
        self, name: str, kind: Kind, scope: Scope, block: Block, at: Any, value: ast.expr | None = None, **extra: Any
    ) -> None:
        scope.bind(name, Binding(kind, scope, block, (at.end_lineno, at.end_col_offset), value, **extra))

    def target(self, target: ast.expr, value: ast.expr | None, scope: Scope, block: Block, at: ast.AST) -> None:
        """Bind what an assignment assigns, item by item where both sides are written out."""
        pending = [(target, value)]
        while pending:
            node, given = pending.pop()
            if isinstance(node, ast.Name):
                self.bind(node.id, "assign" if given else "opaque", scope, block, at, given)
            elif isinstance(node, ast.Starred):
                pending.append((node.value, None))
            elif isinstance(node, ast.Tuple | ast.List):
                items = given.elts if isinstance(given, ast.Tuple | ast.List) else []
                plain = len(items) == len(node.elts) and not any(
                    isinstance(e, ast.Starred) for e in (*items, *node.elts)
                )
                pending += zip(node.elts, items if plain else [None] * len(node.elts), strict=True)
            else:
                self.part(node, given, scope, block, at)

    def part(self, node: ast.expr, value: ast.expr | None, scope: Scope, block: Block, at: Any) -> None:
        """Bind an attribute or an item: `self.rank = 8` in the class, `args.rank = 8` in the scope."""
        self.children(node, scope, block)
        owner = scope.enclosing_class()
        kind: Kind = "assign" if value else "opaque"
        if owner and isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            binding = Binding(kind, scope, block, (at.end_lineno, at.end_col_offset), value)
            owner.attributes.setdefault(node.attr, []).append(binding)
            return
        name = dotted(node)
        if name is not None and isinstance(node, ast.Attribute | ast.Subscript):
            self.bind(name, kind, scope, block, at, value)
            owner_name, key = dotted(node.value) or "", part_of(node)
            if isinstance(key, str):
                use = Use(scope, block, (at.end_lineno, at.end_col_offset))
                self.found.changes.append(Change(owner_name, key, value, node, use))
                if isinstance(node, ast.Subscript):
                    self.found.items.setdefault(owner_name, set()).add(key)
        elif isinstance(node, ast.Subscript) and (name := dotted(node.value)):
            self.found.mutated.add(name)

    def is_lora(self, name: str) -> bool:
        known = self._names.get(name)
        if known is None:
            known = self._names[name] = LORA.search(name) is not None
        return known

    def has_lora_keys(self, names: Iterable[str | None]) -> bool:
        """Whether keywords speak of LoRA: `lora_alpha`, `lora_rank`, `lora_r`, which `r` and `lora_alpha` imply."""
        for name in names:
            known = self._keys.get(name or "")
            if known is None:
                known = self._keys[name or ""] = LORA_KEY.search(name or "") is not None
            if known:
                return True
        return False


Handlers = Mapping[type[ast.AST], Callable[[Walk, Any, Scope, Block], None]]


def start(node: Any) -> Place:
    return node.lineno, node.col_offset
