"""Verdicts: whether a measured scale is the declared one, and if not, what most likely went wrong."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from lora_lint.scaling import number

Status = Literal["ok", "warning", "failed", "undecided"]

EPSILON = {"F64": 2.0**-52, "F32": 2.0**-23, "F16": 2.0**-10, "BF16": 2.0**-7}
"""The gap between 1 and the next number of a dtype."""

ROUNDING = math.sqrt(0.375 / math.log(2) / 12)
"""The norm of a weight's rounding error over epsilon times its own, for mantissas spread evenly over an octave."""

OTHER_SCALE = "measured-scale-mismatch"
"""The rule whose findings failures of measured scales are."""

NOT_APPLIED = "not applied"
ANOTHER = "another adapter or another base"
NO_MAGNITUDE = "merged as plain LoRA, without DoRA's magnitude"


class Evidence(NamedTuple):
    """What was measured on one module: scale and residual, and the norms of the change, of `B @ A` and of rounding.

    `before` is the norm of what the base lost when it was quantised, and `entries` its size. `fused` says that the
    weight is part of another one, in an order of rows that is usual and not certain: without an explanation nothing was
    measured. `plain` is how much the update
    would leave if a magnitude were left out.
    """

    scale: float
    residual: float
    change: float
    update: float
    rounding: float
    before: float = 0.0
    entries: int = 0
    fused: bool = False
    plain: float = 1.0

    @property
    def spread(self) -> float:
        """How far the scale may be off because of what it leaves, if that is no part of `B @ A`."""
        return 4 * self.residual * self.change / max(self.update * math.sqrt(max(self.entries, 1)), 1e-300)


class Terms(NamedTuple):
    """What a scale is made of: the rank, the root or not, and ranks and scales of other modules of the adapter."""

    declared: float
    rank: float | None = None
    rslora: bool = False
    ranks: frozenset[float] = frozenset()
    scales: frozenset[float] = frozenset()


class Verdict(NamedTuple):
    """`rule` is the name of the rule whose finding a failure is."""

    status: Status
    message: str = ""
    cause: str = ""
    rule: str = ""


class Fault(Exception):  # noqa: N818 - a finding on the way to its verdict
    """Why a module fails, as the finding of a rule."""

    def __init__(self, message: str, rule: str, cause: str = "broken tensors") -> None:
        super().__init__(message)
        self.verdict = Verdict("failed", message, cause, rule)


class NotMeasuredError(Exception):
    """Why a module can't be compared, which is no finding."""

    @property
    def verdict(self) -> Verdict:
        return Verdict("undecided", str(self))


def unreadable(error: Exception) -> Verdict:
    return Verdict("failed", str(error), "unreadable", "syntax-error")


def judge(terms: Terms, seen: Evidence) -> Verdict:
    """Holds the evidence against the declared scale.

    Below half a unit in the last place an update is mostly rounded away, and the measured scale falls short: by 1.4 %
    where it is 1.7 times the rounding error, by a third where it equals it. The tolerance follows that curve.
    """
    declared = terms.declared
    if not math.isfinite(seen.change) or not math.isfinite(seen.scale):
        return Verdict("failed", "the weights hold values that are not finite", "not finite", OTHER_SCALE)
    noise = seen.rounding / max(abs(declared) * seen.update, abs(seen.scale) * seen.update, 1e-300)
    if noise > 0.5:
        return Verdict(
            "undecided", f"the update is {1 / noise:.2g} times the rounding of the weights, too little to measure"
        )
    if seen.change <= 1.5 * seen.rounding:
        return Verdict("failed", f"{NOT_APPLIED}: the merged weight is the base weight", NOT_APPLIED, OTHER_SCALE)
    if seen.residual > min(0.9, 0.05 + 1.5 * max(noise, seen.rounding / seen.change)):
        return _unexplained(declared, seen)
    tolerance = 0.01 + 0.5 * noise**4
    ratio = seen.scale / declared
    if abs(ratio - 1) <= tolerance:
        return Verdict("ok")
    cause = " or ".join(causes(ratio, terms, max(tolerance, 0.02)))
    explanation = cause or f"{ratio:.3g} times the declared"
    message = f"scale is {number(seen.scale)}, declared {number(declared)}: {explanation}"
    return Verdict("failed", message, cause or "another scale", OTHER_SCALE)


