"""The numbers of an adapter: one pass over its bytes, several tensors at a time, and more where a rule asks for it."""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from lora_lint.document import UnreadableError
from lora_lint.reference.adapter import ModuleClaim, check, sample_forward, tensors_of
from lora_lint.reference.merged import experts_of
from lora_lint.reference.stream import TensorFiles, TensorRef
from lora_lint.reference.threads import aside, in_turn, pool_of, single_threaded
from lora_lint.reference.verdict import Fault, Verdict, unreadable
from lora_lint.update import Factor, Rows, Spectrum, Update

CHUNK = 2**16
"""Numbers that are widened at a time, few enough to stay in the cache of a core."""

SHARE = 16
"""Modules that a thread takes at a time, at most: to hand one over takes a part of what measuring a small one does."""

PROBES = 16
"""Rows that are looked at before all of them are."""


def updates(
    claims: Iterable[ModuleClaim], files: TensorFiles, device: torch.device, *, with_spectrum: bool = False
) -> Iterator[Update | Verdict]:
    """The numbers of each claim in their order, or the verdict where its tensors can't be read or don't fit.

    Every thread takes modules of its own, since the threads of one long sum would wait for each other at its end.
    """

    def measure(share: Sequence[ModuleClaim]) -> list[Update | Verdict]:
        with in_turn():
            return [_update(claim, files=files, device=device, with_spectrum=with_spectrum) for claim in share]

    claims = list(claims)
    with single_threaded() as threads, pool_of(threads) as pool:
        size = max(1, min(SHARE, len(claims) // (4 * threads)))
        shares = [claims[start : start + size] for start in range(0, len(claims), size)]
        for measured in pool.map(measure, shares):
            yield from measured


def _update(claim: ModuleClaim, files: TensorFiles, device: torch.device, *, with_spectrum: bool) -> Update | Verdict:
    try:
        tensors = check(claim, files)
        factors = [_factor(ref, tensor, claim) for ref, tensor in zip(claim.refs, tensors, strict=True)]
        if all(math.isfinite(factor.norm) for factor in factors) and _may_overflow(factors, device):
            output = sample_forward(tensors[0], tensors[1], claim.kind, device)
            if not math.isfinite(output.item()):
                return Fault("the output is not finite, though A and B are", "values-not-finite", "not finite").verdict
    except Fault as fault:
        return fault.verdict
    except UnreadableError as error:
        return unreadable(error)
    files.passed(sum(tensor.nbytes for tensor in tensors))
    a, b, *magnitude = factors
    update = Update(
        claim.module,
        a,
        b,
        claim.declared,
        magnitude[0] if magnitude else None,
        partial(_spectrum, claim, files, device),
        partial(_largest, claim, files, device),
        lambda factor: _peak(files, claim, factor),
        lambda other: _same(files, claim, other),
        with_spectrum,
    )
    if with_spectrum and update.adds:
        with aside():
            _ = update.spectrum  # here, where several threads are at it
    return update


def _may_overflow(factors: list[Factor], device: torch.device) -> bool:
    """Whether the norms leave it open that an output is too large for float32; another device is tried anyhow."""
    return device.type != "cpu" or math.prod(max(factor.norm, 1.0) for factor in factors) > LARGE


def _factor(ref: TensorRef, tensor: Tensor, claim: ModuleClaim) -> Factor:
    is_a = ref == claim.a
    shape = tuple(tensor.shape)
    with aside():
        size = norm(tensor)
    if len(shape) < 2:
        return Factor(ref.name, ref.file.name, shape, size)
    matrix = tensor if len(shape) == 2 else tensor.flatten(1)
    return Factor(
        ref.name,
        ref.file.name,
        shape,
        size,
        None if is_a else rows_with_numbers(matrix),
        frozenset() if claim.kind == "experts" else _zero_directions(matrix, is_a=is_a),
    )


LARGE = 1e30
"""No sum of products of factors whose norms have a smaller product is near the end of float32."""


def norm(tensor: Tensor) -> float:
    """The root of the sum of squares to the precision of the dtype, which in 16 bits is rounded upwards.

    It isn't finite if and only if a value isn't, and 0 if and only if all values are.
    """
    if tensor.itemsize > 1:
        found = torch.linalg.vector_norm(tensor).item()
        found *= 1 + torch.finfo(tensor.dtype).eps if tensor.itemsize == 2 else 1
    else:
        values = tensor.flatten()
        wide = torch.empty(min(CHUNK, values.numel()), dtype=torch.float32, device="cpu")
        chunks = (wide[: chunk.numel()].copy_(chunk) for chunk in torch.split(values, CHUNK))
        found = math.sqrt(sum(torch.dot(chunk, chunk).item() for chunk in chunks))
    # Squares of large numbers overflow, and squares of small ones vanish.
    return found if math.isfinite(found) and found > 1e-15 else _wide_norm(tensor.flatten())


def _wide_norm(values: Tensor) -> float:
    chunks = (chunk.double() for chunk in torch.split(values, CHUNK))
    parts = [(torch.linalg.vector_norm(chunk).item(), bool(torch.isfinite(chunk).all())) for chunk in chunks]
    return math.hypot(*(size for size, _ in parts)) if all(finite for _, finite in parts) else math.nan


def rows_with_numbers(tensor: Tensor) -> Rows | None:
    """The only rows that aren't zero, where they are neighbours and at most half of all; looked for in a sample first.

    `tensor` is (out, ...).
    """
    total = tensor.shape[0]
    matrix = tensor if tensor.dim() == 2 else tensor.flatten(1)
    if _all(matrix.select(1, 0)[:: max(1, total // PROBES)]):
        return None
    probes = torch.linspace(0, total - 1, min(PROBES, total), device="cpu").long()
    if total < 2 or _nonzero(tensor[probes]).sum().item() > PROBES // 2 + 1:
        return None
    found = _nonzero(tensor).nonzero().flatten()
    if not found.numel():
        return None
    start, end = int(found[0]), int(found[-1]) + 1
    return Rows(start, end, total) if end - start == found.numel() <= (total + 1) // 2 else None


def _all(values: Tensor) -> bool:
    """Whether no value is zero."""
    return bool((values if values.itemsize > 1 else values.float()).all())


def _nonzero(rows: Tensor) -> Tensor:
    return (rows.flatten(1) != 0).any(1) if rows.itemsize > 1 else (rows.flatten(1).float() != 0).any(1)


def _zero_directions(matrix: Tensor, *, is_a: bool) -> frozenset[int]:
    """Rows of A or columns of B that are all zero; a few entries of each settle most."""
    if _all(matrix.select(1 if is_a else 0, 0)):
        return frozenset()
    by_direction = matrix if is_a else matrix.T
    few = by_direction[:, :PROBES].float()
    candidates = (few == 0).all(1).nonzero().flatten().tolist()
    if len(candidates) == by_direction.shape[0] and not bool(by_direction.float().any()):
        return frozenset()  # all of it is zero, which is said otherwise
    return frozenset(index for index in candidates if not bool(by_direction[index].float().any()))


def _pair(claim: ModuleClaim, files: TensorFiles, device: torch.device) -> tuple[Tensor, Tensor]:
    a, b, *_ = (tensor.to(device, torch.float32) for tensor in tensors_of(claim, files))
    return a.flatten(1), b.flatten(1)


def _spectrum(claim: ModuleClaim, files: TensorFiles, device: torch.device) -> Spectrum | None:
    a, b = _pair(claim, files, device)
    return None if claim.kind == "experts" or a.shape[0] != b.shape[1] else Spectrum(*spectrum(a, b).tolist())


@torch.no_grad()
def spectrum(a: Tensor, b: Tensor) -> Tensor:
    """Norm and effective rank of `b @ a`, whose squared singular values are the eigenvalues of `A A^T B^T B`.

    `a` is (r, in) and `b` (out, r). Nothing larger than r x r is made; that is taken apart on the CPU, in float64.
    """
    # Scaled first, since squares of squares leave the range of float32 soon.
    sizes = [torch.linalg.vector_norm(factor) for factor in (a, b)]
    left, right = a / sizes[0], b / sizes[1]
    of_a, of_b = (left @ left.T).cpu().double(), (right.T @ right).cpu().double()
    values, vectors = torch.linalg.eigh(of_a)
    root = vectors * values.clamp(min=0).sqrt()
    squares = torch.linalg.eigvalsh(root.T @ of_b @ root).clamp(min=0)
    norm_of_core = squares.sum().sqrt()
    effective = torch.special.entr(squares / squares.sum()).sum().exp()
    return torch.stack((norm_of_core * sizes[0].cpu().double() * sizes[1].cpu().double(), effective))


def _largest(claim: ModuleClaim, files: TensorFiles, device: torch.device) -> float:
    a, b = _pair(claim, files, device)
    if claim.kind == "experts":
        pairs = experts_of(a, b, int(a.shape[0] // claim.rank)) if claim.rank else ()
        return max((largest(*pair).item() for pair in pairs), default=0.0)
    return largest(a, b).item() if a.shape[0] == b.shape[1] else 0.0


@torch.no_grad()
def largest(a: Tensor, b: Tensor, *, entries: int = 2**20) -> Tensor:
    """The largest absolute entry of `b @ a`, a block of rows at a time."""
    blocks = torch.split(b, max(1, entries // max(1, a.shape[1])))
    return torch.stack([(block @ a).abs().amax() for block in blocks]).amax()


def _peak(files: TensorFiles, claim: ModuleClaim, factor: Factor) -> float:
    values = files.tensor(claim.a if factor.name == claim.a.name else claim.b).flatten()
    return max(chunk.float().abs().amax().item() for chunk in torch.split(values, CHUNK))


def _same(files: TensorFiles, claim: ModuleClaim, other: Update) -> bool:
    mine = [files.tensor(ref) for ref in (claim.a, claim.b)]
    folder = claim.a.file.parent
    theirs = [files.tensor(TensorRef(folder / factor.file, factor.name)) for factor in (other.a, other.b)]
    return all(torch.equal(one.view(torch.uint8), two.view(torch.uint8)) for one, two in zip(mine, theirs, strict=True))
