"""An adapter alone: do its tensors have the declared rank, pair up, and give a finite output?"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lora_lint.reference.layer import Geometry, Kind, added
from lora_lint.reference.merged import shown
from lora_lint.reference.stream import TensorFiles, TensorRef
from lora_lint.reference.verdict import Fault
from lora_lint.scaling import number

SAMPLE = 64
"""Input and output coordinates that the forward pass takes: the sums have seen every byte already."""


@dataclass(frozen=True, slots=True)
class ModuleClaim:
    """What a config says of one module, and where its tensors are.

    `module` is named as in the base model, and `parameter` is what the adapter changes there. `declared` is the scale,
    or None where the config doesn't settle it.
    """

    module: str
    rank: float | None
    declared: float | None
    a: TensorRef
    b: TensorRef
    kind: Kind = "linear"
    magnitude: TensorRef | None = None
    rslora: bool = False
    parameter: str = "weight"

    @property
    def refs(self) -> tuple[TensorRef, ...]:
        return (self.a, self.b) if self.magnitude is None else (self.a, self.b, self.magnitude)


def check(claim: ModuleClaim, files: TensorFiles) -> list[Tensor]:
    """The tensors of a claim, as they lie in their files, once their dtypes and shapes were found sound.

    Raises:
        Fault: when they aren't.
        UnreadableError: when they can't be read.
    """
    if claim.declared is not None and (claim.declared == 0 or not math.isfinite(claim.declared)):
        raise Fault(f"the scale is {number(claim.declared)}", "no scale")
    tensors = [files.tensor(ref) for ref in claim.refs]
    for ref, tensor in zip(claim.refs, tensors, strict=True):
        if not tensor.is_floating_point():
            raise Fault(f"{part(ref)} holds {files.holding(ref).dtype(ref.name)}, not floating point numbers")
    _check_shapes(claim, *tensors)
    return tensors


def sample_forward(a: Tensor, b: Tensor, kind: Kind, device: torch.device) -> Tensor:
    """The sum of some outputs of the update for some inputs, in float32 on `device`."""
    there = torch.zeros((), device=device)
    if kind == "conv":
        a, b = a.to(there), b.to(there)
        x = _ramp(a.shape[1:].numel(), device).view(1, *a.shape[1:])
        return added(x, a, b, kind, Geometry(groups=a.shape[0] // b.shape[1])).sum()
    a, b = a[:, :SAMPLE].to(there), b[:SAMPLE].to(there)
    x = torch.arange(a.shape[1], device=device) if kind == "embedding" else _ramp(a.shape[1], device)
    return added(x, a, b, kind).sum()


def _ramp(size: int, device: torch.device) -> Tensor:
    """Inputs that are all different and never cancel."""
    return torch.linspace(0.5, 1.5, size, device=device)


def part(ref: TensorRef) -> str:
    return next((part for part in reversed(ref.name.split(".")) if "lora" in part), ref.name)


def _check_shapes(claim: ModuleClaim, a: Tensor, b: Tensor, magnitude: Tensor | None = None) -> None:
    if not a.numel() or not b.numel():
        raise Fault(f"{_shapes(claim, a, b)}: saved from a shard that holds nothing")
    dimensions = (3, 4, 5) if claim.kind == "conv" else (2,)
    if a.dim() != b.dim() or a.dim() not in dimensions:
        raise Fault(f"{_shapes(claim, a, b)}: not the shapes of a {claim.kind} module")
    rows, columns = a.shape[0], b.shape[1]
    if rows % columns if claim.kind == "conv" else rows != columns:
        raise Fault(f"{_shapes(claim, a, b)}: they don't pair up")
    if claim.rank is not None and (rows % claim.rank if claim.kind == "experts" else rows != claim.rank):
        raise Fault(f"{part(claim.a)} has {rows} rows, the declared rank is {number(claim.rank)}", "another rank")
    if magnitude is not None and magnitude.numel() != b.shape[0]:
        raise Fault(f"the magnitude has {magnitude.numel()} entries for {b.shape[0]} channels")


def _shapes(claim: ModuleClaim, a: Tensor, b: Tensor) -> str:
    return f"{part(claim.a)} is {shown(a.shape)}, {part(claim.b)} is {shown(b.shape)}"
