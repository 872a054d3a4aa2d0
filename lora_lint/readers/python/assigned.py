"""Rank and alpha that code assigns to what another file makes: `cfg.peft.dim = 8`, `cfg["lora"]["alpha"] = 16`."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from lora_lint.document import Unknown
from lora_lint.readers.python.arguments import ALPHAS, RANKS
from lora_lint.readers.python.index import LORA, Index
from lora_lint.readers.python.later import PART
from lora_lint.readers.python.names import Resolver
from lora_lint.readers.python.scopes import Binding, Scope
from lora_lint.readers.python.values import Value, at

_LAST = re.compile(r"\w+$|(?<=\[')\w+(?='\]$)")


@dataclass(eq=False)
class Assigned:
    """The assignments of one piece of code; `read` are the names that its LoRA calls take their rank and alpha from."""

    found: Index
    resolver: Resolver
    read: set[str]
    calls: set[ast.AST] = field(init=False)

    def __post_init__(self) -> None:
        self.calls = {node for node, _ in self.found.interesting}

    def values(self) -> Iterator[tuple[str, ast.expr, Mapping[str, Value]]]:
        """The name of what is changed, the first value that it gets, and its values by attribute or key."""
        for scope in (self.found.module, *(function.scope for function in self.found.functions.values())):
            for owner, parts in self._by_owner(scope).items():
                rank = next((name for name in RANKS if name in parts), None)
                alpha = next((name for name in ALPHAS if name in parts), None)
                if rank is None or alpha is None or not self._is_lora(owner, rank, alpha):
                    continue
                if self._is_known(owner, scope) or not self.read.isdisjoint((rank, alpha)):
                    continue
                given = [one.value for one in (*parts[rank], *parts[alpha]) if one.value is not None]
                values = {name: self._last(f"{owner}.{name}", parts[name], given) for name in (rank, alpha) if given}
                if any(not isinstance(value.data, Unknown) for value in values.values()):
                    yield owner, given[0], values

    @staticmethod
    def _by_owner(scope: Scope) -> dict[str, dict[str, list[Binding]]]:
        found: dict[str, dict[str, list[Binding]]] = {}
        for text, bindings in scope.bindings.items():
            if (part := PART.fullmatch(text)) is not None and not text.startswith("self."):
                found.setdefault(part["owner"], {})[part["attribute"] or part["item"]] = bindings
        return found

    @staticmethod
    def _is_lora(owner: str, rank: str, alpha: str) -> bool:
        last = _LAST.search(owner)
        named = last is not None and (LORA.search(last[0]) is not None or "adapter" in last[0].lower())
        return named or (rank.startswith("lora") and alpha.startswith("lora"))

    def _is_known(self, owner: str, scope: Scope) -> bool:
        """Whether a LoRA call of this file makes what is changed, or takes it whole: it says so then."""
        made = [one.value for one in scope.find(owner) if one.value is not None]
        return any((node, "**") in self.resolver.consumed or node in self.calls for node in made)

    def _last(self, text: str, bindings: list[Binding], given: list[ast.expr]) -> Value:
        """The value that is assigned last, where no branch decides it."""
        last = max(bindings, key=lambda one: one.after)
        if last.value is None or any(one.block is not last.block for one in bindings):
            return Value(Unknown(text, f"{text} is set only under a condition"), given[0])
        value = self.resolver.resolve(last.value, at(last), {})
        return replace(value, symbol=None) if value.default else value
