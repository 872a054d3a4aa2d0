"""The scale in a merged weight, from Gram matrices and row blocks: `B @ A` is never formed."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from lora_lint.reference.device import widest
from lora_lint.reference.layer import Kind
from lora_lint.reference.measure import Measurement, stretched_scale

BLOCK = {"cpu": 2**19, "cuda": 2**24, "mps": 2**24}
"""Entries of a block. On a CPU it stays in the cache between subtraction, product and norm (128 rows of 4096 were the
fastest of 32 to 2048); on other devices it is large enough to hide the launches."""

MOST_WORKERS = 16

Passed = Callable[[int], None]
"""Told after every block how many bytes of the weights are done with, so that mapped pages can go."""


def _nobody(_: int) -> None:
    """Weights that are in memory anyway."""


_copy = torch.ops.aten.copy_.default
"""`Tensor.copy_` less its question for a driver, which without a GPU fails even where tensors are fake."""


class Factors(NamedTuple):
    """Two factors whose product has the layout of a stored weight; `by_column` says that channels are columns."""

    left: Tensor
    right: Tensor
    by_column: bool = False


class Moments(NamedTuple):
    """Inner products of the change d of a weight, its update v = B @ A, and the weight w."""

    dv: float
    vv: float
    dd: float
    ww: float

    def measurement(self) -> Measurement:
        scale = self.dv / self.vv if self.vv else 0.0
        unexplained = 1 - scale * self.dv / self.dd if self.dd else 0.0
        return Measurement(scale, unexplained if unexplained != unexplained else max(unexplained, 0.0) ** 0.5)


def merged_scale(base: Tensor, merged: Tensor, a: Tensor, b: Tensor, *, kind: Kind = "linear") -> Measurement:
    """The s that explains `merged - base` best as `s * B @ A`, by least squares, and how much it leaves.

    The weights may lie on the CPU, mapped from a file: blocks of their rows go to the device of `a`. The layout (out,
    in) or its transpose is told by the shapes, and where they are square by which of the two explains more.

    Raises:
        ValueError: when the shapes don't fit.
    """
    if base.shape != merged.shape:
        raise ValueError(f"base weight is {shown(base.shape)}, merged weight is {shown(merged.shape)}")
    return best_moments(base, merged, a, b, kind).measurement()


def best_moments(base: Tensor, merged: Tensor, a: Tensor, b: Tensor, kind: Kind, passed: Passed = _nobody) -> Moments:
    """The moments in the layout that leaves the smaller residual."""
    if kind == "experts":
        return _expert_moments(base, merged, a, b, passed)
    found = []
    for factors in layouts(a, b, base.shape, kind):
        found.append(Moments(*moments(base.flatten(1), merged.flatten(1), factors, passed).tolist()))
        if found[-1].measurement().residual < 0.5:
            break
    if not found:
        raise ValueError(f"the weight is {shown(base.shape)}, B @ A is {b.shape[0]}x{a.flatten(1).shape[1]}")
    return min(found, key=lambda sums: sums.measurement().residual)


def layouts(a: Tensor, b: Tensor, shape: torch.Size, kind: Kind) -> Iterator[Factors]:
    """How B and A may stand in a weight of this shape; a square one may be transposed, as GPT-2's Conv1D is."""
    a, b = a.flatten(1), b.flatten(1)
    stored = (shape[0], shape[1:].numel())
    if kind != "embedding" and stored == (b.shape[0], a.shape[1]):
        yield Factors(b, a)
    if kind in ("embedding", "linear") and stored == (a.shape[1], b.shape[0]):
        yield Factors(a.T, b.T, by_column=True)


@torch.no_grad()
def moments(base: Tensor, merged: Tensor, factors: Factors, passed: Passed = _nobody) -> Tensor:
    """dv, vv, dd and ww as one tensor on the factors' device, in one pass over the two weights."""
    left, right, wide = _ready(base, factors)

    def visit(start: int, both: Tensor) -> Tensor:
        d = both.select(0, 0)
        dv = ((d @ right.T) * left.narrow(0, start, d.shape[0])).sum(dtype=wide)
        # Norms of single rows, since one over the block adds half a million numbers in float32, and loses four digits.
        dd, ww = torch.linalg.vector_norm(both, dim=2).to(wide).square().sum(1).unbind()
        return torch.stack((dv, dd, ww))

    dv, dd, ww = torch.stack(_sweep(base, merged, left, passed, visit)).sum(0).unbind()
    return torch.stack((dv, ((left.T @ left) * (right @ right.T)).sum(dtype=wide), dd, ww))


