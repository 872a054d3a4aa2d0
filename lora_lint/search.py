"""Whether any of several words occurs in a file: the cheap question asked of every one."""

from functools import cache
from typing import Any


def holds_any(data: bytes, words: tuple[bytes, ...]) -> bool:
    """Whether any of some words occurs in a file."""
    return bool(_searcher(words).find_matches_as_indexes(data))


@cache
def _searcher(words: tuple[bytes, ...]) -> Any:
    from ahocorasick_rs import BytesAhoCorasick, MatchKind

    return BytesAhoCorasick(words, matchkind=MatchKind.LeftmostFirst)
