"""What a Python program can be given: options of its parsers and fields of its argument classes, with defaults."""

import ast
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lora_lint.document import Source, Unknown
from lora_lint.expression import dotted
from lora_lint.readers.python import syntax_tree
from lora_lint.readers.python.definitions import index
from lora_lint.readers.python.index import Index
from lora_lint.readers.python.lines import Lines
from lora_lint.readers.python.names import Resolver
from lora_lint.readers.python.scopes import Class, Use

MAX_OPTIONS = 1_000


class Fields(NamedTuple):
    """The fields of a class, and the names of the classes that it has more from."""

    defaults: Mapping[str, object]
    bases: tuple[str, ...]


class Module(NamedTuple):
    """One file; a default is `Unknown` where there is none, or not one that the file settles."""

    options: Mapping[str, object]
    classes: Mapping[str, Fields]
    parsed: tuple[str, ...]
    """The classes that an HfArgumentParser is made from."""
    imported: Mapping[str, tuple[str, str]]
    """Name -> the module it comes from and its name there."""
    opened: tuple[str, ...]
    """The modules that are imported whole: `from arguments import *`."""


def read(source: Source) -> Module:
    """
    Raises:
        UnreadableError: when the text isn't Python.
    """
    lines = Lines.of(source)
    tree = syntax_tree(source, lines)
    found = index(tree)
    resolver = Resolver(found, lines, found.module)
    options: dict[str, object] = {}
    for name, given in [*_options(found)][:MAX_OPTIONS]:
        values = [_default(resolver, name, node, use) for node, use in given]
        alike = all(type(value) is type(values[0]) and value == values[0] for value in values)
        options[name] = values[0] if alike else Unknown(name, f"{name} has more than one default")
    classes = {owner.node.name: _fields(resolver, owner) for owner in found.classes.values()}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    origins = [origin for node in imports for origin in _origins(node)]
    return Module(
        options,
        classes,
        tuple(dict.fromkeys(_parsed(found))),
        {name: (module, original) for name, module, original in origins if name != "*"},
        tuple(module for name, module, _ in origins if name == "*"),
    )


def _options(found: Index) -> Iterator[tuple[str, list[tuple[ast.expr | None, Use]]]]:
    """Options of parsers, and the parameters of the function that Fire runs."""
    yield from found.options.items()
    run = {
        call.args[0].id for call, _ in found.calls.get("Fire", ()) if call.args and isinstance(call.args[0], ast.Name)
    }
    for function in found.functions.values():
        if function.name in run:
            yield from ((parameter.name, [(parameter.default, function.outer)]) for parameter in function.parameters)


def _default(resolver: Resolver, name: str, node: ast.expr | None, use: Use) -> object:
    if node is None:
        return Unknown(name, f"{name} has no default")
    value = resolver.resolve(node, use, {})
    return Unknown(name, f"{name} has a default that isn't settled") if value.free else value.data


def _fields(resolver: Resolver, owner: Class) -> Fields:
    defaults: dict[str, object] = {}
    use = owner.outer._replace(scope=owner.scope)
    for name in owner.fields:
        bindings = owner.attributes.get(name, ())
        defaults[name] = _default(resolver, name, bindings[-1].value if bindings else None, use)
    return Fields(defaults, tuple((dotted(base) or "").rpartition(".")[2] for base in owner.node.bases))


def _parsed(found: Index) -> Iterator[str]:
    for name, calls in found.calls.items():
        if not name.endswith(("ArgumentParser", "TrlParser")):
            continue
        for call, _ in calls:
            first = next(iter(call.args), None)
            each = first.elts if isinstance(first, ast.Tuple | ast.List) else [first]
            yield from (item.id for item in each if isinstance(item, ast.Name))


def _origins(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str, str]]:
    """Every name that an import binds, the module, and the name that it has there."""
    if isinstance(node, ast.Import):
        yield from ((alias.asname or alias.name, alias.name, "") for alias in node.names)
        return
    module = "." * node.level + (node.module or "")
    yield from ((alias.asname or alias.name, module, alias.name) for alias in node.names)
