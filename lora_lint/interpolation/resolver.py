"""Follows the interpolations of one tree of data: references to other keys, and resolvers that don't run code."""

import ast
import re
from dataclasses import dataclass, field

from lora_lint.document import Path, Unknown, lookup
from lora_lint.expression import Expression
from lora_lint.interpolation.language import EVALUATES, arithmetic, as_value, filled, interpolations, split
from lora_lint.interpolation.result import (
    MAX_TEXT,
    MISSING,
    Result,
    computed,
    cut,
    dotted,
    is_open,
    joined,
    name_of,
    unsettled,
)

MAX_DEPTH = 40
MAX_WORK = 1_000_000
"""Characters of interpolations followed in one document; what comes after is unknown."""
MAX_SIZE = 10_000
"""Values that one reference may stand for."""
MAX_TOTAL = 100_000
"""Values that all references of one document may stand for."""
MAX_LEVELS = 220
"""Levels of mappings and lists, with those that references lead through."""

_RESOLVER = re.compile(r"\s*(?P<name>[A-Za-z_][\w.]*)\s*:(?P<arguments>.*)", re.DOTALL)
_REFERENCE = re.compile(r"(?P<dots>\.*)(?P<keys>[^\s:{}]*)")
_KEY = re.compile(r"[^.\[\]]+")


