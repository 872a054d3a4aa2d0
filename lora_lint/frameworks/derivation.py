"""A rank or an alpha that isn't what its key says: computed from the rank, or kept from an adapter of before."""

from typing import Any

from lora_lint.document import Path, Unknown
from lora_lint.facts import Fact, derived


def from_rank(rank: Fact[Any], path: Path = (), *, factor: float = 1) -> Fact[Any]:
    """`factor` times the rank, reported at `path` or else at the rank; unknown where the rank is."""
    at = path or rank.path
    if rank.known:
        return derived(factor * rank.value, at)
    return Fact(Unknown("", rank.reason), at, "unknown", rank.expression if factor == 1 else None)


def trained_before(fact: Fact[Any]) -> Fact[Any]:
    """A rank or an alpha that is ignored, as training goes on from an adapter that has its own."""
    return Fact(Unknown("", "the adapter that training goes on from keeps its own"), fact.path, "unknown")
