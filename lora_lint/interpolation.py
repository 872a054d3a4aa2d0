"""OmegaConf's `${...}` within one YAML document: the value, the place it comes from, and arithmetic over other keys."""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lora_lint.document import Document, Entry, Path, Unknown, lookup
from lora_lint.expression import Expression, UndecidableError, evaluate
from lora_lint.omegaconf import EVALUATES, Maker, arithmetic, as_value, filled, interpolations, split

MISSING = "???"
"""OmegaConf's mark for a value that must be given when the program starts."""

MAX_DEPTH = 40
MAX_TEXT = 1_000
MAX_WORK = 1_000_000
"""Characters of interpolations followed in one document; what comes after is unknown."""
MAX_SIZE = 10_000
"""Values that one reference may stand for."""
MAX_TOTAL = 100_000
"""Values that all references of one document may stand for."""
MAX_LEVELS = 220
"""Levels of mappings and lists, with those that references lead through."""
_MAX_NODES = 64

_RESOLVER = re.compile(r"\s*(?P<name>[A-Za-z_][\w.]*)\s*:(?P<arguments>.*)", re.DOTALL)
_REFERENCE = re.compile(r"(?P<dots>\.*)(?P<keys>[^\s:{}]*)")
_KEY = re.compile(r"[^.\[\]]+")


def resolved(document: Document) -> Document:
    """The document with its interpolations filled in, as far as it tells; the others are unknown, with the reason."""
    resolver = _Resolver(document.data)
    data = resolver.tree(document.data, (), root=True)[0]
    found = resolver.found
    if not found:
        return document

    def locate() -> Mapping[Path, Entry]:
        entries = dict(document.entries)
        for path, result in found.items():
            if path in entries:
                target = entries.get(result.origin) if result.origin is not None else None
                entries[path] = replace(entries[path], literal=None, origin=target.value if target else None)
        return entries

    return replace(
        document,
        data=data,
        locate=locate,
        defaults=document.defaults | {path for path, result in found.items() if result.default},
        expressions={**document.expressions, **resolver.expressions()},
    )


class _Result(NamedTuple):
    """What a value becomes: `node` over the names of other keys, `origin` the place that gives it."""

    value: object
    node: ast.expr | None = None
    origin: Path | None = None
    default: bool = False
    size: int = 1


def _unknown(text: str, reason: str, node: ast.expr | None = None) -> _Result:
    return _Result(Unknown(text, reason), node)


