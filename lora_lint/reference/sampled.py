"""A quicker look at a merge: every number of the two weights in sums of neighbours, and a few rows one by one."""

import math

import torch
from torch import Tensor

from lora_lint.reference.blocks import Passed, nobody
from lora_lint.reference.merged import Factors, Moments, in_working_precision, squares
from lora_lint.reference.stored import Rows
from lora_lint.reference.threads import aside, in_shares

NEIGHBOURS = 512
"""Entries of a row in one sum, at most. Longer sums are no faster, and fewer of them tell less."""

LEAST_NEIGHBOURS = 64
"""Below it the sums cost more than they save."""

AGAIN = 2.0
"""How much larger the error of a sum is than that of an entry, in proportion: the sums of half precision are rounded to
half precision on both sides, as the entries of one were."""

LEAST = 2**22
"""Entries of a weight that is worth a quick look."""

ENTRIES = 2**25
"""Entries of a block, of which only the sums are kept."""

STRETCH = 2**23
"""Entries of a stretch of rows, whose first ones are looked at one by one."""

ONE_IN = 128
"""One row of so many of a stretch is looked at one by one."""

SIZED = 2**14
"""Entries that tell the size of a weight well enough to say how coarse it is rounded."""

WIDE = torch.float64


def neighbours(base: Rows, merged: Rows) -> int:
    """How many entries of a row to add up, 0 where a quick look tells too little of the two weights."""
    together = math.gcd(base.shape[1:].numel(), NEIGHBOURS)
    large = base.shape == merged.shape and base.shape.numel() >= LEAST
    return together if large and together >= LEAST_NEIGHBOURS else 0


class Look:
    """One update of two weights on the CPU, whose neighbours are added up `together`, which divides their rows."""

    @torch.no_grad()
    def __init__(self, base: Rows, merged: Rows, factors: Factors, together: int = NEIGHBOURS) -> None:
        self._base = base
        self._merged = merged
        self._together = together
        self._left, self._right, _ = in_working_precision(base, factors)
        with aside():
            self._of_left = self._left.T @ self._left
            self._of_right = self._right @ self._right.T
        few = base.rows(0, min(base.shape[0], SIZED // base.shape[1:].numel() + 1)).to(self._left)
        ww: float = torch.linalg.vector_norm(few).square().item()
        self._rounded = ww * base.shape.numel() / few.numel() * AGAIN**2
        """The `ww` that tells how coarse sums are rounded, by the size of the first rows."""

    @torch.no_grad()
    def foreseen(self, scale: float) -> Moments:
        """The moments of the sums where `scale` is all that was merged, by the size of some rows of the base."""
        vv = (self._of_left * self._of_right).sum(dtype=WIDE).item()
        return Moments(scale * vv, vv, scale**2 * vv, self._rounded, self._base.shape.numel())

    @torch.no_grad()
    def at_rows(self) -> Moments:
        """The exact moments of one row in `ONE_IN`."""
        few = [range(start, start + max(1, length // ONE_IN)) for start, length in _blocks(self._base, STRETCH)]
        with aside():
            before, after = (
                torch.cat([weight.rows(rows.start, len(rows)) for rows in few]).to(self._left)
                for weight in (self._base, self._merged)
            )
            left = torch.cat([self._left.narrow(0, rows.start, len(rows)) for rows in few])
            d = after - before
            alone = ((left.T @ left) * self._of_right).sum(dtype=WIDE)
            sums = torch.stack((_along(d, left, self._right), alone, squares(d, WIDE), squares(before, WIDE)))
        dv, vv, dd, ww = sums.tolist()
        return Moments(dv, vv, dd, ww, before.numel())

    @torch.no_grad()
    def at_sums(self, passed: Passed = nobody) -> Moments:
        """The moments of sums of neighbours in a row.

        They leave out no number. What changes no such sum isn't seen. `ww` is that of `foreseen`.
        """
        size = (self._base.nbytes + self._merged.nbytes) / self._base.shape[0]
        blocks = _blocks(self._base, ENTRIES)

        def change(block: int) -> Tensor:
            start, length = blocks[block]
            before, after = (_added(one.rows(start, length), self._together) for one in (self._base, self._merged))
            passed(int(size * length))
            return after.to(self._left).sub_(before)

        with aside():
            d = torch.cat(in_shares(range(len(blocks)), self._left.device, lambda own: list(map(change, own))))
        short = _added(self._right, self._together)
        alone = (self._of_left * (short @ short.T)).sum(dtype=WIDE)
        dv, vv, dd = torch.stack((_along(d, self._left, short), alone, squares(d, WIDE))).tolist()
        return Moments(dv, vv, dd, self._rounded, d.numel())


def _along(d: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """The inner product of a change and `left @ right`."""
    return ((d @ right.T) * left).sum(dtype=WIDE)


def _blocks(base: Rows, entries: int) -> list[tuple[int, int]]:
    """Where blocks of rows begin, and how many rows they have."""
    count = base.shape[0]
    step = max(ONE_IN, entries // base.shape[1:].numel())
    return [(start, min(step, count - start)) for start in range(0, count, step)]


def _added(rows: Tensor, together: int) -> Tensor:
    """The sums of so many neighbours, (rows, columns / together)."""
    return rows.reshape(rows.shape[0], -1, together).sum(-1)
