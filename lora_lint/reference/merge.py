"""A base model and what it was merged into: the scale of every update between the two."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from lora_lint.reference.adapter import ModuleClaim, is_of_inputs, tensors_of
from lora_lint.reference.blocks import Passed, nobody
from lora_lint.reference.merged import Moments, Pair, best_moments, layouts, shown, stretched_moments
from lora_lint.reference.named import Place
from lora_lint.reference.places import comparable, is_tied, place
from lora_lint.reference.sampled import Look, neighbours
from lora_lint.reference.stored import Rows
from lora_lint.reference.stream import TensorFiles
from lora_lint.reference.threads import aside, numbers
from lora_lint.reference.verdict import EPSILON, ROUNDING, Evidence, Fault, NotMeasuredError, Terms, judge
from lora_lint.reference.weights import Weights, core


class Merge:
    """The claims of an adapter, those of others that were merged too, and the weights before and after."""

    def __init__(
        self,
        claims: Sequence[ModuleClaim],
        also: Sequence[ModuleClaim],
        base: Weights,
        merged: Weights,
        told: Passed = nobody,
    ) -> None:
        self._claims = claims
        self._also = also
        self._base = base
        self._merged = merged
        self._files = TensorFiles()
        self._told = told

    @cached_property
    def _heights(self) -> dict[str, int]:
        """Outputs of B by module, for where several modules are in one weight."""
        found = {}
        for claim in self._claims:
            file = self._files.open(claim.b.file)
            if claim.b.name in file.names:
                found[claim.module] = tensors_of(claim, self._files)[1].shape[0]
        return found

    def terms(self, claim: ModuleClaim) -> Terms | None:
        """What the declared scale of a claim is made of, and what it could be taken for; None where it isn't known."""
        if claim.declared is None:
            return None
        return Terms(claim.declared, claim.rank, claim.rslora, *self._of_all)

    @cached_property
    def _of_all(self) -> tuple[frozenset[float], frozenset[float]]:
        """The ranks and the scales of all modules of the adapter."""
        return (
            frozenset(one.rank for one in self._claims if one.rank is not None),
            frozenset(one.declared for one in self._claims if one.declared is not None),
        )

    def evidence(self, claim: ModuleClaim, device: torch.device) -> Evidence:
        """The scale that lies between the two weights of a claim's module.

        Raises:
            Fault: when they don't fit each other.
            NotMeasuredError: when they can't be compared.
            UnreadableError: when they can't be read.
        """
        claim = self._chosen(claim)
        base = self._place(claim, "base")
        merged = self._place(claim, "merged")
        comparable(base, merged)
        pair, *magnitude = self._tensors(claim, device)
        if claim.kind == "conv" and pair.b.shape[1] != pair.a.shape[0]:
            raise NotMeasuredError("the update of a grouped convolution can't be merged")
        if claim.core is not None:
            raise NotMeasuredError("not measured: a core lies between A and B")
        if claim.kind == "fused":
            raise NotMeasuredError("not measured: the file doesn't tell which outputs are those of each A")
        if magnitude and is_of_inputs(claim, pair.a, magnitude[0]):
            raise NotMeasuredError("not measured: the magnitude is that of the inputs")
        others = [self._tensors(other, device)[0] for other in self._others(claim, merged)]
        if magnitude and others:
            raise NotMeasuredError("under DoRA updates of several adapters can't be told apart")
        terms = self.terms(claim)
        quick = device.type == "cpu" and not magnitude and not others and claim.kind == "linear"
        if terms is not None and quick and not (base.quantised or merged.quantised):
            seen = self._sampled(terms, pair, base, merged)
            if seen is not None:
                return seen
        try:
            with aside() if device.type == "cpu" else nullcontext():
                seen = (
                    self._stretched(pair, magnitude[0], base.rows, merged.rows)
                    if magnitude
                    else self._straight(pair, others, base.rows, merged.rows)
                )
        except ValueError as error:
            raise Fault(str(error), "base-shape-mismatch", "another shape") from error
        return _with_errors(seen, base, merged, under_dora=bool(magnitude))

    def _place(self, claim: ModuleClaim, role: str) -> Place:
        weights = self._base if role == "base" else self._merged
        return place(claim, weights, role, self._heights, self._base.config or self._merged.config)

    def _chosen(self, claim: ModuleClaim) -> ModuleClaim:
        """The claim with the parameter that is adapted; of several only one may have the shape of the update.

        Raises:
            NotMeasuredError: when none or more of them have.
        """
        if len(claim.choices) < 2:
            return replace(claim, parameter=claim.choices[0]) if claim.choices else claim
        a, b, *_ = tensors_of(claim, self._files)
        fitting = []
        for name in claim.choices:
            chosen = replace(claim, parameter=name)
            if sorted(self._place(chosen, "base").rows.shape[1:]) == sorted((b.shape[0], a.shape[1])):
                fitting.append(chosen)
        if len(fitting) != 1:
            names = " and ".join(claim.choices)
            raise NotMeasuredError(f"not measured: shapes don't tell which of {names} this is")
        return fitting[0]

    def _tensors(self, claim: ModuleClaim, device: torch.device) -> "tuple[Pair, *tuple[Tensor, ...]]":
        a, b, *magnitude = (tensor.to(device) for tensor in tensors_of(claim, self._files))
        return (Pair(a, b, claim.kind), *magnitude)

    def _others(self, claim: ModuleClaim, merged: Place) -> list[ModuleClaim]:
        """What else was merged into the same weight: by other adapters, or by this one where embeddings are tied."""
        found = [other for other in self._also if core(other.module) == core(claim.module)]
        if is_tied(claim.module):
            found += (other for other in self._tied if other is not claim and self._name(other) == merged.name)
        return found

    @cached_property
    def _tied(self) -> list[ModuleClaim]:
        return [claim for claim in self._claims if is_tied(claim.module)]

    def _name(self, claim: ModuleClaim) -> str:
        """Under which name the merged weights hold the weight of a claim, empty where they don't."""
        try:
            return self._place(claim, "merged").name
        except NotMeasuredError:
            return ""

    def size(self, claim: ModuleClaim) -> int:
        """Bytes that there are to read of a claim's two weights, as far as their names tell."""
        refs = [(weights.files, weights.find(claim.module, claim.parameter)) for weights in (self._base, self._merged)]
        return sum(files.size(ref) for files, ref in refs if ref is not None)

    def _passed(self, size: int) -> None:
        """Of both weights together."""
        for weights in (self._base, self._merged):
            weights.files.passed(size // 2)
        self._told(size)

    def _sampled(self, terms: Terms, pair: Pair, base: Place, merged: Place) -> Evidence | None:
        """What a quick look shows, if that is all as declared; whatever it may be otherwise is measured in full."""
        together = neighbours(base.rows, merged.rows)
        for factors in layouts(pair, base.rows.shape) if together else ():
            look = Look(base.rows, merged.rows, factors, together)
            if not _as_declared(terms, look.foreseen(terms.declared), base, merged):
                continue
            seen = _as_declared(terms, look.at_rows(), base, merged)
            if seen is None:
                continue
            return seen if _as_declared(terms, look.at_sums(self._passed), base, merged) else None
        return None

    def _straight(self, pair: Pair, others: Sequence[Pair], base: Rows, merged: Rows) -> Evidence:
        sums = best_moments(base, merged, pair, self._passed, others)
        return _evidence(sums)

    def _stretched(self, pair: Pair, magnitude: Tensor, base: Rows, merged: Rows) -> Evidence:
        """Under DoRA: the weight is replayed from base, scale and magnitude, and the residual is what that leaves."""
        fits = [
            numbers(stretched_moments(base, merged, factors, self._passed).fit(magnitude))
            for factors in layouts(pair, base.shape)
        ]
        if not fits:
            raise ValueError(f"base weight is {shown(base.shape)}, which B @ A doesn't fit")
        scale, residual, dd, vv, ww = min(fits, key=lambda fit: fit[1])
        plain = self._straight(pair, (), base, merged).residual if residual > 0.05 else 1.0
        return Evidence(
            scale, residual, math.sqrt(dd), math.sqrt(vv), math.sqrt(ww), entries=base.shape.numel(), plain=plain
        )


def _as_declared(terms: Terms, found: Moments, base: Place, merged: Place) -> Evidence | None:
    """The evidence of a sound merge, None where it is that of another."""
    seen = _with_errors(_evidence(found), base, merged, under_dora=False)
    return seen if judge(terms, seen).status == "ok" else None


def _evidence(sums: Moments) -> Evidence:
    return Evidence(
        *sums.measurement(), math.sqrt(max(sums.dd, 0.0)), math.sqrt(sums.vv), math.sqrt(sums.ww), entries=sums.n
    )


def _with_errors(seen: Evidence, base: Place, merged: Place, *, under_dora: bool) -> Evidence:
    """The evidence, whose `rounding` has been the norm of the weight so far, with the norms of its errors.

    A quantised base is turned into bfloat16 or finer before anything is added, and the sum is rounded once more. DoRA
    rounds the base, the update and their norm.
    """
    size = seen.rounding
    exact = ROUNDING * EPSILON["BF16"] if base.quantised and not merged.quantised else base.error
    rounding = max(merged.error, exact if not (base.quantised and merged.quantised) else 0.0)
    return seen._replace(
        rounding=(2 if under_dora else 1) * rounding * size,
        before=base.error * size if base.quantised else 0.0,
        fused=base.fused or merged.fused,
    )
