"""The scale in a merged weight, from Gram matrices and row blocks: `B @ A` is never formed."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lora_lint.reference.blocks import Block, Passed, nobody, sweep
from lora_lint.reference.device import widest
from lora_lint.reference.layer import Kind
from lora_lint.reference.measure import Measurement, stretched_scale
from lora_lint.reference.precision import full_precision
from lora_lint.reference.stored import Plain, Rows, of_experts
from lora_lint.reference.threads import numbers

STRIDE = 8
"""Of the base only the size is asked, to know how coarse it is rounded: one row in so many tells it."""


class Factors(NamedTuple):
    """Two factors whose product has the layout of a stored weight; `by_column` says that channels are columns."""

    left: Tensor
    right: Tensor
    by_column: bool = False


class Pair(NamedTuple):
    """A and B, (r, in) and (out, r), and what they adapt."""

    a: Tensor
    b: Tensor
    kind: Kind = "linear"


class Moments(NamedTuple):
    """Inner products of the change d of a weight, its update v = B @ A, and the weight w; n entries each."""

    dv: float
    vv: float
    dd: float
    ww: float
    n: int = 0

    def measurement(self) -> Measurement:
        scale = self.dv / self.vv if self.vv else 0.0
        unexplained = 1 - scale * self.dv / self.dd if self.dd else 0.0
        return Measurement(scale, unexplained if unexplained != unexplained else max(unexplained, 0.0) ** 0.5)

    def without(self, others: "Sequence[Moments]", products: Tensor) -> "Moments":
        """What is left for this update once others share the change by least squares with it.

        `products` is (n + 1, n + 1): inner products of this update and the others with each other.
        """
        along = torch.tensor([self.dv, *(other.dv for other in others)], dtype=torch.float64, device="cpu")
        scales = torch.linalg.lstsq(products, along.unsqueeze(1)).solution.flatten()
        rest = scales[1:]
        dd = self.dd - 2 * (rest @ along[1:]).item() + (rest @ products[1:, 1:] @ rest).item()
        return self._replace(dv=self.dv - (products[0, 1:] @ rest).item(), dd=dd)


def merged_scale(base: Tensor, merged: Tensor, a: Tensor, b: Tensor, *, kind: Kind = "linear") -> Measurement:
    """The s that explains `merged - base` best as `s * B @ A`, by least squares, and how much it leaves.

    The weights may lie on the CPU, mapped from a file: blocks of their rows go to the device of `a`. The layout (out,
    in) or its transpose is told by the shapes, and where they are square by which of the two explains more.

    Raises:
        ValueError: when the shapes don't fit.
    """
    if base.shape != merged.shape:
        raise ValueError(f"base weight is {shown(base.shape)}, merged weight is {shown(merged.shape)}")
    with full_precision():
        return best_moments(Plain(base), Plain(merged), Pair(a, b, kind)).measurement()


def best_moments(base: Rows, merged: Rows, pair: Pair, passed: Passed = nobody, others: Sequence[Pair] = ()) -> Moments:
    """The moments in the layout that leaves the smaller residual; `others` have been merged into the same weight."""
    a, b, kind = pair
    if kind == "experts":
        return _expert_moments(base, merged, pair, passed)
    found = []
    for factors in layouts(pair, base.shape):
        alike = [_like(factors, other, base.shape) for other in others]
        found.append(joint_moments(base, merged, factors, alike, passed))
        if found[-1].measurement().residual < 0.5:
            break
    if not found:
        raise ValueError(f"the weight is {shown(base.shape)}, B @ A is {b.shape[0]}x{a.flatten(1).shape[1]}")
    return min(found, key=lambda sums: sums.measurement().residual)


def _like(factors: Factors, other: Pair, shape: torch.Size) -> Factors:
    """Another update of the same weight, transposed where the first one is.

    Raises:
        ValueError: when it doesn't fit.
    """
    fitting = sorted(layouts(other, shape), key=lambda one: one.by_column != factors.by_column)
    if not fitting:
        raise ValueError(f"the weight is {shown(shape)}, which the other adapter doesn't fit")
    return fitting[0]


def layouts(pair: Pair, shape: torch.Size) -> Iterator[Factors]:
    """How B and A may stand in a weight of this shape; a square one may be transposed, as GPT-2's Conv1D is."""
    a, b, kind = pair.a.flatten(1), pair.b.flatten(1), pair.kind
    stored = (shape[0], shape[1:].numel())
    if kind != "embedding" and stored == (b.shape[0], a.shape[1]):
        yield Factors(b, a)
    if kind in ("embedding", "linear") and stored == (a.shape[1], b.shape[0]):
        yield Factors(a.T, b.T, by_column=True)


def joint_moments(
    base: Rows, merged: Rows, factors: Factors, others: Sequence[Factors] = (), passed: Passed = nobody
) -> Moments:
    """The moments of one update; what `others` explain of the change is taken off it."""
    together = [in_working_precision(base, one) for one in (factors, *others)]
    dd, ww, *dv = numbers(moments(base, merged, together, passed))
    products = update_products(together)
    alone = [Moments(one, products[at, at].item(), dd, ww, base.shape.numel()) for at, one in enumerate(dv)]
    return alone[0].without(alone[1:], products.cpu().double()) if others else alone[0]


