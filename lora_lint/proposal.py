"""A policy for a repository, from what its configs use."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from lora_lint.facts import Site
from lora_lint.policy import Policy
from lora_lint.scaling import classic, number

ENOUGH = 3
"""Sites of a folder that make a habit."""
NAMED = {"2": "2r", "1": "r"}
DEFAULT = "2r"


class Used(NamedTuple):
    """What one active site uses: the folder that its file stands in, its scale, its rank and its alpha."""

    folder: tuple[str, ...]
    scale: str
    rank: float | None
    alpha: float | None


class Proposal(NamedTuple):
    """A policy, how many of the sites keep it, and the folders that keep another one throughout."""

    policy: str
    kept: int
    total: int
    scales: tuple[tuple[str, int], ...]
    overrides: tuple[tuple[str, str, int], ...]
    """Folder, policy and number of sites."""


def used(site: Site, folder: Sequence[str]) -> Iterator[Used]:
    """What a site uses, where somebody chose it: classic LoRA with a known scale."""
    if site.state != "active" or site.alpha is None or site.fixed or site.formula is not classic or site.undecided:
        return
    if site.rank.origin == "default" and site.alpha.origin == "default":
        return
    rank = site.rank.value if site.rank.known else None
    alpha = site.alpha.value if site.alpha.known else None
    yield Used(tuple(folder), number(site.scale), rank, alpha)


def propose(sites: Iterable[Used]) -> Proposal:
    """The policy that most sites keep; a folder with a habit of its own gets an override."""
    found = list(sites)
    policy = _policy(found)
    kept = sum(_keeps(one, policy) for one in found)
    scales = tuple(Counter(one.scale for one in found).most_common())
    return Proposal(policy, kept, len(found), scales, tuple(_overrides(found, policy, ())))


def _policy(sites: Sequence[Used]) -> str:
    if not sites:
        return DEFAULT
    scale, count = Counter(one.scale for one in sites).most_common(1)[0]
    alpha, same = Counter(one.alpha for one in sites).most_common(1)[0]
    ranks = {one.rank for one in sites if one.alpha == alpha}
    if alpha and same > count and len(ranks) > 2:
        return f"fixed:{number(alpha)}"
    return NAMED.get(scale, f"scale:{scale}" if float(scale) > 0 else DEFAULT)


def _keeps(site: Used, policy: str) -> bool:
    wanted = Policy.parse(policy)
    if wanted.fixed_alpha is not None:
        return site.alpha == wanted.fixed_alpha
    return math.isclose(float(site.scale), wanted.wanted_scale or 0.0, rel_tol=1e-6)


def _overrides(sites: Sequence[Used], policy: str, above: tuple[str, ...]) -> Iterator[tuple[str, str, int]]:
    """The highest folders in which all sites keep one other policy."""
    depth = len(above)
    for name in sorted({one.folder[depth] for one in sites if len(one.folder) > depth}):
        below = [one for one in sites if len(one.folder) > depth and one.folder[depth] == name]
        own = _policy(below)
        if len(below) >= ENOUGH and own != policy and all(_keeps(one, own) for one in below):
            yield "/".join((*above, name)), own, len(below)
        elif any(not _keeps(one, policy) for one in below):
            yield from _overrides(below, policy, (*above, name))
