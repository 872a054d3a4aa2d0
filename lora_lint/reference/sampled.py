"""A quicker look at a merge: every number of the two weights in sums of neighbours, and a few rows one by one."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lora_lint.reference.blocks import Passed, in_shares, nobody
from lora_lint.reference.device import widest
from lora_lint.reference.merged import Factors, Moments, in_working_precision
from lora_lint.reference.stored import Rows

NEIGHBOURS = 512
"""Entries of a row in one sum, at most. Longer sums are no faster, and fewer of them tell less."""

LEAST_NEIGHBOURS = 64
"""Below it the sums cost more than they save."""

AGAIN = 2.0
"""How much larger the error of a sum is than that of an entry, in proportion: the sums of half precision are rounded to
half precision on both sides, as the entries of one were."""

ENTRIES = 2**22
"""Entries of a block."""

ONE_IN = 64
"""One row of so many of a block is looked at one by one."""


class Quick(NamedTuple):
    """The moments of the sums, which leave out no number, and those of the entries of some rows, which are exact."""

    sums: Moments
    rows: Moments


def neighbours(base: Rows, merged: Rows) -> int:
    """How many entries of a row to add up, 0 where a quick look tells too little of the two weights."""
    together = math.gcd(base.shape[1:].numel(), NEIGHBOURS)
    large = base.shape == merged.shape and base.shape.numel() >= ENTRIES
    return together if large and together >= LEAST_NEIGHBOURS else 0


@torch.no_grad()
def foreseen(base: Rows, factors: Factors, scale: float) -> Moments:
    """The moments of the sums where `scale` is all that was merged, by the size of some rows of the base."""
    left, right, _ = in_working_precision(base, factors)
    few = base.rows(0, ENTRIES // ONE_IN // right.shape[1] + 1).to(left)
    ww = torch.linalg.vector_norm(few).square().item() * base.shape.numel() / few.numel()
    vv = ((left.T @ left) * (right @ right.T)).sum().item()
    return Moments(scale * vv, vv, scale**2 * vv, ww * AGAIN**2, base.shape.numel())


@torch.no_grad()
def quick_moments(
    base: Rows, merged: Rows, factors: Factors, together: int = NEIGHBOURS, passed: Passed = nobody
) -> Quick:
    """Both kinds of moments of one update, in one pass over two weights on the CPU.

    `together` neighbours in a row, (in,), are added up; it divides their number. What changes neither such a sum nor
    an entry of the sampled rows isn't seen.
    """
    left, right, _ = in_working_precision(base, factors)
    wide = widest(left.device)
    a = [_Factor(one, one @ one.T) for one in (_added(right, together), right)]
    count, columns = base.shape[0], right.shape[1]
    step = max(ONE_IN, ENTRIES // columns)
    starts = range(0, count, step)
    size = (base.nbytes + merged.nbytes) / count

    def sampled(start: int) -> int:
        return max(1, min(step, count - start) // ONE_IN)

    def look(start: int) -> Tensor:
        length, few = min(step, count - start), sampled(start)
        weights = [weight.rows(start, length) for weight in (base, merged)]
        b = left.narrow(0, start, length)
        of_sums = _moments([_added(rows, together).to(left) for rows in weights], b, a[0])
        of_rows = _moments([rows.narrow(0, 0, few).to(left) for rows in weights], b.narrow(0, 0, few), a[1])
        passed(int(size * length))
        return torch.stack((of_sums, of_rows)).to(wide)

    blocks = in_shares(starts, left.device, lambda own: [look(start) for start in own])
    of_sums, of_rows = (Moments(*found) for found in torch.stack(blocks).sum(0).tolist())
    total, seen = base.shape.numel(), sum(map(sampled, starts)) * columns
    rounded = of_rows.ww * total / seen * AGAIN**2
    return Quick(of_sums._replace(ww=rounded, n=total // together), of_rows._replace(n=seen))


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
