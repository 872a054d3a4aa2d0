"""The scale that a layer really applies: what it adds, regressed on `B A x`."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lora_lint.reference.chosen import only, refuse
from lora_lint.reference.device import widest
from lora_lint.reference.kept import kept, same_noise
from lora_lint.reference.layer import Kind
from lora_lint.reference.precision import full_precision
from lora_lint.reference.probing import (
    LEAST_SCALE,
    SIGMAS,
    TOLERANCES,
    arguments_for,
    coarsest_dtype,
    inputs_for,
    rounding,
    too_little,
)
from lora_lint.reference.replaced import Replaced, replaced, weights_and_factors
from lora_lint.reference.update import Update, Values, unwrapped, updates
from lora_lint.scaling import number


class Measurement(NamedTuple):
    """The scale, and the part of the change that no single scale explains: 0 is all explained, 1 is nothing."""

    scale: float
    residual: float


def measure_scale(
    layer: nn.Module,
    inputs: Tensor | None = None,
    *,
    adapter: str | None = None,
    probe: bool = False,
    arguments: Mapping[str, object] | None = None,
) -> Measurement:
    """The multiplier that `layer` puts on `B A x`.

    Works for any module that holds A and B under a usual name (PEFT, diffusers, loralib, torchtune, kohya, AdaLoRA,
    KaSA, BD-LoRA, `ReferenceLoRA`) or the factors of LoHa and LoKr. What it adds is its output less its output with B
    at zero, so nothing is asked of how it computes; where it runs with another weight instead (PEFT's attention, whose
    input projection is measured, and target_parameters), the weights are compared. Under DoRA, where the base output
    changes too, `base_layer` is asked for it.

    Args:
        layer: one layer. It evaluates meanwhile, without gradients; parameters, mode, gradients and the state of the
            random generators are as before afterwards. The caller's autocast and the layer's hooks hold.
        inputs: (..., in), (batch, in, *size) or, for an embedding, integers of any shape; random by default.
        adapter: which one, where more than one is active.
        probe: put random factors in for the time being, as an adapter that isn't trained has a B of zeros.
        arguments: what the forward pass takes besides, such as `alora_offsets`; an aLoRA works on all tokens if not
            told otherwise.

    Raises:
        ValueError: when no pair is found, more than one is active, the adapter is merged, disabled or not active, its
            tensors are on the meta device, `B A x` is zero, something isn't finite, or no single scale exists.
    """
    return measured(layer, inputs, adapter=adapter, probe=probe, arguments=arguments)[0]


def assert_scale(
    layer: nn.Module,
    expected: float,
    inputs: Tensor | None = None,
    *,
    tolerance: float | None = None,
    adapter: str | None = None,
    probe: bool = False,
    arguments: Mapping[str, object] | None = None,
) -> None:
    """For test suites: that `layer` adds `expected * B A x`, to the precision of its dtype or to `tolerance`, relative.

    The other arguments are those of `measure_scale`.

    Raises:
        AssertionError: when it adds another multiple, or something else altogether.
        ValueError: when nothing can be measured.
    """
    measurement, dtype = measured(layer, inputs, adapter=adapter, probe=probe, arguments=arguments)
    if fault := difference(measurement, expected, dtype, tolerance):
        raise AssertionError(fault)


def difference(measurement: Measurement, expected: float, dtype: torch.dtype, tolerance: float | None = None) -> str:
    """What is wrong with a measurement in a dtype, or an empty string."""
    scale, residual = measurement
    usual, largest_residual = TOLERANCES.get(dtype, TOLERANCES[torch.float32])
    if not abs(scale - expected) <= (usual if tolerance is None else tolerance) * max(abs(expected), 1e-9):
        return f"scale is {number(scale)}, expected {number(expected)}"
    if not residual <= largest_residual:
        return f"scale is {number(scale)}, but it leaves {residual:.1%} of what the layer adds unexplained"
    return ""


def measured(
    layer: nn.Module,
    inputs: Tensor | None = None,
    *,
    adapter: str | None = None,
    probe: bool = False,
    arguments: Mapping[str, object] | None = None,
) -> tuple[Measurement, torch.dtype]:
    """The measurement, and the coarsest dtype that had a part in it."""
    if getattr(layer, "merged", False) is True:
        raise ValueError("the adapter is merged into the base weight: unmerge it before measuring")
    with kept(layer), torch.no_grad(), full_precision():
        update = only(layer, adapter)
        refuse(layer, update, arguments or {})
        values = update.random() if probe else update.factors
        where = replaced(layer)
        if where is not None:
            return weight_scale(where, update, values), where.read().dtype
        x = inputs_for(layer, update) if inputs is None else inputs
        besides = arguments_for(layer, update, x, arguments or {})
        scale, residual, size, output, count = fit(layer, x, update, values=values, arguments=besides).tolist()
        coarsest = coarsest_dtype(layer, x)
    if size == 0:
        raise ValueError(NOTHING_ADDED)
    if not all(map(math.isfinite, (scale, residual, size))):
        raise ValueError(f"{type(layer).__name__} gives values that aren't finite, so no scale can be measured")
    error = rounding(coarsest) * output / size / count**0.5
    if SIGMAS * error > TOLERANCES[coarsest][0] * max(abs(scale), LEAST_SCALE):
        raise ValueError(too_little(size / output, coarsest))
    return Measurement(scale, residual), coarsest


NOTHING_ADDED = (
    "B A x is zero, so no scale can be measured: A or B is still at its initial zeros; probe=True puts random ones in"
)


def weight_scale(where: Replaced, update: Update, values: Values, prefix: str = "") -> Measurement:
    """
    Raises:
        ValueError: when a factor is zero.
    """
    from lora_lint.reference.merged import merged_scale

    if not all(factor.any() for factor in values.values()):
        raise ValueError(NOTHING_ADDED)
    without, with_it, a, b = weights_and_factors(where, update, values, prefix)
    measurement = merged_scale(without, with_it, a, b, kind=where.kind)
    dtype = with_it.dtype if with_it.dtype in TOLERANCES else torch.float32
    working = torch.promote_types(dtype, torch.float32)
    before = without.to(working)
    weight, change = (float(torch.linalg.vector_norm(one)) for one in (before, with_it.to(working) - before))
    if rounding(dtype) * weight > TOLERANCES[dtype][1] * change > 0:
        raise ValueError(too_little(change / weight, dtype))
    return measurement


def fit(
    layer: nn.Module,
    x: Tensor,
    update: Update,
    *,
    values: Values | None = None,
    arguments: Mapping[str, object] | None = None,
) -> Tensor:
    """Scale, residual, the sizes of `B A x` and of the output, and how many numbers that is, on the layer's device."""
    given = update.put(values) if values is not None and values is not update.factors else {}
    kind, product = update.kind, _by_channel(update.added(x, values), update.kind)
    if update.magnitude:
        others = _others(layer, update)
        output = _output(layer, given | others, x, arguments)
        base_layer: Callable[[Tensor], Tensor] | None = getattr(unwrapped(layer), "base_layer", None)
        if base_layer is None:
            raise ValueError(f"{type(layer).__name__} has a magnitude, but no base_layer to ask for the base output")
        base = base_layer(x)
        zero_point = base_layer(torch.zeros_like(x)) if x.is_floating_point() else torch.zeros_like(base)
        frozen = _by_channel(base, kind) - _by_channel(zero_point, kind)
        fitted = _fit_with_stretch(_by_channel(output, kind) - _by_channel(base, kind), product, frozen)
        return _with_sizes(fitted, output)
    output = _output(layer, given, x, arguments)
    without = _output(layer, given | update.without(), x, arguments)
    return _with_sizes(_fit(_by_channel(output, kind) - _by_channel(without, kind), product), output)


