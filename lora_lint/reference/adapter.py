"""An adapter alone: do its tensors have the declared rank, pair up, and hold finite values that add something?"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter

import torch
from torch import Tensor

from lora_lint.document import UnreadableError
from lora_lint.reference.layer import Geometry, Kind, added
from lora_lint.reference.merged import shown
from lora_lint.reference.stream import DTYPES, MappedFile, TensorFiles, TensorRef
from lora_lint.reference.verdict import Fault
from lora_lint.scaling import number

SAMPLE = 64
"""Input and output coordinates that the forward pass takes: the sums have seen every byte already."""

RUN = 256 * 2**20
"""Bytes that one sum takes. Every sum ends with the threads waiting for each other, which costs where cores are shared:
against one sum over a whole 1 GB map, runs of 512, 256 and 64 MiB reached 75, 70 and 57 % then, and 75 to 82 % else."""

_CHUNK = 2**22


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


@dataclass(slots=True)
class _Run:
    """Neighbours in one file, alike in dtype."""

    file: MappedFile
    dtype: str
    start: int
    end: int
    finite: bool | None = None


@dataclass(eq=False)
class FiniteValues:
    """Which tensors are finite, from sums over runs of neighbours: one long sum is faster than many short ones.

    A sum runs at the speed of the memory, four times as fast as `isfinite`, and isn't finite with a NaN or an infinity
    in it. It can overflow too, so only a sum that isn't finite makes anybody look at single values.
    """

    files: TensorFiles
    _runs: dict[TensorRef, _Run] = field(default_factory=dict)

    @classmethod
    def of(cls, files: TensorFiles, refs: Iterable[TensorRef]) -> "FiniteValues":
        return cls(files, dict(_runs(files, refs)))

    def __contains__(self, ref: TensorRef) -> bool:
        run = self._runs.get(ref)
        if run is None:
            return _all_finite(self.files.tensor(ref))
        if run.finite is None:
            # The pages of the run before go only now: its modules have been looked at since.
            self.files.passed(run.end - run.start)
            run.finite = math.isfinite(_sum(run.file.span(run.dtype, run.start, run.end)))
        return run.finite or _all_finite(self.files.tensor(ref))


def _runs(files: TensorFiles, refs: Iterable[TensorRef]) -> Iterator[tuple[TensorRef, _Run]]:
    run: _Run | None = None
    places = ((ref.file, file.header.tensors[ref.name].start, ref, file) for file, ref in _mapped(files, refs))
    for _, start, ref, file in sorted(places, key=itemgetter(0, 1)):
        dtype, _, _, end = file.header.tensors[ref.name]
        follows = run is not None and (run.file, run.dtype, run.end) == (file, dtype, start)
        if run is None or not follows or end - run.start > RUN:
            run = _Run(file, dtype, start, end)
        run.end = end
        yield ref, run


def _mapped(files: TensorFiles, refs: Iterable[TensorRef]) -> Iterator[tuple[MappedFile, TensorRef]]:
    for ref in set(refs):
        try:
            file = files.holding(ref)
        except UnreadableError:
            continue  # said again, with its module, when that module's turn comes
        if isinstance(file, MappedFile) and DTYPES.get(file.dtype(ref.name), torch.bool).is_floating_point:
            yield file, ref


def _sum(values: Tensor) -> float:
    if values.itemsize == 1:
        return sum(chunk.float().sum().item() for chunk in torch.split(values, _CHUNK))
    return values.sum(dtype=torch.float32 if values.dtype == torch.float16 else None).item()


def _all_finite(tensor: Tensor) -> bool:
    if math.isfinite(_sum(tensor.flatten())):
        return True
    return all(torch.isfinite(chunk.float()).all().item() for chunk in torch.split(tensor.flatten(), _CHUNK))


def _all_zero(tensor: Tensor) -> bool:
    return not any(chunk.float().any().item() for chunk in torch.split(tensor.flatten(), _CHUNK))


def check(claim: ModuleClaim, files: TensorFiles, finite: FiniteValues, device: torch.device) -> list[Tensor]:
    """The tensors of a claim, as they lie in their files, once they were found sound.

    Raises:
        Fault: when they aren't.
        UnreadableError: when they can't be read.
    """
    if claim.declared is not None and (claim.declared == 0 or not math.isfinite(claim.declared)):
        raise Fault(f"the scale is {number(claim.declared)}", "no scale")
    tensors = [files.tensor(ref) for ref in claim.refs]
    for ref, tensor in zip(claim.refs, tensors, strict=True):
        if not tensor.is_floating_point():
            raise Fault(f"{_part(ref)} holds {files.holding(ref).dtype(ref.name)}, not floating point numbers")
    _check_shapes(claim, *tensors)
    for ref in claim.refs:
        if ref not in finite:
            raise Fault(f"{_part(ref)} holds values that are not finite", "not finite")
    output = sample_forward(tensors[0], tensors[1], claim.kind, device).item()
    if output == 0:
        for ref, tensor in zip(claim.refs, tensors, strict=True):
            if _all_zero(tensor):
                raise Fault(f"adds nothing: {_part(ref)} is all zeros", "adds nothing")
    if not math.isfinite(output):
        raise Fault("the output is not finite, though A and B are", "not finite")
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


def _part(ref: TensorRef) -> str:
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
        raise Fault(f"{_part(claim.a)} has {rows} rows, the declared rank is {number(claim.rank)}", "another rank")
    if magnitude is not None and magnitude.numel() != b.shape[0]:
        raise Fault(f"the magnitude has {magnitude.numel()} entries for {b.shape[0]} channels")


def _shapes(claim: ModuleClaim, a: Tensor, b: Tensor) -> str:
    return f"{_part(claim.a)} is {shown(a.shape)}, {_part(claim.b)} is {shown(b.shape)}"
