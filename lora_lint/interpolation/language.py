"""OmegaConf's little language: values, interpolations and the arguments of resolvers, taken apart and never run."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy

_DELIMITER = re.compile(r"\\\$|\$\{|[{}]")
_INTEGER = re.compile(r"[-+]?\d{1,18}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)
_WORDS: Mapping[str, object] = {"true": True, "false": False, "null": None, "none": None}

_OPERATORS: Mapping[str, type[ast.operator]] = {
    **dict.fromkeys(("mul", "multiply", "mult", "times", "prod", "product"), ast.Mult),
    **dict.fromkeys(("add", "sum", "plus"), ast.Add),
    **dict.fromkeys(("sub", "subtract", "minus"), ast.Sub),
    **dict.fromkeys(("div", "divide", "truediv"), ast.Div),
    **dict.fromkeys(("floordiv", "idiv", "int_div"), ast.FloorDiv),
}
_CALLS = frozenset({"int", "float", "round", "max", "min", "sqrt"})
EVALUATES = frozenset({"eval", "calc", "math", "expr", "evaluate", "compute"})
"""Names that people give to the resolver that evaluates arithmetic."""

Maker = Callable[[list[ast.expr]], ast.expr]


def as_value(text: str) -> object:
    """What OmegaConf makes of a value on a command line or in the arguments of a resolver."""
    text = text.strip()
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if text.startswith("[") and text.endswith("]"):
        return [as_value(item) for item in split(text[1:-1])]
    return text


def interpolations(text: str) -> Iterator[tuple[int, int]]:
    """Where each outermost `${...}` begins and ends; what is never closed is text."""
    level = start = 0
    for match in _DELIMITER.finditer(text):
        sign = match[0]
        if level == 0:
            if sign == "${":
                level, start = 1, match.start()
        elif sign in ("${", "{"):
            level += 1
        elif sign == "}":
            level -= 1
            if level == 0:
                yield start, match.end()


def split(arguments: str) -> list[str]:
    """The arguments between commas that stand in no brackets and quotes."""
    parts, level, quote, start = [], 0, "", 0
    for at, sign in enumerate(arguments):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "{[(":
            level += 1
        elif sign in "}])":
            level -= 1
        elif sign == "," and level == 0:
            parts.append(arguments[start:at])
            start = at + 1
    last = arguments[start:]
    return [*parts, last] if parts or last.strip() else []


def arithmetic(name: str) -> Maker | None:
    """What puts the arguments of a resolver for arithmetic together."""
    if name in _OPERATORS:
        operator = _OPERATORS[name]

        def chain(nodes: list[ast.expr]) -> ast.expr:
            first, *others = nodes
            for node in others:
                first = ast.BinOp(first, operator(), node)
            return first

        return chain
    if name in _CALLS:
        return lambda nodes: ast.Call(ast.Name(name, ast.Load()), nodes, [])
    return None


class _Filler(ast.NodeTransformer):
    """Puts nodes in the places of `_0`, `_1` ..."""

    def __init__(self, nodes: list[ast.expr]) -> None:
        self.nodes = {f"_{index}": node for index, node in enumerate(nodes)}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.nodes.get(node.id, node)


def filled(tree: ast.expr, nodes: list[ast.expr]) -> ast.expr:
    filled: ast.expr = _Filler(nodes).visit(deepcopy(tree))
    return filled
