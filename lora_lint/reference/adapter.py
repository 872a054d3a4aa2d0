"""An adapter alone: do its tensors have the declared rank, pair up, and give a finite output?"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lora_lint.modules import ROWS, Axes
from lora_lint.reference.layer import Geometry, Kind, added
from lora_lint.reference.layout import laid_out
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
    or None where the config doesn't settle it. `axes` say where the rank lies in A and in B, as their writer has them.
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
    axes: Axes = ROWS
    choices: tuple[str, ...] = ()
    """The parameters that are adapted of a module, where the file doesn't tell which of them this is."""
    core: TensorRef | None = None
    """What lies between A and B in LyCORIS' Tucker form."""

    @property
    def refs(self) -> tuple[TensorRef, ...]:
        return (self.a, self.b) if self.magnitude is None else (self.a, self.b, self.magnitude)


def tensors_of(claim: ModuleClaim, files: TensorFiles) -> list[Tensor]:
    """A and B of a claim as PEFT lays them out, and the magnitude where there is one.

    Raises:
        UnreadableError: when they can't be read.
    """
    a, b, *magnitude = (files.tensor(ref) for ref in claim.refs)
    return [*laid_out(a, b, claim.axes), *magnitude]


def check(claim: ModuleClaim, files: TensorFiles) -> list[Tensor]:
    """The tensors of a claim, A and B as PEFT lays them out, once their dtypes and shapes were found sound.

    Raises:
        Fault: when they aren't.
        UnreadableError: when they can't be read.
    """
    if claim.declared is not None and (claim.declared == 0 or not math.isfinite(claim.declared)):
        raise Fault(f"the scale is {number(claim.declared)}", "alpha-missing-or-invalid", "no scale")
    tensors = tensors_of(claim, files)
    for ref, tensor in zip(claim.refs, tensors, strict=True):
        if not tensor.is_floating_point():
            dtype = files.holding(ref).dtype(ref.name)
            raise Fault(f"{part(ref)} holds {dtype}, not floating point numbers", "mixed-dtypes")
    _check_shapes(claim, files, *tensors)
    return tensors


def is_of_inputs(claim: ModuleClaim, a: Tensor, magnitude: Tensor) -> bool:
    """Whether a magnitude is that of the inputs, (1, in, ...), as LyCORIS has it without `wd_on_out`:
    lycoris/modules/locon.py:120-129 at f49d30d6."""
    named = claim.magnitude is not None and claim.magnitude.name.endswith(".dora_scale")
    return named and magnitude.dim() > 1 and magnitude.shape[0] == 1 and magnitude.numel() == a.shape[1]


def sample_forward(a: Tensor, b: Tensor, kind: Kind, device: torch.device) -> Tensor:
    """The sum of some outputs of the update for some inputs, in float32 on `device`."""
    there = torch.zeros((), device=device)
    if kind == "fused":  # the first of several, which is enough to see whether the output is finite
        a = a[: b.shape[1]]
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


def _check_shapes(
    claim: ModuleClaim, files: TensorFiles, a: Tensor, b: Tensor, magnitude: Tensor | None = None
) -> None:
    if not a.numel() or not b.numel():
        raise Fault(f"{_shapes(claim, files)}: saved from a shard that holds nothing", "empty-tensors")
    dimensions = (3, 4, 5) if claim.kind == "conv" else (2,)
    if a.dim() != b.dim() or a.dim() not in dimensions:
        raise Fault(f"{_shapes(claim, files)}: not the shapes of a {claim.kind} module", "a-differs-from-b")
    rows, columns = a.shape[0], b.shape[1]
    if rows % columns if claim.kind in ("conv", "fused") else rows != columns:
        raise Fault(f"{_shapes(claim, files)}: they don't pair up", "a-differs-from-b")
    rank = columns if claim.kind == "fused" else rows
    if claim.rank is not None and (rank % claim.rank if claim.kind == "experts" else rank != claim.rank):
        own = (
            f"{part(claim.a)} has {rank} rows" if claim.axes == ROWS else f"{_shapes(claim, files)}: the rank is {rank}"
        )
        raise Fault(f"{own}, the declared rank is {number(claim.rank)}", "rank-differs-from-tensors", "another rank")
    if magnitude is not None and magnitude.numel() != b.shape[0] and not is_of_inputs(claim, a, magnitude):
        entries = f"the magnitude has {magnitude.numel()} entries for {b.shape[0]} channels"
        raise Fault(entries, "a-differs-from-b")


def _shapes(claim: ModuleClaim, files: TensorFiles) -> str:
    """As they lie in their files."""
    a, b = (files.tensor(ref) for ref in (claim.a, claim.b))
    return f"{part(claim.a)} is {shown(a.shape)}, {part(claim.b)} is {shown(b.shape)}"
