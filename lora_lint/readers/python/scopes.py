"""Scopes of Python code: which names are bound where, by what, and under which conditions; nothing is run."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lora_lint.expression import dotted

Kind = Literal["assign", "parameter", "import", "definition", "opaque"]
Place = tuple[int, int]
MAX_BINDINGS = 8
"""A name that is set more often isn't compared to see whether it always gets the same constant."""

Callable_ = ast.FunctionDef | ast.AsyncFunctionDef


class Block:
    """Statements that run together; a block inside another runs only if a condition holds, `test` where it is one."""

    __slots__ = ("parent", "test")

    def __init__(self, parent: "Block | None" = None, test: ast.expr | None = None) -> None:
        self.parent = parent
        self.test = test

    def within(self, other: "Block") -> bool:
        """Whether `other` has run, or is running, whenever this block runs."""
        block: Block | None = self
        while block is not None and block is not other:
            block = block.parent
        return block is other


class Binding(NamedTuple):
    """One way in which a name gets a value; `value` is None where no expression gives it."""

    kind: Kind
    scope: "Scope"
    block: Block
    after: Place
    """Where the binding is complete."""
    value: ast.expr | None = None
    node: ast.AST | None = None
    """The parameter, the function or the class."""
    target: str = ""
    """The dotted original of an import."""


@dataclass(eq=False)
class Scope:
    """A module, a class body, a function or a comprehension, with what it binds: names and `name.attribute`."""

    name: str
    kind: Literal["module", "class", "function", "expression"]
    block: Block
    parent: "Scope | None" = None
    owner: "Class | Function | None" = None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    outer_names: set[str] = field(default_factory=set)
    """Names declared global or nonlocal."""

    def chain(self) -> "Iterator[Scope]":
        """The scopes where a name used here is looked for, the nearest first."""
        scope: Scope | None = self
        while scope is not None:
            if scope is self or scope.kind != "class":
                yield scope
            scope = scope.parent

    def find(self, name: str) -> list[Binding]:
        return next((scope.bindings[name] for scope in self.chain() if name in scope.bindings), [])

    def bind(self, name: str, binding: Binding) -> None:
        if name in self.outer_names:
            outer = self.parent
            while outer is not None:
                if name in outer.bindings or outer.parent is None:
                    outer.bindings.setdefault(name, []).append(Binding("opaque", outer, outer.block, binding.after))
                    return
                outer = outer.parent
        self.bindings.setdefault(name, []).append(binding)

    def enclosing_class(self) -> "Class | None":
        scope: Scope | None = self
        while scope is not None:
            if isinstance(scope.owner, Class):
                return scope.owner
            scope = scope.parent
        return None


class Parameter(NamedTuple):
    """A parameter of a function, or a field of a dataclass, with its default where it has one."""

    name: str
    node: ast.arg | ast.expr
    default: ast.expr | None


@dataclass(eq=False)
class Function:
    """A function of the file, or the constructor of a dataclass (without a node)."""

    name: str
    node: Callable_ | None
    scope: Scope
    outer: "Use"
    parameters: list[Parameter]
    ordered: bool = True
    """Whether positional arguments are known to follow the order of `parameters`."""
    bound: bool = False
    """Whether the first parameter is the instance or the class."""


@dataclass(eq=False)
class Class:
    """A class of the file: its fields and class variables, what methods assign to `self`, and its methods."""

    node: ast.ClassDef
    scope: Scope
    outer: "Use"
    attributes: dict[str, list[Binding]] = field(default_factory=dict)
    methods: dict[str, Function] = field(default_factory=dict)
    fields: dict[str, ast.expr] = field(default_factory=dict)
    """The fields in order, under their target nodes."""

    @property
    def is_record(self) -> bool:
        """Whether instances are made from the fields: a class with annotated fields and no constructor."""
        return bool(self.fields) and "__init__" not in self.methods


def builds_on_library(owner: Class) -> bool:
    """Whether a class is a library's LoRA config, or is derived from one: PEFT's have `PeftConfig` for a base."""
    bases = ((dotted(base) or "").rpartition(".")[2] for base in owner.node.bases)
    return any(base.lower() in _LIBRARY_BASES for base in bases)


_LIBRARY_BASES = frozenset(("peftconfig", "adapterconfig", "loraconfig", "loraconfigmixin"))


class Use(NamedTuple):
    """An expression where it is evaluated."""

    scope: Scope
    block: Block
    place: Place


def settled(bindings: Sequence[Binding], use: Use) -> Binding | None:
    """The one binding that gives a name its value at `use`, or None where more than one may, or none yet."""
    if not 0 < len(bindings) <= MAX_BINDINGS:
        return None
    binding = bindings[0]
    if len(bindings) > 1 and not _same_constant(bindings):
        return None
    if not use.block.within(binding.block):
        return None
    if binding.scope is use.scope and binding.after > use.place:
        return None
    return binding


def _same_constant(bindings: Sequence[Binding]) -> bool:
    values = [binding.value.value for binding in bindings if isinstance(binding.value, ast.Constant)]
    return len(values) == len(bindings) and all(type(v) is type(values[0]) and v == values[0] for v in values)


def field_default(value: ast.expr | None) -> ast.expr | None:
    """The default that `field(default=8)`, `Field(8)`, `typer.Option(8)` or a plain value stand for."""
    if not isinstance(value, ast.Call):
        return value
    called = (dotted(value.func) or "").rpartition(".")[2]
    if called not in _FIELDS:
        return value
    for keyword in value.keywords:
        if keyword.arg == "default":
            return keyword.value
        if keyword.arg in ("default_factory", "factory") and isinstance(keyword.value, ast.Lambda):
            return keyword.value.body
    first = value.args[0] if value.args else None
    return None if isinstance(first, ast.Constant) and first.value is Ellipsis else first


_FIELDS = frozenset(("field", "Field", "Option", "Argument", "ib", "attrib", "HfArg", "Query", "Body", "Form"))


def option_default(call: ast.Call) -> tuple[str, ast.expr | None] | None:
    """The destination and the default of `add_argument("--lora_r", default=8)` or `@click.option(...)`."""
    flags = [word.value for word in call.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    options = {keyword.arg: keyword.value for keyword in call.keywords}
    dest = options.get("dest")
    if isinstance(dest, ast.Constant) and isinstance(dest.value, str):
        name = dest.value
    else:
        long = [flag[2:] for flag in flags if flag.startswith("--")]
        short = [flag[1:] for flag in flags if flag.startswith("-") and len(flag) > 1]
        plain = [flag for flag in flags if not flag.startswith("-")]
        name = next(iter([*long, *short, *plain]), "").split("/")[0].replace("-", "_")
    if not name:
        return None
    action, default = options.get("action"), options.get("default")
    if default is None and isinstance(action, ast.Constant) and action.value in ("store_true", "store_false"):
        default = ast.copy_location(ast.Constant(action.value == "store_false"), action)
    return name, _converted(default, options.get("type"))


def _converted(default: ast.expr | None, kind: ast.expr | None) -> ast.expr | None:
    """A default written as text, after the option's own conversion."""
    convert = {"int": int, "float": float}.get(kind.id) if isinstance(kind, ast.Name) else None
    if convert is None or not (isinstance(default, ast.Constant) and isinstance(default.value, str)):
        return default
    try:
        return ast.copy_location(ast.Constant(convert(default.value[:40])), default)
    except ValueError:
        return None
