"""Rank and alpha that are assigned to a part of a config, `recipe.peft.dim = 16`, as the call that would set them."""

import ast
from dataclasses import dataclass, field
from typing import NamedTuple

from lora_lint.expression import dotted
from lora_lint.readers.python.scopes import Block, Scope, Use

SETTINGS = frozenset(("dim", "r", "rank", "lora_r", "lora_rank", "alpha", "lora_alpha"))
_BESIDE = frozenset(("target_modules", "dropout"))


class Part(NamedTuple):
    """One assignment: `recipe.peft.dim` and what it gets."""

    target: ast.Attribute
    value: ast.expr


@dataclass(eq=False)
class Assigned:
    """What is assigned to parts of configs, by the block that it stands in and the config's part."""

    parts: dict[tuple[Block, str], dict[str, Part]] = field(default_factory=dict)
    scopes: dict[Block, Scope] = field(default_factory=dict)

    def add(self, target: ast.Attribute, value: ast.expr, scope: Scope, block: Block) -> None:
        owner = dotted(target.value)
        if owner is not None and "." in owner and target.attr in SETTINGS | _BESIDE:
            self.parts.setdefault((block, owner), {})[target.attr] = Part(target, value)
            self.scopes[block] = scope

    def calls(self) -> list[tuple[ast.Call, Use]]:
        """A call of the config's part for all that one block gives it."""
        return [
            _call(parts, self.scopes[block], block)
            for (block, _), parts in self.parts.items()
            if not SETTINGS.isdisjoint(parts)
        ]


def _call(parts: dict[str, Part], scope: Scope, block: Block) -> tuple[ast.Call, Use]:
    first, last = next(iter(parts.values())), list(parts.values())[-1]
    call = ast.copy_location(
        ast.Call(first.target.value, [], [_keyword(part) for part in parts.values()]), first.target
    )
    return call, Use(scope, block, (last.value.end_lineno or 0, last.value.end_col_offset or 0))


def _keyword(part: Part) -> ast.keyword:
    """The attribute as the name of a keyword, standing where the attribute stands."""
    name, target = part.target.attr, part.target
    keyword = ast.copy_location(ast.keyword(name, part.value), target)
    keyword.lineno = target.end_lineno or target.lineno
    keyword.col_offset = (target.end_col_offset or 0) - len(name.encode())
    return keyword
