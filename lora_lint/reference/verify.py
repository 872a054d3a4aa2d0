"""Checkpoints held against their config: an adapter alone, or a merged model against its base."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lora_lint.document import UnreadableError
from lora_lint.reference.adapter import FiniteValues, ModuleClaim, check
from lora_lint.reference.layer import Kind
from lora_lint.reference.merged import Passed, best_moments, layouts, shown, stretched_moments
from lora_lint.reference.stream import TensorFiles
from lora_lint.reference.verdict import EPSILON, ROUNDING, Evidence, Fault, Status, Verdict, judge
from lora_lint.reference.weights import Weights

UNSETTLED = Verdict("undecided", "the config doesn't settle the scale")


@dataclass(frozen=True, slots=True)
class ModuleVerdict:
    """What was found of one module; `cause` is the short name of a fault, for counting."""

    module: str
    rank: float | None
    declared: float | None
    measured: float | None
    residual: float | None
    status: Status
    message: str = ""
    cause: str = ""


def verify(
    claims: Iterable[ModuleClaim],
    *,
    device: torch.device | None = None,
    base: Weights | None = None,
    merged: Weights | None = None,
) -> Iterator[ModuleVerdict]:
    """One verdict for each claim, in their order.

    Without `base` and `merged` the adapter is checked alone: its rank, shapes and values, and a forward pass. With
    both, the scale that was really merged is measured as well, in row blocks on `device`.

    Raises:
        ValueError: when only one of base and merged is given.
    """
    if (base is None) != (merged is None):
        raise ValueError("base and merged weights are compared with each other: both are needed")
    return _verdicts(list(claims), device or torch.device("cpu"), base, merged)


def _verdicts(
    claims: list[ModuleClaim], device: torch.device, base: Weights | None, merged: Weights | None
) -> Iterator[ModuleVerdict]:
    files = TensorFiles()
    finite = FiniteValues.of(files, (ref for claim in claims for ref in claim.refs))
    for claim in claims:
        seen: Evidence | None = None
        try:
            tensors = check(claim, files, finite, device)
            if base is not None and merged is not None:
                seen = _compare(claim, [tensor.to(device) for tensor in tensors], base, merged)
            found = _judged(claim, seen)
        except Fault as fault:
            found = fault.verdict
        except UnreadableError as error:
            found = Verdict("failed", str(error), "unreadable")
        measured, residual = (seen.scale, seen.residual) if seen else (None, None)
        yield ModuleVerdict(claim.module, claim.rank, claim.declared, measured, residual, *found)


def _judged(claim: ModuleClaim, seen: Evidence | None) -> Verdict:
    if claim.declared is None:
        return UNSETTLED
    return judge(claim.declared, claim.rank, claim.rslora, seen) if seen else Verdict("ok")


def _compare(claim: ModuleClaim, tensors: list[Tensor], base: Weights, merged: Weights) -> Evidence:
    """Measures the scale between two weights; what can't be compared is undecided."""
    w, w_dtype = _weight(claim, base, "base")
    m, m_dtype = _weight(claim, merged, "merged")
    if w.shape != m.shape:
        raise Fault(f"base weight is {shown(w.shape)}, merged weight is {shown(m.shape)}", "another shape")
    if claim.kind == "conv" and tensors[1].shape[1] != tensors[0].shape[0]:
        raise Fault("the update of a grouped convolution can't be merged", undecided=True)

    def passed(size: int) -> None:
        base.files.passed(size)
        merged.files.passed(size)

    try:
        return evidence(tensors, claim.kind, w, m, max(EPSILON[w_dtype], EPSILON[m_dtype]), passed)
    except ValueError as error:
        raise Fault(str(error), "another shape") from error


def _weight(claim: ModuleClaim, weights: Weights, role: str) -> tuple[Tensor, str]:
    ref = weights.find(claim.module, claim.parameter)
    if ref is None:
        raise Fault(f"the {role} weights hold no {claim.module}.{claim.parameter}", undecided=True)
    dtype = weights.files.holding(ref).dtype(ref.name)
    if dtype not in EPSILON:
        raise Fault(f"the {role} weight is stored as {dtype}, which is quantised", undecided=True)
    return weights.files.tensor(ref), dtype


def evidence(
    tensors: list[Tensor], kind: Kind, base: Tensor, merged: Tensor, epsilon: float, passed: Passed
) -> Evidence:
    """The scale between two weights, blurred by rounding at `epsilon`; `tensors` are A, B and maybe a magnitude.

    Raises:
        ValueError: when the shapes don't fit.
    """
    a, b, *magnitude = tensors
    rounding = ROUNDING * epsilon
    if not magnitude:
        sums = best_moments(base, merged, a, b, kind, passed)
        return Evidence(*sums.measurement(), math.sqrt(sums.dd), math.sqrt(sums.vv), rounding * math.sqrt(sums.ww))
    fits = [
        stretched_moments(base.flatten(1), merged.flatten(1), factors, passed).fit(magnitude[0]).tolist()
        for factors in layouts(a, b, base.shape, kind)
    ]
    if not fits:
        raise ValueError(f"base weight is {shown(base.shape)}, which B @ A doesn't fit")
    scale, residual, dd, vv, ww = min(fits, key=lambda fit: fit[1])
    # DoRA rounds the base, the update and their norm.
    return Evidence(scale, residual, math.sqrt(dd), math.sqrt(vv), 2 * rounding * math.sqrt(ww))
