"""What an interpolation becomes: a value, the names of the keys it is made from, the place that gives it."""

import ast
from collections.abc import Sequence
from typing import NamedTuple

from lora_lint.document import Path, Unknown
from lora_lint.expression import UndecidableError, evaluate
from lora_lint.interpolation.language import Maker

MISSING = "???"
"""OmegaConf's mark for a value that must be given when the program starts."""

MAX_TEXT = 1_000
_MAX_NODES = 64


class Result(NamedTuple):
    """What a value becomes: `node` over the names of other keys, `origin` the place that gives it."""

    value: object
    node: ast.expr | None = None
    origin: Path | None = None
    default: bool = False
    size: int = 1


def unsettled(text: str, reason: str, node: ast.expr | None = None) -> Result:
    return Result(Unknown(text, reason), node)


def joined(text: str, pieces: Sequence[str | Result]) -> Result:
    """A string that interpolations are a part of."""
    results = [piece for piece in pieces if isinstance(piece, Result)]
    unknown = next((result.value for result in results if isinstance(result.value, Unknown)), None)
    if unknown is not None:
        return unsettled(text, unknown.reason)
    whole = "".join(piece if isinstance(piece, str) else str(piece.value)[: MAX_TEXT + 1] for piece in pieces)
    if len(whole) > MAX_TEXT:
        return unsettled(text, "the interpolation is too long to be followed")
    return Result(whole, origin=next((result.origin for result in results), None))


def computed(text: str, operands: list[Result], make: Maker) -> Result:
    """Arithmetic over the values, and the same over the names they come from."""
    symbolic: ast.expr | None = make([result.node or _constant(result) for result in operands])
    if symbolic is not None and sum(1 for _ in ast.walk(symbolic)) > _MAX_NODES:
        symbolic = None
    unknown = next((result.value for result in operands if isinstance(result.value, Unknown)), None)
    if unknown is not None:
        return unsettled(text, unknown.reason, symbolic)
    try:
        value = evaluate(make([_constant(result) for result in operands]), {})
    except UndecidableError:
        return unsettled(text, f"{cut(text)} isn't arithmetic that is read")
    origin = next((result.origin for result in operands if result.origin is not None), None)
    return Result(value, symbolic, origin, any(result.default for result in operands))


def _constant(result: Result) -> ast.Constant:
    return ast.Constant(result.value if isinstance(result.value, int | float) else None)


def is_open(value: object) -> bool:
    return isinstance(value, str) and ("${" in value or value == MISSING)


def name_of(path: Path) -> ast.expr:
    """The expression that stands for the value at a path."""
    first, *others = path or ("",)
    node: ast.expr = ast.Name(str(first), ast.Load())
    for part in others:
        if isinstance(part, str) and part.isidentifier():
            node = ast.Attribute(node, part, ast.Load())
        else:
            node = ast.Subscript(node, ast.Constant(part), ast.Load())
    return node


def dotted(path: Path) -> str:
    return cut(".".join(str(part) for part in path))


def cut(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
