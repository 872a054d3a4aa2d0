"""A quicker look at a merge: every number of the two weights in sums of neighbours, and a few rows one by one."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lora_lint.reference.blocks import Passed, in_shares, nobody
from lora_lint.reference.device import widest
from lora_lint.reference.merged import Factors, Moments, in_working_precision, update_products
from lora_lint.reference.stored import Rows

NEIGHBOURS = 512
"""Entries of a row in one sum, at most. Longer sums are no faster, and fewer of them tell less."""

LEAST_NEIGHBOURS = 64
"""Below it the sums cost more than they save."""

AGAIN = 2.0
"""How much larger the error of a sum is than that of an entry, in proportion: the sums of half precision are rounded to
half precision on both sides, as the entries of one were."""

LEAST = 2**22
"""Entries of a weight that is worth a quick look."""

ENTRIES = 2**23
"""Entries of a block."""

ONE_IN = 128
"""One row of so many of a block is looked at one by one."""

SIZED = 2**14
"""Entries that tell the size of a weight well enough to say how coarse it is rounded."""


def neighbours(base: Rows, merged: Rows) -> int:
    """How many entries of a row to add up, 0 where a quick look tells too little of the two weights."""
    together = math.gcd(base.shape[1:].numel(), NEIGHBOURS)
    large = base.shape == merged.shape and base.shape.numel() >= LEAST
    return together if large and together >= LEAST_NEIGHBOURS else 0


@torch.no_grad()
def foreseen(base: Rows, factors: Factors, scale: float) -> Moments:
    """The moments of the sums where `scale` is all that was merged, by the size of some rows of the base."""
    ready = in_working_precision(base, factors)
    vv = update_products([ready]).item()
    return Moments(scale * vv, vv, scale**2 * vv, _rounded(base, ready.left), base.shape.numel())


@torch.no_grad()
def row_moments(base: Rows, merged: Rows, factors: Factors) -> Moments:
    """The exact moments of one row in `ONE_IN`, for one update of two weights on the CPU."""
    left, right, _ = in_working_precision(base, factors)
    a = _Factor(right, right @ right.T)
    found, entries = [], 0
    for start, length in _blocks(base):
        few = max(1, length // ONE_IN)
        rows = [weight.rows(start, few).to(left) for weight in (base, merged)]
        found.append(_moments(rows, left.narrow(0, start, few), a))
        entries += rows[0].numel()
    return Moments(*_total(found, left), n=entries)


@torch.no_grad()
def sum_moments(
    base: Rows, merged: Rows, factors: Factors, together: int = NEIGHBOURS, passed: Passed = nobody
) -> Moments:
    """The moments of sums of `together` neighbours in a row, which divide it, for one update of two weights on the CPU.

    They leave out no number. What changes no such sum isn't seen. `ww` is that of `foreseen`.
    """
    left, right, _ = in_working_precision(base, factors)
    short = _added(right, together)
    a = _Factor(short, short @ short.T)
    size = (base.nbytes + merged.nbytes) / base.shape[0]
    blocks = _blocks(base)

    def look(block: int) -> Tensor:
        start, length = blocks[block]
        sums = [_added(weight.rows(start, length), together).to(left) for weight in (base, merged)]
        found = _moments(sums, left.narrow(0, start, length), a)
        passed(int(size * length))
        return found

    found = in_shares(range(len(blocks)), left.device, lambda own: [look(block) for block in own])
    dv, vv, dd, _ = _total(found, left)
    return Moments(dv, vv, dd, _rounded(base, left), base.shape.numel() // together)


def _rounded(base: Rows, like: Tensor) -> float:
    """The `ww` that tells how coarse sums are rounded, by the size of the first rows."""
    few = base.rows(0, min(base.shape[0], SIZED // base.shape[1:].numel() + 1)).to(like)
    ww: float = torch.linalg.vector_norm(few).square().item()
    return ww * base.shape.numel() / few.numel() * AGAIN**2


def _blocks(base: Rows) -> list[tuple[int, int]]:
    """Where blocks of rows begin, and how many rows they have."""
    count = base.shape[0]
    step = max(ONE_IN, ENTRIES // base.shape[1:].numel())
    return [(start, min(step, count - start)) for start in range(0, count, step)]


def _total(found: Sequence[Tensor], like: Tensor) -> tuple[float, float, float, float]:
    dv, vv, dd, ww = torch.stack(list(found)).to(widest(like.device)).sum(0).tolist()
    return dv, vv, dd, ww


def _added(rows: Tensor, together: int) -> Tensor:
    """The sums of so many neighbours, (rows, columns / together)."""
    return rows.reshape(rows.shape[0], -1, together).sum(-1)


class _Factor(NamedTuple):
    """A, (r, columns), and its inner products, (r, r)."""

    a: Tensor
    products: Tensor


def _moments(weights: Sequence[Tensor], b: Tensor, right: _Factor) -> Tensor:
    """dv, vv, dd and ww of some rows before and after, (n, columns), whose update is `b @ a`."""
    before, after = weights
    d = after - before
    dd, ww = (torch.linalg.vector_norm(one).square() for one in (d, before))
    return torch.stack((((d @ right.a.T) * b).sum(), ((b.T @ b) * right.products).sum(), dd, ww))
