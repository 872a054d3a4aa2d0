"""Arguments of Python calls under the names that the function gives them, through wrappers of the same file."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lora_lint.document import Unknown
from lora_lint.expression import dotted
from lora_lint.readers.python.index import Index, type_of
from lora_lint.readers.python.later import Later
from lora_lint.readers.python.names import Resolver
from lora_lint.readers.python.parts import class_of
from lora_lint.readers.python.scopes import Class, Function, Parameter, Scope, Use
from lora_lint.readers.python.values import Context, Environment, Value, is_dict_call, keyed

RANKS = ("r", "rank", "lora_r", "lora_rank", "lora_dim", "network_dim", "dim")
ALPHAS = ("lora_alpha", "alpha", "network_alpha")
_TELLING = frozenset((*RANKS, *ALPHAS, "use_rslora"))


class Place(NamedTuple):
    """A call, or a dict that stands for one, and where it is evaluated."""

    node: ast.Call | ast.Dict
    use: Use


@dataclass(slots=True)
class Arguments:
    """Keyword or position to value; `open` when `*` or `**` may bring in more, or `...` leaves it out."""

    values: dict[str | int, Value] = field(default_factory=dict)
    open: bool = False

    @property
    def rank(self) -> Value | None:
        return next((self.values[name] for name in RANKS if name in self.values), None)

    @property
    def alpha(self) -> Value | None:
        return next((self.values[name] for name in ALPHAS if name in self.values), None)


class Target(NamedTuple):
    """The function of the file that a call runs, and whether its first parameter is given already."""

    function: Function
    bound: bool


@dataclass(eq=False)
class Binder:
    """Gives the arguments of calls their names and values."""

    found: Index
    resolver: Resolver
    later: Later = field(init=False)
    _records: dict[Class, Function] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.later = Later(self.found, self.resolver)

    def evaluate(self, chain: Sequence[Place], environment: Environment | None = None) -> Arguments:
        """The arguments of the first call of `chain`, which the second one leads to, when the last one is made."""
        known: dict[tuple[Scope, str], Value] = dict(environment or {})
        if environment is None:
            self.resolver.home = chain[-1].use.scope
        for place in reversed(chain[1:]):
            target = self.target(place)
            if target is not None:
                known.update(self._given(place.node, self.arguments(place, known), target.function))
        return self.arguments(chain[0], known)

    def defaults(self, function: Function) -> Environment:
        """The parameters of a function when nothing is given, standing where the defaults stand."""
        self.resolver.home = function.outer.scope
        known: dict[tuple[Scope, str], Value] = {}
        for parameter in function.parameters:
            if parameter.default is not None:
                value = self.resolver.resolve(parameter.default, function.outer, {})
                settled = replace(value, key=parameter.node, default=True, symbol=None, free={}, given=True)
                known[function.scope, parameter.name] = settled
        return known

    def _given(self, node: ast.expr, arguments: Arguments, function: Function) -> Environment:
        """The parameters of a function in one call; those not given have their default."""
        known: dict[tuple[Scope, str], Value] = {}
        for parameter in function.parameters:
            value = arguments.values.get(parameter.name)
            if value is None:
                value = self._omitted(node, parameter, function, unclear=arguments.open)
            known[function.scope, parameter.name] = replace(value, given=True)
        return known

    def _omitted(self, node: ast.expr, parameter: Parameter, function: Function, *, unclear: bool) -> Value:
        """The default of a parameter, standing at the call that leaves it out."""
        if unclear or parameter.default is None:
            why = "may come in through **" if unclear else "isn't given"
            return Value(Unknown(parameter.name, f"{parameter.name} {why}"), node)
        value = self.resolver.resolve(parameter.default, function.outer, {})
        origin = value.origin or value.literal or value.at
        return replace(value, at=node, literal=None, origin=origin, default=True, symbol=None, free={})

    def arguments(self, place: Place, environment: Environment) -> Arguments:
        node, use = place
        if isinstance(node, ast.Dict) or is_dict_call(node):
            mapping = self.resolver.mapping(node, Context(use, environment))
            typed = type_of(node) is not None
            values = {name: value for name, value in mapping.items or () if not (typed and name == "type")}
            return Arguments(values, mapping.open)
        target = self.target(place)
        result = Arguments()
        self._positional(node, use, environment, target, result)
        explicit: dict[str | int, Value] = {}
        for keyword in node.keywords:
            value = self.resolver.resolve(keyword.value, use, environment)
            if keyword.arg is not None:
                explicit[keyword.arg] = keyed(value, keyword)
            else:
                result.values.update(self.resolver.taken(value))
                result.open = result.open or value.open or not isinstance(value.data, dict)
        result.values.update(explicit)
        if target is not None and not result.open:
            self._fill(node, target.function, result)
        result.values.update(self.later.values(node, use.scope, _TELLING | result.values.keys(), environment))
        return result

    def _positional(
        self, node: ast.Call, use: Use, environment: Environment, target: Target | None, result: Arguments
    ) -> None:
        names: list[str] = []
        if target is not None and target.function.ordered:
            names = [parameter.name for parameter in target.function.parameters[int(target.bound) :]]
        for index, argument in enumerate(node.args):
            elided = isinstance(argument, ast.Constant) and argument.value is ...
            if elided or isinstance(argument, ast.Starred):
                result.open = True
                return
            name = names[index] if index < len(names) else index
            if name not in ("self", "cls"):
                result.values[name] = self.resolver.resolve(argument, use, environment)

    def _fill(self, node: ast.Call, function: Function, result: Arguments) -> None:
        """Rank and alpha that a call leaves to the defaults of a function of the file."""
        for parameter in function.parameters:
            if parameter.name in _TELLING and parameter.name not in result.values and parameter.default is not None:
                value = self._omitted(node, parameter, function, unclear=False)
                if value.data is not None:
                    result.values[parameter.name] = value

    def target(self, place: Place) -> Target | None:
        """The function or class of the file that a call runs, where that is clear."""
        node, use = place
        function = node.func if isinstance(node, ast.Call) else None
        if isinstance(function, ast.Name):
            definition = next((b.node for b in use.scope.find(function.id) if b.kind == "definition"), None)
            if definition is None:
                return None
            if definition in self.found.functions:
                return Target(self.found.functions[definition], bound=False)
            return self._constructor(self.found.classes.get(definition))
        return self._method(function, use) if isinstance(function, ast.Attribute) else None

    def _method(self, function: ast.Attribute, use: Use) -> Target | None:
        owner, any_class = self._receiver(function.value, use)
        method = owner.methods.get(function.attr) if owner is not None else None
        if owner is None and any_class:
            methods = self.found.methods.get(function.attr, ())
            method = methods[0] if len(methods) == 1 else None
        if method is None:
            return None
        through_class = (
            owner is not None and isinstance(function.value, ast.Name) and function.value.id == owner.node.name
        )
        return Target(method, method.bound and not through_class)

    def _receiver(self, node: ast.expr, use: Use) -> tuple[Class | None, bool]:
        """The class of the file whose method is called, and whether any class may be meant."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super":
            around = use.scope.enclosing_class()
            bases = around.node.bases if around is not None else []
            return next(filter(None, (class_of(self.resolver, base, use) for base in bases)), None), False
        if not isinstance(node, ast.Name):
            return None, dotted(node) is not None
        if node.id in ("self", "cls"):
            around = use.scope.enclosing_class()
            return around, around is None
        known = any(binding.kind in ("import", "definition") for binding in use.scope.find(node.id))
        return class_of(self.resolver, node, use), not known

    def _constructor(self, owner: Class | None) -> Target | None:
        if owner is None:
            return None
        if "__init__" in owner.methods:
            return Target(owner.methods["__init__"], bound=True)
        if not owner.is_record:
            return None
        record = self._records.get(owner)
        if record is None:
            defaults = {name: owner.attributes[name][0].value for name in owner.fields if owner.attributes.get(name)}
            parameters = [Parameter(name, node, defaults.get(name)) for name, node in owner.fields.items()]
            use = Use(owner.scope, owner.scope.block, (owner.node.end_lineno or 0, 0))
            record = Function(owner.node.name, None, owner.scope, use, parameters, ordered=not owner.node.bases)
            self._records[owner] = record
        return Target(record, bound=False)

    def callee(self, place: Place) -> str:
        """The dotted name of the function, with imports undone; the type of a dict that stands for a call."""
        node, use = place
        function = node.func if isinstance(node, ast.Call) and not is_dict_call(node) else type_of(node)
        if function is None:
            return "dict"
        if isinstance(function, ast.Constant) and isinstance(function.value, str):
            return function.value
        written = dotted(function)
        if written is None:
            return self.resolver.lines.code(function, 80)
        root = written.partition(".")[0].partition("[")[0]
        target = next((binding.target for binding in use.scope.find(root) if binding.kind == "import"), root)
        return f"{target}{written[len(root) :]}"
