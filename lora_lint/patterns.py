"""How PEFT finds the modules that a key of `rank_pattern` or `alpha_pattern` names, in bounded time and memory."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import prod
from typing import Any

from lora_lint.once import once

_LITERAL = re.compile(r"[\w.\-]+")
_COUNT = re.compile(r"\{(\d*),?(\d*)\}")
_SECONDS_PER_MATCH = 0.05
_PROBE = "model.layers.10.self_attn.q_proj" * 2
MOST_SLOW = 10
"""Expressions of one pattern that may take too long before the others aren't tried."""

MOST_EXPRESSIONS = 500
LONGEST_EXPRESSION = 20_000
LARGEST_COUNT = 10_000
"""Of all `{n}` in an expression together: compiled, it is that many times as large."""


def is_plain(key: str) -> bool:
    """Whether a key or target is a name and no regular expression, dots apart."""
    return _LITERAL.fullmatch(key) is not None


class Keys:
    """The keys of a rank or alpha pattern, in order.

    PEFT tries `(.*\\.)?(KEY)$` from the start of the module's name (peft/utils/other.py:1528 at 0.21.2). Keys that are
    names are looked up, since there may be one for every module; a dot in them stands for any character, as in PEFT.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._order = {key: at for at, key in enumerate(keys)}
        self._plain: dict[int, dict[tuple[int, ...], dict[str, int]]] = {}
        self._slow: set[str] = set()
        for key, at in self._order.items():
            if is_plain(key):
                dots = tuple(index for index, char in enumerate(key) if char == ".")
                self._plain.setdefault(len(key), {}).setdefault(dots, {})[key] = at

    def first_match(self, module: str) -> str | None:
        """The key that PEFT uses for a module: the first one in order that matches, else the name itself."""
        found = self._first_plain(module)
        for key, expression in self._expressions.items():
            if found is not None and self._order[found] < self._order[key]:
                break
            if self._matches(key, expression, module):
                return key
        return found if found is not None else module if module in self._order else None

    def _first_plain(self, module: str) -> str | None:
        found: list[str] = []
        start = 0
        while True:
            name = module[start:]
            for dots, keys in self._plain.get(len(name), {}).items():
                key = _with_dots(name, dots)
                if key in keys:
                    found.append(key)
            start = module.find(".", start) + 1
            if not start:
                return min(found, key=self._order.__getitem__, default=None)

    @once
    def faults(self) -> Mapping[str, str]:
        """Why PEFT can't match by a key: not a regular expression, or one that would take for ever."""
        return {key: fault for key, fault in self._tried.items() if isinstance(fault, str)}

    @once
    def _expressions(self) -> Mapping[str, Any]:
        return {key: expression for key, expression in self._tried.items() if not isinstance(expression, str)}

    @once
    def _tried(self) -> Mapping[str, Any]:
        """Every key that is no name, compiled, or why it can't be used."""
        tried: dict[str, Any] = {}
        slow = 0
        for key in self._order:
            if is_plain(key):
                continue
            if slow >= MOST_SLOW or len(tried) >= MOST_EXPRESSIONS:
                tried[key] = "isn't tried: too many regular expressions, or too many slow ones, come before it"
                break
            tried[key] = _compiled(key)
            slow += isinstance(tried[key], str) and "takes over" in tried[key]
        return tried

    def _matches(self, key: str, expression: Any, module: str) -> bool:
        if key in self._slow or len(self._slow) >= MOST_SLOW:
            return False
        try:
            return expression.match(module, timeout=_SECONDS_PER_MATCH) is not None
        except TimeoutError:
            self._slow.add(key)
            return False


class Whole:
    """A regular expression that has to match the whole name of a module, as `target_modules` does when it's a text."""

    def __init__(self, text: str) -> None:
        self._expression = _tried(text, text)

    def matches(self, module: str) -> bool | None:
        """Whether it does; None where the expression can't be used, or takes too long."""
        if isinstance(self._expression, str):
            return None
        try:
            return self._expression.fullmatch(module, timeout=_SECONDS_PER_MATCH) is not None
        except TimeoutError:
            self._expression = "takes too long"
            return None


def whole_match(expression: str, module: str) -> bool | None:
    """Whether a target's expression matches a whole path, as PEFT asks; None where it's none or takes too long."""
    return _whole(expression).matches(module)


@lru_cache(maxsize=256)
def _whole(expression: str) -> Whole:
    return Whole(expression)


def _with_dots(name: str, dots: tuple[int, ...]) -> str:
    if all(name[at] == "." for at in dots):
        return name
    return "".join("." if at in dots else char for at, char in enumerate(name))


def _count(digits: str) -> int:
    return int(digits or 1) if len(digits) < 6 else LARGEST_COUNT + 1


def _compiled(key: str) -> Any:
    return _tried(key, rf"(.*\.)?({key})$")


def _tried(key: str, text: str) -> Any:
    """The expression as one whose matches can be given a time limit, or why there is none."""
    import regex

    times = prod(max(1, *map(_count, found.groups())) for found in _COUNT.finditer(key))
    if len(key) > LONGEST_EXPRESSION or times > LARGEST_COUNT:
        return "is too large to be matched"
    try:
        expression = regex.compile(text, regex.VERSION0)
        expression.match(_PROBE, timeout=_SECONDS_PER_MATCH)
    except TimeoutError:
        return f"takes over {_SECONDS_PER_MATCH} s to match one module name; PEFT would hang on it"
    except (RecursionError, OverflowError, MemoryError):
        return "is too large to be matched"
    except regex.error as error:
        return f"isn't a regular expression: {error}"
    return expression
