"""The scale that a layer really applies: what it adds, regressed on `B A x`."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lora_lint.reference.device import widest
from lora_lint.reference.layer import PLAIN, Geometry, Kind, ReferenceLoRA, added
from lora_lint.scaling import number

TOLERANCES = {
    torch.float64: (1e-9, 1e-6),
    torch.float32: (1e-4, 1e-2),
    torch.float16: (1e-2, 0.3),
    torch.bfloat16: (3e-2, 0.5),
}
"""By the layer's dtype, how far the scale may be off, relatively, and how large the residual may be: in half precision
the sum of base and update is rounded to the precision of the base, which is much larger than the update."""

_A = re.compile(r"(lora_A|lora_a|lora_down|lora_embedding_A)(?:\.(?!weight$)([^.]+))?(?:\.weight)?")
_B_OF = {"lora_A": "lora_B", "lora_a": "lora_b", "lora_down": "lora_up", "lora_embedding_A": "lora_embedding_B"}
_MAGNITUDE = re.compile(r"(?:lora_)?magnitude(?:_vector)?(?:\..+)?")


class Measurement(NamedTuple):
    """The scale, and the part of the change that no single scale explains: 0 is all explained, 1 is nothing."""

    scale: float
    residual: float


class _Pair(NamedTuple):
    a: Tensor
    b: Tensor
    b_name: str
    kind: Kind


def measure_scale(layer: nn.Module, inputs: Tensor | None = None, *, adapter: str | None = None) -> Measurement:
    """The multiplier that `layer` puts on `B A x`.

    Works for any module that holds A and B under a usual name (PEFT, loralib, torchtune, kohya, `ReferenceLoRA`). What
    it adds is its output less its output with B at zero, so nothing is asked of how it computes. Under DoRA, where the
    base output changes too, `base_layer` is asked for it. Dropout is off meanwhile. `inputs` are random by default.

    Raises:
        ValueError: when no pair is found, more than one is active, the adapter is merged, or `B A x` is zero.
    """
    if getattr(layer, "merged", False) is True:
        raise ValueError("the adapter is merged into the base weight: unmerge it before measuring")
    pair = _find(layer, adapter)
    with _evaluating(layer), torch.no_grad():
        scale, residual, size = fit(layer, _inputs(layer, pair) if inputs is None else inputs, pair).tolist()
    if size == 0:
        raise ValueError("B A x is zero, so no scale can be measured: A or B is still at its initial zeros")
    return Measurement(scale, residual)


def assert_scale(
    layer: nn.Module,
    expected: float,
    inputs: Tensor | None = None,
    *,
    tolerance: float | None = None,
    adapter: str | None = None,
) -> None:
    """For test suites: that `layer` adds `expected * B A x`, to the precision of its dtype or to `tolerance`.

    Raises:
        AssertionError: when it adds another multiple, or something else altogether.
    """
    scale, residual = measure_scale(layer, inputs, adapter=adapter)
    usual, largest_residual = TOLERANCES.get(_dtype(layer), TOLERANCES[torch.float32])
    if not abs(scale - expected) <= (usual if tolerance is None else tolerance) * max(abs(expected), 1e-9):
        raise AssertionError(f"scale is {number(scale)}, expected {number(expected)}")
    if not residual <= largest_residual:
        raise AssertionError(
            f"scale is {number(scale)}, but it leaves {residual:.1%} of what the layer adds unexplained"
        )


def fit(layer: nn.Module, x: Tensor, pair: _Pair) -> Tensor:
    """Scale, residual and the size of `B A x`, as one tensor on the layer's device."""
    geometry = _geometry(layer) if pair.kind == "conv" else PLAIN
    update = _by_channel(
        added(x.to(pair.a.dtype) if x.is_floating_point() else x, pair.a, pair.b, pair.kind, geometry), pair.kind
    )
    output = layer(x)
    if any(_MAGNITUDE.fullmatch(name) for name, _ in layer.named_parameters()):
        base_layer: Callable[[Tensor], Tensor] = layer.base_layer  # type: ignore[assignment]
        base = base_layer(x)
        zero_point = base_layer(torch.zeros_like(x)) if x.is_floating_point() else torch.zeros_like(base)
        return _fit_with_stretch(
            _by_channel(output - base, pair.kind), update, _by_channel(base - zero_point, pair.kind)
        )
    without = functional_call(layer, {pair.b_name: torch.zeros_like(pair.b)}, (x,))
    return _fit(_by_channel(output - without, pair.kind), update)


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


def _find(layer: nn.Module, adapter: str | None) -> _Pair:
    tensors = dict(layer.named_parameters()) | dict(layer.named_buffers())
    pairs = {found[2] or "": (name, found[1]) for name in tensors if (found := _A.fullmatch(name))}
    if adapter is None and len(pairs) > 1:
        pairs = {name: pair for name, pair in pairs.items() if name in getattr(layer, "active_adapters", pairs)}
    if adapter is not None:
        pairs = {name: pair for name, pair in pairs.items() if name == adapter}
    if len(pairs) != 1:
        named = f": {', '.join(sorted(pairs))}; name one" if pairs else ""
        raise ValueError(f"{type(layer).__name__} has {len(pairs)} pairs of A and B{named}")
    ((a_name, stem),) = pairs.values()
    b_name = _B_OF[stem] + a_name.removeprefix(stem)
    if b_name not in tensors:
        raise ValueError(f"{type(layer).__name__} has {a_name} but no {b_name}")
    a = tensors[a_name]
    kind: Kind = "embedding" if stem == "lora_embedding_A" else "conv" if a.dim() > 2 else "linear"
    return _Pair(a, tensors[b_name], b_name, layer.kind if isinstance(layer, ReferenceLoRA) else kind)


def _geometry(layer: nn.Module) -> Geometry:
    for module in layer.modules():
        if isinstance(geometry := getattr(module, "geometry", None), Geometry):
            return geometry
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            return Geometry(module.stride, module.padding, module.dilation, module.groups)
    return PLAIN


def _dtype(layer: nn.Module) -> torch.dtype:
    """The dtype of the base, which comes first among the parameters, or of the adapter where the base is quantised."""
    return next(tensor.dtype for tensor in layer.parameters() if tensor.is_floating_point())


def _inputs(layer: nn.Module, pair: _Pair) -> Tensor:
    """Random inputs, the same on every device, enough of them for one number and a factor per channel."""
    generator = torch.Generator().manual_seed(0)
    device, size = pair.a.device, pair.a.shape[1]
    if pair.kind == "embedding":
        return torch.randint(size, (4, 32), generator=generator, device="cpu").to(device)
    shape: tuple[int, ...] = (4, 16, size)
    if pair.kind == "conv":
        dilation = _geometry(layer).dilation
        reach = dilation if isinstance(dilation, int) else max(dilation)
        shape = (4, size, *((kernel - 1) * reach + 5 for kernel in pair.a.shape[2:]))
    return torch.randn(shape, generator=generator, device="cpu").to(device, _dtype(layer))


@contextmanager
def _evaluating(layer: nn.Module) -> Iterator[None]:
    training = [module for module in layer.modules() if module.training]
    layer.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