@dataclass
class _Resolver:
    """Follows the interpolations of one tree of data."""

    data: object
    found: dict[Path, _Result] = field(default_factory=dict)
    """The values that were written as interpolations, or must be given."""
    _known: dict[Path, _Result | None] = field(default_factory=dict)
    """What a path holds; None while it is being found out."""
    _work: int = 0
    _depth: int = 0
    _levels: int = 0
    _total: int = 0

    def expressions(self) -> dict[Path, Expression]:
        """The values that are written over other keys, and the unknown ones that others are written over."""
        written = {path: result.node for path, result in self.found.items() if result.node is not None}
        for path, result in self._known.items():
            if result is not None and isinstance(result.value, Unknown) and path not in self.found:
                written.setdefault(path, _name(path))
        return {path: Expression(self._text(path), node) for path, node in written.items()}

    def _text(self, path: Path) -> str:
        try:
            value = lookup(self.data, path)
        except KeyError:
            return _dotted(path)
        return value if isinstance(value, str) and value != MISSING else _dotted(path)

    def tree(self, value: object, path: Path, *, root: bool = False) -> tuple[object, int]:
        """A part of the data with everything in it filled in, and how many values that is."""
        if not isinstance(value, dict | list):
            return self._leaf(path, root=root) if _is_open(value) else (value, 1)
        if self._levels >= MAX_LEVELS:
            return Unknown(_dotted(path), f"{_dotted(path)} is nested deeper than {MAX_LEVELS} levels"), 1
        self._levels += 1
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        parts = [(key, *self.tree(inner, (*path, key), root=root)) for key, inner in pairs]
        self._levels -= 1
        size = 1 + sum(size for _, _, size in parts)
        if isinstance(value, dict):
            return {key: part for key, part, _ in parts}, size
        return [part for _, part, _ in parts], size

    def _leaf(self, path: Path, *, root: bool) -> tuple[object, int]:
        result = self.at(path)
        if root:
            self._total += result.size
            if self._total > MAX_TOTAL:
                result = _unknown(_dotted(path), f"the references of this file stand for more than {MAX_TOTAL} values")
            self.found[path] = result
        return result.value, result.size

    def at(self, path: Path) -> _Result:
        """What stands at a path."""
        if path in self._known:
            known = self._known[path]
            return known or _unknown(_dotted(path), f"{_dotted(path)} refers to itself")
        if self._depth >= MAX_DEPTH:
            return _unknown(_dotted(path), f"{_dotted(path)} is behind more than {MAX_DEPTH} references")
        self._known[path] = None
        self._depth += 1
        self._known[path] = result = self._found_at(path)
        self._depth -= 1
        return result

    def _found_at(self, path: Path) -> _Result:
        try:
            value = lookup(self.data, path)
        except KeyError:
            return self._behind(path)
        if isinstance(value, str) and value == MISSING:
            return _unknown(value, f"{_dotted(path)} must be given when the program starts", _name(path))
        if isinstance(value, str) and "${" in value:
            return self.text(value, path[:-1])
        if isinstance(value, dict | list):
            whole, size = self.tree(value, path)
            if size > MAX_SIZE:
                return _unknown(_dotted(path), f"{_dotted(path)} stands for more than {MAX_SIZE} values")
            return _Result(whole, None, path, size=size)
        return _Result(value, _name(path), path)

    def _behind(self, path: Path) -> _Result:
        """A path that leads through an interpolation that stands for a mapping."""
        for end in range(len(path) - 1, 0, -1):
            try:
                value = lookup(self.data, path[:end])
            except KeyError:
                continue
            if not _is_open(value):
                break
            owner = self.at(path[:end])
            if isinstance(owner.value, Unknown):
                return owner
            try:
                return _Result(lookup(owner.value, path[end:]), _name(path), owner.origin)
            except KeyError:
                break
        return _unknown(_dotted(path), f"{_dotted(path)} isn't in this file", _name(path))

    def text(self, text: str, parent: Path) -> _Result:
        """A string with interpolations, written in the mapping at `parent`."""
        self._work += len(text)
        if len(text) > MAX_TEXT or self._work > MAX_WORK:
            return _unknown(text, "the interpolation is too long to be followed")
        pieces: list[str | _Result] = []
        end = 0
        for start, stop in interpolations(text):
            if start == 0 and stop == len(text):
                return self._inside(text[2:-1], text, parent)
            pieces += [text[end:start], self._inside(text[start + 2 : stop - 1], text[start:stop], parent)]
            end = stop
        return _joined(text, [*pieces, text[end:]])

    def _inside(self, body: str, text: str, parent: Path) -> _Result:
        """One interpolation; `text` is the whole of it."""
        if self._depth >= MAX_DEPTH:
            return _unknown(text, f"{_cut(text)} is nested deeper than {MAX_DEPTH} levels")
        self._depth += 1
        try:
            resolver = _RESOLVER.fullmatch(body)
            if resolver is not None and "$" not in resolver["name"]:
                return self._call(resolver["name"], resolver["arguments"], text, parent)
            if "${" in body:
                inner = self.text(body, parent)
                if not isinstance(inner.value, str):
                    return inner if isinstance(inner.value, Unknown) else _unknown(text, f"{_cut(text)} has no name")
                body = inner.value
            return self._reference(body, text, parent)
        finally:
            self._depth -= 1

    def _reference(self, body: str, text: str, parent: Path) -> _Result:
        match = _REFERENCE.fullmatch(body.strip())
        if match is None:
            return _unknown(text, f"{_cut(text)} can't be read")
        up = len(match["dots"]) - 1
        if up > len(parent):
            return _unknown(text, f"{_cut(text)} leads out of this file")
        path: Path = parent[: len(parent) - up] if up >= 0 else ()
        for key in _KEY.findall(match["keys"]):
            path = (*path, self._key(path, key))
        return self.at(path)

    def _key(self, path: Path, key: str) -> str | int:
        """A key as the mapping or the list at `path` has it."""
        if not key.isdecimal():
            return key
        try:
            owner = lookup(self.data, path)
        except KeyError:
            return key
        number = int(key[:18])
        return number if isinstance(owner, list) or (isinstance(owner, dict) and number in owner) else key

    def _call(self, name: str, arguments: str, text: str, parent: Path) -> _Result:
        """A resolver with its arguments."""
        short = name.rpartition(".")[2].lower()
        if arguments.startswith("-"):
            return self._environment(name, [arguments[1:]], text, parent)
        if name in ("oc.env", "env"):
            variable, *others = split(arguments) or [""]
            return self._environment(variable.strip(), others, text, parent)
        if name in ("oc.select", "oc.deprecated"):
            return self._selected(split(arguments), text, parent, or_else=name == "oc.select")
        if name == "oc.decode":
            result = self._argument(arguments, parent)
            return result._replace(value=as_value(result.value)) if isinstance(result.value, str) else result
        if short in EVALUATES:
            return self._evaluated(arguments, text, parent)
        make, operands = arithmetic(short), [self._argument(argument, parent) for argument in split(arguments)]
        if make is None or not operands:
            return _unknown(text, f"{_cut(text)} is made by the resolver {name}, which is code")
        return _computed(text, operands, make)

    def _environment(self, variable: str, default: list[str], text: str, parent: Path) -> _Result:
        node = ast.Name(f"env.{variable}", ast.Load())
        if not default:
            return _unknown(text, f"{_cut(text)} comes from the environment", node)
        result = self._argument(default[0], parent)
        return result._replace(node=node, default=not isinstance(result.value, Unknown))

    def _selected(self, arguments: list[str], text: str, parent: Path, *, or_else: bool) -> _Result:
        result = self._reference(arguments[0].strip("'\" ") if arguments else "", text, parent)
        if or_else and isinstance(result.value, Unknown) and result.value.text != MISSING and len(arguments) > 1:
            return self._argument(arguments[1], parent)._replace(default=True)
        return result

    def _argument(self, argument: str, parent: Path) -> _Result:
        argument = argument.strip()
        if "${" in argument:
            return self.text(argument.strip("'\""), parent)
        return _Result(as_value(argument))

    def _evaluated(self, arguments: str, text: str, parent: Path) -> _Result:
        """Arithmetic in Python's words, with interpolations for numbers."""
        code = arguments.strip()
        if len(code) > 1 and code[0] == code[-1] and code[0] in "'\"":
            code = code[1:-1]
        pieces: list[str] = []
        operands: list[_Result] = []
        end = 0
        for start, stop in interpolations(code):
            operands.append(self._inside(code[start + 2 : stop - 1], code[start:stop], parent))
            pieces += [code[end:start], f" _{len(operands) - 1} "]
            end = stop
        try:
            tree = ast.parse("".join([*pieces, code[end:]]).strip(), mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return _unknown(text, f"{_cut(text)} isn't arithmetic that is read")
        return _computed(text, operands, lambda nodes: filled(tree, nodes))


def _joined(text: str, pieces: Sequence[str | _Result]) -> _Result:
    """A string that interpolations are a part of."""
    results = [piece for piece in pieces if isinstance(piece, _Result)]
    unknown = next((result.value for result in results if isinstance(result.value, Unknown)), None)
    if unknown is not None:
        return _unknown(text, unknown.reason)
    whole = "".join(piece if isinstance(piece, str) else str(piece.value)[: MAX_TEXT + 1] for piece in pieces)
    if len(whole) > MAX_TEXT:
        return _unknown(text, "the interpolation is too long to be followed")
    return _Result(whole, origin=next((result.origin for result in results), None))


def _computed(text: str, operands: list[_Result], make: Maker) -> _Result:
    """Arithmetic over the values, and the same over the names they come from."""
    symbolic: ast.expr | None = make([result.node or _constant(result) for result in operands])
    if symbolic is not None and sum(1 for _ in ast.walk(symbolic)) > _MAX_NODES:
        symbolic = None
    unknown = next((result.value for result in operands if isinstance(result.value, Unknown)), None)
    if unknown is not None:
        return _unknown(text, unknown.reason, symbolic)
    try:
        value = evaluate(make([_constant(result) for result in operands]), {})
    except UndecidableError:
        return _unknown(text, f"{_cut(text)} isn't arithmetic that is read")
    origin = next((result.origin for result in operands if result.origin is not None), None)
    return _Result(value, symbolic, origin, any(result.default for result in operands))


def _constant(result: _Result) -> ast.Constant:
    return ast.Constant(result.value if isinstance(result.value, int | float) else None)


def _is_open(value: object) -> bool:
    return isinstance(value, str) and ("${" in value or value == MISSING)


def _name(path: Path) -> ast.expr:
    """The expression that stands for the value at a path."""
    first, *others = path or ("",)
    node: ast.expr = ast.Name(str(first), ast.Load())
    for part in others:
        if isinstance(part, str) and part.isidentifier():
            node = ast.Attribute(node, part, ast.Load())
        else:
            node = ast.Subscript(node, ast.Constant(part), ast.Load())
    return node


def _dotted(path: Path) -> str:
    return _cut(".".join(str(part) for part in path))


def _cut(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