def _with_sizes(fitted: Tensor, output: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(output.to(fitted.dtype))
    return torch.cat((fitted, torch.stack((norm, torch.full_like(norm, output.numel())))))


def _output(layer: nn.Module, tensors: dict[str, Tensor], x: Tensor, arguments: Mapping[str, object] | None) -> Tensor:
    with same_noise(x.device):
        output: object = functional_call(layer, tensors, (x,), dict(arguments or {}))
    if not isinstance(output, Tensor):
        raise ValueError(f"{type(layer).__name__} gives a {type(output).__name__}, not a tensor")  # noqa: TRY004 - documented as one error
    return output


def _others(layer: nn.Module, update: Update) -> dict[str, Tensor]:
    """The other active adapters' factors at zero: DoRA stretches what they add, too."""
    return {
        name: tensor
        for other in updates(layer).values()
        if other.adapter != update.adapter
        for name, tensor in other.without().items()
    }


def _fit(change: Tensor, update: Tensor) -> Tensor:
    scale = (change * update).sum() / update.square().sum()
    return _summary(scale, change - scale * update, change, update)


def _fit_with_stretch(change: Tensor, update: Tensor, base: Tensor) -> Tensor:
    """The one s in `base + change = g * (base + s * update)`, where every channel, a row, has a g of its own."""
    per_channel = [
        (x * y).sum(1) for x, y in ((change, update), (change, base), (update, update), (update, base), (base, base))
    ]
    scale = stretched_scale(*per_channel)
    direction = base + scale * update
    total = base + change
    stretch = (total * direction).sum(1, keepdim=True) / direction.square().sum(1, keepdim=True)
    return _summary(scale, total - stretch * direction, change, update)


def stretched_scale(dv: Tensor, dw: Tensor, vv: Tensor, vw: Tensor, ww: Tensor) -> Tensor:
    """The s in `w + d = g * (w + s * v)` from inner products per channel, each channel with a free factor g.

    Every channel is a regression of d on w and v with coefficients g - 1 and g * s; what v has beyond w decides s.
    """
    dv_beyond, vv_beyond = dv - dw * vw / ww, vv - vw * vw / ww
    stretch = 1 + (dw - dv_beyond / vv_beyond * vw) / ww
    known = torch.isfinite(stretch)
    weights = torch.where(known, stretch, 0)
    return (weights * torch.where(known, dv_beyond, 0)).sum() / (
        weights.square() * torch.where(known, vv_beyond, 0)
    ).sum()


def _summary(scale: Tensor, unexplained: Tensor, change: Tensor, update: Tensor) -> Tensor:
    size = torch.linalg.vector_norm(change)
    residual = torch.where(size > 0, torch.linalg.vector_norm(unexplained) / size, torch.zeros_like(size))
    return torch.stack((scale, residual, torch.linalg.vector_norm(update)))


def _by_channel(y: Tensor, kind: Kind) -> Tensor:
    return y.movedim(1 if kind == "conv" else -1, 0).flatten(1).to(widest(y.device))