def _unexplained(declared: float, seen: Evidence) -> Verdict:
    """The verdict where `B @ A` is only part of the change."""
    explained = f"B @ A explains {max(0.0, 1 - seen.residual**2):.0%} of the change"
    if seen.before:
        # What quantising took from the base is in the change too. It has nothing to do with the update, so that the
        # scale is still right on average over all entries.
        if seen.spread < 0.05 * abs(declared) and abs(seen.scale - declared) <= 0.01 * abs(declared) + seen.spread:
            return Verdict("ok")
        return Verdict("undecided", f"{explained}: was it merged into the base before that was quantised?")
    if seen.fused:
        return Verdict("undecided", f"not measured: {explained}, the fused weight may have its rows in another order")
    if seen.plain < 0.1:
        return Verdict("failed", f"{NO_MAGNITUDE}: scale * B @ A alone was added", NO_MAGNITUDE, OTHER_SCALE)
    return Verdict("failed", f"{ANOTHER}: {explained}", ANOTHER, OTHER_SCALE)


def causes(ratio: float, terms: Terms, tolerance: float) -> Iterator[str]:
    """The mistakes that multiply the declared scale by `ratio`, the likelier first."""
    table: list[tuple[float, str]] = []
    rank, declared = terms.rank, terms.declared
    if rank is not None and rank > 1:
        root = math.sqrt(rank)
        if terms.rslora:
            table += [(root, "alpha not divided by the root of r"), (1 / root, "root of r missing: alpha divided by r")]
        else:
            table += [(rank, "alpha not divided by r"), (root, "alpha divided by the root of r, not by r")]
            table += [(1 / root, "alpha divided by r and by its root")]
        table += [(1 / rank, "alpha divided by r twice" if not terms.rslora else "alpha divided by r and by its root")]
    table += [
        (2.0, "applied twice"),
        (0.5, "half of it applied: alpha divided by 2r, or r for 2r"),
        (-1.0, "subtracted"),
    ]
    table += [(1 / declared, "added without a scale")]
    table += _of_others(terms)
    if abs(ratio) <= tolerance:
        yield "B @ A left out"
    yield from dict.fromkeys(words for factor, words in table if abs(ratio / factor - 1) <= tolerance)


def _of_others(terms: Terms) -> Iterator[tuple[float, str]]:
    """Ratios that come of a pattern which was not read: the rank, or the whole scale, is that of other modules."""
    by_rank: list[float] = []
    for rank in sorted(terms.ranks - {terms.rank}) if terms.rank else ():
        ratio = (terms.rank or rank) / rank
        by_rank.append(math.sqrt(ratio) if terms.rslora else ratio)
        yield by_rank[-1], f"alpha divided by {number(rank)}, the rank of other modules"
    for scale in sorted(terms.scales - {terms.declared}):
        ratio = scale / terms.declared
        if not any(math.isclose(ratio, known, rel_tol=1e-3) for known in by_rank):
            yield ratio, f"the scale {number(scale)} of other modules"


def likely_cause(judged: Iterable[tuple[Status, str]]) -> str:
    """One clause for a whole checkpoint, from the status and cause of every module, or nothing when all are sound."""
    modules = list(judged)
    worst: Status = "failed" if any(status == "failed" for status, _ in modules) else "warning"
    found = Counter(cause for status, cause in modules if status == worst)
    compared = sum(status != "undecided" for status, _ in modules)
    if not found:
        return ""
    cause, count = found.most_common(1)[0]
    if cause == NOT_APPLIED:
        return (
            f"applied to {compared - count} of {compared} modules only"
            if count < compared
            else "not applied to any module"
        )
    where = "" if count == compared else f" in {count} of {compared} modules"
    others = [f"{other} in {times}" for other, times in found.most_common(3)[1:] if 2 * times >= count]
    return ", ".join((f"{cause}{where}", *others))
