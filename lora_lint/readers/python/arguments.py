"""Arguments of Python calls under the names that the function gives them, through wrappers of the same file."""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lora_lint.document import Unknown
from lora_lint.expression import dotted
from lora_lint.readers.python.index import Index, type_of
from lora_lint.readers.python.later import Later
from lora_lint.readers.python.names import Resolver
from lora_lint.readers.python.scopes import Binding, Function, Parameter, Scope, Use, builds_on_library
from lora_lint.readers.python.targets import Target, Targets
from lora_lint.readers.python.values import Context, Environment, Value, is_dict_call, keyed

RANKS = ("r", "rank", "lora_r", "lora_rank", "lora_dim", "network_dim", "dim")
NAMED_FOR_LORA = re.compile(r"lora|peft", re.IGNORECASE)
OWN = "__main__."
"""What stands before the name of a class of the file itself, so that it isn't taken for a library's of that name."""
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


@dataclass(eq=False)
class Binder:
    """Gives the arguments of calls their names and values."""

    found: Index
    resolver: Resolver
    later: Later = field(init=False)
    targets: Targets = field(init=False)

    def __post_init__(self) -> None:
        self.later = Later(self.found, self.resolver)
        self.targets = Targets(self.found, self.resolver)

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
                result.open = result.open or value.open or value.default or not isinstance(value.data, dict)
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
        return self.targets.of(place.node, place.use)

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
        bindings = use.scope.find(root)
        target = next((binding.target for binding in bindings if binding.kind == "import"), root)
        if written == root and any(self._is_own_class(binding) for binding in bindings):
            return f"{OWN}{root}"
        return f"{target}{written[len(root) :]}"

    def _is_own_class(self, binding: Binding) -> bool:
        """Whether a name is that of a class of the file with fields of its own, not one that builds on a library's."""
        owner = self.found.classes.get(binding.node) if binding.node is not None else None
        if owner is None or not owner.is_record or NAMED_FOR_LORA.search(owner.node.name) is None:
            return False
        return not builds_on_library(owner)