@dataclass
class Resolver:
    """Follows the interpolations of one tree of data."""

    data: object
    found: dict[Path, Result] = field(default_factory=dict)
    """The values that were written as interpolations, or must be given."""
    _known: dict[Path, Result | None] = field(default_factory=dict)
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
                written.setdefault(path, name_of(path))
        return {path: Expression(self._text(path), node) for path, node in written.items()}

    def _text(self, path: Path) -> str:
        try:
            value = lookup(self.data, path)
        except KeyError:
            return dotted(path)
        return value if isinstance(value, str) and value != MISSING else dotted(path)

    def tree(self, value: object, path: Path, *, root: bool = False) -> tuple[object, int]:
        """A part of the data with everything in it filled in, and how many values that is."""
        if not isinstance(value, dict | list):
            return self._leaf(path, root=root) if is_open(value) else (value, 1)
        if self._levels >= MAX_LEVELS:
            return Unknown(dotted(path), f"{dotted(path)} is nested deeper than {MAX_LEVELS} levels"), 1
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
                result = unsettled(dotted(path), f"the references of this file stand for more than {MAX_TOTAL} values")
            self.found[path] = result
        return result.value, result.size

    def at(self, path: Path) -> Result:
        """What stands at a path."""
        if path in self._known:
            known = self._known[path]
            return known or unsettled(dotted(path), f"{dotted(path)} refers to itself")
        if self._depth >= MAX_DEPTH:
            return unsettled(dotted(path), f"{dotted(path)} is behind more than {MAX_DEPTH} references")
        self._known[path] = None
        self._depth += 1
        self._known[path] = result = self._found_at(path)
        self._depth -= 1
        return result

    def _found_at(self, path: Path) -> Result:
        try:
            value = lookup(self.data, path)
        except KeyError:
            return self._behind(path)
        if isinstance(value, str) and value == MISSING:
            return unsettled(value, f"{dotted(path)} must be given when the program starts", name_of(path))
        if isinstance(value, str) and "${" in value:
            return self.text(value, path[:-1])
        if isinstance(value, dict | list):
            whole, size = self.tree(value, path)
            if size > MAX_SIZE:
                return unsettled(dotted(path), f"{dotted(path)} stands for more than {MAX_SIZE} values")
            return Result(whole, None, path, size=size)
        return Result(value, name_of(path), path)

    def _behind(self, path: Path) -> Result:
        """A path that leads through an interpolation that stands for a mapping."""
        for end in range(len(path) - 1, 0, -1):
            try:
                value = lookup(self.data, path[:end])
            except KeyError:
                continue
            if not is_open(value):
                break
            owner = self.at(path[:end])
            if isinstance(owner.value, Unknown):
                return owner
            try:
                return Result(lookup(owner.value, path[end:]), name_of(path), owner.origin)
            except KeyError:
                break
        return unsettled(dotted(path), f"{dotted(path)} isn't in this file", name_of(path))

    def text(self, text: str, parent: Path) -> Result:
        """A string with interpolations, written in the mapping at `parent`."""
        self._work += len(text)
        if len(text) > MAX_TEXT or self._work > MAX_WORK:
            return unsettled(text, "the interpolation is too long to be followed")
        pieces: list[str | Result] = []
        end = 0
        for start, stop in interpolations(text):
            if start == 0 and stop == len(text):
                return self._inside(text[2:-1], text, parent)
            pieces += [text[end:start], self._inside(text[start + 2 : stop - 1], text[start:stop], parent)]
            end = stop
        return joined(text, [*pieces, text[end:]])

    def _inside(self, body: str, text: str, parent: Path) -> Result:
        """One interpolation; `text` is the whole of it."""
        if self._depth >= MAX_DEPTH:
            return unsettled(text, f"{cut(text)} is nested deeper than {MAX_DEPTH} levels")
        self._depth += 1
        try:
            resolver = _RESOLVER.fullmatch(body)
            if resolver is not None and "$" not in resolver["name"]:
                return self._call(resolver["name"], resolver["arguments"], text, parent)
            if "${" in body:
                inner = self.text(body, parent)
                if not isinstance(inner.value, str):
                    return inner if isinstance(inner.value, Unknown) else unsettled(text, f"{cut(text)} has no name")
                body = inner.value
            return self._reference(body, text, parent)
        finally:
            self._depth -= 1

    def _reference(self, body: str, text: str, parent: Path) -> Result:
        match = _REFERENCE.fullmatch(body.strip())
        if match is None:
            return unsettled(text, f"{cut(text)} can't be read")
        up = len(match["dots"]) - 1
        if up > len(parent):
            return unsettled(text, f"{cut(text)} leads out of this file")
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

    def _call(self, name: str, arguments: str, text: str, parent: Path) -> Result:
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
            return unsettled(text, f"{cut(text)} is made by the resolver {name}, which is code")
        return computed(text, operands, make)

    def _environment(self, variable: str, default: list[str], text: str, parent: Path) -> Result:
        node = ast.Name(f"env.{variable}", ast.Load())
        if not default:
            return unsettled(text, f"{cut(text)} comes from the environment", node)
        result = self._argument(default[0], parent)
        return result._replace(node=node, default=not isinstance(result.value, Unknown))

    def _selected(self, arguments: list[str], text: str, parent: Path, *, or_else: bool) -> Result:
        result = self._reference(arguments[0].strip("'\" ") if arguments else "", text, parent)
        if or_else and isinstance(result.value, Unknown) and result.value.text != MISSING and len(arguments) > 1:
            return self._argument(arguments[1], parent)._replace(default=True)
        return result

    def _argument(self, argument: str, parent: Path) -> Result:
        argument = argument.strip()
        if "${" in argument:
            return self.text(argument.strip("'\""), parent)
        return Result(as_value(argument))

    def _evaluated(self, arguments: str, text: str, parent: Path) -> Result:
        """Arithmetic in Python's words, with interpolations for numbers."""
        code = arguments.strip()
        if len(code) > 1 and code[0] == code[-1] and code[0] in "'\"":
            code = code[1:-1]
        pieces: list[str] = []
        operands: list[Result] = []
        end = 0
        for start, stop in interpolations(code):
            operands.append(self._inside(code[start + 2 : stop - 1], code[start:stop], parent))
            pieces += [code[end:start], f" _{len(operands) - 1} "]
            end = stop
        try:
            tree = ast.parse("".join([*pieces, code[end:]]).strip(), mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return unsettled(text, f"{cut(text)} isn't arithmetic that is read")
        return computed(text, operands, lambda nodes: filled(tree, nodes))
