"""How PEFT finds the modules that a key of `rank_pattern` or `alpha_pattern` names, within a time limit."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

_LITERAL = re.compile(r"[\w.\-]+")
_SECONDS_PER_MATCH = 0.05
_PROBE = "model.layers.10.self_attn.q_proj" * 2


def is_plain(key: str) -> bool:
    """Whether a key or target is a name and no regular expression, dots apart."""
    return _LITERAL.fullmatch(key) is not None


def first_match(pattern: Mapping[str, Any], module: str) -> str | None:
    """The key of a rank or alpha pattern that PEFT uses for a module: the first one in order that matches.

    PEFT tries `(.*\\.)?(KEY)$` from the start of the module's name (peft/utils/other.py:1528 at 0.21.2), and falls
    back to the name itself as a key.
    """
    for key in pattern:
        if _matches(key, module):
            return key
    return module if module in pattern else None


def _matches(key: str, module: str) -> bool:
    if is_plain(key):
        return _literal(key).match(module) is not None
    if fault(key) is not None:
        return False
    try:
        return _compiled(key).match(module, timeout=_SECONDS_PER_MATCH) is not None
    except TimeoutError:
        return False


@cache
def _literal(key: str) -> re.Pattern[str]:
    return re.compile(rf"(.*\.)?({key})$")


@cache
def _compiled(key: str) -> Any:
    """The expression as one whose matches can be given a time limit."""
    import regex

    return regex.compile(rf"(.*\.)?({key})$", regex.VERSION0)


@cache
def fault(key: str) -> str | None:
    """Why PEFT can't match by a key: not a regular expression, or one that would take for ever; None when it can."""
    if is_plain(key):
        return None
    import regex

    try:
        _compiled(key).match(_PROBE, timeout=_SECONDS_PER_MATCH)
    except TimeoutError:
        return f"takes over {_SECONDS_PER_MATCH} s to match one module name; PEFT would hang on it"
    except (RecursionError, OverflowError, MemoryError):
        return "is too large to be matched"
    except regex.error as error:
        return f"isn't a regular expression: {error}"
    return None
