"""What the variables of a shell script are known to hold at one point of it, branches and loops considered."""

import ast
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lora_lint.document import Span, Unknown
from lora_lint.readers.shell.events import Block
from lora_lint.readers.shell.fields import Field, Part
from lora_lint.readers.shell.text import Text

MAX_WORK = 300_000
"""Tokens read and characters copied by expansions in one script; what comes after is not read."""
_FLAG = re.compile(r"(?:^|\s)--?[A-Za-z]")


class ExhaustedError(Exception):
    """The script makes more of its variables than anybody would write."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a variable holds: the parts of its text, or the elements of an array."""

    parts: tuple[Part, ...] = ()
    array: tuple[Field, ...] | None = None
    raw: Text | None = None
    """The text before its own variables were expanded, for `eval`."""
    node: ast.expr | None = None
    symbol: str = ""
    """A name that only this value of the variable has, where it isn't the first."""

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts)

    @property
    def empty(self) -> bool:
        return self.array is None and not any(part.text for part in self.parts)

    @property
    def known(self) -> bool:
        return all(part.unknown is None and not part.conditional for part in self.parts)


def unknown(name: str, reason: str) -> Binding:
    nowhere = Span(0, 0)
    return Binding((Part(f"${name}", (), nowhere, Unknown(f"${name}", reason)),))


class Emptiness(NamedTuple):
    """A condition that holds where a variable is empty or isn't set, or else where it is neither.

    `set_is_enough` says that one which is set isn't taken for empty.
    """

    name: str
    empty: bool
    set_is_enough: bool


@dataclass(slots=True)
class _Open:
    block: Block
    reason: str
    saved: dict[str, Binding | None] = field(default_factory=dict)
    assigned: set[str] = field(default_factory=set)
    local: set[str] = field(default_factory=set)
    outcomes: dict[str, list[Binding | None]] = field(default_factory=dict)
    where: Emptiness | None = None
    """The condition of the first arm, where it is about one variable alone."""
    first: set[str] | None = None
    """What the first arm assigned, once it has ended."""


_REASONS: dict[Block, str] = {
    "branch": "${} is set only in a branch",
    "loop": "${} is set in a loop",
    "function": "${} is set in a function",
}