@torch.no_grad()
def moments(base: Rows, merged: Rows, together: Sequence[Factors], passed: Passed = nobody) -> Tensor:
    """dd, ww and the dv of each update, on the factors' device, in one pass over the two weights."""
    ready = [in_working_precision(base, factors) for factors in together]
    wide = widest(ready[0].left.device)

    def visit(block: Block) -> Tensor:
        d = block.change
        dv = [((d @ one.right.T) * one.left.narrow(0, block.start, d.shape[0])).sum(dtype=wide) for one in ready]
        ww = squares(block.weight, wide) * (d.shape[0] / block.weight.shape[0])
        return torch.stack((squares(d, wide), ww, *dv))

    return torch.stack(sweep(base, merged, ready[0].left, passed, visit, stride=STRIDE)).sum(0)


def squares(rows: Tensor, wide: torch.dtype) -> Tensor:
    """The sum of squares, of single rows first: one over a block adds half a million in float32, and loses 4 digits."""
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1)
    return norms.to(wide).square().sum()


@torch.no_grad()
def update_products(together: Sequence[Factors]) -> Tensor:
    """The inner products of all updates with each other, from r x r matrices."""
    wide = widest(together[0].left.device)

    def product(one: Factors, two: Factors) -> Tensor:
        return ((one.left.T @ two.left) * (one.right @ two.right.T)).sum(dtype=wide)

    return torch.stack([torch.stack([product(one, two) for two in together]) for one in together])


def _expert_moments(base: Rows, merged: Rows, pair: Pair, passed: Passed) -> Moments:
    """Sums over experts."""
    experts, a, b = base.shape[0], pair.a, pair.b
    if len(base.shape) != 3 or a.shape[0] % experts:
        raise ValueError(f"the weight is {shown(base.shape)}, lora_A has {a.shape[0]} rows")
    by_expert = zip(of_experts(base), of_experts(merged), experts_of(a, b, experts), strict=True)
    parts = [best_moments(w, m, Pair(*one), passed) for w, m, one in by_expert]
    return Moments(*map(sum, zip(*parts, strict=True)))


def experts_of(a: Tensor, b: Tensor, experts: int) -> Iterator[tuple[Tensor, Tensor]]:
    """A and B of each expert: PEFT stacks A, rows e*r and on, and interleaves B, every E-th column from e."""
    return zip(a.reshape(experts, -1, a.shape[1]), b.reshape(b.shape[0], -1, experts).unbind(2), strict=True)


class StretchedMoments(NamedTuple):
    """Inner products per channel, for DoRA, whose merged weight is `g * (w + s * v)` with a g for every channel."""

    dd: Tensor
    dv: Tensor
    dw: Tensor
    vv: Tensor
    vw: Tensor
    ww: Tensor

    def fit(self, magnitude: Tensor) -> Tensor:
        """The scale, the residual of the weight that it and `magnitude` give, and the sums of dd, vv and ww."""
        dd, dv, dw, vv, vw, ww = self
        scale = stretched_scale(dv, dw, vv, vw, ww)
        g = magnitude.flatten().to(ww) / (ww + 2 * scale * vw + scale.square() * vv).sqrt()
        s = g * scale
        error = dd + (1 - g).square() * ww + s.square() * vv + 2 * (1 - g) * (dw - s * vw) - 2 * s * dv
        change = dd.sum()
        residual = torch.where(change > 0, (error.clamp(min=0).sum() / change).sqrt(), torch.zeros_like(change))
        return torch.stack((scale, residual, change, vv.sum(), ww.sum()))


@torch.no_grad()
def stretched_moments(base: Rows, merged: Rows, factors: Factors, passed: Passed = nobody) -> StretchedMoments:
    """One pass over the two weights. `B @ A` isn't formed for norms per channel either."""
    left, right, by_column = in_working_precision(base, factors)
    wide = widest(left.device)
    of_right = right @ right.T

    def visit(block: Block) -> Tensor:
        d, w = block.change, block.weight
        b = left.narrow(0, block.start, d.shape[0])
        if by_column:
            dv, vw, vv = ((x * right).sum(0) for x in (b.T @ d, b.T @ w, (b.T @ b) @ right))
            dd, ww = (x.square().sum(0) for x in (d, w))  # norms of columns take eight times as long
        else:
            dv, vw, vv = ((x * b).sum(1) for x in (d @ right.T, w @ right.T, b @ of_right))
            dd, ww = (torch.linalg.vector_norm(x, dim=1).square() for x in (d, w))
        dw = d.mul_(w).sum(0 if by_column else 1)
        return torch.stack((dd, dv, dw, vv, vw, ww)).to(wide)

    blocks = sweep(base, merged, left, passed, visit)
    sums = torch.stack(blocks).sum(0) if by_column else torch.cat(blocks, dim=1)
    return StretchedMoments(*sums.unbind())


def in_working_precision(base: Rows, factors: Factors) -> Factors:
    """The factors in the precision to work in."""
    exact = isinstance(base, Plain) and base.tensor.dtype == torch.float64
    working = torch.float64 if exact else torch.float32
    return factors._replace(left=factors.left.to(working), right=factors.right.to(working))


def shown(shape: torch.Size | tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
