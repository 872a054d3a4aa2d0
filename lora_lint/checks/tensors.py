"""Do the numbers in the tensors add what the config promises? Run by `lora-lint verify`, which reads them."""

import re
from collections.abc import Iterator
from itertools import groupby

from lora_lint.finding import Finding, Severity
from lora_lint.scaling import number
from lora_lint.update import Adapter, Comparison, Factor, Update

FLOAT16_MAX = 65504.0
"""The largest number of IEEE 754 binary16."""


def values_not_finite(adapter: Adapter) -> Iterator[Finding]:
    for update in adapter.updates:
        for factor in update.factors:
            if factor.norm - factor.norm != 0:
                yield _at(factor, f"{factor.part} holds values that are not finite")


def update_all_zero(adapter: Adapter) -> Iterator[Finding]:
    """Nothing was trained, or nothing of it saved; at step 0 there is nothing to save."""
    if all(update.zero for update in adapter.updates):
        for update in adapter.updates:
            assert update.zero is not None
            message = f"adds nothing: {update.zero.part} is all zeros"
            yield _at(update.zero, message, Severity.NOTE if adapter.step == 0 else None)


_EXPERT = re.compile(r"\bexperts\b")


def some_modules_untrained(adapter: Adapter) -> Iterator[Finding]:
    idle = [update for update in adapter.updates if update.zero]
    if len(idle) == len(adapter.updates):
        return
    for update in idle:
        assert update.zero is not None
        # An expert that no token was sent to has nothing to learn from.
        severity = Severity.NOTE if _EXPERT.search(update.module) else None
        others = f"as in {len(idle)} of {len(adapter.updates)} modules"
        yield _at(update.zero, f"adds nothing: {update.zero.part} is all zeros, {others}", severity)


def partial_shard_zeros(adapter: Adapter) -> Iterator[Finding]:
    """One process of n saved its rows of B: the same n everywhere, since a single module may have zeros by chance."""
    shares = {update.b.rows.shards if update.b.rows else 0 for update in adapter.adding}
    if len(adapter.adding) < 2 or len(shares) > 1 or shares <= {0, 1}:
        return
    for update in adapter.adding:
        assert update.b.rows is not None
        start, end, total = update.b.rows
        share = f"one of {update.b.rows.shards} shards"
        yield _at(update.b, f"only rows {start} to {end - 1} of {total} in {update.b.part} aren't zero: {share}")


def magnitude_outlier(adapter: Adapter, *, factor: float = 100.0, modules: int = 8) -> Iterator[Finding]:
    if len(adapter.adding) < modules:
        return
    usual = _middle([update.bound for update in adapter.adding])
    if not any(update.bound > factor * usual for update in adapter.adding):
        return
    norms = {update.module: found.norm for update in adapter.adding if (found := update.spectrum) is not None}
    usual = _middle(list(norms.values())) if norms else 0.0
    for update in adapter.adding:
        norm = norms.get(update.module, 0.0)
        if usual and norm > factor * usual:
            times = f"{number(round(norm / usual))} times"
            yield _at(update.b, f"the norm of B @ A is {norm:.3g}, {times} the median of {len(norms)} modules")


def rank_unused(adapter: Adapter) -> Iterator[Finding]:
    for update in adapter.adding:
        if update.unused:
            yield _at(update.b, f"{len(update.unused)} of {update.rank} ranks are all zeros in A or B and add nothing")


def effective_rank_low(adapter: Adapter, *, share: float = 0.125) -> Iterator[Finding]:
    for update in adapter.adding:
        if update.with_spectrum and update.spectrum is not None and update.spectrum.effective < share * update.rank:
            yield _at(update.b, f"the effective rank is {update.spectrum.effective:.1f} of {update.rank}")


def update_overflows_half(adapter: Adapter) -> Iterator[Finding]:
    """Asked of single entries only where the bound on all of them is too large."""
    for update in adapter.adding:
        if _overflows(update):
            scale = abs(update.scale or 0.0)
            ends = f"float16 ends at {number(FLOAT16_MAX)}"
            yield _at(update.b, f"the largest entry of {number(scale)} * B @ A is {scale * update.largest:.3g}, {ends}")


def _overflows(update: Update) -> bool:
    scale = abs(update.scale or 0.0)
    return scale * update.bound > FLOAT16_MAX and scale * update.largest > FLOAT16_MAX


def values_too_large(adapter: Adapter, *, largest: float = 1e4) -> Iterator[Finding]:
    """Asked of single entries only where a norm is as large; a half that makes up for the other is no fault."""
    for update in adapter.adding:
        if update.bound <= largest or _overflows(update):
            continue
        for factor in (update.a, update.b):
            if factor.norm > largest and (peak := update.peak_of(factor)) > largest:
                yield _at(factor, f"{factor.part} holds {peak:.3g}, where sound adapters stay below {number(largest)}")


def modules_identical(adapter: Adapter) -> Iterator[Finding]:
    """Both factors the same to the bit; A alone may be shared by design."""

    def key(update: Update) -> tuple[object, ...]:
        return (update.a.shape, update.b.shape, update.a.norm, update.b.norm)

    for _, alike in groupby(sorted(adapter.adding, key=key), key):
        first, *others = alike
        for other in others:
            if first.equals(other):
                yield _at(other.b, f"A and B are those of {first.module}, to the bit")


def measured_scale_mismatch(comparison: Comparison) -> Iterator[Finding]:
    return _spoken_by("measured-scale-mismatch", comparison)


def merged_shape_differs(comparison: Comparison) -> Iterator[Finding]:
    return _spoken_by("merged-shape-differs", comparison)


def scale_not_expected(comparison: Comparison) -> Iterator[Finding]:
    return _spoken_by("scale-not-expected", comparison)


def _spoken_by(rule: str, comparison: Comparison) -> Iterator[Finding]:
    if comparison.rule == rule:
        yield Finding(comparison.fault, tensor=comparison.tensor, file=comparison.file)


def _middle(values: list[float]) -> float:
    """The upper median; `statistics` would take longer to import than all rules to run."""
    return sorted(values)[len(values) // 2]


def _at(factor: Factor, message: str, severity: Severity | None = None) -> Finding:
    return Finding(message, tensor=factor.name, file=factor.file, severity=severity)
