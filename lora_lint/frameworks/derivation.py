"""An alpha that a framework computes from the rank."""

from typing import Any

from lora_lint.document import Path, Unknown
from lora_lint.facts import Fact, derived


def from_rank(rank: Fact[Any], path: Path = (), *, factor: float = 1) -> Fact[Any]:
    """`factor` times the rank, reported at `path` or else at the rank; unknown where the rank is."""
    at = path or rank.path
    if rank.known:
        return derived(factor * rank.value, at)
    return Fact(Unknown("", rank.reason), at, "unknown", rank.expression if factor == 1 else None)
