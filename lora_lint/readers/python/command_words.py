"""How Python code writes the words of a command: lists, sums of lists, texts, and what adds to them."""

import ast
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from lora_lint.expression import dotted

_LARGEST = 50
"""Nodes of an expression that is written as one variable."""
_FLAG = re.compile(r"(?:^|\s)--[\w.-]*(?:lora|peft)", re.IGNORECASE)
_NOT_IN_NAME = re.compile(r"\W+", re.ASCII)
_ADDS = frozenset(("append", "extend"))


def assigned(statement: ast.stmt) -> tuple[ast.expr | None, ast.expr | None, bool]:
    """The name and the value of an assignment, and whether it is added to what is there."""
    target, value, grows = _assigned(statement)
    return target if target is not None and dotted(target) is not None else None, value, grows


def _assigned(statement: ast.stmt) -> tuple[ast.expr | None, ast.expr | None, bool]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        return statement.targets[0], statement.value, False
    if isinstance(statement, ast.AnnAssign):
        return statement.target, statement.value, False
    if isinstance(statement, ast.AugAssign):
        return statement.target, statement.value, True
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _ADDS and call.args:
        one = call.args[0]
        value = ast.copy_location(ast.List([one], ast.Load()), one) if call.func.attr == "append" else one
        return call.func.value, value, True
    return None, None, False


def bodies(statement: Any) -> Iterator[tuple[Sequence[ast.stmt], bool]]:
    """The blocks of a statement, and whether each is run for sure; a chain of `elif` is one level."""
    for branch in _chain(statement):
        yield branch.body, isinstance(branch, ast.With | ast.AsyncWith | ast.Try)
    sure = isinstance(branch, ast.With | ast.AsyncWith | ast.Try)
    yield from ((handler.body, False) for handler in getattr(branch, "handlers", ()))
    yield from ((block, sure) for name in ("orelse", "finalbody") if (block := getattr(branch, name, None)))


def headers(statement: Any) -> Iterator[ast.AST]:
    """The expressions in a statement's first line: conditions, what a loop goes over, defaults of parameters."""
    for branch in _chain(statement):
        yield from (node for node in ast.iter_child_nodes(branch) if not isinstance(node, ast.stmt | ast.ExceptHandler))


def _chain(statement: Any) -> Iterator[Any]:
    yield statement
    while isinstance(statement, ast.If) and len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If):
        yield (statement := statement.orelse[0])


def added(node: ast.expr) -> Iterator[ast.expr]:
    """The terms of a sum, in order."""
    terms = [node]
    while isinstance(node := terms[-1], ast.BinOp) and isinstance(node.op, ast.Add):
        terms[-1:] = [node.right, node.left]
    yield from reversed(terms)


def is_words(node: ast.expr) -> bool:
    """Whether it is a list with a word written out."""
    return isinstance(node, ast.List | ast.Tuple) and any(_text(word) is not None for word in node.elts)


def is_text(node: ast.expr) -> bool:
    """Whether it is a string, an f-string, or a sum with one of them in it."""
    return any(isinstance(term, ast.JoinedStr) or _text(term) is not None for term in added(node))


def parts(node: ast.expr) -> Iterator[ast.expr]:
    """The parts of a string, of an f-string, or of several that are added; a value with a format comes as it is."""
    for term in added(node):
        if isinstance(term, ast.JoinedStr):
            for part in term.values:
                plain = isinstance(part, ast.FormattedValue) and part.format_spec is None and part.conversion < 0
                yield part.value if isinstance(part, ast.FormattedValue) and plain else part
        else:
            yield term


def split_text(node: ast.expr | None) -> ast.expr | None:
    """The text of `text.split()` and `shlex.split(text)`."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "split":
        return None
    if dotted(node.func) == "shlex.split":
        return node.args[0] if node.args else None
    return None if node.args or node.keywords else node.func.value


def has_flag(words: Sequence[ast.expr]) -> bool:
    """Whether a word of a list, or a term of a text, is or holds a flag of LoRA's that is written out."""
    texts = (_text(part) for word in words for part in (word.values if isinstance(word, ast.JoinedStr) else (word,)))
    return any(_FLAG.search(text) for text in texts if text is not None)


def is_option(node: ast.expr) -> bool:
    """Whether a list or a text begins with an option, where a command has its program."""
    while isinstance(node, ast.List | ast.Tuple | ast.JoinedStr):
        inside = node.values if isinstance(node, ast.JoinedStr) else node.elts
        if not inside:
            return False
        node = inside[0]
    return (_text(node) or "").startswith("-")


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else dotted(call.func) or ""


def variable(name: str) -> str:
    """What a name, or an expression, is called in a shell script."""
    return _NOT_IN_NAME.sub("_", name[:60]).strip("_") or "value"


def written(node: ast.expr) -> str:
    """An expression as text; one that is very long gets no name of its own."""
    small = sum(1 for _ in islice(ast.walk(node), _LARGEST + 1)) <= _LARGEST
    return ast.unparse(node)[:200] if small else "value"


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
