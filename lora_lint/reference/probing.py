"""What a layer is given to measure it, and how precise the answer can be."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lora_lint.reference.update import Update, base_of, geometry_of, unwrapped

TOLERANCES = {
    torch.float64: (1e-9, 1e-6),
    torch.float32: (1e-4, 1e-2),
    torch.float16: (1e-2, 0.3),
    torch.bfloat16: (3e-2, 0.5),
}
"""By the layer's dtype, how far the scale may be off, relatively, and how large the residual may be: in half precision
the sum of base and update is rounded to the precision of the base, which is much larger than the update."""

SIGMAS = 4
"""How many standard errors of the scale have to fit into its tolerance."""

LEAST_SCALE = 0.1
"""What the tolerance is relative to where a layer adds nothing."""


def _dtype(layer: nn.Module, update: Update) -> torch.dtype:
    """What the layer computes in: the base's dtype, or the adapter's where the base is quantised."""
    own = set(update.names.values())
    for name, tensor in layer.named_parameters():
        if name not in own and tensor.dtype in TOLERANCES:
            return tensor.dtype
    return next(iter(update.factors.values())).dtype


def coarsest_dtype(layer: nn.Module, x: Tensor) -> torch.dtype:
    """The dtype with the widest tolerance among those of the input, the layer and, under autocast, its output."""
    dtypes = {x.dtype, *(tensor.dtype for tensor in layer.parameters())}
    if torch.is_autocast_enabled(x.device.type):
        dtypes.add(torch.get_autocast_dtype(x.device.type))
    return max(dtypes & TOLERANCES.keys(), key=lambda dtype: TOLERANCES[dtype], default=torch.float32)


def inputs_for(layer: nn.Module, update: Update) -> Tensor:
    """Random inputs, the same on every device, enough of them for one number and a factor per channel."""
    generator = torch.Generator().manual_seed(0)
    base = base_of(unwrapped(layer))
    first = next(iter(update.factors.values()))
    device, size = first.device, _width(base, update)
    if update.kind == "embedding":
        return torch.randint(size, (4, 32), generator=generator, device="cpu").to(device)
    shape: tuple[int, ...] = (4, 16, size)
    if update.kind == "conv":
        dilation = geometry_of(layer).dilation
        reach = dilation if isinstance(dilation, int) else max(dilation)
        shape = (4, size, *((kernel - 1) * reach + 5 for kernel in _kernel(base, update)))
    return torch.randn(shape, generator=generator, device="cpu").to(device, _dtype(layer, update))


def _width(base: nn.Module, update: Update) -> int:
    """How many values an input has: the layer's own word, or what A takes."""
    for name in ("in_channels", "in_features", "num_embeddings"):
        if isinstance(width := getattr(base, name, None), int):
            return width
    return next(
        update.factors[stem] for stem in ("lora_A", "lora_a", "lora_down", "lora_embedding_A") if stem in update.factors
    ).shape[1]


def arguments_for(layer: nn.Module, update: Update, x: Tensor, given: Mapping[str, object]) -> dict[str, object]:
    """What the forward pass takes besides: an aLoRA, which works on the last tokens only, is to work on all of them."""
    variant = type(getattr(unwrapped(layer), "lora_variant", {}).get(update.adapter)).__name__
    if variant == "ALoraLinearVariant" and "alora_offsets" not in given:
        return {**given, "alora_offsets": [x[0].numel() // x.shape[-1]] * x.shape[0]}
    return dict(given)


def _kernel(base: nn.Module, update: Update) -> tuple[int, ...]:
    if isinstance(base, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return base.kernel_size
    return tuple(next(factor for factor in update.factors.values() if factor.dim() > 2).shape[2:])


def rounding(dtype: torch.dtype) -> float:
    """How large, relatively, the difference of two numbers is that are equal but for their rounding in `dtype`."""
    return float(torch.finfo(dtype).eps) / 6**0.5


def too_little(part: float, dtype: torch.dtype) -> str:
    name = str(dtype).removeprefix("torch.")
    return (
        f"`B A x` is {part:.2g} of what the layer gives, too little to tell a scale in {name}; "
        "probe=True puts larger factors in"
    )
