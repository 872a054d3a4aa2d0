"""Functions, classes and calls of Python code, as steps of the walk; `index` runs all steps."""

import ast
from typing import Any

from lora_lint.expression import dotted
from lora_lint.readers.python.index import Index, parameters, type_name
from lora_lint.readers.python.scopes import (
    Binding,
    Block,
    Callable_,
    Class,
    Function,
    Parameter,
    Scope,
    Use,
    option_default,
)
from lora_lint.readers.python.statements import STATEMENTS
from lora_lint.readers.python.values import is_dict_call, pairs
from lora_lint.readers.python.walk import Handlers, Walk, start

_MUTATING = frozenset(("update", "setdefault", "pop", "popitem", "clear"))


def index(tree: ast.Module) -> Index:
    return Walk({**STATEMENTS, **DEFINITIONS}).run(tree)


def _defined(walk: Walk, node: Callable_, scope: Scope, block: Block) -> None:
    scope.bind(node.name, Binding("definition", scope, block, start(node), node=node))
    inner = Scope(node.name, "function", Block(block), scope)
    function = Function(node.name, node, inner, Use(scope, block, start(node)), parameters(node.args))
    inner.owner = walk.found.functions[node] = function
    decorators = {(dotted(_called(decorator)) or "").rpartition(".")[2] for decorator in node.decorator_list}
    if isinstance(scope.owner, Class):
        function.bound = "staticmethod" not in decorators
        scope.owner.methods[node.name] = function
        walk.found.methods.setdefault(node.name, []).append(function)
    if "option" in decorators:
        _add_options(function, node.decorator_list)
    _parameters(walk, function.parameters, node.args, inner)
    walk.push(node.body, inner, inner.block)
    walk.push([*node.args.defaults, *node.args.kw_defaults, *node.decorator_list], scope, block)


def _parameters(walk: Walk, listed: list[Parameter], arguments: ast.arguments, inner: Scope) -> None:
    for parameter in listed:
        place = start(parameter.node)
        binding = Binding("parameter", inner, inner.block, place, parameter.default, parameter.node)
        inner.bind(parameter.name, binding)
    for rest in (arguments.vararg, arguments.kwarg):
        if rest is not None:
            walk.bind(rest.arg, "opaque", inner, inner.block, rest)


def _anonymous(walk: Walk, node: ast.Lambda, scope: Scope, block: Block) -> None:
    inner = Scope("lambda", "expression", Block(block), scope)
    _parameters(walk, parameters(node.args), node.args, inner)
    walk.push([node.body], inner, inner.block)
    walk.push([*node.args.defaults, *node.args.kw_defaults], scope, block)


def _comprehension(walk: Walk, node: Any, scope: Scope, block: Block) -> None:
    inner = Scope("comprehension", "expression", Block(block), scope)
    for generator in node.generators:
        walk.target(generator.target, None, inner, inner.block, generator.target)
        walk.push([generator.iter, *generator.ifs], inner, inner.block)
    results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    walk.push(results, inner, inner.block)


def _classified(walk: Walk, node: ast.ClassDef, scope: Scope, block: Block) -> None:
    scope.bind(node.name, Binding("definition", scope, block, start(node), node=node))
    inner = Scope(node.name, "class", block, scope)
    inner.owner = walk.found.classes[node] = Class(node, inner, Use(scope, block, start(node)))
    walk.push(node.body, inner, block)
    walk.push([*node.bases, *node.decorator_list, *node.keywords], scope, block)


def _call(walk: Walk, node: ast.Call, scope: Scope, block: Block) -> None:
    function = node.func
    use = Use(scope, block, start(node))
    name = function.id if isinstance(function, ast.Name) else ""
    below: list[ast.AST | None] = [*node.args, *[keyword.value for keyword in node.keywords]]
    if isinstance(function, ast.Attribute):
        name = function.attr
        below.insert(0, function.value)
        _method(walk, node, function, use)
    elif name:
        walk.found.loads[name] += 1
    else:
        below.insert(0, function)
    walk.push(below, scope, block)
    walk.found.calls.setdefault(name, []).append((node, use))
    if name == "Config" and (later := _later(walk, node)) is not None:
        walk.found.interesting.append((later, use))
        walk.found.meant[node] = later
    elif (
        walk.is_lora(name)
        or walk.has_lora_keys(keyword.arg for keyword in node.keywords)
        or (isinstance(function, ast.Name) and walk.is_lora(_original(node, scope, name)))
        or _is_ranked_layer(walk, node, scope)
    ):
        walk.found.interesting.append((node, use))