def _expert_moments(base: Tensor, merged: Tensor, a: Tensor, b: Tensor, passed: Passed) -> Moments:
    """Sums over experts."""
    experts = base.shape[0]
    if base.dim() != 3 or a.shape[0] % experts:
        raise ValueError(f"the weight is {shown(base.shape)}, lora_A has {a.shape[0]} rows")
    by_expert = zip(base, merged, experts_of(a, b, experts), strict=True)
    parts = [best_moments(w, m, *pair, "linear", passed) for w, m, pair in by_expert]
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
def stretched_moments(base: Tensor, merged: Tensor, factors: Factors, passed: Passed = _nobody) -> StretchedMoments:
    """One pass over the two weights; blocks of `B @ A` are formed, since norms per channel need them."""
    left, right, wide = _ready(base, factors)
    axis = 0 if factors.by_column else 1

    def visit(start: int, both: Tensor) -> Tensor:
        d, w = both.unbind()
        v = left.narrow(0, start, d.shape[0]) @ right
        return torch.stack([(x * y).sum(axis) for x, y in ((d, d), (d, v), (d, w), (v, v), (v, w), (w, w))]).to(wide)

    blocks = _sweep(base, merged, left, passed, visit)
    sums = torch.stack(blocks).sum(0) if factors.by_column else torch.cat(blocks, dim=1)
    return StretchedMoments(*sums.unbind())


def _ready(base: Tensor, factors: Factors) -> tuple[Tensor, Tensor, torch.dtype]:
    """The factors in the precision to work in, and the dtype to add sums in."""
    working = torch.float64 if base.dtype == torch.float64 else torch.float32
    return factors.left.to(working), factors.right.to(working), widest(factors.left.device)


def _sweep(
    base: Tensor, merged: Tensor, like: Tensor, passed: Passed, visit: Callable[[int, Tensor], Tensor]
) -> list[Tensor]:
    """What `visit` makes of each block of rows, from its first row and, stacked, the change and the base there.

    On a CPU every thread takes blocks of its own. Left to torch, the threads would share each small operation and wait
    for each other at its end, which on a machine with other work takes 25 times as long.
    """
    rows, columns = base.shape
    step = min(rows, max(1, BLOCK.get(like.device.type, BLOCK["cpu"]) // max(1, columns)))
    starts = range(0, rows, step)
    narrow = [torch.empty(0, dtype=tensor.dtype, device=like.device) for tensor in (base, merged)]

    def share(worker: int) -> list[Tensor]:
        with torch.no_grad():
            both = torch.empty(2, step, columns, dtype=like.dtype, device=like.device)
            return [visit(start, block(both, start)) for start in starts[worker::workers]]

    def block(both: Tensor, start: int) -> Tensor:
        length = min(step, rows - start)
        part = both.narrow(1, 0, length)
        change, weight = part.unbind()
        _copy(weight, base.narrow(0, start, length).to(narrow[0]))
        _copy(change, merged.narrow(0, start, length).to(narrow[1])).sub_(weight)
        passed(weight.numel() * (base.itemsize + merged.itemsize))
        return part

    with _workers(like.device, len(starts)) as workers:
        if workers == 1:
            return share(0)
        with ThreadPoolExecutor(workers) as pool:
            shares = list(pool.map(share, range(workers)))
    return [shares[index % workers][index // workers] for index in range(len(starts))]


@contextmanager
def _workers(device: torch.device, blocks: int) -> Iterator[int]:
    """How many threads to start; meanwhile torch itself starts none."""
    workers = min(torch.get_num_threads(), blocks) if device.type == "cpu" else 1
    if workers == 1:
        yield 1
    else:
        with single_threaded() as threads:
            yield min(threads, blocks)


@contextmanager
def single_threaded() -> Iterator[int]:
    """While torch itself starts no threads: how many to start in its place."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield min(threads, MOST_WORKERS)
    finally:
        torch.set_num_threads(threads)


def shown(shape: torch.Size | tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
