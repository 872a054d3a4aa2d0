"""Arithmetic as the shell writes it, `$((2 * R))`, over what is known of its variables."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lora_lint.expression import UndecidableError, evaluate
from lora_lint.readers.shell.fields import Part, unknown_part
from lora_lint.readers.shell.scope import Scope
from lora_lint.readers.shell.text import Piece, Text, spread

_MAX_NODES = 16
"""An expression with more nodes isn't put into another one; its variable's name is."""
_ARITHMETIC = re.compile(r"[\w\s+\-*/%()]+", re.ASCII)
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)(?::?-([0-9]+))?\}|\$([A-Za-z_]\w*)", re.ASCII)


@dataclass
class _Operands:
    """What is known of the variables in one piece of arithmetic."""

    scope: Scope
    values: dict[str, float] = field(default_factory=dict)
    nodes: dict[str, ast.expr] = field(default_factory=dict)
    default: bool = False
    """Whether a value is a default."""
    problem: str = ""
    """Why the first variable without a value has none."""

    def name(self, match: re.Match[str]) -> str:
        """The bare name for `$R`, `${R}` and `${R:-8}`."""
        if match[2] and match[1] not in self.scope.bindings:
            self.values[match[1]] = int(match[2])
            self.nodes[match[1]] = name_node(match[0])
            self.default = True
        return match[1] or match[3]

    def look_up(self, name: str) -> None:
        if name in self.nodes:
            return
        binding = self.scope.bindings.get(name)
        self.nodes[name] = name_node(self.scope.symbol(name))
        if binding is None:
            self.problem = self.problem or f"needs ${name}, which isn't set in this script"
            return
        if binding.node is not None and sum(1 for _ in ast.walk(binding.node)) <= _MAX_NODES:
            self.nodes[name] = binding.node
        content = binding.text
        if binding.known and _INTEGER.fullmatch(content):
            self.values[name] = int(content)
            self.default = self.default or any(part.default for part in binding.parts)
            return
        reasons = (part.unknown.reason for part in binding.parts if part.unknown is not None)
        self.problem = self.problem or f"needs a value: {next(reasons, f'${name} is not a whole number')}"


def arithmetic(piece: Piece, text: Text, scope: Scope) -> Part:
    """The part that `$((...))` becomes: its number, or unknown with an expression over names."""
    operands = _Operands(scope)
    tree = _parsed(_VARIABLE.sub(operands.name, piece.text))
    if tree is None:
        return unknown_part(piece, text, "is arithmetic that isn't read")
    for name in sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}):
        operands.look_up(name)
    node = _substituted(tree, operands.nodes)
    try:
        content = str(int(evaluate(tree, operands.values)))
    except UndecidableError:
        return unknown_part(piece, text, operands.problem or "has no value that can be read", node)
    span = text.span(piece.start, piece.end)
    return Part(content, spread(span, len(content)), span, default=operands.default, node=node)


def name_node(name: str) -> ast.Name:
    """An expression that is one name."""
    return ast.Name(name, ast.Load())


def _substituted(node: ast.expr, nodes: Mapping[str, ast.expr]) -> ast.expr:
    """A copy of an arithmetic expression with its names replaced."""
    if isinstance(node, ast.Name):
        return nodes.get(node.id, node)
    if isinstance(node, ast.BinOp):
        return ast.BinOp(_substituted(node.left, nodes), node.op, _substituted(node.right, nodes))
    if isinstance(node, ast.UnaryOp):
        return ast.UnaryOp(node.op, _substituted(node.operand, nodes))
    return node


def _parsed(arithmetic: str) -> ast.expr | None:
    if not _ARITHMETIC.fullmatch(arithmetic):
        return None
    try:
        tree = ast.parse(" ".join(arithmetic.split()).replace("/", "//"), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    allowed = (ast.BinOp, ast.UnaryOp, ast.Name, ast.Constant, ast.operator, ast.unaryop, ast.expr_context)
    return tree if all(isinstance(node, allowed) for node in ast.walk(tree)) else None