def _later(walk: Walk, node: ast.Call) -> ast.Call | None:
    """The call that NeMo-Run's `run.Config(LoRA, dim=8)` stands for."""
    target = dotted(node.args[0]) if node.args else None
    if target is None or not node.keywords or not walk.is_lora(target.rpartition(".")[2]):
        return None
    return ast.copy_location(ast.Call(node.args[0], node.args[1:], node.keywords), node)


def _is_ranked_layer(walk: Walk, node: ast.Call, scope: Scope) -> bool:
    """Whether a class of a LoRA library is called with a rank: `lora.Linear(8, 8, r=4)`."""
    if not isinstance(node.func, ast.Attribute) or all(keyword.arg != "r" for keyword in node.keywords):
        return False
    owner = node.func.value
    return isinstance(owner, ast.Name) and any(map(walk.is_lora, (owner.id, _original(node, scope, owner.id))))


def _method(walk: Walk, node: ast.Call, function: ast.Attribute, use: Use) -> None:
    """What calls of methods say about options and changed mappings."""
    if function.attr in ("add_argument", "add_option"):
        option = option_default(node)
        if option is not None:
            walk.found.options.setdefault(option[0], []).append((option[1], use))
    elif function.attr == "set_defaults":
        for keyword in node.keywords:
            if keyword.arg:
                walk.found.options[keyword.arg] = [(keyword.value, use)]
    elif function.attr in _MUTATING and (owner := dotted(function.value)):
        if function.attr == "update" and _is_written_out(node):
            walk.found.updates.setdefault(owner, []).append((node, use))
        else:
            walk.found.mutated.add(owner)
    elif function.attr.startswith("DEFINE_") and len(node.args) > 1:
        flag = node.args[0]
        if isinstance(flag, ast.Constant) and isinstance(flag.value, str):
            walk.found.options.setdefault(flag.value, []).append((node.args[1], use))


def _is_written_out(update: ast.Call) -> bool:
    """Whether an update names each key: `settings.update({"r": 8}, lora_alpha=16)`."""
    given = [*update.args, *(keyword.value for keyword in update.keywords if keyword.arg is None)]
    whole = all(isinstance(one, ast.Dict) or is_dict_call(one) for one in given) and len(update.args) <= 1
    return whole and all(isinstance(label, str) for one in (*given, update) for _, label, _ in pairs(one))


def _mapping(walk: Walk, node: ast.Dict, scope: Scope, block: Block) -> None:
    walk.push([*node.keys, *node.values], scope, block)
    keys = [key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    if walk.has_lora_keys(keys) or ("type" in keys and walk.is_lora(type_name(node))):
        walk.found.interesting.append((node, Use(scope, block, start(node))))


def _formatted(walk: Walk, node: ast.JoinedStr, scope: Scope, block: Block) -> None:
    """Only names are counted: the places inside f-strings are not to be trusted before Python 3.12."""
    walk.found.loads.update(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))


def _called(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _add_options(function: Function, decorators: list[ast.expr]) -> None:
    options = dict(filter(None, (option_default(call) for call in decorators if isinstance(call, ast.Call))))
    function.parameters = [
        parameter._replace(default=parameter.default or options.get(parameter.name))
        for parameter in function.parameters
    ]


def _original(node: ast.Call, scope: Scope, name: str) -> str:
    """The name that an imported function has at home, or the class that `dict(type=...)` is meant for."""
    if name == "dict":
        return type_name(node)
    return next((binding.target.rpartition(".")[2] for binding in scope.find(name) if binding.kind == "import"), "")


DEFINITIONS: Handlers = {
    ast.Call: _call,
    ast.Dict: _mapping,
    ast.JoinedStr: _formatted,
    ast.FunctionDef: _defined,
    ast.AsyncFunctionDef: _defined,
    ast.Lambda: _anonymous,
    ast.ClassDef: _classified,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.DictComp: _comprehension,
    ast.GeneratorExp: _comprehension,
}
