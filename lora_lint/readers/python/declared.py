"""Classes, parsers and constants that declare a rank and an alpha, unless a LoRA call of the file reads them."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lora_lint.readers.python.arguments import ALPHAS, NAMED_FOR_LORA, OWN, RANKS, Arguments, Place
from lora_lint.readers.python.index import Index
from lora_lint.readers.python.names import Resolver
from lora_lint.readers.python.scopes import Use, builds_on_library
from lora_lint.readers.python.values import Value, at, keyed

_RANKS = ("lora_r", "lora_rank", "lora_dim", "r", "rank")
_NAMED_RANKS = ("lora_r", "lora_rank", "lora_dim")
_ALPHA = "lora_alpha"
_BESIDE = ("use_rslora", "use_dora")
_READS = re.compile(
    r"(lora|loha|lokr|peft|model)_?config$|lora(provider|rule)$|"
    r"get_peft_model$|create_(lora_)?training_client(_async)?$",
    re.IGNORECASE,
)
"""Calls whose rank and alpha a framework knows: what they read has been said there."""

_LAST_WORD = re.compile(r"(\w+)\W*$")


@dataclass(eq=False)
class Declared:
    """The declarations of one piece of code; `read` are the names that LoRA calls take their rank and alpha from."""

    found: Index
    resolver: Resolver
    assigned: Sequence[Place] = ()
    """What is assigned to configs, as calls."""
    read: set[str] = field(default_factory=set)

    def note(self, callee: str, place: Place, arguments: Arguments) -> None:
        """Remember what a call of the file reads."""
        if not _READS.search(callee.rpartition(".")[2]):
            return
        if callee.startswith(OWN):
            self.read.update(name for name in (*RANKS, *ALPHAS) if name in arguments.values)
        for value in (arguments.rank, arguments.alpha):
            for name in value.free if value is not None else ():
                self.read.update(_LAST_WORD.findall(name))
        for keyword in place.node.keywords if isinstance(place.node, ast.Call) else ():
            self.read.update(_words(keyword.value))

    def values(self) -> Iterator[tuple[str, ast.expr | ast.ClassDef, Mapping[str, Value]]]:
        """What declares them (`class LoraArguments`, `add_argument`), where, and the values by name."""
        for owner in self.found.classes.values():
            if builds_on_library(owner):
                continue
            given = {
                name: (bindings[0].value, owner.outer._replace(scope=owner.scope), owner.fields.get(name))
                for name, bindings in owner.attributes.items()
                if len(bindings) == 1 and bindings[0].scope is owner.scope
            }
            # A class that is named for LoRA needs no `lora_` before its `alpha`.
            alphas = (_ALPHA, "alpha") if NAMED_FOR_LORA.search(owner.node.name) else (_ALPHA,)
            if values := self._pair(given, alphas):
                yield f"class {owner.node.name}", owner.node, values
        options = {name: (*made[0], None) for name, made in self.found.options.items() if len(made) == 1}
        if values := self._pair(options):
            yield "add_argument", next(node for name in values if (node := options[name][0]) is not None), values

    def constants(self) -> Iterator[tuple[str, ast.expr, Mapping[str, Value]]]:
        """`LORA_R = 16` and `LORA_ALPHA = 32` of a module that others import, under the names of options."""
        module = self.found.module
        named: dict[str, list[str]] = {}
        for name in module.bindings:
            named.setdefault(name.lower(), []).append(name)
        rank = next((named[name] for name in _NAMED_RANKS if name in named), [])
        alpha = named.get(_ALPHA, [])
        if (
            len(rank) != 1
            or len(alpha) != 1
            or not self.read.isdisjoint((*rank, *alpha))
            or self._is_taken(*rank, *alpha)
        ):
            return
        bindings = [module.bindings[name] for name in (*rank, *alpha)]
        if any(len(found) != 1 or found[0].block is not module.block for found in bindings):
            return
        nodes = [(found[0].value, at(found[0])) for found in bindings]
        values = [self.resolver.resolve(node, use, {}) for node, use in nodes if node is not None]
        if len(values) == 2 and all(_is_number(value) for value in values) and (first := nodes[0][0]) is not None:
            yield (
                f"constants {rank[0]} and {alpha[0]}",
                first,
                dict(zip((rank[0].lower(), _ALPHA), values, strict=True)),
            )

    def _is_taken(self, rank: str, alpha: str) -> bool:
        """Whether one call that speaks of LoRA takes both, or a dict of PEFT's keywords; other dicts are reports."""
        nodes = (node for node, _ in (*self.found.interesting, *self.assigned))
        takers = (node for node in nodes if isinstance(node, ast.Call) or "r" in _keys(node))
        return any({rank, alpha} <= set(_words(node)) for node in takers)

    def _pair(
        self, given: Mapping[str, tuple[ast.expr | None, Use, ast.expr | None]], alphas: tuple[str, ...] = (_ALPHA,)
    ) -> dict[str, Value]:
        rank = next((name for name in _RANKS if name in given), None)
        alpha = next((name for name in alphas if name in given), None)
        if rank is None or alpha is None or not self.read.isdisjoint((rank, alpha)):
            return {}
        values: dict[str, Value] = {}
        for name in (rank, alpha, *_BESIDE):
            node, use, key = given.get(name, (None, None, None))
            if node is not None and use is not None:
                value = replace(self.resolver.resolve(node, use, {}), default=True, symbol=None)
                values[name] = keyed(value, key) if key is not None else value
        return values if all(_is_number(values.get(name)) for name in (rank, alpha)) else {}


def _is_number(value: Value | None) -> bool:
    return value is not None and isinstance(value.data, int | float) and not isinstance(value.data, bool)


def _keys(node: ast.Dict) -> set[object]:
    return {key.value for key in node.keys if isinstance(key, ast.Constant)}


def _words(node: ast.expr) -> Iterator[str]:
    """The names, attributes and constant keys in an expression."""
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute):
            yield part.attr
        elif isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value
