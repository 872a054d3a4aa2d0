"""Which known word was likely meant."""

from collections.abc import Iterable
from functools import lru_cache

_LONGEST = 64


def distance(a: str, b: str, limit: int) -> int:
    """Edits from `a` to `b` (insert, delete, replace, swap neighbours), or `limit` + 1 when there are more."""
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        row = [i]
        for j, right in enumerate(b, 1):
            cost = min(last[j] + 1, row[-1] + 1, last[j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        before, last = last, row
    return min(last[-1], limit + 1)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one known word within two edits (one for short words), or None when there is none or a tie.

    Words that differ only in case, `-` and `_` count as the same: `loraAlpha` is `lora_alpha`.
    """
    return _nearest(word, tuple(known)) if len(word) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _nearest(word: str, known: tuple[str, ...]) -> str | None:
    plain = _folded(word)
    limit = 2 if len(plain) > 5 else 1 if len(plain) > 3 else 0
    found: dict[int, list[str]] = {}
    for candidate in known:
        edits = distance(plain, _folded(candidate), limit)
        if edits <= limit:
            found.setdefault(edits, []).append(candidate)
    if not found:
        return None
    best = found[min(found)]
    return best[0] if len(best) == 1 else None


@lru_cache(maxsize=4096)
def _folded(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "")
