"""Which modules a setup wants adapted: names, one regular expression, or all linear layers."""

import re
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from lora_lint import patterns
from lora_lint.document import Path
from lora_lint.facts import Fact, Origin, TargetSyntax
from lora_lint.once import once

if TYPE_CHECKING:
    from lora_lint.facts import Setup

ALL_LINEAR = ("all-linear", "all")
"""What PEFT and LLaMA-Factory call all linear layers but the output head; PEFT takes any case."""


@dataclass(frozen=True)
class Targets:
    """`names` match a module of that name or one whose path ends with it; `regex` matches a whole path.

    What is written as shell patterns counts as names too. `unknown` says that the file leaves something open, so that
    what is absent says nothing.
    """

    names: tuple[Fact[str], ...] = ()
    regex: Fact[str] | None = None
    all_linear: Fact[str] | None = None
    unknown: bool = False
    one_text: bool = False
    """Whether they are one text, which PEFT keeps apart from a list: one expression, or `all-linear`."""

    @once
    def lasts(self) -> frozenset[str]:
        """The last parts of the names, by which most rules see at once that they have nothing to say."""
        return frozenset([name.value.rpartition(".")[2] for name in self.names])

    @property
    def listed(self) -> bool:
        """Whether the names are all that is adapted."""
        return bool(self.names) and self.regex is None and self.all_linear is None and not self.unknown


def targets(fact: Fact[Any] | None, syntax: TargetSyntax, linear: Fact[bool] | None = None) -> Targets:
    """The entries of a fact, each with its place; `linear` says that all linear layers are adapted besides."""
    named = _named(fact, syntax)
    if linear is None or (linear.known and not linear.value):
        return named
    if not linear.known:
        return replace(named, unknown=True)
    return replace(
        named, one_text=False, all_linear=named.all_linear or Fact(ALL_LINEAR[0], linear.path, linear.origin)
    )


def _named(fact: Fact[Any] | None, syntax: TargetSyntax) -> Targets:
    if fact is None:
        return Targets()
    if not fact.known:
        return Targets(unknown=True)
    value = fact.value
    if isinstance(value, str) and syntax == "comma":
        parts = [part.strip() for part in value.split(",")]
        return _of([_text(fact, part, fact.path) for part in parts if part], unknown=False)
    if isinstance(value, str) and not syntax:
        return Targets(unknown=True)
    if syntax == "unwrapped" and len(value) == 1 and isinstance(value[0], str):
        value = value[0]
    if isinstance(value, str):
        one = _text(fact, value, fact.path)
        return (
            Targets(all_linear=one, one_text=True) if value.lower() in ALL_LINEAR else Targets(regex=one, one_text=True)
        )
    entries = tuple(item if isinstance(item, str) else None for item in value)
    return _list(entries, fact.path, fact.origin, fact.key)


@lru_cache(maxsize=256)
def _list(entries: tuple[str | None, ...], path: Path, origin: Origin, key: str) -> Targets:
    """The entries of a list at a path; None is one that isn't a text. Adapters of one base mostly have the same."""
    places = ((*path, at) if origin == "written" else path for at in range(len(entries)))
    texts = zip(entries, places, strict=True)
    named = [Fact(text, place, origin, key=key) for text, place in texts if text is not None]
    return _of(named, unknown=None in entries)


def _text(fact: Fact[Any], text: str, path: Path) -> Fact[str]:
    return Fact(text, path, fact.origin, key=fact.key)


def _of(entries: list[Fact[str]], *, unknown: bool) -> Targets:
    every = next((one for one in entries if one.value.lower() in ALL_LINEAR), None)
    return Targets(tuple(one for one in entries if one is not every), all_linear=every, unknown=unknown)


@dataclass(frozen=True)
class Matcher:
    """Names that modules end with, and an expression that is to match a whole name."""

    endings: frozenset[str]
    regex: str | None

    @cached_property
    def _whole(self) -> patterns.Whole | None:
        return patterns.Whole(self.regex) if self.regex is not None else None

    def covers(self, module: str) -> bool | None:
        """Whether a module is one of the targets; None where that isn't known."""
        ending = module
        while ending:
            if ending in self.endings:
                return True
            ending = ending.partition(".")[2]
        found = self._whole.matches(module) if self._whole is not None else False
        return found if found is not False else None if "" in self.endings else False


def target_matcher(setup: "Setup") -> Matcher | None:
    """Whether a module is one of the targets, by its name in the base model, as PEFT decides it; None for undecided.

    A list names modules by their ending, a text is a regular expression for the whole name (tuners_utils.py of PEFT
    0.21.2, `match_target_against_key`); parameters belong to the module before the last dot, if they have one: without
    the model nobody knows whose `down_proj` is. There is no answer at all where something is unknown, where all linear
    layers are meant, or PEFT chooses by the model's type.
    """
    goals, parameters = setup.targets, setup.adapter.target_parameters
    known = parameters is None or (parameters.known and isinstance(parameters.value, list))
    if setup.target_syntax != "peft" or goals.unknown or goals.all_linear is not None or not known:
        return None
    owners = [str(text).rpartition(".")[0] for text in parameters.value] if parameters is not None else []
    names = [name.value for name in goals.names]
    if goals.regex is None and not names:
        return None
    return Matcher(frozenset((*names, *owners)), goals.regex.value if goals.regex is not None else None)


def is_several(text: str) -> bool:
    """Whether a text is names with commas or spaces between them."""
    return _SEVERAL.fullmatch(text) is not None


def is_no_expression(text: str) -> bool:
    """Whether a text is names, or a list of them, which no module path matches as a regular expression."""
    if _WRITTEN_LIST.fullmatch(text) and (text.lstrip()[:1] == "[" or "," in text):
        return True
    return is_several(text) or _INNER.fullmatch(text) is not None


_SEVERAL = re.compile(r"[\w.]+(?:\s*,\s*|\s+)[\w., ]+")
"""Names with commas or spaces between them: no module path holds either."""

_WRITTEN_LIST = re.compile(r"""\s*[\[(]\s*(["']?)[\w.]+\1(?:\s*,\s*(["']?)[\w.]+\2)*\s*,?\s*[\])]\s*""")
"""A list, or a tuple, inside a text: as an expression it stands for one character, or for names beside commas."""

_INNER = re.compile(r"[qkvo]_proj|(?:gate|up|down|out|qkv|gate_up)_proj|query_key_value|c_attn|W_pack|[wW]qkv")
"""Names of layers that stand inside of blocks in every model, so that no whole path is called so."""


def shown(name: Fact[str]) -> str:
    """A target as a message shows it: shortened, as files may hold anything."""
    return name.value if len(name.value) <= 80 else f"{name.value[:80]}…"
