"""Rank and alpha that are assigned to a part of a config, `recipe.peft.dim = 16`, as the call that would set them."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lora_lint.readers.python.arguments import ALPHAS, RANKS, Arguments, Place
from lora_lint.readers.python.index import LORA, Change, Index
from lora_lint.readers.python.names import Resolver
from lora_lint.readers.python.scopes import Block, Scope
from lora_lint.readers.python.values import Value

CALLED = "assigned to "
"""How the name of such a call begins; no function's does."""

_SETTINGS = frozenset((*RANKS, *ALPHAS, "target_modules", "dropout"))
_LAST = re.compile(r"\w+$|(?<=\[')\w+(?='\]$)")
_OWN = re.compile(r"self\.\w+")
"""What belongs to the class itself, a layer for example, and not to a config that it was given."""

_Parts = Mapping[str, Change]


@dataclass(eq=False)
class Assigned:
    """What one piece of code assigns."""

    found: Index
    resolver: Resolver
    places: list[Place] = field(init=False)
    """A call of the config's part for all that one block gives it, on top of what the blocks around it gave it."""
    _calls: set[ast.Call] = field(init=False)

    def __post_init__(self) -> None:
        given: dict[tuple[Block, str], dict[str, Change]] = {}
        for change in self.found.changes:
            if change.key in _SETTINGS:
                key = change.use.block, change.owner
                if key not in given:
                    given[key] = dict(_around(change, given))
                given[key][change.key] = change
        self.places = [_call(owner, parts) for (_, owner), parts in given.items() if _is_lora(owner, parts)]
        self._calls = {node for node, _ in self.found.interesting if isinstance(node, ast.Call)}

    def speaks(self, place: Place, arguments: Arguments, read: set[str]) -> bool:
        """Whether no LoRA call of the file says it: none takes it, or reads one of its names, which are in `read`."""
        names = (name for name in (*RANKS, *ALPHAS) if name in arguments.values)
        return read.isdisjoint(names) and not self._is_made_here(place)

    def _is_made_here(self, place: Place) -> bool:
        """Whether a LoRA call of this file makes what is changed, or takes it whole."""
        made = [one.value for one in place.use.scope.find(_owner_of(place)) if one.value is not None]
        taken, meant = self.resolver.consumed, self.found.meant
        return any((node, "**") in taken or meant.get(node, node) in self._calls for node in made)


def _around(change: Change, given: Mapping[tuple[Block, str], dict[str, Change]]) -> _Parts:
    block = change.use.block.parent
    while block is not None:
        parts = given.get((block, change.owner))
        if parts is not None:
            return parts if _scope(parts) is change.use.scope else {}
        block = block.parent
    return {}


def _scope(parts: _Parts) -> Scope:
    return next(iter(parts.values())).use.scope


def _is_lora(owner: str, parts: _Parts) -> bool:
    """Whether a rank or an alpha of LoRA's is set; both, where the owner is no part of anything."""
    rank = next((name for name in RANKS if name in parts), "")
    alpha = next((name for name in ALPHAS if name in parts), "")
    whole = bool(rank and alpha)
    if not (rank or alpha) or _OWN.fullmatch(owner):
        return False
    last = _LAST.search(owner)
    if last is not None and (LORA.search(last[0]) or (whole and "adapter" in last[0].lower())):
        return whole or "." in owner
    return rank.startswith("lora") and alpha.startswith("lora")


def _call(owner: str, parts: _Parts) -> Place:
    first = next(iter(parts.values()))
    last = max(parts.values(), key=lambda part: part.use.place)
    name = ast.copy_location(ast.Name(f"{CALLED}{owner}", ast.Load()), first.target.value)
    call = ast.copy_location(ast.Call(name, [], [_keyword(part) for part in parts.values()]), first.target)
    return Place(call, last.use)


def _keyword(part: Change) -> ast.keyword:
    """The attribute or the key as the name of a keyword, standing where it stands."""
    target = part.target
    keyword = ast.copy_location(ast.keyword(part.key, part.value or target), target)
    if isinstance(target, ast.Attribute):
        keyword.lineno = target.end_lineno or target.lineno
        keyword.col_offset = (target.end_col_offset or 0) - len(part.key.encode())
    else:
        keyword.lineno, keyword.col_offset = target.slice.lineno, target.slice.col_offset + 1
    return keyword


def _owner_of(place: Place) -> str:
    function = place.node.func if isinstance(place.node, ast.Call) else None
    return function.id.removeprefix(CALLED) if isinstance(function, ast.Name) else ""


def is_bare(value: Value | None) -> bool:
    """Whether it is just another name, of which nobody knows what it stands for."""
    if value is None:
        return True
    return bool(value.free) and not value.default and (value.symbol is None or isinstance(value.symbol, ast.Name))