@dataclass
class Scope:
    """The bindings at one point of a script."""

    bindings: dict[str, Binding] = field(default_factory=dict)
    _versions: Counter[str] = field(default_factory=Counter)
    _blocks: list[_Open] = field(default_factory=list)
    _work: int = 0

    def spend(self, work: int) -> None:
        self._work += work
        if self._work > MAX_WORK:
            raise ExhaustedError

    def symbol(self, name: str) -> str:
        """A name for the value that a variable has here; another value of it has another name."""
        binding = self.bindings.get(name)
        if binding is None:
            self._versions[name] = max(self._versions[name], 1)
            return name
        return binding.symbol or name

    def _numbered(self, name: str, binding: Binding) -> Binding:
        self._versions[name] += 1
        version = self._versions[name]
        return binding if version == 1 else replace(binding, symbol=f"{name}#{version}")

    def bind(self, name: str, binding: Binding | None, *, local: bool = False) -> None:
        if self._blocks:
            block = self._blocks[-1]
            block.saved.setdefault(name, self.bindings.get(name))
            block.assigned.add(name)
            if local:
                block.local.add(name)
        self._set(name, binding and self._numbered(name, binding))

    def _set(self, name: str, binding: Binding | None) -> None:
        if binding is None:
            self.bindings.pop(name, None)
        else:
            self.bindings[name] = binding

    def open(self, block: Block, shadowed: Iterable[str] = ()) -> None:
        """Enter a block in which the `shadowed` variables may hold what is assigned later."""
        opened = _Open(block, _REASONS.get(block, ""))
        self._blocks.append(opened)
        reason = "${} changes in a loop" if block == "loop" else "${} may change before the function runs"
        for name in shadowed:
            self.spend(1)
            opened.saved[name] = self.bindings.get(name)
            self.bindings[name] = self._numbered(name, unknown(name, reason.format(name)))

    def branch(self) -> None:
        """The next arm begins with what held before the block."""
        block = self._blocks[-1]
        if block.block != "branch":
            return
        if block.first is None:
            block.first = set(block.assigned)
        for name in block.assigned:
            self.spend(1)
            block.outcomes.setdefault(name, []).append(self.bindings.get(name))
            self._set(name, block.saved[name])
        block.assigned.clear()

    def when_empty(self, condition: Emptiness | None) -> None:
        """The arm that begins is gone into only where a variable is empty; None where something else is asked."""
        if self._blocks[-1].first is None:
            self._blocks[-1].where = condition

    def close(self) -> set[str]:
        """Leave a block; the variables outside of it that it may have set."""
        block = self._blocks.pop()
        self.spend(len(block.saved))
        if block.block == "group":
            self._pass_up(block)
            return block.assigned
        ended = {name: self.bindings.get(name) for name in block.assigned}
        for name, before in block.saved.items():
            self._set(name, before)
        if block.block == "subshell":
            return set()
        changed = set()
        for name in block.saved:
            outcomes = block.outcomes.get(name, [])
            if name in ended:
                outcomes = [*outcomes, ended[name]]
            local = name in block.local
            if outcomes and not (local and block.block == "function"):
                self.bind(name, self._joined(name, block, outcomes), local=local)
                changed.add(name)
        return changed

    def _pass_up(self, block: _Open) -> None:
        if self._blocks:
            outer = self._blocks[-1]
            for name, before in block.saved.items():
                outer.saved.setdefault(name, before)
            outer.assigned |= block.assigned
            outer.local |= block.local

    def _joined(self, name: str, block: _Open, outcomes: list[Binding | None]) -> Binding:
        """What holds after a block: what held before and what its arms may add, or unknown."""
        before = block.saved[name]
        where = block.where
        if (
            where is not None
            and name == where.name
            and len(outcomes) == 1
            and (block.first is None or name in block.first)
        ):
            return _unless_set(before, outcomes[0], where) or unknown(name, block.reason.format(name))
        result = before
        for outcome in outcomes:
            added = _added(before, outcome)
            if added is None or outcome is None:
                return unknown(name, block.reason.format(name))
            self.spend(len(added.parts) + len(added.array or ()))
            result = added if result is None else _extended(result, added)
        return result or unknown(name, block.reason.format(name))


def _unless_set(before: Binding | None, outcome: Binding | None, where: Emptiness) -> Binding | None:
    """What `[ -z "$NAME" ] && NAME=value` leaves, as `${NAME:=value}` does; None where that isn't known."""
    if outcome is None or outcome.array is not None or (before is not None and before.array is not None):
        return None
    if before is not None and before.known:
        return outcome if before.empty and not where.set_is_enough else before
    return replace(outcome, parts=tuple(part._replace(default=True) for part in outcome.parts))


def _added(before: Binding | None, after: Binding | None) -> Binding | None:
    """What an arm adds to the flags in a variable, as conditional parts, or None where it does something else."""
    if after is None or (before is not None and (before.array is None) != (after.array is None)):
        return None
    if after.array is not None:
        elements = before.array or () if before is not None else ()
        if any(one is not other for one, other in zip(elements, after.array, strict=False)):
            return None
        if len(elements) > len(after.array):
            return None
        return Binding(array=tuple(_conditional(element) for element in after.array[len(elements) :]))
    parts = before.parts if before is not None and not before.empty else ()
    if before is not None and after.known and before.known and before.text == after.text:
        return Binding()
    if len(parts) > len(after.parts) or any(one is not other for one, other in zip(parts, after.parts, strict=False)):
        return None
    added = after.parts[len(parts) :]
    if not parts and _FLAG.search(after.text) is None:
        return None
    place = added[0].span if added else Span(0, 0)
    separator = Part(" ", (place.start,), place)
    return Binding((separator, *(part._replace(conditional=True) for part in added)))


def _conditional(element: Field) -> Field:
    return element._replace(parts=tuple(part._replace(conditional=True) for part in element.parts))


def _extended(result: Binding, added: Binding) -> Binding:
    if result.array is not None or added.array is not None:
        return replace(result, array=(*(result.array or ()), *(added.array or ())), raw=None)
    return replace(result, parts=(*result.parts, *added.parts), raw=None)
