"""Statements of Python code that bind names, branch or loop, as steps of the walk."""

import ast

from lora_lint.readers.python.scopes import Binding, Block, Class, Kind, Scope, Use, field_default
from lora_lint.readers.python.walk import Handlers, Walk, start


def _assign(walk: Walk, node: ast.Assign, scope: Scope, block: Block) -> None:
    for target in node.targets:
        walk.target(target, node.value, scope, block, node)
    if scope.kind == "class":
        for target in node.targets:
            _field(walk, target, node.value, scope, block, node, annotated=False)
    walk.push([node.value], scope, block)


def _annotated(walk: Walk, node: ast.AnnAssign, scope: Scope, block: Block) -> None:
    if node.value is not None:
        walk.target(node.target, node.value, scope, block, node)
    if scope.kind == "class":
        _field(walk, node.target, node.value, scope, block, node, annotated=True)
    walk.push([node.value], scope, block)


def _field(
    walk: Walk, target: ast.expr, value: ast.expr | None, scope: Scope, block: Block, at: ast.stmt, *, annotated: bool
) -> None:
    owner = scope.owner
    if not isinstance(target, ast.Name) or not isinstance(owner, Class):
        return
    if annotated:
        owner.fields[target.id] = target
    after = (at.end_lineno or 0, at.end_col_offset or 0)
    kind: Kind = "parameter" if annotated else "assign"
    default = field_default(value)
    owner.attributes.setdefault(target.id, []).append(Binding(kind, scope, block, after, default, target))
    walk.found.fields.setdefault(target.id, []).append((default, Use(scope, block, start(at))))


def _augmented(walk: Walk, node: ast.AugAssign, scope: Scope, block: Block) -> None:
    walk.target(node.target, None, scope, block, node)
    walk.push([node.value], scope, block)


def _walrus(walk: Walk, node: ast.NamedExpr, scope: Scope, block: Block) -> None:
    holder = scope
    while holder.kind == "expression" and holder.parent is not None:
        holder = holder.parent
    walk.target(node.target, node.value if holder is scope else None, holder, block, node)
    walk.push([node.value], scope, block)


def _imported(walk: Walk, node: ast.Import | ast.ImportFrom, scope: Scope, block: Block) -> None:
    origin = "." * node.level + (node.module or "") if isinstance(node, ast.ImportFrom) else ""
    for alias in node.names:
        name = alias.asname or alias.name
        if isinstance(node, ast.ImportFrom):
            target = f"{origin}.{alias.name}" if node.module else f"{origin}{alias.name}"
        else:
            target = alias.name if alias.asname else (name := alias.name.partition(".")[0])
        walk.bind(name, "import", scope, block, node, target=target)


def _loop(walk: Walk, node: ast.For | ast.AsyncFor | ast.While, scope: Scope, block: Block) -> None:
    inner = Block(block)
    walk.push(node.orelse, scope, inner)
    walk.push(node.body, scope, inner)
    if isinstance(node, ast.While):
        walk.push([node.test], scope, block)
    else:
        walk.target(node.target, None, scope, inner, node.target)
        walk.push([node.iter], scope, block)


def _branch(walk: Walk, node: ast.If, scope: Scope, block: Block) -> None:
    """The body of `if __name__ == "__main__"` is part of the script; an `elif` is no deeper than its `if`."""
    chained = len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)
    walk.push(node.orelse, scope, block if chained else Block(block))
    walk.push(node.body, scope, block if _is_main(node.test) else Block(block, node.test))
    walk.push([node.test], scope, block)


def _attempt(walk: Walk, node: "ast.Try | ast.TryStar", scope: Scope, block: Block) -> None:
    walk.push(node.finalbody, scope, block)
    walk.push(node.orelse, scope, block)
    walk.push(node.handlers, scope, block)
    walk.push(node.body, scope, block)


def _handler(walk: Walk, node: ast.ExceptHandler, scope: Scope, block: Block) -> None:
    inner = Block(block)
    if node.name:
        walk.bind(node.name, "opaque", scope, inner, node.type or node)
    walk.push([node.type, *node.body], scope, inner)


def _entered(walk: Walk, node: ast.withitem, scope: Scope, block: Block) -> None:
    if node.optional_vars is not None:
        walk.target(node.optional_vars, None, scope, block, node.optional_vars)
    walk.push([node.context_expr], scope, block)


def _case(walk: Walk, node: ast.match_case, scope: Scope, block: Block) -> None:
    inner = Block(block)
    walk.push([node.pattern, node.guard, *node.body], scope, inner)


def _captured(walk: Walk, node: ast.MatchAs | ast.MatchStar | ast.MatchMapping, scope: Scope, block: Block) -> None:
    name = node.rest if isinstance(node, ast.MatchMapping) else node.name
    if name:
        walk.bind(name, "opaque", scope, block, node)
    walk.children(node, scope, block)


def _deleted(walk: Walk, node: ast.Delete, scope: Scope, block: Block) -> None:
    for target in node.targets:
        walk.target(target, None, scope, block, node)


def _declared(walk: Walk, node: ast.Global | ast.Nonlocal, scope: Scope, block: Block) -> None:
    scope.outer_names.update(node.names)


def _is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


STATEMENTS: Handlers = {
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.NamedExpr: _walrus,
    ast.Import: _imported,
    ast.ImportFrom: _imported,
    ast.For: _loop,
    ast.AsyncFor: _loop,
    ast.While: _loop,
    ast.If: _branch,
    ast.Try: _attempt,
    ast.TryStar: _attempt,
    ast.ExceptHandler: _handler,
    ast.withitem: _entered,
    ast.match_case: _case,
    ast.MatchAs: _captured,
    ast.MatchStar: _captured,
    ast.MatchMapping: _captured,
    ast.Delete: _deleted,
    ast.Global: _declared,
    ast.Nonlocal: _declared,
}
